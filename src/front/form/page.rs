//! The page on which somebody reports. It needs no script, and every mistake stands beside its field, with what was
//! typed.

use maud::{Markup, html};

use super::Account;
use super::frame::{Address, document};
use super::report::{Field, MAX_TEXT, Typed};
use crate::http::Response;

/// What is said above the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Above {
    Nothing,
    Mistakes,
    /// It was open for too long.
    Old,
    /// The report could not be kept.
    Unavailable,
}

impl Above {
    fn status(self) -> u16 {
        match self {
            Self::Nothing => 200,
            Self::Mistakes | Self::Old => 422,
            Self::Unavailable => 503,
        }
    }
}

/// A browser cuts what is pasted without a word, and half a secret is not recognised as one: the fields take more
/// than is right, and the mistake is told.
const LONGEST: usize = 200;
const LONGEST_TEXT: usize = 2000;

const TITLE: &str = "Report a stolen credential";

pub(super) fn render(typed: &Typed, accounts: &[Account], token: &str, above: Above) -> Response {
    let title = if above == Above::Nothing { TITLE.to_owned() } else { format!("Not sent: {TITLE}") };
    let main = html! {
        h1 { (TITLE) }
        (summary(typed, above))
        p { "A person is asked at once, and decides. After the report you see here what becomes of it." }
        form method="post" action="/" novalidate accept-charset="utf-8" autocomplete="off" {
            input type="hidden" name="token" value=(token);
            fieldset {
                legend { "Which account?" }
                (account(typed, accounts))
            }
            fieldset {
                legend { "Whose credential?" }
                (input(typed, Field::User, "Without the path. Leave it empty if you don’t know it.", None))
                (input(typed, Field::AccessKey, "It begins with AKIA. Never give the secret key, here or below.", None))
                (input(typed, Field::Role, "All of its sessions up to now are revoked. Leave it empty for a user.", None))
            }
            label class="head" for="text" { (Field::Text.label()) }
            p class="hint" id="text-hint" { "Where it was, since when, who saw it. At most " (MAX_TEXT) " characters." }
            (wrong(typed, Field::Text))
            textarea id="text" name="text" rows="6" maxlength=(LONGEST_TEXT) required aria-describedby=(described(typed, Field::Text))
                aria-invalid=[invalid(typed, Field::Text)] { "\n" (typed.get(Field::Text)) }
            button type="submit" { "Report" }
        }
    };
    document(above.status(), &title, Address::Plain, &main)
}

/// The first that is read after the title, with a way to each field.
fn summary(typed: &Typed, above: Above) -> Markup {
    let words = match above {
        Above::Nothing => return html! {},
        Above::Mistakes => "Nothing was sent yet",
        Above::Old => "Nothing was sent yet: the page was open for too long. Send it again.",
        Above::Unavailable => "The report could not be kept. Send it again, or call the security team.",
    };
    html! {
        div class="summary" role="alert" tabindex="-1" autofocus {
            h2 { (words) }
            @if !typed.mistakes.is_empty() {
                ul {
                    @for (field, mistake) in &typed.mistakes {
                        li { a href={ "#" (field.name()) } { (field.label()) ": " (mistake) } }
                    }
                }
            }
        }
    }
}

fn account(typed: &Typed, accounts: &[Account]) -> Markup {
    const HINT: &str = "12 digits, with the zeros at the beginning.";
    if accounts.is_empty() {
        return input(typed, Field::Account, HINT, Some("numeric"));
    }
    let field = Field::Account;
    html! {
        label for=(field.name()) { (field.label()) }
        (wrong(typed, field))
        select id=(field.name()) name=(field.name()) aria-describedby=[typed.mistake(field).map(|_| "account-wrong")]
            aria-invalid=[invalid(typed, field)] {
            option value="" { "Choose an account" }
            @for account in accounts {
                option value=(account.id) selected[typed.get(field) == account.id.as_str()] { (account.name) " (" (account.id) ")" }
            }
        }
        (input(typed, Field::OtherAccount, HINT, Some("numeric")))
    }
}

fn input(typed: &Typed, field: Field, hint: &str, mode: Option<&str>) -> Markup {
    let name = field.name();
    html! {
        label for=(name) { (field.label()) }
        p class="hint" id={ (name) "-hint" } { (hint) }
        (wrong(typed, field))
        input type="text" id=(name) name=(name) value=(typed.get(field)) maxlength=(LONGEST) inputmode=[mode]
            autocapitalize="none" autocomplete="off" spellcheck="false" aria-describedby=(described(typed, field))
            aria-invalid=[invalid(typed, field)];
    }
}

fn wrong(typed: &Typed, field: Field) -> Markup {
    html! {
        @if let Some(mistake) = typed.mistake(field) {
            p class="wrong" id={ (field.name()) "-wrong" } { "Mistake: " (mistake) }
        }
    }
}

fn described(typed: &Typed, field: Field) -> String {
    let name = field.name();
    match typed.mistake(field) {
        Some(_) => format!("{name}-hint {name}-wrong"),
        None => format!("{name}-hint"),
    }
}

fn invalid(typed: &Typed, field: Field) -> Option<&'static str> {
    typed.mistake(field).map(|_| "true")
}
