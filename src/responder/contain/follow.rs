//! What a flagged credential made is looked for from now on, where the settings want that; and what was found so is answered
//! only as long as the response to who made it is in force.

use std::time::Duration;

use aws_smithy_types::DateTime;
use clients::ledger::{Kind, Ledger};
use domain::child::Followed;
use domain::containment::progress::Progress;
use domain::evidence::children;
use domain::finding::Finding;
use domain::history::InForce;
use domain::outcome::Failure;
use domain::settings::Responder;
use domain::verdict::Verdict;

use super::Attempt;
use super::progress::Running;
use crate::invocation::now_millis;
use crate::line;

/// Nobody waits for it longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// When it is asked again whether a response is in force.
const AGAIN_MILLIS: i64 = 60_000;

/// One response, as far as it is of concern to what was made.
pub(super) struct Following<'a> {
    pub(super) settings: &'a Responder,
    pub(super) ledger: &'a Ledger,
    /// People are asked first.
    pub(super) asks: bool,
    pub(super) now: DateTime,
}

impl Following<'_> {
    /// The credentials that the findings flag, each beside those that were flagged before: what a report is yet to be told
    /// of them. One that could not be kept makes the invocation an error, so that it is tried again.
    pub(super) async fn all<'f>(
        &self,
        findings: impl Iterator<Item = &'f Finding>,
        progress: &mut Progress,
    ) -> Vec<Followed> {
        let mut new = Vec::new();
        for finding in findings {
            let (mut notes, followed) = self.one(finding, progress).await;
            notes.retain(|it| !progress.notes.contains(it));
            progress.notes.append(&mut notes);
            match followed {
                Ok(it) => new.extend(it),
                Err(failure) => progress.ledger_failed.push(format!("having looked for what it made: {failure}")),
            }
        }
        new
    }

    /// What people are to know of it, and what a report is yet to be told.
    pub(super) async fn one(
        &self,
        finding: &Finding,
        progress: &Progress,
    ) -> (Vec<String>, Result<Option<Followed>, Failure>) {
        let mut notes = Vec::new();
        let (Some(_), Some(identity), Some(response)) =
            (self.settings.children, &progress.identity, &progress.response)
        else {
            return (notes, Ok(None));
        };
        // Until they have answered nothing is looked for.
        let is_asked_early = progress.is_handed_over && self.asks;
        if is_asked_early || matches!(progress.verdict(), Verdict::Refused | Verdict::Observed) {
            return (notes, Ok(None));
        }
        if let Some(why) = children::not_looked_for(finding, identity) {
            notes.push(format!("nothing that it made is answered ({why}): see the report"));
            return (notes, Ok(None));
        }
        let followed = async {
            let kept = self.ledger.kept(identity).await?;
            let Some((mark, note)) = children::mark(finding, identity, response, &kept, self.now) else {
                return Ok(None);
            };
            notes.extend(note);
            let maker = children::maker(finding, identity, response);
            if !self.ledger.follow(&maker, &mark, self.asks).await? {
                notes.push("too many of its credentials are flagged: what this one made is in the report".to_owned());
                return Ok(None);
            }
            let followed = Followed { response: response.clone(), flagged: mark.flagged, since: mark.since };
            let is_told = self.ledger.is_told_of(&Ledger::record_of(identity), &followed).await?;
            Ok(Some(followed).filter(|_| !is_told))
        };
        let followed = tokio::time::timeout(PATIENCE, followed).await.unwrap_or_else(|_| Err(unanswered()));
        (notes, followed)
    }
}

fn unanswered() -> Failure {
    Failure { code: "Unanswered".to_owned(), message: "AWS did not answer in time".to_owned(), retryable: true }
}

impl Attempt<'_> {
    /// Whether the finding is about what somebody made who was restored since: then the verdict is in. What a person
    /// approved goes on, and so does a fight.
    pub(super) async fn is_left_alone(&self, running: &mut Running) -> bool {
        let is_decided = self.relay.approval.is_some() || self.relay.is_continued();
        let Some(parent) = self.finding.parent.as_ref().filter(|_| !is_decided) else { return false };
        let progress = &mut running.progress;
        match line::in_force(self.ledger, &self.finding.account, &parent.line).await {
            Ok(InForce::Yes) => return false,
            Ok(InForce::NotHeld) => {
                progress.maker_at_large = Some(format!("{} ({}), who made it", parent.name, parent.id));
                return false;
            }
            Ok(InForce::No) => {
                let reason = format!(
                    "it is left alone: the response to {} ({}), or to who made that, was taken back",
                    parent.name, parent.id
                );
                progress.conclude(Verdict::Refused, reason);
            }
            Ok(InForce::NotYet) => {
                running.is_quiet = true;
                progress.conclude(
                    Verdict::InProgress,
                    format!("it waits for what becomes of {} ({})", parent.name, parent.id),
                );
                let put = self.ledger.put_due(self.finding, Kind::Waiting, now_millis() + AGAIN_MILLIS).await;
                if let Err(failure) = put {
                    progress.ledger_failed.push(format!("keeping what is due: {failure}"));
                }
            }
            Err(failure) => {
                progress.failed.push(format!("reading what is kept of {}: {failure}", parent.id));
                progress.conclude(Verdict::NotContained, "whether who made it was restored is not known");
            }
        }
        true
    }
}
