//! Everything that decides what an identity could do, as it was before containment.

use clients::iam::IamRead;
use clients::iam::holdings::{self, Documents};
use domain::evidence::answer::Holdings;
use domain::evidence::asking::Asker;
use domain::evidence::before::before;
use domain::evidence::condition::Context;
use domain::evidence::could::Could;
use domain::evidence::simulating::facts;
use domain::identity::{Identity, IdentityKind, Observed};
use domain::ids::{AccountId, Partition};
use tokio::time::Instant;

use super::answers::{roles, stepped};
use super::simulate::Simulator;
use super::versions;
use super::whom::Whom;

/// `iam`: of the identity's account, where it could be entered. `until`: when what is asked last has to end.
pub(super) async fn could(
    iam: Option<&IamRead>,
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
    let (Documents { policies, boundary, unread }, trusts) =
        tokio::join!(holdings::documents(iam, identity, &before), holdings::trusts(iam));
    let limits = boundary.into_iter().map(|it| vec![it]).collect();
    let holdings = Holdings { policies, limits, context: context(identity, now), unread };
    let asker = Asker { holdings: &holdings, account, partition, arn: &identity.arn };
    let mut asking = asker.begin();
    let mut simulator = Simulator::new(iam, whom, &before, now, &holdings, until);
    let everywhere = asking.everywhere();
    // AWS answers meanwhile, and the look-ups in CloudTrail go on: there is one thread for all.
    tokio::join!(stepped(&mut asking), simulator.ask(&everywhere));
    let somewhere = asking.somewhere(&everywhere);
    let mut could = asking.end();
    could.notes = before.notes;
    tokio::join!(roles(&asker, &trusts, &mut could), simulator.ask(&somewhere));
    could.simulation = simulator.end([everywhere, somewhere].concat());
    versions::add(iam, &asker, &trusts, until, &mut could).await;
    could
}

/// What every request of the identity has: its attacker chooses the rest.
fn context(identity: &Identity, now: &Observed) -> Context {
    let facts = facts(identity).into_iter();
    let mut context = facts.fold(Context::default(), |context, it| context.with(it.key, &[it.value.as_str()]));
    if identity.kind == IdentityKind::Role {
        context = context.without("aws:username");
    }
    let Ok(profile) = &now.profile else { return context };
    // A role's session may bring tags of its own.
    if identity.kind == IdentityKind::User {
        context = context.complete("aws:PrincipalTag/");
        for (key, value) in &profile.tags {
            context = context.with(&format!("aws:PrincipalTag/{key}"), &[value]);
        }
    }
    context
}
