//! What people are told without a containment: a finding that says a credential is misused and that
//! nobody is to be contained for, and an event that could not be read. Pure text; sending and
//! remembering is the responder's.

use std::fmt;

use serde_json::json;

use crate::command::typed;
use crate::finding::{Finding, Principal};
use crate::ids::PrincipalName;
use crate::text;

/// What is done about a kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The playbook responds.
    Contain,
    /// An alert of its own, with the `contain` command ready to send.
    Alert,
    /// One alert a day for each account.
    DailyAlert,
    /// A line in the hourly digest.
    Digest,
    /// A line in the daily digest.
    DailyDigest,
    /// A line in the log.
    Count,
}

/// Told of, and not contained.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Finding(Box<ToldFinding>),
    Unreadable(Unreadable),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ToldFinding {
    pub finding: Finding,
    pub urgency: Urgency,
    /// What it says of the credential.
    pub says: &'static str,
    /// Why nobody is contained.
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    Alert,
    DailyAlert,
    Digest(Digest),
}

/// The digests, each with its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    Hourly,
    Daily,
}

/// An event of a trusted source that is about an IAM identity and could not be read in full. Every text
/// here comes from the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub event_id: String,
    pub source: String,
    pub account: String,
    pub kind: String,
    pub finding_id: String,
    /// The paths that failed, each with what was expected there.
    pub problems: Vec<String>,
}

/// A finished alert, safe for SNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub subject: String,
    pub text: String,
    pub attributes: Vec<(&'static str, String)>,
}

impl Digest {
    pub const ALL: [Self; 2] = [Self::Hourly, Self::Daily];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
        }
    }
}

impl Answer {
    pub const fn urgency(self) -> Option<Urgency> {
        match self {
            Self::Alert => Some(Urgency::Alert),
            Self::DailyAlert => Some(Urgency::DailyAlert),
            Self::Digest => Some(Urgency::Digest(Digest::Hourly)),
            Self::DailyDigest => Some(Urgency::Digest(Digest::Daily)),
            Self::Contain | Self::Count => None,
        }
    }
}

impl fmt::Display for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert => "alert",
            Self::DailyAlert => "daily-alert",
            Self::Digest(Digest::Hourly) => "hourly-digest",
            Self::Digest(Digest::Daily) => "daily-digest",
        })
    }
}

/// The gravest lines that a digest shows; the rest is counted.
pub const DIGEST_LINES: usize = 20;

impl ToldFinding {
    /// By what it is known that people were told of this already; one of them is enough. The finding itself:
    /// Security Hub brings a copy of it, which may say less of the same name. And whose credential it is, by what is
    /// really said of that: GuardDuty makes a finding of its own in each region. What names nobody is another
    /// matter each time.
    pub fn matters(&self) -> Vec<String> {
        let it = &self.finding;
        if self.urgency == Urgency::DailyAlert {
            return vec![format!("{}|{}|{}", it.account, it.principal.target_key(), it.kind)];
        }
        let finding = format!("{}|{}|{}|{}", it.account, bare_name(it), it.kind, it.id);
        let identity = whose(it).map(|whose| format!("{}|{whose}|{}|{}", it.account, it.access_key_text(), it.kind));
        [Some(finding), identity].into_iter().flatten().collect()
    }

    /// Of one identity a digest has one line, whatever number of findings there are.
    pub fn line_of(&self) -> String {
        let it = &self.finding;
        format!("{}|{}", it.account, whose(it).unwrap_or_else(|| it.id.clone()))
    }

    pub fn alert(&self, function: &str) -> Alert {
        let it = &self.finding;
        let severity = it.severity.label();
        let headline = format!("[{severity}] {}, not contained: {}", self.says, who_where(it));
        let mut lines = vec![headline, String::new()];
        lines.push(format!("Finding: {}", text::line(&it.kind, 200)));
        lines.push(format!("Said: {}", text::line(&it.title, 300)));
        if let Some(time) = &it.occurred_at {
            lines.push(format!("Seen: {time}"));
        }
        lines.push(format!("Not contained: {}", text::line(&self.why, 500)));
        if self.urgency == Urgency::DailyAlert {
            lines.push("Told once a day for each account: look for further findings in GuardDuty".to_owned());
        }
        lines.extend(to_contain(it, function));
        lines.push(String::new());
        lines.push("Where to look:".to_owned());
        lines.push(format!("- {}", text::line(&it.id, 512)));
        Alert {
            subject: text::subject(&format!("{}, not contained: {} ({})", self.says, who(it), it.account)),
            text: lines.join("\n"),
            attributes: vec![
                ("severity", severity.to_owned()),
                ("account", it.account.to_string()),
                ("verdict", "Told".to_owned()),
            ],
        }
    }

    /// One line of a digest. It holds no time of ours, so that the same finding gives the same line.
    pub fn line(&self) -> String {
        let it = &self.finding;
        let kind = text::line(&it.kind, 120);
        format!("[{}] {kind}: {} - {}", it.severity.label(), who_where(it), text::line(&it.id, 300))
    }
}

impl Unreadable {
    /// The event, whatever number of times Lambda tries it.
    pub fn matter(&self) -> String {
        match self.event_id.as_str() {
            "" => format!("{}|{}|{}", self.source, self.finding_id, self.problems.join("|")),
            id => id.to_owned(),
        }
    }

    pub fn alert(&self) -> Alert {
        let or_unknown = |it: &str, max| if it.trim().is_empty() { "unknown".to_owned() } else { text::line(it, max) };
        let mut lines = vec![
            "An event about an IAM identity could not be read: nobody was contained for what could not".to_owned(),
            String::new(),
            format!("Source: {}", or_unknown(&self.source, 100)),
            format!("Account: {}", or_unknown(&self.account, 40)),
            format!("Type: {}", or_unknown(&self.kind, 200)),
            format!("Finding: {}", or_unknown(&self.finding_id, 4_000)),
            format!("Event: {}", or_unknown(&self.event_id, 200)),
            String::new(),
            "What could not be read:".to_owned(),
        ];
        lines.extend(self.problems.iter().take(DIGEST_LINES).map(|it| format!("- {}", text::line(it, 300))));
        let more = self.problems.len().saturating_sub(DIGEST_LINES);
        if more > 0 {
            lines.push(format!("- and {more} more"));
        }
        lines.push(String::new());
        lines.push(
            "What to do: look at the finding in its service, send `contain` if it is true; the whole event goes to \
             the dead-letter queue once the retries are over"
                .to_owned(),
        );
        let account = or_unknown(&self.account, 40);
        Alert {
            subject: text::subject(&format!("Unreadable event about an IAM identity ({account})")),
            text: lines.join("\n"),
            attributes: vec![
                ("severity", "HIGH".to_owned()),
                ("account", text::subject(&account)),
                ("verdict", "Unreadable".to_owned()),
            ],
        }
    }
}

/// What a digest has of one identity: its gravest finding, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    pub findings: u64,
}

/// A digest: the gravest lines first, and how many more findings there were. `None` when there is nothing to tell.
pub fn digest(which: Digest, lines: &[Line], more: u64) -> Option<Alert> {
    let left_out: u64 = lines.iter().skip(DIGEST_LINES).map(|it| it.findings).sum();
    let counted = more + left_out;
    let all = more + lines.iter().map(|it| it.findings).sum::<u64>();
    if all == 0 {
        return None;
    }
    let what = match which {
        Digest::Hourly => "findings about credentials that nobody was contained for",
        Digest::Daily => "findings about configuration",
    };
    let mut text = vec![format!("{} digest: {all} {what}", title(which)), String::new()];
    for line in lines.iter().take(DIGEST_LINES) {
        let others = line.findings.saturating_sub(1);
        let others = if others > 0 { format!(" - and {others} more about the same identity") } else { String::new() };
        text.push(format!("- {}{others}", text::line(&line.text, 700)));
    }
    if counted > 0 {
        text.push(format!("- and {counted} more, in the services themselves"));
    }
    text.push(String::new());
    text.push("FINDING_RESPONSES says what is contained, alerted and put here, by family and by type".to_owned());
    Some(Alert {
        subject: text::subject(&format!("{} digest: {all} {what}", title(which))),
        text: text.join("\n"),
        attributes: vec![("severity", "INFORMATIONAL".to_owned()), ("verdict", "Digest".to_owned())],
    })
}

fn title(which: Digest) -> &'static str {
    match which {
        Digest::Hourly => "Hourly",
        Digest::Daily => "Daily",
    }
}

/// Whose credential it is: a unique ID says it best, since a name can be changed. `None` where nothing says it.
fn whose(finding: &Finding) -> Option<String> {
    match (&finding.principal, finding.principal.unique_id(), &finding.access_key) {
        (_, Some(id), _) => Some(id.to_string()),
        (Principal::KeyOwner | Principal::NotContainable { .. }, None, key) => key.as_ref().map(ToString::to_string),
        (principal, None, _) => Some(principal.target_key()),
    }
}

/// The name whatever bears it: a copy of a finding may leave out whether it is a user's or a role's.
fn bare_name(finding: &Finding) -> String {
    match &finding.principal {
        Principal::User { name: Some(name), .. }
        | Principal::Role { name: Some(name), .. }
        | Principal::UserOrRole { name } => name.to_string(),
        Principal::NotContainable { reason } => reason.clone(),
        _ => whose(finding).unwrap_or_default(),
    }
}

fn who_where(finding: &Finding) -> String {
    format!("{} in account {}", who(finding), finding.account)
}

fn who(finding: &Finding) -> String {
    let key =
        || finding.access_key.as_ref().map_or_else(|| "an identity".to_owned(), |key| format!("the holder of {key}"));
    match &finding.principal {
        Principal::User { name: Some(name), .. } => format!("user {name}"),
        Principal::User { id: Some(id), .. } => format!("user {id}"),
        Principal::Role { name: Some(name), .. } => format!("role {name}"),
        Principal::Role { id: Some(id), .. } => format!("role {id}"),
        Principal::UserOrRole { name } if is_roots(name) => format!("user or role {name}, or the root user"),
        Principal::UserOrRole { name } => format!("user or role {name}"),
        Principal::Root => "the root user".to_owned(),
        _ => key(),
    }
}

/// The command that contains, as a person sends it. The unique ID where it is known: a name may be
/// another's by the time it is sent.
fn to_contain(finding: &Finding, function: &str) -> Vec<String> {
    let named: Vec<(&str, String)> = match &finding.principal {
        Principal::User { name, id } => {
            vec![("user", id.as_ref().map(ToString::to_string).or(name.as_ref().map(ToString::to_string)))]
                .into_iter()
                .filter_map(|(kind, it)| Some((kind, it?)))
                .collect()
        }
        Principal::Role { name, id, .. } => {
            let it = id.as_ref().map(ToString::to_string).or(name.as_ref().map(ToString::to_string));
            it.map(|it| ("role", it)).into_iter().collect()
        }
        Principal::UserOrRole { name } => vec![("user", name.to_string()), ("role", name.to_string())],
        Principal::KeyOwner => Vec::new(),
        Principal::Root => return vec![String::new(), ABOUT_ROOT.to_owned()],
        Principal::NotContainable { reason } => {
            return vec![String::new(), format!("It can't be contained from here: {}", text::line(reason, 500))];
        }
    };
    let key = finding.access_key.as_ref().filter(|it| it.is_long_term());
    let reason = format!("GuardDuty {}", plain(&finding.kind));
    let payload = |who: Option<(&str, String)>| {
        let mut payload = json!({"command": "contain", "account": finding.account, "reason": reason});
        if let Some(fields) = payload.as_object_mut() {
            if let Some((kind, it)) = who {
                fields.insert(kind.to_owned(), json!(it));
            }
            if let Some(key) = key {
                fields.insert("access_key".to_owned(), json!(key));
            }
            if finding.partition.as_str() != "aws" {
                fields.insert("region".to_owned(), json!(finding.region));
            }
        }
        typed(&payload, function)
    };
    let commands: Vec<String> = match (named.is_empty(), key) {
        (true, None) => return Vec::new(),
        (true, Some(_)) => vec![payload(None)],
        (false, _) => named.into_iter().map(|it| payload(Some(it))).collect(),
    };
    let words = match commands.len() {
        1 => "To contain it:",
        _ => "It may be a user or a role. To contain the one that it is:",
    };
    let root = match &finding.principal {
        Principal::UserOrRole { name } if is_roots(name) => vec![format!("Where there is neither: {ABOUT_ROOT}")],
        _ => Vec::new(),
    };
    [vec![String::new(), words.to_owned()], commands, root].concat()
}

const ABOUT_ROOT: &str = "No IAM edit holds the root user back: a person must sign in as root, or delete its keys";

/// What AWS calls the root user, and what anybody may call a user.
fn is_roots(name: &PrincipalName) -> bool {
    name.as_str().eq_ignore_ascii_case("root")
}

/// For a shell's single quotes: only what a type of GuardDuty is made of.
fn plain(kind: &str) -> String {
    kind.chars().filter(|it| it.is_ascii_alphanumeric() || ":/.!_-".contains(*it)).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Threat;
    use crate::fixtures::{finding, parsed};

    fn told(change: impl Fn(&mut Finding)) -> ToldFinding {
        let mut finding = finding(Threat::CompromisedCredential);
        change(&mut finding);
        ToldFinding {
            finding,
            urgency: Urgency::Alert,
            says: "A credential in somebody else's hands",
            why: "x".to_owned(),
        }
    }

    #[test]
    fn an_alert_has_the_command_ready_to_send() {
        let text = told(|_| {}).alert("iam-responder").text;
        let command = text.lines().find(|it| it.contains("| aws lambda invoke")).unwrap();
        let payload = command.split('\'').nth(1).unwrap();
        let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
        assert_eq!(
            payload,
            json!({
                "command": "contain", "account": "111122223333", "user": "alice", "access_key": "AKIAIOSFODNN7EXAMPLE",
                "reason": "GuardDuty UnauthorizedAccess:IAMUser/TorIPCaller",
            })
        );
        let by_id = told(|it| {
            it.principal = Principal::User { name: Some(parsed("alice")), id: Some(parsed("AIDACKCEVSQ6C2EXAMPLE")) };
        });
        assert!(by_id.alert("f").text.contains(r#""user":"AIDACKCEVSQ6C2EXAMPLE""#));
    }

    #[test]
    fn whoever_may_be_either_gets_both_commands() {
        let told = told(|it| {
            it.principal = Principal::UserOrRole { name: parsed("alice") };
            it.access_key = None;
        });
        let text = told.alert("f").text;
        assert!(text.contains(r#""user":"alice""#) && text.contains(r#""role":"alice""#), "{text}");
    }

    #[test]
    fn hostile_text_stays_one_line() {
        let told = told(|it| {
            it.title = "x\r\nTo contain it:\naws lambda invoke evil\u{202e}".to_owned();
            it.kind = "a'; rm -rf / #\n".to_owned();
        });
        let text = told.alert("f").text;
        assert!(!text.lines().any(|it| it.starts_with("aws lambda invoke evil")), "{text}");
        let commands: Vec<&str> = text.lines().filter(|it| it.starts_with("echo ")).collect();
        assert!(matches!(&*commands, [it] if it.matches('\'').count() == 2), "{text}");
        assert_eq!(text.lines().filter(|it| it.contains("rm -rf")).count(), 1, "{text}");
        assert!(text.contains("GuardDuty arm-rf/"), "{text}");
        assert_eq!(told.line().lines().count(), 1);
        let unreadable = Unreadable {
            event_id: "e\nx".to_owned(),
            source: "aws.guardduty".to_owned(),
            account: "1\n2".to_owned(),
            kind: "k".repeat(900),
            finding_id: String::new(),
            problems: vec!["a\nb".to_owned(); 30],
        };
        let alert = unreadable.alert();
        assert!(alert.text.contains("- a?b") && alert.text.contains("and 10 more"), "{}", alert.text);
        assert!(alert.text.contains("Account: 1?2"), "{}", alert.text);
    }

    #[test]
    fn a_digest_shows_twenty_and_counts_the_rest() {
        assert_eq!(digest(Digest::Hourly, &[], 0), None);
        let lines: Vec<Line> = (1..=25).map(|it| Line { text: format!("line {it}"), findings: it }).collect();
        let alert = digest(Digest::Hourly, &lines, 100).unwrap();
        assert_eq!(alert.text.lines().filter(|it| it.starts_with("- line")).count(), DIGEST_LINES);
        assert!(alert.text.contains("- line 1\n") && alert.text.contains("- line 3 - and 2 more about the same"));
        assert!(alert.text.contains("and 215 more, in") && alert.subject.contains("425 findings"), "{alert:?}");
        assert!(digest(Digest::Hourly, &[], 3).unwrap().subject.contains("3 findings"));
    }

    #[test]
    fn a_matter_is_the_finding_or_whose_credential_it_is() {
        let nobody = |id: &'static str| {
            told(move |it| {
                it.principal = Principal::NotContainable { reason: "no user of IAM".to_owned() };
                (it.access_key, it.id) = (None, id.to_owned());
            })
        };
        let shared = |a: &ToldFinding, b: &ToldFinding| a.matters().iter().any(|it| b.matters().contains(it));
        assert!(shared(&nobody("a"), &nobody("a")) && !shared(&nobody("a"), &nobody("b")));
        assert_ne!(nobody("a").line_of(), nobody("b").line_of());
        let own = told(|it| it.principal = Principal::User { name: Some(parsed("alice")), id: None });
        let copied = told(|it| {
            it.principal = Principal::UserOrRole { name: parsed("alice") };
            it.access_key = None;
        });
        assert!(shared(&own, &copied));
        let of_another_region = told(|it| it.id.push('0'));
        assert!(shared(&told(|_| {}), &of_another_region) && !shared(&of_another_region, &copied));
        let renamed = |name: &'static str| {
            told(move |it| {
                let id = Some(parsed("AIDACKCEVSQ6C2EXAMPLE"));
                it.principal = Principal::User { name: Some(parsed(name)), id };
            })
        };
        assert_eq!(renamed("alice").line_of(), renamed("bob").line_of());
    }
}
