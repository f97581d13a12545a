//! Whether what somebody made is to be answered: only as long as the response to it is in force, and to whoever made it in
//! turn, up to the first of the line.
//!
//! INVARIANT: nobody is contained as a child of somebody who was restored, or about whom people are still asked.
//! `tests/test_children_line.py` holds it.

use clients::ledger::Ledger;
use domain::child::Link;
use domain::history::InForce;
use domain::ids::AccountId;
use domain::outcome::Failure;

pub(crate) async fn in_force(ledger: &Ledger, account: &AccountId, line: &[Link]) -> Result<InForce, Failure> {
    let mut all = if line.is_empty() { InForce::No } else { InForce::Yes };
    for Link { id, response } in line {
        match ledger.kept_by_id(account, id).await?.in_force(response) {
            InForce::No => return Ok(InForce::No),
            InForce::NotYet => all = InForce::NotYet,
            InForce::NotHeld if all == InForce::Yes => all = InForce::NotHeld,
            InForce::NotHeld | InForce::Yes => {}
        }
    }
    Ok(all)
}
