//! The sessions in which a restore writes: what it reads with may change nothing, and each of these may do its part of
//! what was planned and nothing else.

use std::time::Duration;

use clients::iam::apply::apply;
use clients::iam::{IamRead, IamWrite, observe};
use domain::change::Change;
use domain::identity::{Identity, Unreadable, Why};
use domain::outcome::{Failure, Outcome};

use super::Attempt;

/// How often a write is tried, and the first pause.
const MOST_TRIES: usize = 4;
const PAUSE: Duration = Duration::from_millis(300);

pub(super) struct Writers(Vec<(Vec<Change>, IamWrite)>);

impl Writers {
    /// All of them before the first change: whatever can't be had is found out while nothing is half done.
    pub(super) async fn assume<'a>(
        attempt: &Attempt<'_>,
        identity: &Identity,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> Result<Self, Failure> {
        let (common, subject) = (&attempt.settings.common, &attempt.command.subject);
        let (account, partition) = (&subject.account, &subject.partition);
        let sessions = attempt.home.assume_to_restore(common, account, partition, identity, changes).await?;
        Ok(Self(sessions.into_iter().map(|(changes, iam)| (changes, iam.at_once())).collect()))
    }

    /// INVARIANT: before each try of a write a read has shown that the name leads to the identity, and nothing was
    /// waited for since. `tests/test_restore_by_name.py` holds it.
    pub(super) async fn write(&self, read: &IamRead, identity: &Identity, change: &Change) -> Outcome {
        let Some((_, iam)) = self.0.iter().find(|(changes, _)| changes.contains(change)) else {
            let message = "no session was taken for it: send the command again".to_owned();
            return Outcome::Failed(Failure { code: "NoSession".to_owned(), message, retryable: true });
        };
        let (mut tries, mut pause) = (1, PAUSE);
        loop {
            if let Err(unread) = observe::is_there(read, identity).await {
                return Outcome::Failed(elsewhere(unread));
            }
            match apply(iam, change).await {
                Outcome::Failed(failure) if failure.retryable && tries < MOST_TRIES => tokio::time::sleep(pause).await,
                outcome => return outcome,
            }
            (tries, pause) = (tries + 1, pause * 2);
        }
    }
}

/// What is not there under its name is not gone for good.
fn elsewhere(unread: Unreadable) -> Failure {
    match unread.why {
        Why::Throttled(failure) | Why::Failed(failure) => failure,
        why => Failure { code: "NameLeadsElsewhere".to_owned(), message: why.to_string(), retryable: true },
    }
}
