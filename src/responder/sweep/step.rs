//! What the steps of a day's state machine have in common: by what they read and write, and the rows of all accounts.

use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::ledger::sweep::{AT_ONCE, Head};
use clients::round_trips::CallLog;
use domain::ids::AccountId;
use domain::outcome::Failure;
use futures_util::stream::{self, Stream, StreamExt};

use super::Report;
use crate::invocation::Call;

/// Reads of the ledger side by side.
const PARALLEL_READS: usize = 4;

/// A step of the day's state machine: what it reads and writes by, and what it answers.
pub(super) struct Step {
    calls: CallLog,
    pub(super) home: Home,
    pub(super) ledger: Ledger,
    pub(super) report: Report,
    failed: Vec<String>,
}

impl Step {
    pub(super) fn new(aws: &Aws, ledger_table: &str, call: &Call, report: Report) -> Self {
        let calls = CallLog::default();
        let home = Home::new(aws, &calls);
        let ledger = Ledger::new(home.dynamodb.clone(), ledger_table, &call.request_id);
        Self { calls, home, ledger, report, failed: Vec::new() }
    }

    pub(super) fn fail(&mut self, outcome: String) {
        self.report.outcome.clone_from(&outcome);
        self.failed.push(outcome);
    }

    pub(super) fn ended(mut self) -> (Report, Vec<String>) {
        self.report.calls = self.calls.round_trips().calls;
        (self.report, self.failed)
    }
}

/// What the ledger has of each account, in their order.
pub(super) fn heads(
    ledger: &Ledger,
    accounts: &[AccountId],
) -> impl Stream<Item = Result<Vec<(AccountId, Head)>, Failure>> {
    let read = move |some: &[AccountId]| {
        let some = some.to_vec();
        async move {
            let mut heads = ledger.sweep_heads(&some).await?;
            let mut head = |it: &AccountId| heads.remove(it.as_str()).unwrap_or_default();
            Ok(some.into_iter().map(|it| (it.clone(), head(&it))).collect())
        }
    };
    stream::iter(accounts.chunks(AT_ONCE)).map(read).buffered(PARALLEL_READS)
}
