//! Whom and what else to tell, after the containment and whatever it came to. Every part is
//! optional by configuration; none can hold up containment or better a verdict; a failure of one is
//! in the report and makes the invocation end in an error.

use aws_smithy_types::DateTime;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::accounts::{Home, Member};
use crate::action::{Action, Outcome};
use crate::config::{Config, Mode};
use crate::finding::{Finding, HubReference, Source};
use crate::identity::{Identity, IdentityKind};
use crate::playbooks::{Escalation, Playbook};
use crate::record::Record;
use crate::report::{Summary, Verdict};

mod alert;
mod incident;
mod rotation;
mod security_hub;

pub(crate) use alert::send as send_alert;

/// What one escalation works with.
pub struct Scene<'a> {
    pub config: &'a Config,
    pub home: &'a Home,
    pub member: Option<&'a Member>,
    pub playbook: &'a Playbook,
    pub finding: &'a Finding,
    pub now: DateTime,
}

/// The notices this response calls for, as actions: `observe` mode prints the same ones.
fn planned(scene: &Scene, record: &Record) -> Vec<Action> {
    let one = |it: &Escalation| match it {
        Escalation::Rotation => rotation::plan(scene.config, record),
        Escalation::Incident => incident::plan(scene.config),
        Escalation::SecurityHub => security_hub::plan(scene.finding),
        Escalation::Alert => alert::plan(scene.config),
    };
    scene.playbook.escalation.iter().filter_map(one).collect()
}

/// Why a notice would tell nothing new: the same finding comes again and again, from several sources.
fn is_old_news(action: &Action, record: &Record) -> Option<String> {
    match action {
        Action::StartIncident { .. } | Action::OpenOpsItem => {
            let incident = record.past.incident.as_ref()?;
            Some(format!("there is one for this identity: {incident}"))
        }
        Action::PublishAlert { .. } | Action::StartRotation { .. } if !record.has_news() => {
            Some("all is as an earlier response left it".to_owned())
        }
        _ => None,
    }
}

/// Rotation, incident and Security Hub at the same time; then the alert, which tells of them.
pub async fn escalate(scene: &Scene<'_>, mode: Mode, record: &mut Record) {
    if record.verdict() == Verdict::InProgress || scene.finding.source == Source::Drill {
        return;
    }
    let mut actions = planned(scene, record);
    if mode == Mode::Observe {
        for action in actions {
            record.done.push(action, Outcome::Planned);
        }
        return;
    }
    actions.retain(|action| match is_old_news(action, record) {
        Some(reason) => {
            record.done.push(action.clone(), Outcome::Skipped { reason });
            false
        }
        None => true,
    });
    let (alerts, others): (Vec<_>, Vec<_>) =
        actions.into_iter().partition(|it| matches!(it, Action::PublishAlert { .. }));
    let summary = Summary { finding: scene.finding, playbook: scene.playbook, record };
    let outcomes = futures_util::future::join_all(others.iter().map(|it| perform(scene, &summary, it))).await;
    keep(record, others, outcomes);
    for action in alerts {
        let summary = Summary { finding: scene.finding, playbook: scene.playbook, record };
        let outcome = perform(scene, &summary, &action).await;
        keep(record, vec![action], vec![outcome]);
    }
}

/// The findings that others left with us get our verdict too.
pub async fn update_waiting(scene: &Scene<'_>, waiting: Vec<HubReference>, record: &mut Record) {
    for it in waiting {
        let action = Action::UpdateFinding { id: it.id, product_arn: it.product_arn, region: it.region };
        let summary = Summary { finding: scene.finding, playbook: scene.playbook, record };
        let outcome = perform(scene, &summary, &action).await;
        keep(record, vec![action], vec![outcome]);
    }
}

fn keep(record: &mut Record, actions: Vec<Action>, outcomes: Vec<Outcome>) {
    for (action, outcome) in actions.into_iter().zip(outcomes) {
        if let Outcome::Failed(failure) = &outcome {
            record.failed.push(format!("{action}: {failure}"));
        }
        record.done.push(action, outcome);
    }
}

async fn perform(scene: &Scene<'_>, summary: &Summary<'_>, action: &Action) -> Outcome {
    match action {
        Action::StartRotation { document, user } => rotation::start(scene, summary, document, user).await,
        Action::StartIncident { response_plan } => incident::start(scene, summary, response_plan).await,
        Action::OpenOpsItem => incident::open_ops_item(scene, summary).await,
        Action::UpdateFinding { id, product_arn, region } => {
            security_hub::update(scene, summary, id, product_arn, region).await
        }
        Action::PublishAlert { topic } => alert::publish(scene, summary, topic).await,
        // Named so that a new notice can't be forgotten here.
        Action::AttachDenyAll { .. }
        | Action::SetDenyAllBoundary { .. }
        | Action::DeactivateAccessKey { .. }
        | Action::DeactivateCredential { .. }
        | Action::DeleteLoginProfile { .. }
        | Action::AttachDenyAllToRole { .. }
        | Action::DetachPolicy { .. }
        | Action::LeaveGroup { .. }
        | Action::RevokeSessions { .. }
        | Action::AttachPolicy { .. }
        | Action::JoinGroup { .. }
        | Action::RestoreBoundary { .. }
        | Action::LiftDenyAll { .. }
        | Action::LiftRevocation { .. }
        | Action::Untag { .. }
        | Action::Tag { .. } => Outcome::Skipped { reason: "a change to an identity is not a notice".to_owned() },
    }
}

/// Whether everything that the playbook wants of the identity was applied and read back.
fn succeeded(record: &Record) -> bool {
    matches!(record.verdict(), Verdict::Contained | Verdict::SuspectsOpen)
}

/// One principal, one quarter of an hour: the same whichever source reports it, so that a finding
/// that arrives twice starts one incident and one rotation. What falls on both sides of a quarter's
/// edge starts two.
fn quarter_hour_digest(finding: &Finding, identity: Option<&Identity>, now: DateTime) -> [u8; 32] {
    let principal = identity.map_or_else(|| finding.principal.claim_key(), |it| it.id.to_string());
    let time = finding.occurred_at.unwrap_or(now).secs();
    let quarter = time.div_euclid(15 * 60) * 15 * 60;
    Sha256::digest(format!("{}|{principal}|{quarter}", finding.account)).into()
}

/// Incident Manager takes any text up to 128 characters.
fn incident_token(finding: &Finding, identity: Option<&Identity>, now: DateTime) -> String {
    hex::encode(quarter_hour_digest(finding, identity, now))
}

/// Systems Manager wants the shape of a UUID.
fn automation_token(finding: &Finding, identity: Option<&Identity>, now: DateTime) -> String {
    let digest = quarter_hour_digest(finding, identity, now);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes).to_string()
}

fn is_user(identity: &Identity) -> bool {
    identity.kind == IdentityKind::User
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Parse, Threat};
    use crate::playbooks::tests::{finding, identity};

    fn token(change: impl Fn(&mut Finding)) -> String {
        let mut finding = finding(Threat::CompromisedCredential);
        finding.occurred_at = Some(DateTime::from_secs(900_000));
        change(&mut finding);
        incident_token(&finding, Some(&identity(IdentityKind::User)), DateTime::from_secs(0))
    }

    #[test]
    fn a_token_holds_for_a_quarter_of_an_hour_and_one_account() {
        let at = |secs| token(move |it| it.occurred_at = Some(DateTime::from_secs(secs)));
        assert_eq!(at(900_000), at(900_899));
        assert_ne!(at(900_000), at(900_900));
        assert_ne!(at(900_000), at(899_999));
        let elsewhere = token(|it| it.account = Parse::parse("444455556666").unwrap());
        assert_ne!(elsewhere, at(900_000));
        let other_source = token(|it| it.id = "another finding".to_owned());
        assert_eq!(other_source, at(900_000));
    }

    #[test]
    fn an_automation_token_is_a_uuid() {
        let finding = finding(Threat::CompromisedCredential);
        let token = automation_token(&finding, None, DateTime::from_secs(0));
        assert_eq!(token.len(), 36);
        assert!(Uuid::parse_str(&token).is_ok());
    }
}
