//! Everything that decides what an identity could do, as it was before containment.

use clients::iam::IamRead;
use clients::iam::holdings::{self, Documents};
use clients::ledger::Ledger;
use domain::evidence::answer::Holdings;
use domain::evidence::asking::Asker;
use domain::evidence::before::before;
use domain::evidence::condition::Context;
use domain::evidence::could::Could;
use domain::evidence::simulating::facts;
use domain::evidence::simulation::Simulation;
use domain::identity::{Identity, IdentityKind, Observed};
use domain::ids::{AccountId, Partition};
use domain::text;
use tokio::time::Instant;

use super::answers::{roles, stepped};
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
    let (Documents { policies, mut boundary, unread, edited }, trusts) =
        tokio::join!(holdings::documents(iam, identity, &before), holdings::trusts(iam));
    if let Some(edited) = boundary.as_ref().and_then(|it| before.edited(it)) {
        before.notes.push(format!(
            "the permissions boundary ({edited}) was edited since the first response: it bounds none of these answers"
        ));
        (boundary, before.boundary) = (None, None);
    }
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
    if !edited.is_empty() {
        let edited = text::line(&edited.into_iter().collect::<Vec<_>>().join(", "), 500);
        could.notes.push(format!("edited since the first response, so that what they deny depends on when: {edited}"));
    }
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
