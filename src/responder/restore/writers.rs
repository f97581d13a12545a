//! The sessions in which a restore writes: what it reads with may change nothing, and each of these may do its part of
//! what was planned and nothing else.

use clients::iam::IamWrite;
use clients::iam::apply::apply;
use domain::change::Change;
use domain::identity::Identity;
use domain::outcome::{Failure, Outcome};
use domain::restoration::plan::Undoing;

use super::Attempt;

pub(super) struct Writers(Vec<(Vec<Change>, IamWrite)>);

impl Writers {
    /// All of them before the first change: whatever can't be had is found out while nothing is half done.
    pub(super) async fn assume(attempt: &Attempt<'_>, identity: &Identity, undoing: &Undoing) -> Result<Self, Failure> {
        let (common, subject) = (&attempt.settings.common, &attempt.command.subject);
        let (account, partition) = (&subject.account, &subject.partition);
        attempt.home.assume_to_restore(common, account, partition, identity, undoing.changes()).await.map(Self)
    }

    pub(super) async fn apply(&self, change: &Change) -> Outcome {
        match self.0.iter().find(|(changes, _)| changes.contains(change)) {
            Some((_, iam)) => apply(iam, change).await,
            None => {
                let message = "no session was taken for it: send the command again".to_owned();
                Outcome::Failed(Failure { code: "NoSession".to_owned(), message, retryable: true })
            }
        }
    }
}
