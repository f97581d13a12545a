//! Critical alerts: somebody acknowledges one within a quarter of an hour, or it is repeated to others. An
//! acknowledgement says that a person has seen it, and changes nothing of any identity.

use std::collections::BTreeSet;

use aws_smithy_types::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::command::typed;
use crate::ids::RequestId;
use crate::text;
use crate::told::Alert;

/// In milliseconds: how long somebody has before it is repeated, and how long after that it can be acknowledged still.
pub const WITHIN: i64 = 15 * 60_000;
pub const LATER: i64 = 24 * 3_600_000;

/// How often it is looked at after that: who clicks may wake nobody.
const LOOK: i64 = 5 * 60_000;

/// By how much the clocks of two functions may differ.
const SKEW: i64 = 60_000;

/// What is kept of an alert's text: SNS takes 256 KB, an item of the ledger 400.
const LONGEST_TEXT: usize = 20_000;

/// The attributes that a click touches, in an item of its own: whoever takes clicks may write no other of it.
pub const ATTRIBUTES: &[&str] = &["id", "acknowledged_at", "acknowledged_by", "alert_hash", "barred"];

/// A critical alert, and what became of it. Times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub subject: String,
    pub text: String,
    pub severity: String,
    pub account: String,
    /// Of whom it is about, in Slack.
    pub thread: String,
    /// It is a question that was sent to nobody with this finding: it joined one that waited.
    pub is_unsent: bool,
    /// Slack has it in a message of its own, and another one only has the button.
    pub is_beside: bool,
    /// The requests that it tells of: whoever decides all of them has seen it.
    pub requests: Vec<RequestId>,
    /// Whoever it is about does not acknowledge it, by Slack's user IDs.
    pub barred: BTreeSet<String>,
    pub told_at: i64,
    pub repeats_at: i64,
    pub acknowledged: Option<Acknowledged>,
    pub repeated_at: Option<i64>,
    /// Who was told that it was acknowledged, where not all could be.
    pub telling: Option<Telling>,
    /// Nothing more is done about it.
    pub is_over: bool,
}

/// Who has seen it, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    pub by: String,
    pub at: i64,
    /// By whoever takes clicks, not by command.
    pub is_click: bool,
}

impl Acknowledged {
    /// As whoever takes clicks wrote it: that it was this person, or then, nobody else can tell.
    pub fn clicked(name: &str, at: i64) -> Self {
        let by = format!("Slack's endpoint in the name of {}", text::line(name, 300));
        Self { by, at, is_click: true }
    }
}

/// Who was told of an acknowledgement and since when it is tried: whoever takes clicks may write it anew again and again,
/// and is told of once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telling {
    /// Of one by command all are told beside it.
    of: String,
    since: i64,
    told: BTreeSet<Sink>,
}

/// Who is told of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sink {
    AlertTopic,
    EscalationTopic,
    Slack,
}

impl Telling {
    pub fn is_told(&self, sink: Sink) -> bool {
        self.told.contains(&sink)
    }

    pub fn note(&mut self, sink: Sink) {
        self.told.insert(sink);
    }

    /// It was tried for a day.
    pub fn is_in_vain(&self, now: i64) -> bool {
        now >= self.since + LATER
    }
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// People are told who acknowledged it.
    TellWho,
    Repeat,
    /// Nobody did for a day.
    End,
}

/// What the alert itself says of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    pub id: RequestId,
    pub repeats_at: i64,
    pub acknowledged: Option<Acknowledged>,
    pub repeated_at: Option<i64>,
    /// A message of Slack's has its button.
    pub is_shown: bool,
}

impl Watched {
    /// As it is told at `now`.
    pub fn new(alert: &Alert, thread: &str, now: i64) -> Self {
        let attribute = |name| alert.attributes.iter().find(|it| it.0 == name).map(|it| it.1.clone());
        Self {
            subject: text::cut(&alert.subject, 300),
            text: text::cut(&alert.text, LONGEST_TEXT),
            severity: attribute("severity").unwrap_or_default(),
            account: attribute("account").unwrap_or_default(),
            thread: thread.to_owned(),
            is_unsent: false,
            is_beside: false,
            requests: Vec::new(),
            barred: BTreeSet::new(),
            told_at: now,
            repeats_at: now + WITHIN,
            acknowledged: None,
            repeated_at: None,
            telling: None,
            is_over: false,
        }
    }

    /// Of what was shown: a click is about that, or about nothing.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(json!(["alert", self.thread, self.told_at, self.subject, self.text]).to_string()))
    }

    pub fn step(&self, now: i64) -> Step {
        match (&self.acknowledged, self.repeated_at) {
            _ if self.is_over => Step::Nothing,
            (Some(_), _) => Step::TellWho,
            (None, None) if now >= self.repeats_at => Step::Repeat,
            (None, Some(_)) if now >= self.repeats_at + LATER => Step::End,
            (None, _) => Step::Nothing,
        }
    }

    /// When it is looked at next, where nobody acknowledges it. `now`: of this look.
    pub fn looked_at_again(&self, now: i64) -> i64 {
        match self.repeated_at {
            Some(_) if now < self.repeats_at + LATER => (now + LOOK).min(self.repeats_at + LATER),
            Some(_) => now + LOOK,
            None => self.repeats_at,
        }
    }

    pub fn watch(&self, id: &RequestId, is_shown: bool) -> Watch {
        Watch {
            id: id.clone(),
            repeats_at: self.repeats_at,
            acknowledged: self.acknowledged.clone(),
            repeated_at: self.repeated_at,
            is_shown,
        }
    }

    /// What others get, since nobody had acknowledged it at `now`.
    pub fn repeated(&self, id: &RequestId, function: &str, now: i64) -> Alert {
        let (since, until) = (time(self.told_at), time(now));
        let nobody = if self.is_unsent {
            format!(
                "Nobody has answered this question until {until}, which a finding joined at {since} and was not told of"
            )
        } else {
            format!("Nobody has acknowledged this alert of {since} until {until}")
        };
        let mut lines = vec![
            format!("{nobody}; what was done since then, `status` lists"),
            String::new(),
            "To acknowledge it:".to_owned(),
            command(id, function),
            String::new(),
        ];
        lines.push("The alert:".to_owned());
        lines.push(self.text.clone());
        Alert {
            subject: text::subject(&format!("UNACKNOWLEDGED: {}", self.subject)),
            text: lines.join("\n"),
            attributes: self.attributes("Unacknowledged"),
        }
    }

    /// What everybody who got the alert gets once somebody says that it was seen.
    ///
    /// INVARIANT: what whoever takes clicks wrote is told as no more than that.
    pub fn told_who(&self, it: &Acknowledged, now: i64) -> Alert {
        let by = text::line(&it.by, 500);
        let after = match self.repeated_at {
            Some(at) => format!("after it was repeated to the escalation topic at {}", time(at)),
            None => "it is not repeated to the escalation topic".to_owned(),
        };
        let doubt = match it.at {
            at if at < self.told_at - SKEW => " (which can't be: that is before it was told)",
            at if at > now + SKEW => " (which can't be: that is yet to come)",
            _ => "",
        };
        let lines = [
            format!("Acknowledged by {by} at {}{doubt}; {after}", time(it.at)),
            String::new(),
            format!("Alert: {}", text::line(&self.subject, 300)),
            format!("{}: {}", if self.is_unsent { "Joined" } else { "Told" }, time(self.told_at)),
            "If that was none of you, somebody silences alerts: look at who may click in Slack and send commands"
                .to_owned(),
        ];
        Alert {
            subject: text::subject(&format!("Acknowledged: {}", self.subject)),
            text: lines.join("\n"),
            attributes: self.attributes("Acknowledged"),
        }
    }

    /// Of such an acknowledgement, who was told.
    pub fn telling(&self, it: &Acknowledged, now: i64) -> Telling {
        let of = if it.is_click { "click" } else { "command" };
        let kept = self.telling.clone().filter(|telling| telling.of == of);
        kept.unwrap_or_else(|| Telling { of: of.to_owned(), since: now, told: BTreeSet::new() })
    }

    fn attributes(&self, verdict: &str) -> Vec<(&'static str, String)> {
        vec![("severity", self.severity.clone()), ("account", self.account.clone()), ("verdict", verdict.to_owned())]
    }
}

impl Watch {
    pub fn is_open(&self) -> bool {
        self.acknowledged.is_none()
    }

    /// For the alert: that somebody is to acknowledge it and how, or who has.
    pub fn lines(&self, function: &str) -> Vec<String> {
        if let Some(it) = &self.acknowledged {
            return vec![format!("Acknowledged: by {} at {}", text::line(&it.by, 300), time(it.at))];
        }
        let until = match self.repeated_at {
            Some(at) => format!("To acknowledge it; it was repeated to the escalation topic at {}:", time(at)),
            None => {
                format!("To acknowledge it, or it is repeated to the escalation topic at {}:", time(self.repeats_at))
            }
        };
        vec![String::new(), until, command(&self.id, function)]
    }
}

fn command(id: &RequestId, function: &str) -> String {
    let payload = json!({"command": "ack", "alert": id, "by": "YOUR NAME"});
    typed(&payload, function)
}

fn time(millis: i64) -> String {
    DateTime::from_millis(millis).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::parsed;

    const NOW: i64 = 1_790_000_000_000;

    fn watched() -> Watched {
        let attributes = vec![("severity", "CRITICAL".to_owned()), ("account", "111122223333".to_owned())];
        let alert = Alert { subject: "stolen: alice".to_owned(), text: "[CRITICAL] alice".to_owned(), attributes };
        Watched::new(&alert, "target#111122223333#AIDA", NOW)
    }

    fn by_dana(at: i64) -> Option<Acknowledged> {
        Some(Acknowledged { by: "dana (Slack U0DANA)".to_owned(), at, is_click: false })
    }

    #[test]
    fn it_is_repeated_after_a_quarter_of_an_hour_once_and_never_after_somebody_saw_it() {
        let open = watched();
        assert_eq!((open.step(NOW + WITHIN - 1), open.step(NOW + WITHIN)), (Step::Nothing, Step::Repeat));
        let repeated = Watched { repeated_at: Some(NOW + WITHIN), ..open.clone() };
        assert_eq!(repeated.step(NOW + WITHIN + LATER - 1), Step::Nothing);
        assert_eq!(repeated.step(NOW + WITHIN + LATER), Step::End);
        assert_eq!(open.looked_at_again(NOW), NOW + WITHIN);
        assert_eq!(repeated.looked_at_again(NOW + WITHIN), NOW + WITHIN + LOOK);
        assert_eq!(repeated.looked_at_again(NOW + WITHIN + LATER - 1), NOW + WITHIN + LATER);
        assert_eq!(repeated.looked_at_again(NOW + WITHIN + LATER), NOW + WITHIN + LATER + LOOK);
        for it in [&open, &repeated] {
            let seen = Watched { acknowledged: by_dana(NOW + 1), ..it.clone() };
            assert_eq!(seen.step(NOW + 2 * LATER), Step::TellWho);
            assert_eq!(Watched { is_over: true, ..seen }.step(NOW + 2 * LATER), Step::Nothing);
        }
    }

    #[test]
    fn there_are_fifteen_minutes_to_acknowledge_it_and_a_day_once_it_was_repeated() {
        let open = watched();
        assert_eq!(open.looked_at_again(NOW) - NOW, 900_000);
        let repeated = Watched { repeated_at: Some(NOW), ..open.clone() };
        assert_eq!(repeated.looked_at_again(NOW) - NOW, 300_000);
        assert_eq!(repeated.step(open.repeats_at + 86_400_000 - 1), Step::Nothing);
        assert_eq!(repeated.step(open.repeats_at + 86_400_000), Step::End);
    }

    #[test]
    fn a_click_is_about_one_alert_as_it_was_shown() {
        let one = watched();
        let (other, later) = (Watched { text: "x".to_owned(), ..one.clone() }, Watched { told_at: 1, ..one.clone() });
        let elsewhere = Watched { thread: "target#1#x".to_owned(), ..one.clone() };
        assert!([other, later, elsewhere].iter().all(|it| it.hash() != one.hash()));
        assert_eq!(Watched { acknowledged: by_dana(1), repeated_at: Some(2), ..one.clone() }.hash(), one.hash());
    }

    #[test]
    fn each_message_says_what_is_so_and_no_more() {
        let (id, it) = (parsed("abcdefghijklmnopqrstuvwxyz"), watched());
        let repeated = it.repeated(&id, "iam-responder", NOW + WITHIN + 1_000);
        assert_eq!(repeated.subject, "UNACKNOWLEDGED: stolen: alice");
        let first = "Nobody has acknowledged this alert of 2026-09-21T14:13:20Z until 2026-09-21T14:28:21Z";
        assert!(repeated.text.starts_with(first), "{}", repeated.text);
        assert!(repeated.text.ends_with("The alert:\n[CRITICAL] alice"));
        assert!(repeated.text.contains(r#"{"alert":"abcdefghijklmnopqrstuvwxyz","by":"YOUR NAME","command":"ack"}"#));
        let in_time = it.told_who(&by_dana(NOW + 5).unwrap(), NOW + 6).text;
        assert!(in_time.starts_with("Acknowledged by dana (Slack U0DANA) at") && in_time.contains("is not repeated"));
        let late = Watched { repeated_at: Some(NOW), ..it.clone() }.told_who(&by_dana(NOW + 5).unwrap(), NOW).text;
        assert!(late.contains("after it was repeated") && !late.contains("is not repeated"));
        let lines = it.watch(&id, false).lines("f");
        assert!(lines[1].contains("or it is repeated to the escalation topic at 2026-09-21T14:28:20Z"));
        let seen = Watched { acknowledged: by_dana(NOW), ..it };
        assert!(seen.watch(&id, true).lines("f")[0].starts_with("Acknowledged: by dana"));
    }

    #[test]
    fn a_time_that_can_not_be_is_told_as_that() {
        let told = |at| watched().told_who(&by_dana(at).unwrap(), NOW + WITHIN).text;
        assert!(told(1).contains("before it was told") && told(NOW + LATER).contains("yet to come"));
        assert!(!told(NOW + 1).contains("can't be") && !told(NOW + WITHIN).contains("can't be"));
        // The clocks of two functions differ by a little.
        assert!(!told(NOW - SKEW).contains("can't be") && !told(NOW + WITHIN + SKEW).contains("can't be"));
        assert!(told(NOW - SKEW - 1).contains("before it was told"));
        assert!(told(NOW + WITHIN + SKEW + 1).contains("yet to come"));
    }

    #[test]
    fn who_was_told_of_one_click_is_told_of_no_other_and_of_a_command() {
        let (one, command) = (Acknowledged::clicked("dana", NOW), by_dana(NOW + 1).unwrap());
        let mut telling = watched().telling(&one, NOW);
        telling.note(Sink::EscalationTopic);
        let kept = Watched { telling: Some(telling), ..watched() };
        // As whoever takes clicks writes it anew.
        let same = kept.telling(&Acknowledged::clicked("x", NOW + LATER), NOW + LATER);
        assert!(same.is_told(Sink::EscalationTopic) && !same.is_told(Sink::AlertTopic) && same.is_in_vain(NOW + LATER));
        let new = kept.telling(&command, NOW + LATER);
        assert!(!new.is_told(Sink::EscalationTopic) && !new.is_in_vain(NOW + LATER));
    }

    #[test]
    fn what_was_sent_to_nobody_is_repeated_as_nothing_that_somebody_got() {
        let it = Watched { is_unsent: true, ..watched() };
        let text = it.repeated(&parsed("abcdefghijklmnopqrstuvwxyz"), "f", NOW).text;
        assert!(text.starts_with("Nobody has answered this question") && !text.contains("this alert of"));
        assert!(it.told_who(&by_dana(NOW).unwrap(), NOW).text.contains("\nJoined: "));
    }

    /// Who has the right to click is called as they like.
    #[test]
    fn a_name_begins_no_line() {
        let it = Acknowledged { by: "x\nThe alert:\n- nothing".to_owned(), at: NOW, is_click: true };
        assert!(watched().told_who(&it, NOW).text.starts_with("Acknowledged by x?The alert:?- nothing at"));
    }

    #[test]
    fn what_is_repeated_and_told_has_the_alerts_own_attributes() {
        let (id, it) = (parsed("abcdefghijklmnopqrstuvwxyz"), watched());
        let of = |verdict: &str| {
            let all = [("severity", "CRITICAL"), ("account", "111122223333"), ("verdict", verdict)];
            all.map(|(name, value)| (name, value.to_owned())).to_vec()
        };
        assert_eq!(it.repeated(&id, "f", NOW).attributes, of("Unacknowledged"));
        assert_eq!(it.told_who(&by_dana(NOW).unwrap(), NOW).attributes, of("Acknowledged"));
        assert_eq!((it.told_at, it.repeats_at, it.thread.as_str()), (NOW, NOW + WITHIN, "target#111122223333#AIDA"));
    }

    #[test]
    fn the_alert_says_that_it_was_repeated_and_is_open_until_somebody_saw_it() {
        let (id, it) = (parsed("abcdefghijklmnopqrstuvwxyz"), Watched { repeated_at: Some(NOW), ..watched() });
        let watch = it.watch(&id, true);
        assert!(watch.is_open() && watch.is_shown);
        assert!(watch.lines("f")[1].contains("it was repeated to the escalation topic at 2026-09-21T14:13:20Z"));
        assert!(watch.lines("f")[2].contains("--function-name f "), "{:?}", watch.lines("f"));
        assert!(!Watched { acknowledged: by_dana(NOW), ..it }.watch(&id, false).is_open());
    }
}
