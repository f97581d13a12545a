//! Tells people, after the containment and whatever it came to: one rendered message for every sink. A
//! failure is in the report and makes the invocation end in an error.
//!
//! INVARIANT: containment waits for no notice, and no notice betters a verdict. `tests/test_notices.py` holds it.

use aws_smithy_types::DateTime;
use clients::accounts::{Home, Member};
use clients::ledger::slack::News;
use clients::notices::{alert, incident, rotation, security_hub};
use domain::acknowledgement::{Watch, Watched};
use domain::containment::playbooks::Playbook;
use domain::containment::progress::Progress;
use domain::containment::{escalation, incident_token, message::Message};
use domain::finding::{Finding, Source};
use domain::ids::PrincipalName;
use domain::notice::Notice;
use domain::outcome::Outcome;
use domain::settings::{Mode, Responder};
use domain::told;
use domain::verdict::Verdict;

use crate::acknowledge;
use crate::invocation::now_millis;
use crate::note::note;
use crate::own;
use crate::slack::{self, Poster};

/// What telling works with.
pub(crate) struct Scene<'a> {
    pub(crate) settings: &'a Responder,
    pub(crate) home: &'a Home,
    pub(crate) member: Option<&'a Member>,
    pub(crate) playbook: &'a Playbook,
    pub(crate) finding: &'a Finding,
    pub(crate) now: DateTime,
    pub(crate) request_id: &'a str,
    /// There is time for the ledger, and none for Slack.
    pub(crate) is_hurried: bool,
}

/// Rotation and incident at the same time; then the alert, which tells of them. Returns what is left to do
/// once people were told: the updates of findings.
pub(crate) async fn notify(scene: &Scene<'_>, mode: Mode, progress: &mut Progress) -> Vec<Notice> {
    if progress.verdict() == Verdict::InProgress || scene.finding.source == Source::Drill {
        return Vec::new();
    }
    let identity = progress.identity.as_ref();
    let mut notices = escalation::planned(scene.settings, scene.playbook, scene.finding, identity);
    if mode == Mode::Observe {
        for notice in notices {
            note(&progress.notices, notice, Outcome::Planned);
        }
        return Vec::new();
    }
    notices.retain(|notice| match escalation::old_news(notice, progress) {
        Some(reason) => {
            note(&progress.notices, notice.clone(), Outcome::Skipped { reason });
            false
        }
        None => true,
    });
    let (updates, notices): (Vec<_>, Vec<_>) =
        notices.into_iter().partition(|it| matches!(it, Notice::UpdateFinding(_)));
    let (alerts, others): (Vec<_>, Vec<_>) =
        notices.into_iter().partition(|it| matches!(it, Notice::PublishAlert { .. } | Notice::PostToSlack { .. }));
    let message = scene.render(progress);
    let outcomes = futures_util::future::join_all(others.iter().map(|it| scene.send(progress, &message, it))).await;
    keep(progress, others, outcomes);
    if !alerts.is_empty() {
        scene.watch(progress, true).await;
    }
    let message = scene.render(progress);
    let outcomes = futures_util::future::join_all(alerts.iter().map(|it| scene.send(progress, &message, it))).await;
    keep(progress, alerts, outcomes);
    updates
}

/// The alert alone, for somebody whom nothing was found of: no incident, no rotation.
pub(crate) async fn alert(scene: &Scene<'_>, mode: Mode, progress: &mut Progress) {
    if mode == Mode::Observe {
        return;
    }
    let notices = escalation::planned(scene.settings, scene.playbook, scene.finding, progress.identity.as_ref());
    let is_alert = |it: &Notice| matches!(it, Notice::PublishAlert { .. } | Notice::PostToSlack { .. });
    let alerts: Vec<_> = notices.into_iter().filter(is_alert).collect();
    let outcomes = send_all(scene, &alerts, progress).await;
    keep(progress, alerts, outcomes);
}

/// Has a question repeated to others that people were told of with a lesser finding than this one, unless somebody
/// answers it or acknowledges this.
pub(crate) async fn watch_question(scene: &Scene<'_>, mode: Mode, progress: &mut Progress) {
    if mode != Mode::Observe && progress.verdict() == Verdict::Waiting && progress.question.is_some() {
        scene.watch(progress, false).await;
    }
}

/// Sends notices side by side.
pub(crate) async fn send_all(scene: &Scene<'_>, notices: &[Notice], progress: &Progress) -> Vec<Outcome> {
    let message = scene.render(progress);
    futures_util::future::join_all(notices.iter().map(|it| scene.send(progress, &message, it))).await
}

/// Notes what became of notices.
pub(crate) fn keep(progress: &mut Progress, notices: Vec<Notice>, outcomes: Vec<Outcome>) {
    for (notice, outcome) in notices.into_iter().zip(outcomes) {
        if let Outcome::Failed(failure) = &outcome {
            progress.failed.push(format!("{notice}: {failure}"));
        }
        note(&progress.notices, notice, outcome);
    }
}

impl Scene<'_> {
    fn render(&self, progress: &Progress) -> Message {
        Message::render(self.finding, self.playbook, progress, &self.settings.function_name, self.now)
    }

    /// Has a critical alert repeated to others, unless somebody acknowledges it. Of a matter that ends alike again on the
    /// same day it is the first one. `is_sent`: people are told of it now.
    async fn watch(&self, progress: &mut Progress, is_sent: bool) {
        let (settings, finding) = (self.settings, self.finding);
        if settings.notices.escalation_topic_arn.is_none() || !escalation::is_critical(finding, progress) {
            return;
        }
        let thread = domain::slack::thread(&finding.account, progress.identity.as_ref(), finding);
        // A decision answers a question, and no failure.
        let question = progress.question.as_ref().filter(|_| progress.verdict() == Verdict::Waiting);
        let question = question.map(|it| &it.request);
        let id = match question {
            Some(request) => acknowledge::id_of_question(request),
            None => {
                let approved = progress.approved.as_deref().unwrap_or_default();
                let came_to = [progress.verdict().name(), approved, &progress.who_is_suspected()];
                acknowledge::id_of(&thread, &progress.matter, came_to, now_millis())
            }
        };
        let Some(id) = id else { return };
        let Message { subject, text, attributes, .. } = self.render(progress);
        let (alert, about) = (told::Alert { subject, text, attributes }, (self.home, settings));
        let watched = Watched {
            is_unsent: !is_sent,
            requests: question.cloned().into_iter().collect(),
            barred: own::of_alert(about, finding, progress.identity.as_ref(), self.member, self.is_hurried).await,
            ..Watched::new(&alert, &thread, now_millis())
        };
        match acknowledge::watch(self.home, settings, self.request_id, &id, &watched).await {
            Ok(watch) => progress.watch = Some(watch),
            Err(failure) => {
                progress.is_unwatched = true;
                progress.ledger_failed.push(format!("keeping that the alert is to be acknowledged: {failure}"));
            }
        }
    }

    async fn send(&self, progress: &Progress, message: &Message, notice: &Notice) -> Outcome {
        match notice {
            Notice::StartRotation { document, user } => self.start_rotation(progress, document, user).await,
            Notice::StartIncident { response_plan } => {
                incident::start(&self.home.incidents, response_plan, message).await
            }
            Notice::OpenOpsItem => incident::open_ops_item(&self.home.ssm, message).await,
            Notice::UpdateFinding(finding) => {
                let workflow = escalation::workflow(self.settings, self.finding, progress);
                security_hub::update(self.home, finding, &message.note, workflow).await
            }
            Notice::PublishAlert { topic } => {
                alert::publish(&self.home.sns, topic, &message.subject, &message.text, &message.attributes).await
            }
            Notice::PostToSlack { .. } => self.post(progress, message).await,
        }
    }

    async fn post(&self, progress: &Progress, message: &Message) -> Outcome {
        let Some(poster) = Poster::asking(self.home, self.settings, self.is_hurried) else {
            return Outcome::Skipped { reason: "SLACK_CHANNEL is not set".to_owned() };
        };
        let question = progress.question.as_ref().filter(|it| !it.is_beyond);
        let card = match (question, &progress.identity) {
            (Some(question), Some(identity)) => {
                Some(poster.show(&question.request, &self.finding.account, &identity.id).await)
            }
            _ => None,
        };
        // The card says it, but for what was done meanwhile.
        let is_said = question.is_some_and(|it| it.struck.is_none()) && progress.verdict() == Verdict::Waiting;
        match card {
            Some(card @ Outcome::Failed(_)) => return card,
            Some(card) if is_said && poster.asks_here() => return card,
            _ => {}
        }
        let thread = domain::slack::thread(&self.finding.account, progress.identity.as_ref(), self.finding);
        let alert = slack::told(&message.subject, &message.text, self.request_id);
        let words = progress.news();
        let news = News { words: &words, can_be_old: progress.can_be_old() };
        let is_asked = question.is_some() && progress.verdict() == Verdict::Waiting;
        let has_button = |it: &&Watch| it.is_open() && !it.is_shown && !is_asked;
        match progress.watch.as_ref().filter(has_button) {
            Some(watch) => poster.post_watched(&thread, &watch.id, alert, news).await,
            None => poster.post(&thread, alert, news).await,
        }
    }

    /// Only once the identity is contained: a runbook that makes new keys must not serve an attacker.
    async fn start_rotation(&self, progress: &Progress, document: &str, user: &PrincipalName) -> Outcome {
        let (Some(_), Some(identity)) = (self.member, &progress.identity) else {
            return Outcome::Skipped { reason: "there is no session in the member account".to_owned() };
        };
        if progress.verdict() != Verdict::Contained {
            return Outcome::Skipped {
                reason: "the identity is not seen to be contained, or somebody is open".to_owned(),
            };
        }
        let token = incident_token::automation(self.finding, Some(identity), self.now);
        let (common, finding) = (&self.settings.common, self.finding);
        // Of its own: nobody who changed the runbook gets what the response works with.
        let session =
            self.home.assume_to_rotate(common, &finding.account, &finding.partition, identity, document).await;
        match session {
            Ok(ssm) => rotation::start(&ssm, document, user, identity, &token).await,
            Err(failure) => Outcome::Failed(failure),
        }
    }
}
