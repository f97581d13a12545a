//! What other versions of an identity's policies would give it, where it may make one count.

use std::collections::BTreeSet;

use clients::cloudtrail::OUT_OF_TIME;
use clients::iam::IamRead;
use clients::iam::holdings;
use domain::evidence::answer::{Answer, Holdings};
use domain::evidence::asking::Asker;
use domain::evidence::could::Could;
use domain::evidence::gains::newly_settable;
use domain::evidence::versions::{MOST_POLICIES, Other, Settable};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::answers::{Trusts, answers};

/// Of so many policies the versions are read side by side.
const PARALLEL: usize = 4;

/// Adds them to what it could do. Nothing is read of a policy of which it may make no version count.
///
/// INVARIANT: no call is made where that is not allowed. `tests/test_report_versions.py` holds it.
pub(super) async fn add(iam: &IamRead, asker: &Asker<'_>, trusts: &Trusts, until: Instant, could: &mut Could) {
    let all = asker.holdings.settable();
    let unsure = all.iter().filter(|it| it.decision.answer == Answer::NotKnown).count();
    let sure = all.len() - unsure;
    if unsure > 0 {
        could
            .not_asked
            .push(format!("other versions of {unsure} of its policies: whether it may make one count is not known"));
    }
    if sure > MOST_POLICIES {
        let more = sure - MOST_POLICIES;
        could.not_asked.push(format!("other versions of {more} of its policies: there are too many"));
    }
    // The surest come first.
    let asked = stream::iter(all.iter().take(sure.min(MOST_POLICIES)));
    let read = asked.map(async |it| (it, tokio::time::timeout_at(until, holdings::versions(iam, &it.policy)).await));
    let read: Vec<_> = read.buffered(PARALLEL).collect().await;
    let mut found = Vec::new();
    for (of, versions) in read {
        match versions {
            Err(_) => found.push(Other::not_known(of, None, OUT_OF_TIME)),
            Ok(Err(error)) => found.push(Other::not_known(of, None, &error.why.to_string())),
            Ok(Ok(versions)) => {
                for (version, document) in versions {
                    let with = |it: String| asker.holdings.with_version(&of.policy, &it);
                    found.push(match document.map_err(|it| it.why.to_string()).and_then(with) {
                        Ok(with) => judged(asker, (of, &version, &with), &all, trusts, until, could).await,
                        Err(why) => Other::not_known(of, Some(&version), &why),
                    });
                }
            }
        }
    }
    if found.iter().map(|it| &it.policy).collect::<BTreeSet<_>>().len() > 1 {
        could.notes.push(
            "other versions of its policies are judged one by one: what several of them would give together was not asked"
                .to_owned(),
        );
    }
    could.add_versions(asker.holdings, found);
}

/// What it could do if that version counted, and can't do as it is.
async fn judged(
    asker: &Asker<'_>,
    (of, version, with): (&Settable, &str, &Holdings),
    settable: &[Settable],
    trusts: &Trusts,
    until: Instant,
    could: &Could,
) -> Other {
    let other = Asker { holdings: with, ..*asker };
    match tokio::time::timeout_at(until, answers(&other, trusts)).await {
        Ok(answers) => {
            let mut gains = could.gains(&answers);
            gains.extend(newly_settable(settable, &with.settable()));
            Other::judged(of, version, gains)
        }
        Err(_) => Other::not_known(of, Some(version), OUT_OF_TIME),
    }
}
