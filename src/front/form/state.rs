//! The page that shows whoever reported how far it has come.
//!
//! Who has the link sees it, so that it says nothing of whom the report was about.

use aws_smithy_types::DateTime;
use domain::text;
use maud::html;

use super::frame::{Address, document};
use crate::http::Response;

/// How far a report has come. Nothing is better here than what the ledger says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody has looked at it.
    Reported,
    Waiting {
        until: DateTime,
    },
    Approved {
        by: String,
        at: DateTime,
    },
    /// It was done, and held.
    Contained {
        by: String,
        at: DateTime,
    },
    /// The same, and the responder names identities that a person has yet to look at.
    SuspectsOpen {
        by: String,
        at: DateTime,
    },
    /// It was done or tried, and did not hold or could not be seen to.
    NotContained {
        by: String,
        at: DateTime,
    },
    Declined {
        by: String,
        at: DateTime,
    },
    Expired {
        at: DateTime,
    },
    /// Nobody could be asked: whom it names was not found, or may not be touched.
    Failed {
        at: DateTime,
    },
}

/// A few words, and what they mean.
fn words(state: &State) -> (String, &'static str) {
    let named = |by: &str| text::line(by, 100);
    match state {
        State::Reported => ("Received".to_owned(), "Whom you named is being looked up. That takes a minute at most."),
        State::Waiting { until } => (
            format!("Waiting for approval, until {}", time(*until)),
            "The security team was asked. Nothing was changed so far.",
        ),
        State::Approved { by, at } => (
            format!("Approved by {} at {}", named(by), time(*at)),
            "It is being done. It takes about a minute to be sure that it holds.",
        ),
        State::Contained { by, at } => (
            format!("Contained at {}, approved by {}", time(*at), named(by)),
            "What you reported was stopped, and that was seen to hold.",
        ),
        State::SuspectsOpen { by, at } => (
            format!("Contained at {}, approved by {}", time(*at), named(by)),
            "What you reported was stopped. The security team still looks at what else was made with it.",
        ),
        State::NotContained { by, at } => (
            format!("Not contained at {}, approved by {}", time(*at), named(by)),
            "It was tried, and could not be seen to hold. The security team was told. Call them if you hear nothing.",
        ),
        State::Declined { by, at } => (
            format!("Declined by {} at {}", named(by), time(*at)),
            "Nothing more is done. Ask the security team if you disagree.",
        ),
        State::Expired { at } => (
            format!("Expired at {}", time(*at)),
            "Nobody decided in time, and nothing more is done. Call the security team.",
        ),
        State::Failed { at } => (
            format!("Could not be asked at {}", time(*at)),
            "Whom you named was not found, or may not be touched. Call the security team, and check what you reported.",
        ),
    }
}

pub(super) fn render(state: &State, token: &str, until: DateTime) -> Response {
    let (short, long) = words(state);
    let main = html! {
        h1 { "Your report" }
        p class="state" role="status" { (short) }
        p { (long) }
        p { a href={ "/state/" (token) } { "Look again" } }
        p class="hint" { "Keep the address of this page to yourself. It works until " (time(until)) "." }
        p { a href="/" { "Report another credential" } }
    };
    document(200, &format!("{short}: your report"), Address::Secret, &main)
}

/// To the second, in UTC.
fn time(at: DateTime) -> String {
    DateTime::from_secs(at.secs()).to_string().replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_says_what_is_known_and_no_more() {
        let at = DateTime::from_secs_and_nanos(1_795_914_000, 5);
        let by = "Mal <b>\u{202e}\n".to_owned();
        let shown = |state: State| render(&state, "abc.1.0f", at).body;
        for (state, says) in [
            (State::Reported, "Received"),
            (State::Waiting { until: at }, "Waiting for approval, until 2026-11-29 01:00:00 UTC"),
            (State::Approved { by: by.clone(), at }, "Approved by Mal &lt;b&gt;?? at 2026-11-29 01:00:00 UTC"),
            (
                State::Contained { by: by.clone(), at },
                "Contained at 2026-11-29 01:00:00 UTC, approved by Mal &lt;b&gt;??",
            ),
            (State::SuspectsOpen { by: by.clone(), at }, "The security team still looks"),
            (State::NotContained { by: by.clone(), at }, "Not contained at"),
            (State::Declined { by, at }, "Declined by Mal"),
            (State::Expired { at }, "Expired at 2026-11-29 01:00:00 UTC"),
            (State::Failed { at }, "Could not be asked"),
        ] {
            let is_good = matches!(state, State::Contained { .. });
            let page = shown(state);
            assert!(page.contains(says), "{page}");
            assert_eq!(page.contains("that was seen to hold"), is_good);
        }
    }
}
