//! Whom and what else to tell, after the containment and whatever it came to. Every part is optional
//! by configuration; none can hold up containment or better a verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::admission;
use super::playbooks::{Escalation, Playbook};
use super::progress::Progress;
use crate::decision::is_own;
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::identity::{Identity, IdentityKind};
use crate::ids::{Arn, Parse, UniqueId};
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
        Notice::PublishAlert { .. } | Notice::PostToSlack { .. }
            if progress.verdict() == Verdict::Waiting && progress.question.as_ref().is_some_and(|it| it.is_beyond) =>
        {
            Some("more requests are open than are asked singly: it is told in a list".to_owned())
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

/// Whether somebody must acknowledge the alert, or it is repeated to others: a stolen credential or the root user that
/// is not (or not all) contained, refused, put off or asked about, whoever was fought with, and whatever is of critical
/// severity.
pub fn is_critical(finding: &Finding, progress: &Progress) -> bool {
    let is_grave = is_grave(finding);
    match progress.verdict() {
        Verdict::Observed | Verdict::InProgress => false,
        Verdict::Waiting => is_critical_question(finding),
        Verdict::NotContained | Verdict::Unverified | Verdict::SuspectsOpen | Verdict::Refused | Verdict::Deferred => {
            is_grave
        }
        Verdict::Contained => finding.severity >= Severity::CRITICAL || (is_grave && !progress.reversals.is_empty()),
    }
}

/// Whether a question about it is repeated to others where nobody answers it. What somebody reported with the form waits
/// for its approvers alone: anybody who may report could page people with it.
pub fn is_critical_question(finding: &Finding) -> bool {
    is_grave(finding) && finding.source != Source::Report
}

fn is_grave(finding: &Finding) -> bool {
    admission::comes_first(finding.threat) || finding.severity >= Severity::CRITICAL
}

/// Who does not acknowledge an alert, by Slack's user IDs: whoever it is about, as far as their names tell. Of one who
/// was not looked up, the names that the finding gives, and whoever else may be meant. `known`: what approvers are in AWS.
pub fn barred(known: &BTreeMap<String, String>, finding: &Finding, identity: Option<&Identity>) -> BTreeSet<String> {
    let (account, partition, principal) = (&finding.account, &finding.partition, &finding.principal);
    let named = principal.name().map(|it| format!("arn:{partition}:iam::{account}:user/{it}"));
    let told = principal.unique_id().map(ToString::to_string).into_iter().chain(named);
    let found = identity.into_iter().flat_map(|it| [it.arn.to_string(), it.id.to_string()]);
    let names: Vec<String> = told.chain(found).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let is_unclear = identity.is_none() && principal.unique_id().is_none();
    let is_barred = |own: &str| is_own([own], &names) || (is_unclear && may_be_meant(own, finding));
    known.iter().filter(|(_, own)| is_barred(own)).map(|(user, _)| user.clone()).collect()
}

/// Whether an approver may be whom a finding means that has no unique ID, and of whom nobody was found: whoever bore the
/// name then, or had the key, may be called anything by now. Roles keep their names, and of an ID alone nobody knows the
/// name.
fn may_be_meant(own: &str, finding: &Finding) -> bool {
    let (is_user, is_role) = match &finding.principal {
        Principal::User { .. } | Principal::KeyOwner => (true, false),
        Principal::Role { .. } => (false, true),
        Principal::UserOrRole { .. } => (true, true),
        Principal::Root | Principal::NotContainable { .. } => (false, false),
    };
    match UniqueId::parse(own) {
        Ok(id) if id.is_user() => is_user,
        Ok(_) => is_role,
        Err(_) => is_user && user_of(own, finding).is_some(),
    }
}

/// The user of the finding's account that an approver is said to be.
pub fn user_of<'a>(own: &'a str, finding: &Finding) -> Option<&'a str> {
    let arn = Arn::parse(own).filter(|it| it.account == finding.account.as_str());
    arn.and_then(|it| it.kind_and_name()).filter(|(kind, _)| *kind == "user").map(|(_, name)| name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{finding, parsed};

    fn is_critical_of(threat: Threat, severity: Severity, verdict: Verdict) -> bool {
        let mut progress = Progress::default();
        progress.conclude(verdict, "why");
        is_critical(&Finding { severity, ..finding(threat) }, &progress)
    }

    #[test]
    fn what_is_stolen_and_not_contained_is_critical_and_what_is_untidy_is_not() {
        for verdict in Verdict::ALL {
            let of = |threat, severity| is_critical_of(threat, severity, verdict);
            let is_told = !matches!(verdict, Verdict::Observed | Verdict::InProgress);
            let is_open = is_told && verdict != Verdict::Contained;
            assert_eq!(of(Threat::CompromisedCredential, Severity::HIGH), is_open, "{verdict:?}");
            assert_eq!(of(Threat::RootAccessKey, Severity::HIGH), is_open, "{verdict:?}");
            assert_eq!(of(Threat::CompromisedCredential, Severity::CRITICAL), is_told, "{verdict:?}");
            for threat in [Threat::UnusedUser, Threat::MissingMfa, Threat::UnauthorizedUser] {
                assert!(!of(threat, Severity::HIGH), "{verdict:?}");
            }
        }
    }

    /// The member role may be gone, so that nobody could be looked up: whoever it is about is barred all the same.
    #[test]
    fn whoever_the_finding_names_does_not_acknowledge_it_though_nobody_was_looked_up() {
        let principal = Principal::User { name: Some(parsed("alice")), id: Some(parsed("AIDACKCEVSQ6C2EXAMPLE")) };
        let finding = Finding { principal, ..finding(Threat::CompromisedCredential) };
        let barred = |own: &str| !barred(&[("U0EVE".to_owned(), own.to_owned())].into(), &finding, None).is_empty();
        assert!(barred("arn:aws:iam::111122223333:user/team/alice"));
        assert!(barred("AIDACKCEVSQ6C2EXAMPLE"));
        assert!(!barred("arn:aws:iam::111122223333:user/somebody"));
        assert!(!barred("arn:aws:iam::999999999999:user/alice"));
    }

    #[test]
    fn of_whom_nobody_was_found_every_approver_is_barred_who_may_be_meant() {
        let (user, role) = ("AIDACKCEVSQ6C2EXAMPLE", "AROADBQP57FF2AEXAMPLE");
        let (here, elsewhere) = ("arn:aws:iam::111122223333:user/eve", "arn:aws:iam::999999999999:user/eve");
        let own = [user, role, here, elsewhere, "arn:aws:iam::111122223333:role/eve"];
        let known: BTreeMap<_, _> = own.map(|it| (it.to_owned(), it.to_owned())).into();
        let named = Some(parsed("alice"));
        for (principal, expected) in [
            (Principal::User { name: named.clone(), id: None }, vec![user, here]),
            (Principal::KeyOwner, vec![user, here]),
            (Principal::Role { name: named, id: None, session: None }, vec![role]),
            (Principal::UserOrRole { name: parsed("alice") }, vec![user, role, here]),
            (Principal::User { name: None, id: Some(parsed("AIDAANOTHER234567890")) }, vec![]),
            (Principal::Root, vec![]),
        ] {
            let finding = Finding { principal, ..finding(Threat::CompromisedCredential) };
            let barred = barred(&known, &finding, None);
            assert_eq!(barred, expected.iter().map(ToString::to_string).collect(), "{:?}", finding.principal);
            let found = crate::fixtures::identity(IdentityKind::User);
            assert!(!super::barred(&known, &finding, Some(&found)).contains(here));
        }
    }

    #[test]
    fn whoever_was_fought_with_is_critical_and_what_was_only_reported_is_not() {
        let stolen = Finding { severity: Severity::HIGH, ..finding(Threat::CompromisedCredential) };
        let mut progress = Progress { reversals: vec!["the deny was detached".to_owned()], ..Progress::default() };
        progress.conclude(Verdict::Contained, "held");
        assert!(is_critical(&stolen, &progress));
        let mut asked = Progress::default();
        asked.conclude(Verdict::Waiting, "asked");
        assert!(is_critical(&stolen, &asked));
        assert!(!is_critical(&Finding { source: Source::Report, ..stolen }, &asked));
    }
}
