//! People are told how a restore ended.

use clients::ledger::slack::News;
use clients::notices::alert;
use domain::notice::Notice;
use domain::outcome::Outcome;
use domain::restoration::report::{Progress, Verdict};

use super::Attempt;
use crate::note::note;
use crate::slack::{self, Poster};

impl Attempt<'_> {
    /// By the topic and in Slack at the same time.
    pub(super) async fn tell(&self, progress: &mut Progress) {
        let (subject, message) = (progress.headline(self.command), progress.message(self.command));
        let attributes = [
            ("playbook", "restore".to_owned()),
            ("account", self.command.subject.account.to_string()),
            ("verdict", format!("{:?}", progress.verdict())),
        ];
        let common = &self.settings.common;
        let published = async {
            let topic = common.alert_topic_arn.clone()?;
            let outcome = alert::publish(&self.home.sns, &topic, &subject, &message, &attributes).await;
            Some((Notice::PublishAlert { topic }, outcome))
        };
        let identity = progress.identity.clone();
        let posted = async {
            let (poster, identity) = (Poster::new(self.home, common, None)?, identity.as_ref()?);
            let thread = domain::slack::thread_of(&self.command.subject.account, identity);
            let alert = slack::told(&subject, &message, self.request_id);
            let outcome = poster.post(&thread, alert, News { words: "restore", can_be_old: false }).await;
            Some((Notice::PostToSlack { channel: common.slack_channel.clone()? }, outcome))
        };
        let (published, posted) = tokio::join!(published, posted);
        let mut is_told = true;
        for (notice, outcome) in published.into_iter().chain(posted) {
            if let Outcome::Failed(failure) = &outcome {
                is_told = false;
                progress.failed.push(format!("{notice}: {failure}"));
            }
            note(&progress.notices, notice, outcome);
        }
        if let Some(identity) = identity.filter(|_| is_told && progress.verdict() != Verdict::NotRestored)
            && let Err(failure) = self.ledger.note_restored_told(&identity).await
        {
            progress.failed.push(format!("keeping that people were told: {failure}"));
        }
    }
}
