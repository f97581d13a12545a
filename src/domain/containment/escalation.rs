//! Whom and what else to tell, after the containment and whatever it came to. Every part is optional
//! by configuration; none can hold up containment or better a verdict.

use super::playbooks::{Escalation, Playbook};
use super::progress::Progress;
use crate::finding::{Finding, Threat};
use crate::identity::{Identity, IdentityKind};
use crate::notice::{Notice, Workflow};
use crate::settings::Responder;
use crate::verdict::Verdict;

/// The notices that a response calls for: `observe` mode prints the same ones.
pub fn planned(
    settings: &Responder,
    playbook: &Playbook,
    finding: &Finding,
    identity: Option<&Identity>,
) -> Vec<Notice> {
    let one = |it: &Escalation| match it {
        Escalation::Rotation => {
            let user = identity.filter(|it| it.kind == IdentityKind::User)?.name.clone();
            settings.notices.rotation_document.clone().map(|document| Notice::StartRotation { document, user })
        }
        Escalation::Incident => match &settings.notices.response_plan_arn {
            Some(plan) => Some(Notice::StartIncident { response_plan: plan.clone() }),
            None => settings.notices.ops_items.then_some(Notice::OpenOpsItem),
        },
        Escalation::SecurityHub => finding.security_hub.clone().map(Notice::UpdateFinding),
        Escalation::Alert => settings.common.alert_topic_arn.clone().map(|topic| Notice::PublishAlert { topic }),
    };
    let mut notices: Vec<_> = playbook.escalation.iter().filter_map(one).collect();
    let slack = settings.common.slack_channel.clone().filter(|_| playbook.escalation.contains(&Escalation::Alert));
    notices.extend(slack.map(|channel| Notice::PostToSlack { channel }));
    notices
}

/// Why a notice would tell nothing new: the same finding comes again and again, from several sources.
pub fn old_news(notice: &Notice, progress: &Progress) -> Option<String> {
    match notice {
        Notice::StartIncident { .. } | Notice::OpenOpsItem
            if progress.verdict() == Verdict::Refused && !progress.has_news() =>
        {
            Some("people were told of the same refusal".to_owned())
        }
        Notice::StartIncident { .. } | Notice::OpenOpsItem => {
            let incident = progress.past.incident.as_ref()?;
            Some(format!("there is one for this identity: {incident}"))
        }
        Notice::PublishAlert { .. } | Notice::PostToSlack { .. } if !progress.has_news() => {
            Some("people were told, and all is as an earlier response left it".to_owned())
        }
        Notice::StartRotation { .. } if progress.past.is_rotated && !progress.has_done() => {
            Some("an earlier response started it, and nothing was done since".to_owned())
        }
        _ => None,
    }
}

/// The status changes only after success, and after people were told. For root, success is that they
/// were: nothing else can be done from here. Resolved is only what leaves nobody open.
pub fn workflow(settings: &Responder, finding: &Finding, progress: &Progress) -> Option<Workflow> {
    match () {
        () if !progress.is_delivered() => None,
        () if finding.threat == Threat::RootAccessKey => Some(Workflow::Notified),
        () if !progress.verdict().is_success() => None,
        () if settings.notices.resolved_on_success && progress.verdict() == Verdict::Contained => {
            Some(Workflow::Resolved)
        }
        () => Some(Workflow::Notified),
    }
}
