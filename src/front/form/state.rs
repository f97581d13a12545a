//! The page that shows whoever reported how far it has come.
//!
//! Who has the link sees it, so that it says nothing of whom the report was about.

use aws_smithy_types::DateTime;
use domain::approval::request as asked;
use domain::approval::standing::Standing;
use domain::text;
use domain::verdict::Verdict;
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
        /// Something was done meanwhile.
        is_struck: bool,
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
    /// Approved, and not begun: the approval did not fit any more.
    NotCarriedOut {
        /// An earlier try may have done some of it.
        is_resumed: bool,
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
    /// Nobody was asked: nothing is left to be done.
    InPlace {
        at: DateTime,
    },
    /// Nobody was asked: nothing is changed here by itself.
    PassedOn {
        at: DateTime,
    },
    /// Nobody could be asked: whom it names was not found, or may not be touched.
    Failed {
        at: DateTime,
    },
}

impl State {
    /// INVARIANT: contained is said of what the responder saw to hold, and of nothing else.
    pub fn of(standing: &Standing, now: DateTime) -> Self {
        let now_millis = now.to_millis().unwrap_or(i64::MAX);
        let at = |millis: Option<i64>| millis.map_or(now, DateTime::from_millis);
        let ruled = standing.ruling.as_ref().map(|it| (it.by.clone(), DateTime::from_millis(it.at)));
        let ended = at(standing.ended_at);
        match (standing.state(now_millis), ruled, standing.verdict) {
            (asked::State::Reported, ..) => Self::Reported,
            (asked::State::Waiting, ..) => {
                Self::Waiting { until: at(standing.expires_at), is_struck: standing.is_struck }
            }
            (asked::State::Approved, Some((by, at)), _) => Self::Approved { by, at },
            (asked::State::Declined, Some((by, at)), _) => Self::Declined { by, at },
            (asked::State::Expired, ..) => Self::Expired { at: at(standing.expires_at) },
            (asked::State::Done, Some((by, _)), Some(Verdict::Contained)) => Self::Contained { by, at: ended },
            (asked::State::Done, Some((by, _)), Some(Verdict::SuspectsOpen)) => Self::SuspectsOpen { by, at: ended },
            (asked::State::Failed, Some((by, _)), Some(Verdict::Refused)) => {
                Self::NotCarriedOut { is_resumed: standing.is_resumed, by, at: ended }
            }
            (asked::State::Done | asked::State::Failed, Some((by, _)), _) => Self::NotContained { by, at: ended },
            (asked::State::Done, None, Some(Verdict::Observed)) => Self::InPlace { at: ended },
            (asked::State::Failed, None, Some(Verdict::Observed)) => Self::PassedOn { at: ended },
            (_, ruled, _) => Self::Failed { at: ruled.map_or(ended, |it| it.1) },
        }
    }
}

/// A few words, and what they mean.
fn words(state: &State) -> (String, &'static str) {
    let named = |by: &str| text::line(by, 100);
    match state {
        State::Reported => ("Received".to_owned(), "Whom you named is being looked up. That takes a minute at most."),
        State::Waiting { until, is_struck } => (
            format!("Waiting for approval, until {}", time(*until)),
            match is_struck {
                true => {
                    "The security team was asked. Something was done already that can be undone; they decide about the rest."
                }
                false => "The security team was asked. For this, nothing was changed so far.",
            },
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
        State::NotCarriedOut { is_resumed, by, at } => (
            format!("Not carried out at {}, approved by {}", time(*at), named(by)),
            match is_resumed {
                true => {
                    "It was not carried out whole; an earlier try may have done some of it. The security team was told. Call them if you hear nothing."
                }
                false => {
                    "What was approved did not fit any more, so that nothing was done under it. The security team was told. Call them if you hear nothing."
                }
            },
        ),
        State::Declined { by, at } => (
            format!("Declined by {} at {}", named(by), time(*at)),
            "Nothing more is done. Ask the security team if you disagree.",
        ),
        State::Expired { at } => (
            format!("Expired at {}", time(*at)),
            "Nobody decided in time, and nothing more is done. Call the security team.",
        ),
        State::InPlace { at } => (
            format!("Nothing left to be done at {}", time(*at)),
            "All that would be asked for was in place already. The security team was told of your report.",
        ),
        State::PassedOn { at } => (
            format!("Passed on at {}", time(*at)),
            "The security team was told, and nothing is changed by itself. Call them if you hear nothing.",
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
    use domain::approval::request::Ruling;
    use domain::decision::Decision;

    use super::*;

    #[test]
    fn contained_is_what_the_responder_saw_to_hold() {
        let (now, by) = (DateTime::from_secs(1_000), "Dana".to_owned());
        let ruling = |decision| Some(Ruling { decision, by: by.clone(), at: 500_000 });
        let approved = Standing { ruling: ruling(Decision::Approve), expires_at: Some(900_000), ..Standing::default() };
        let ended = |ended, verdict| Standing {
            ended: Some(ended),
            verdict: Some(verdict),
            ended_at: Some(600_000),
            ..approved.clone()
        };
        let at = DateTime::from_secs(600);
        for verdict in Verdict::ALL {
            for stored in asked::State::ALL {
                let state = State::of(&ended(stored, verdict), now);
                let is_good = stored == asked::State::Done && verdict == Verdict::Contained;
                assert_eq!(state == State::Contained { by: by.clone(), at }, is_good, "{stored:?} {verdict:?}");
            }
        }
        let by = || by.clone();
        let decided = DateTime::from_secs(500);
        assert_eq!(State::of(&approved, now), State::Approved { by: by(), at: decided });
        assert_eq!(
            State::of(&ended(asked::State::Done, Verdict::SuspectsOpen), now),
            State::SuspectsOpen { by: by(), at }
        );
        assert_eq!(
            State::of(&ended(asked::State::Failed, Verdict::Contained), now),
            State::NotContained { by: by(), at }
        );
        let declined = Standing { ruling: ruling(Decision::Decline), ..approved.clone() };
        assert_eq!(State::of(&declined, now), State::Declined { by: by(), at: decided });
        let undecided = Standing { ruling: None, ..approved.clone() };
        assert_eq!(State::of(&undecided, now), State::Expired { at: DateTime::from_secs(900) });
        let until = DateTime::from_secs(900);
        assert_eq!(State::of(&undecided, at), State::Waiting { until, is_struck: false });
        let struck = Standing { is_struck: true, ..undecided };
        assert_eq!(State::of(&struck, at), State::Waiting { until, is_struck: true });
        let refused = ended(asked::State::Failed, Verdict::Refused);
        assert_eq!(State::of(&refused, now), State::NotCarriedOut { is_resumed: false, by: by(), at });
        let resumed = Standing { is_resumed: true, ..refused.clone() };
        assert_eq!(State::of(&resumed, now), State::NotCarriedOut { is_resumed: true, by: by(), at });
        assert_eq!(State::of(&Standing { ruling: None, ..refused }, now), State::Failed { at });
        let unasked = |state| Standing { ruling: None, ..ended(state, Verdict::Observed) };
        assert_eq!(State::of(&unasked(asked::State::Done), now), State::InPlace { at });
        assert_eq!(State::of(&unasked(asked::State::Failed), now), State::PassedOn { at });
        assert_eq!(State::of(&Standing::default(), now), State::Reported);
    }

    #[test]
    fn each_state_says_what_is_known_and_no_more() {
        let at = DateTime::from_secs_and_nanos(1_795_914_000, 5);
        let by = "Mal <b>\u{202e}\n".to_owned();
        let shown = |state: State| render(&state, "abc.1.0f", at).body;
        for (state, says) in [
            (State::Reported, "Received"),
            (State::Waiting { until: at, is_struck: false }, "nothing was changed so far"),
            (State::Waiting { until: at, is_struck: true }, "Waiting for approval, until 2026-11-29 01:00:00 UTC"),
            (State::Waiting { until: at, is_struck: true }, "Something was done already"),
            (State::Approved { by: by.clone(), at }, "Approved by Mal &lt;b&gt;?? at 2026-11-29 01:00:00 UTC"),
            (
                State::Contained { by: by.clone(), at },
                "Contained at 2026-11-29 01:00:00 UTC, approved by Mal &lt;b&gt;??",
            ),
            (State::SuspectsOpen { by: by.clone(), at }, "The security team still looks"),
            (State::NotContained { by: by.clone(), at }, "Not contained at"),
            (State::NotCarriedOut { is_resumed: false, by: by.clone(), at }, "nothing was done under it"),
            (State::NotCarriedOut { is_resumed: true, by: by.clone(), at }, "an earlier try may have done some"),
            (State::Declined { by, at }, "Declined by Mal"),
            (State::InPlace { at }, "Nothing left to be done"),
            (State::PassedOn { at }, "Passed on at 2026-11-29 01:00:00 UTC"),
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
