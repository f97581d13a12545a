//! What was approved is carried out: whether it may be, under whose approval, and what becomes of it.

use clients::ledger::End;
use domain::approval::decision::BY_COMMAND;
use domain::approval::request::{Asked, Request, Ruling, State};
use domain::approval::words;
use domain::containment::relay::Relay;
use domain::decision::is_own;
use domain::outcome::Failure;
use domain::settings::Mode;
use domain::verdict::Verdict;

use super::{Desk, GIVEN_UP, Looked, PAUSE, about, is_late, pause};
use crate::invocation::now_millis;

impl Desk<'_> {
    /// What was approved, planned anew from what is observed now.
    ///
    /// INVARIANT: nothing is carried out that was not approved in time. `tests/test_approvals.py` holds it.
    pub(super) async fn carry_out(&self, request: &Request, asked: &Asked, ruling: &Ruling) -> Result<Looked, Failure> {
        if let Some(why) = self.obstacle(request, asked, ruling) {
            let alert = words::not_carried_out(request, asked, &ruling.by, &why, &self.settings.function_name);
            return self.end(request, &alert, State::Failed, "Refused", &why).await;
        }
        let by = if request.votes.is_empty() { ruling.by.clone() } else { request.votes.join("; ") };
        let approvers = self.known_as(request).cloned().collect();
        let approval = asked.approval(&request.id, &by, approvers);
        let relay = self.relay_of(request, asked).under(approval);
        let relay = Relay { told_trouble: request.told_trouble.clone(), ..relay };
        // Nothing waits for what the card says.
        let ((mut reports, mut failed), ()) = tokio::join!(self.contain(&relay), self.show(request));
        let Some((verdict, reason, is_uncovered)) =
            reports.first().map(|it| (it.verdict, it.reason.clone(), it.is_uncovered))
        else {
            self.ledger.leave_request(&request.id, Some(now_millis() + PAUSE)).await?;
            return Ok((reports, failed));
        };
        if is_uncovered {
            let alert = words::not_carried_out(request, asked, &ruling.by, &reason, &self.settings.function_name);
            self.end(request, &alert, State::Failed, verdict.name(), &reason).await?;
            let (more, failures) = self.contain(&self.relay_of(request, asked)).await;
            reports.extend(more);
            failed.extend(failures);
            return Ok((reports, failed));
        }
        let is_over = failed.is_empty() && verdict != Verdict::InProgress;
        if !is_over && now_millis() - ruling.at < GIVEN_UP {
            self.note_trouble(request, &reports).await?;
            if verdict == Verdict::InProgress {
                self.ledger.postpone_request(&request.id, now_millis() + PAUSE).await?;
            } else {
                self.ledger.leave_request(&request.id, Some(now_millis() + pause(request))).await?;
            }
            return Ok((reports, failed));
        }
        if !is_over {
            let why = if failed.is_empty() { reason } else { failed.join("; ") };
            let function = &self.settings.function_name;
            let alert = words::given_up(&request.id, asked, &ruling.by, verdict.name(), &why, function);
            self.end(request, &alert, State::Failed, verdict.name(), &why).await?;
            return Ok((reports, failed));
        }
        let state = if verdict.is_success() { State::Done } else { State::Failed };
        self.close(request, &End { state, verdict: verdict.name(), reason: &reason }).await?;
        Ok((reports, failed))
    }

    fn obstacle(&self, request: &Request, asked: &Asked, ruling: &Ruling) -> Option<String> {
        let mode = self.settings.mode_of(asked.threat().playbook());
        match () {
            () if ruling.at >= asked.expires_at || is_late(request) => Some("the request had expired".to_owned()),
            () if !has_enough(request, asked) => Some("fewer approved it than it takes".to_owned()),
            () if !asked.is_whole() => Some("what the ledger has is not what was asked".to_owned()),
            () if self.is_own(request, asked) => Some("an approver asked for it, or is whom it is about".to_owned()),
            () if mode == Mode::Observe => Some("the mode is `observe` now: nothing is changed".to_owned()),
            () => None,
        }
    }

    /// Whether somebody in Slack approved their own request, or what is done to themselves.
    fn is_own(&self, request: &Request, asked: &Asked) -> bool {
        let users = || in_slack(request).filter_map(|it| it.rsplit('/').next());
        let names = in_slack(request).chain(self.known_as(request)).map(String::as_str);
        users().any(|it| asked.barred.contains(it)) || is_own(names, &about(asked))
    }

    /// By which those who approved in Slack are known in AWS, where somebody wrote it down.
    fn known_as<'b>(&'b self, request: &'b Request) -> impl Iterator<Item = &'b String> {
        in_slack(request).filter_map(|it| self.settings.approvals.identities.get(it.rsplit('/').next()?))
    }
}

/// Those who approved in Slack, as `slack:<team>/<user>`.
fn in_slack(request: &Request) -> impl Iterator<Item = &String> {
    request.approvers.iter().filter(|it| *it != BY_COMMAND)
}

/// Whoever decides may write a last word; how many had theirs is counted, each by an ID that says who it is.
fn has_enough(request: &Request, asked: &Asked) -> bool {
    let is_somebody = |it: &String| it == BY_COMMAND || (it.starts_with("slack:") && it.contains('/'));
    request.approvers.iter().all(is_somebody)
        && i64::try_from(request.approvers.len()).unwrap_or(i64::MAX) >= asked.needed.max(1)
}
