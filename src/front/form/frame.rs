//! What every page has: its head, its style, and the headers that keep it from everything else.
//! <https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html>
//!
//! `maud` writes the pages: the compiler sees that every element is closed, and every value is escaped unless it is
//! asked not to be, which only the style below is. It knows no contexts, so that no value stands in a script, a
//! style or an attribute that runs; an address is one that we made.

use aws_smithy_types::base64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::http::Response;

/// Whether the address of a page may be told to our own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// A browser says where a form comes from only where it may.
    Plain,
    /// A link that is a secret.
    Secret,
}

pub(super) fn document(status: u16, title: &str, address: Address, main: &Markup) -> Response {
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (main) } }
        }
    };
    let style = base64::encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    let referrer = match address {
        Address::Plain => "same-origin",
        Address::Secret => "no-referrer",
    };
    let mut response = Response::empty(status)
        .with("content-type", "text/html; charset=utf-8")
        .with("content-security-policy", policy)
        .with("strict-transport-security", "max-age=63072000")
        .with("referrer-policy", referrer)
        .with("cross-origin-opener-policy", "same-origin")
        .with("cross-origin-resource-policy", "same-origin")
        .with("permissions-policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()")
        .with("x-frame-options", "DENY")
        .with("x-robots-tag", "noindex, nofollow");
    response.body = body.into_string();
    response
}

/// A page that says one thing.
pub(super) fn notice(status: u16, title: &str, words: &str) -> Response {
    document(status, title, Address::Plain, &html! { h1 { (title) } p { (words) } })
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1a1a;--soft:#4a4a4a;--paper:#fff;--line:#6b6b6b;--bad:#a4001d;--act:#0b4f8a;--on:#fff}\
@media(prefers-color-scheme:dark){:root{--ink:#f2f2f2;--soft:#c9c9c9;--paper:#161616;--line:#9a9a9a;--bad:#ff9c9c;--act:#9fd0ff;--on:#10202e}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--paper);color:var(--ink);font:1.0625rem/1.5 system-ui,sans-serif}\
main{max-width:40rem;margin:0 auto;padding:1rem}\
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0 1rem}\
h2,legend,.head{font-size:1.15rem;font-weight:700;margin:0;padding:0}\
fieldset{border:0;margin:1.5rem 0;padding:0;min-width:0}\
label,dt{display:block;font-weight:600;margin-top:1rem}\
.hint{margin:.1rem 0 .35rem;color:var(--soft)}\
input,select,textarea,button{font:inherit;width:100%;min-height:2.75rem;padding:.5rem;border:2px solid var(--line);border-radius:4px;background:var(--paper);color:var(--ink)}\
textarea{min-height:9rem}\
button{background:var(--act);border-color:var(--act);color:var(--on);font-weight:700;margin-top:1.5rem}\
a{color:var(--act)}\
:focus-visible{outline:3px solid var(--act);outline-offset:2px}\
.wrong{color:var(--bad);font-weight:600;margin:.1rem 0 .35rem}\
[aria-invalid=true]{border-color:var(--bad)}\
.summary{border:3px solid var(--bad);padding:1rem;margin:1rem 0}\
.summary a{color:var(--bad)}\
dd{margin:0;overflow-wrap:anywhere}\
.state{font-size:1.25rem;font-weight:700;border-left:6px solid var(--act);padding-left:.75rem}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_forbids_everything_that_it_does_not_need() {
        let page = notice(404, "Nothing here", "<script>");
        let policy = page.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "style-src 'sha256-",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("strict-transport-security", "max-age=63072000"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(page.header(name), Some(value), "{name}");
        }
        assert!(page.header("permissions-policy").is_some());
        assert!(page.body.contains("&lt;script&gt;") && !page.body.contains("<script"));
    }

    #[test]
    fn a_secret_address_is_told_to_nobody() {
        let page = document(200, "x", Address::Secret, &html! {});
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(notice(200, "x", "y").header("referrer-policy"), Some("same-origin"));
    }
}
