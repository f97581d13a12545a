//! A report from the form becomes a finding and a question. Its words decide nothing: key and user are looked up in
//! the account that owns them, and where they do not agree, people are told so.

use domain::approval::request::{Reported, Request, State};
use domain::approval::words;
use domain::finding::{Finding, Principal, Severity, Source, Threat};
use domain::ids::{AccessKeyId, Partition};
use domain::outcome::Failure;
use domain::settings::{Mode, Responder};
use domain::text;
use domain::verdict::Verdict;

use aws_smithy_types::DateTime;

use super::{Desk, GIVEN_UP, Looked, PAUSE};
use crate::invocation::now_millis;

impl Desk<'_> {
    pub(super) async fn ask_for_report(&self, request: &Request, reported: &Reported) -> Result<Looked, Failure> {
        let finding = match finding(self.settings, request, reported) {
            Ok(it) => it,
            Err(why) => {
                let alert = words::not_asked(&request.id, reported, why);
                return self.end(request, &alert, State::Failed, Verdict::Refused.name(), why).await;
            }
        };
        let requester = Some(reported.by.clone());
        let relay = self.relay(&request.id, &finding, &[]).asking(request.id.clone(), requester);
        let (reports, failed) = self.contain(&relay).await;
        let is_fresh = now_millis() - reported.at < GIVEN_UP;
        let (verdict, reason) = match reports.first() {
            Some(it) if failed.is_empty() => (it.verdict, it.reason.clone()),
            // It is tried again; what waits already is told again by that.
            _ if is_fresh => {
                self.ledger.leave_request(&request.id, Some(now_millis() + PAUSE)).await?;
                return Ok((reports, failed));
            }
            _ => (Verdict::NotContained, failed.join("; ")),
        };
        match verdict {
            // It waits under this ID, or as a part of another.
            Verdict::Waiting => self.ledger.leave_request(&request.id, None).await?,
            Verdict::Observed if self.settings.mode_for(&finding) == Mode::Observe => {
                let why = "the mode is `observe`: nothing is changed, and nobody is asked";
                let alert = words::not_asked(&request.id, reported, why);
                self.end(request, &alert, State::Done, verdict.name(), why).await?;
            }
            // Refused is told by the response itself, but for what people were told before.
            _ => {
                let state = if verdict == Verdict::Observed { State::Done } else { State::Failed };
                let alert = words::not_asked(&request.id, reported, &reason);
                self.end(request, &alert, state, verdict.name(), &reason).await?;
            }
        }
        Ok((reports, failed))
    }
}

/// As far as the report says whom it means; it always means a credential in somebody else's hands.
fn finding(settings: &Responder, request: &Request, it: &Reported) -> Result<Finding, &'static str> {
    let key = it.access_key.as_ref().filter(|it| it.is_long_term());
    let principal = match (&it.user, &it.role, key) {
        (Some(_), Some(_), _) => return Err("it names a user and a role"),
        (None, Some(_), Some(_)) => return Err("it names a role and a user's access key"),
        (Some(user), None, _) => Principal::User { name: Some(user.clone()), id: None },
        (None, Some(role), None) => Principal::Role { name: Some(role.clone()), id: None, session: None },
        (None, None, Some(_)) => Principal::KeyOwner,
        (None, None, None) => return Err("it names no user, no role and no long-term access key"),
    };
    let region = settings.common.region.clone();
    Ok(Finding {
        id: format!("report/{}", request.id),
        source: Source::Report,
        threat: Threat::CompromisedCredential,
        severity: Severity::HIGH,
        account: it.account.clone(),
        partition: Partition::of_region(&region),
        region,
        principal,
        access_key: it.access_key.clone().filter(AccessKeyId::is_long_term),
        kind: "report".to_owned(),
        title: text::line(&it.text, 500),
        occurred_at: Some(DateTime::from_millis(it.at)),
        creator: None,
        security_hub: None,
    })
}
