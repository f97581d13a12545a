//! The report in sentences: five lines for a phone, what is open, what to do next.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::facts::About;
use super::report::Evidence;
use crate::identity::IdentityKind;
use crate::suspects::Suspect;
use crate::text;

impl Evidence {
    /// What is kept of it beside the log: its five lines, and the hash by which the whole can be told from another.
    pub fn gist(&self) -> Value {
        json!({
            "revision": self.revision,
            "is_provisional": self.is_provisional,
            "made_at": self.made_at,
            "risk": self.risk,
            "summary": self.summary,
            "sha256": self.sha256(),
        })
    }

    /// Of the JSON as it is handed out.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(json!(self).to_string()))
    }

    /// The message that people get, the subject first.
    pub fn message(&self, new_suspects: &[Suspect]) -> (String, String) {
        let field = |name: &str| self.principal.get(name).and_then(Value::as_str).unwrap_or_default();
        let subject = format!(
            "Evidence: {} {} in {}: risk {}",
            field("type"),
            field("name"),
            self.account,
            self.risk.level.word()
        );
        let mut lines = self.summary.clone();
        if !new_suspects.is_empty() {
            lines.push(String::new());
            lines.push("NEW SUSPECTS:".to_owned());
            lines.extend(new_suspects.iter().take(20).map(|it| format!("- {}", it.words)));
            let more = new_suspects.len().saturating_sub(20);
            lines.extend((more > 0).then(|| format!("- and {more} more")));
        }
        lines.push(String::new());
        lines.extend(self.next_steps.iter().map(|it| format!("Next: {it}")));
        lines.push(format!("Revision {}, SHA-256 of its JSON: {}", self.revision, self.sha256()));
        (subject, lines.join("\n"))
    }

    /// What a person reads on a phone.
    pub(super) fn five_lines(&self, about: &About<'_>) -> Vec<String> {
        let (identity, did) = (about.identity, &self.did);
        let verdict = match (self.containment.verdict, &self.containment.read_at) {
            (Some(verdict), Some(at)) => format!("{}, read at {at}", verdict.words()),
            (Some(verdict), None) => verdict.words().to_owned(),
            (None, _) => "nothing was contained".to_owned(),
        };
        let answer = |words: &str, count: usize| {
            if count == 0 { format!("no {words}") } else { format!("{count} ways to {words}") }
        };
        let could = format!(
            "Could: administrator {}; {}; {}; {} roles to assume.",
            self.could.administrator.answer.word(),
            answer("get more rights", self.could.escalations.len()),
            answer("reach secrets or data", self.could.secrets.len() + self.could.data.len()),
            self.could.roles.len() + self.could.more_roles
        );
        let calls = match (&did.first_seen, &did.last_seen) {
            (Some(first), Some(last)) => format!(
                "{} calls from {first} to {last}, {} refused, {} addresses, {} sessions made",
                did.calls,
                did.failed,
                did.addresses.len(),
                self.sessions.len()
            ),
            _ => "no event was found, which is no proof that there was none".to_owned(),
        };
        let suspects = self.suspects().len();
        let provisional = if self.is_provisional { "; provisional, late records may be missing" } else { "" };
        vec![
            format!(
                "{} `{}` ({}) in account {}: {verdict}.",
                identity.kind.word(),
                identity.name,
                identity.id,
                about.account
            ),
            format!(
                "Risk {} by rule: {}.",
                self.risk.level.word(),
                if self.risk.because.is_empty() {
                    "none of the rules holds".to_owned()
                } else {
                    self.risk.because.join("; ")
                }
            ),
            could,
            format!("Did: {calls}."),
            format!(
                "Left behind: {}; not looked at: {}{provisional}.",
                if suspects == 0 {
                    "no suspects".to_owned()
                } else {
                    format!("{suspects} suspects, each for a person to look at")
                },
                self.not_looked_at.len()
            ),
        ]
    }

    pub(super) fn open_points(&self) -> Vec<String> {
        let mut points = Vec::new();
        if self.is_provisional {
            points.push(
                "CloudTrail's records come late, by minutes and up to two hours: ask for the report again then"
                    .to_owned(),
            );
        }
        if self.more_left > 0 {
            points.push(format!(
                "{} more things that it left behind are not listed: they are in CloudTrail",
                self.more_left
            ));
        }
        if self.did.calls == 0 {
            points.push("no event was found: inconclusive, and no proof that nothing was done".to_owned());
        }
        points.extend(
            self.looked_at
                .iter()
                .filter_map(|it| Some(format!("{} in {}: {}", it.by, it.region, it.missing.as_ref()?))),
        );
        points.extend(
            self.sessions
                .iter()
                .filter_map(|it| Some(format!("session {} was not followed: {}", it.key, it.not_followed.as_ref()?))),
        );
        points
    }

    pub(super) fn next_steps(&self, about: &About<'_>) -> Vec<String> {
        let mut steps = Vec::new();
        let account = about.account;
        if self.containment.verdict.is_some_and(|it| !it.is_success()) {
            steps.push(
                "contain the identity: the last response did not end well, its alert says what is open".to_owned(),
            );
        }
        if !self.suspects().is_empty() {
            steps.push(
                "look at each suspect: contain it or delete it, then close it by `close-suspect` with who and why"
                    .to_owned(),
            );
        }
        let mut roles: Vec<_> = self.sessions.iter().filter_map(|it| it.role.as_deref()?.rsplit('/').next()).collect();
        roles.sort_unstable();
        roles.dedup();
        let names = roles.into_iter().take(10).map(|it| text::line(it, 64));
        steps.extend(names.map(|role| {
            format!(
                "revoke the sessions of role {role}: {}",
                json!({"command": "contain", "account": account, "role": role})
            )
        }));
        if !self.could.secrets.is_empty() {
            steps.push("rotate the secrets that it could read".to_owned());
        }
        if self.is_provisional {
            let field = if about.identity.kind == IdentityKind::User { "user" } else { "role" };
            let again = json!({"command": "report", "account": account, field: about.identity.name});
            steps.push(format!("ask for this report again in two hours: {again}"));
        }
        steps
    }
}
