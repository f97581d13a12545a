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
use domain::evidence::wider::Widening;
use domain::identity::Unreadable;
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
    let read = asked.map(async |it| {
        (it, tokio::time::timeout_at(until, holdings::versions(iam, &it.policy, it.counted.as_deref())).await)
    });
    let read: Vec<_> = read.buffered(PARALLEL).collect().await;
    let mut found = Vec::new();
    for (of, versions) in read {
        match versions {
            Err(_) => found.push(Other::not_known(of, None, OUT_OF_TIME)),
            Ok(Err(error)) => found.push(Other::not_known(of, None, &why(&error, until))),
            Ok(Ok(versions)) => {
                for (version, document) in versions {
                    let with = |it: String| asker.holdings.with_version(&of.policy, &it);
                    found.push(match document.map_err(|it| why(&it, until)).and_then(with) {
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
    let Ok(answers) = tokio::time::timeout_at(until, answers(&other, trusts)).await else {
        return Other::not_known(of, Some(version), OUT_OF_TIME);
    };
    let mut gains = could.gains(&answers);
    gains.extend(newly_settable(settable, &with.settable()));
    let mut not_known: Vec<_> = could.not_compared(&answers).into_iter().collect();
    let mut widening = Widening::new((asker, could), (&other, &answers), &of.policy);
    let mut is_late = false;
    while !is_late && widening.step() {
        // The look-ups in CloudTrail go on meanwhile.
        tokio::task::yield_now().await;
        is_late = Instant::now() >= until;
    }
    let (wider, not_asked) = widening.end();
    gains.extend(wider);
    if is_late {
        not_known.push(format!("on which resources: {OUT_OF_TIME}"));
    }
    if !not_asked.is_empty() {
        not_known.push(format!("whether it could use these on more resources: {}", not_asked.join(", ")));
    }
    let not_known = (!not_known.is_empty()).then(|| not_known.join("; "));
    Other::judged(of, version, gains, not_known.as_deref())
}

/// Where our own time ran out, AWS may have answered: nobody looked.
fn why(error: &Unreadable, until: Instant) -> String {
    if Instant::now() >= until { OUT_OF_TIME.to_owned() } else { error.why.to_string() }
}
