//! Everything that decides what an identity could do, as it was before containment.

use clients::iam::IamRead;
use clients::iam::holdings::{self, Documents};
use clients::ledger::Ledger;
use domain::evidence::answer::Holdings;
use domain::evidence::asking::Asker;
use domain::evidence::before::{Changed, before};
use domain::evidence::could::Could;
use domain::evidence::simulation::Simulation;
use domain::evidence::was::Was;
use domain::identity::Observed;
use domain::ids::{AccountId, Partition};
use tokio::time::Instant;

use super::answers::{Trusts, roles, stepped};
use super::simulate::Simulator;
use super::versions;
use super::whom::Whom;

/// `iam`: of the identity's account, where it could be entered. `until`: when what is asked last has to end.
pub(super) async fn could(
    iam: Option<&IamRead>,
    ledger: &Ledger,
    whom: &Whom,
    now: &Observed,
    (account, partition): (&AccountId, &Partition),
    until: Instant,
) -> Could {
    let Some(iam) = iam else { return Could::not_known("the account could not be entered") };
    let identity = &whom.identity;
    let Ok(kept) = &whom.kept else {
        return Could::not_known("the ledger could not be read, and with it what containment took and put there");
    };
    if whom.is_amid {
        return Could::not_known("a response to it began or was taken back while it was read: the next report tells");
    }
    let mut before = before(kept, now, &partition.deny_all_policy());
    if whom.is_gone {
        // Those of whoever bears the name now are somebody else's.
        let inline = std::mem::take(&mut before.names.inline);
        before.unread.extend(inline.iter().map(|it| format!("inline policy {it} (deleted with the identity)")));
    }
    let was = Was::of(identity, kept, now);
    let (Documents { policies, mut boundary, unread, changed }, trusts) =
        tokio::join!(holdings::documents(iam, identity, &before), holdings::trusts(iam));
    // Trust policies name a user as it is called now.
    let trusts = Trusts { of: identity.arn.clone(), roles: trusts };
    if let Some((changed, words)) = boundary.as_ref().and_then(|it| before.changed(it)) {
        let changed = match changed {
            Changed::Edited => "was edited",
            Changed::NotKept => "may have been edited",
        };
        before.notes.push(format!(
            "the permissions boundary ({words}) {changed} since the first response: it bounds none of these answers"
        ));
        (boundary, before.boundary) = (None, None);
    }
    before.doubt(&changed);
    let limits = boundary.into_iter().map(|it| vec![it]).collect();
    let unread = [unread, before.unknown.clone()].concat();
    let holdings = Holdings { policies, limits, context: was.context(), unread };
    let asker = Asker { holdings: &holdings, account, partition, arn: &was.identity.arn };
    let mut asking = asker.begin();
    let mut simulator = Simulator::new(iam, (whom, &was), &before, now, &holdings, until);
    let everywhere = asking.everywhere();
    // AWS answers meanwhile, and the look-ups in CloudTrail go on: there is one thread for all.
    tokio::join!(stepped(&mut asking), simulator.ask(&everywhere));
    let somewhere = asking.somewhere(&everywhere);
    let mut could = asking.end();
    could.notes = [before.notes, was.notes].concat();
    tokio::join!(roles(&asker, &trusts, &mut could), simulator.ask(&somewhere));
    could.simulation = simulator.end([everywhere, somewhere].concat());
    if could.simulation.answers.why_not().is_none()
        && let Some(why) = whom.is_changed(ledger).await
    {
        could.simulation = Simulation::not_asked(why);
    }
    versions::add(iam, &asker, &trusts, until, &mut could).await;
    could
}
