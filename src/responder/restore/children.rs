//! A restore of somebody who made others: they stay contained and are named, or are restored with it where a person says
//! so, each by a restore of its own.
//!
//! INVARIANT: nobody is restored as a child but whose own record says that it is one. `tests/test_children.py` holds it.

use std::collections::BTreeSet;
use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::round_trips::CallLog;
use domain::child::{Child, Made};
use domain::command::{Restore, Subject};
use domain::finding::Principal;
use domain::ids::UniqueId;
use domain::outcome::Failure;
use domain::restoration::report::{Report, Verdict};
use domain::restoration::taken::of_child;
use domain::settings::Restorer;

use super::one;
use crate::invocation::Call;

/// What one more restore needs at the least.
const ENOUGH: Duration = Duration::from_secs(30);
/// More than a line can have.
const MOST: usize = 200;

pub(crate) async fn restore(aws: &Aws, settings: &Restorer, command: &Restore, call: &Call) -> (Report, Vec<String>) {
    let (mut report, mut failed) = one(aws, settings, command, call).await;
    if report.made.is_empty() {
        return (report, failed);
    }
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let is_done = matches!(report.verdict, Verdict::Restored | Verdict::NothingToDo | Verdict::Observed);
    let mut left = report.made.clone();
    let mut seen: BTreeSet<UniqueId> = BTreeSet::new();
    while let Some(child) = left.pop() {
        let Made::User { id, name } = &child.made else {
            report.children_left.push(format!("{}: the key stays inactive", child.words()));
            continue;
        };
        if seen.len() >= MOST || !seen.insert(id.clone()) {
            continue;
        }
        match step(&ledger, command, &child, id).await {
            Ok(Some(next)) if command.children && is_done && call.left() > ENOUGH => {
                let (its, failures) = one(aws, settings, &next, call).await;
                left.extend(its.made.iter().cloned());
                failed.extend(failures.into_iter().map(|it| format!("user {name} ({id}): {it}")));
                report.children.push(its);
            }
            Ok(Some(_)) => report.children_left.push(format!("{}: it stays contained", child.words())),
            // Restored already, or contained for something else.
            Ok(None) => {}
            Err(failure) => failed.push(format!("reading what is kept of user {name} ({id}): {failure}")),
        }
    }
    (report, failed)
}

/// The command that takes back what was done for its being a child, where that is in force.
async fn step(ledger: &Ledger, command: &Restore, child: &Child, id: &UniqueId) -> Result<Option<Restore>, Failure> {
    let kept = ledger.kept_by_id(&command.subject.account, id).await?;
    let Some(response) = of_child(&kept, child) else { return Ok(None) };
    // By the unique ID alone: whoever bears the name now is somebody else.
    let principal = Principal::User { name: None, id: Some(id.clone()) };
    let subject = Subject { principal, ..command.subject.clone() };
    Ok(Some(Restore { subject, response: Some(response.id.clone()), ..command.clone() }))
}
