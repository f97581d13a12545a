//! What nobody answers is a person's: each is told by name, and needs no other look once it was.

use clients::ledger::children::{Seen, Watch};
use clients::ledger::slack::News;
use clients::notices::alert;
use domain::evidence::unanswered::{self, Unanswered};
use domain::outcome::{Failure, Outcome};

use super::Desk;
use crate::slack::{self, Poster};

impl Desk<'_> {
    /// Told once more rather than never.
    pub(super) async fn leave_to_people(&self, watch: &Watch, unanswered: &[Unanswered]) -> Result<(), Failure> {
        if unanswered.is_empty() {
            return Ok(());
        }
        self.tell(watch, unanswered).await?;
        for it in unanswered {
            self.ledger.note_seen_call(watch, &it.event, Seen::Dismissed).await?;
        }
        Ok(())
    }

    /// By the topic and in Slack at the same time.
    async fn tell(&self, watch: &Watch, unanswered: &[Unanswered]) -> Result<(), Failure> {
        let (maker, common) = (&watch.maker, &self.settings.common);
        let told = unanswered::alert(maker, unanswered);
        tracing::error!(maker = maker.id.as_str(), "{}", told.text);
        let published = async {
            let topic = common.alert_topic_arn.as_ref()?;
            Some(alert::publish(&self.home.sns, topic, &told.subject, &told.text, &told.attributes).await)
        };
        let posted = async {
            let poster = Poster::asking(self.home, self.settings, false)?;
            let thread = domain::slack::thread_of_id(&maker.account, &maker.id);
            let alert = slack::told(&told.subject, &told.text, &self.call.request_id);
            Some(poster.post(&thread, alert, News { words: &told.text, can_be_old: true }).await)
        };
        let (published, posted) = tokio::join!(published, posted);
        for outcome in published.into_iter().chain(posted) {
            if let Outcome::Failed(failure) = outcome {
                return Err(failure);
            }
        }
        Ok(())
    }
}
