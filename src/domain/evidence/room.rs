//! How much of each list a report has room for: an answer of the function holds 6 MB, in which the report is three times
//! over, and nobody reads more. What is left out is counted.
//! <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>

use serde::Serialize;
use serde_json::json;

/// The first of them, in their order: so many at the most, and so many bytes of JSON. How many more there are.
pub(super) fn first<T: Serialize>(mut all: Vec<T>, most: usize, bytes: usize) -> (Vec<T>, usize) {
    let mut taken = 0_usize;
    let fit = all.iter().take(most).take_while(|it| {
        taken = taken.saturating_add(json!(it).to_string().len());
        taken <= bytes
    });
    let kept = fit.count();
    let more = all.len().saturating_sub(kept);
    all.truncate(kept);
    (all, more)
}

/// The first `most` in words, and how many more there are.
pub(super) fn told(all: impl Iterator<Item = String>, most: usize, more: impl Fn(usize) -> String) -> Vec<String> {
    let all: Vec<_> = all.collect();
    let rest = all.len().saturating_sub(most);
    all.into_iter().take(most).chain((rest > 0).then(|| more(rest))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::chain::Chain;
    use crate::evidence::report::tests::{READER, contained, leaving, looked, report, report_with};
    use crate::evidence::trail::tests::event;
    use crate::evidence::trail::{Event, Minted};
    use crate::fixtures::identity;
    use crate::identity::IdentityKind;

    #[test]
    fn what_does_not_fit_is_counted() {
        assert_eq!(first(vec!["a"; 5], 3, 1_000), (vec!["a"; 3], 2));
        assert_eq!(first(vec!["aaaaaaaa"; 5], 3, 20), (vec!["aaaaaaaa"; 2], 3));
        assert_eq!(first(Vec::<u8>::new(), 3, 20), (Vec::new(), 0));
        let words = |n: usize| (0..n).map(|it| it.to_string());
        assert_eq!(told(words(2), 2, |it| format!("{it} more")), ["0", "1"]);
        assert_eq!(told(words(4), 2, |it| format!("{it} more")), ["0", "1", "2 more"]);
    }

    fn assumed(n: i64) -> Event {
        let role = "arn:aws:iam::111122223333:role/service-role/nightly-export-of-everything";
        let session = format!("arn:aws:sts::111122223333:assumed-role/nightly-export-of-everything/{}", "x".repeat(64));
        let minted = Minted { key: format!("ASIAIOSFODNN{n:08}"), session, role: Some(role.to_owned()) };
        let id = format!("01234567-89ab-cdef-0123-{n:012}");
        Event { id, minted: Some(minted), ..event("AssumeRole", 100 + n) }
    }

    /// Twenty a second for three minutes; two look-ups a second read as many in forty seconds.
    #[test]
    fn thousands_of_sessions_fit_into_the_answer_and_into_the_ledger() {
        // An answer of a function, and an item of DynamoDB.
        const MOST_ANSWER: usize = 6_291_556;
        const MOST_ITEM: usize = 409_600;
        let mut chain = Chain::default();
        // Two regions side by side, 78 pages each.
        let events: Vec<_> = (0..7_800).map(assumed).collect();
        chain.add(&events.iter().collect::<Vec<_>>(), "111122223333");
        let looks = chain.links().into_iter().filter_map(|it| it.not_followed).map(|why| looked(Some(&why)));
        let looks: Vec<_> = looks.collect();
        let report = report_with(&identity(IdentityKind::User), events, &contained(5_000), |_, found| {
            found.sessions = chain.links();
            found.looked.extend(looks.iter().cloned());
        });
        let answer = json!({"evidence": {"report": report, "markdown": report.markdown(), "html": report.html()}});
        let (answer, gist) = (answer.to_string().len(), json!(report.gist()).to_string().len());
        assert!(answer < MOST_ANSWER / 4 && gist < MOST_ITEM / 4, "{answer} {gist}");
        assert_eq!((report.sessions.len(), report.more_sessions), (200, 7_600));
        assert_eq!(report.looked_at.len() + report.more_looked_at, 7_781);
        assert_eq!(report.suspects().len(), 7_800);
        assert!(report.summary[3].contains("7800 sessions made"), "{}", report.summary[3]);
        assert!(report.open_points.iter().any(|it| it.contains("7760 more sessions were not followed")));
        assert!(report.markdown().contains("7600 more sessions are not listed"));
        // Those that were followed are among them.
        assert_eq!(report.sessions.iter().filter(|it| it.not_followed.is_none()).count(), 20);
    }

    /// Hundreds of the longest things that AWS takes.
    #[test]
    fn hundreds_of_long_things_fit_into_the_answer() {
        let strangers: Vec<_> =
            (0..60).map(|n| format!("arn:aws:iam::444455556666:role/{}{n}", "deep/".repeat(90))).collect();
        let events = (0..500).map(|n| {
            let mut event = leaving(&format!("m{n}"), "", None);
            event.id = format!("e{n}");
            event.trace.iter_mut().for_each(|it| it.lets_in.clone_from(&strangers));
            event
        });
        let report = report(READER, events.collect(), Vec::new(), &contained(120));
        assert!(json!(report).to_string().len() < 1_000_000);
        assert_eq!(report.left.len() + report.more_left, 500);
        assert_eq!(report.suspects().len(), 500);
    }
}
