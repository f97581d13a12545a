//! The findings on a lease: its holder's, and those of holders that ended without a word.
//!
//! INVARIANT: whoever takes the lease overwrites no other finding on it, and takes one away only when it is on the
//! list of what is due. `tests/test_killed.py` holds it.

use domain::finding::Finding;

use super::{Item, mark, string};

const FINDING: &str = "finding ";

/// The findings on a lease whose holders ended without a word, and the attributes that keep them.
#[derive(Debug, Clone, Default)]
pub struct Left {
    pub(super) findings: Vec<Finding>,
    pub(super) names: Vec<String>,
}

/// The attribute of a lease that keeps the finding.
pub(super) fn attribute(finding: &Finding) -> String {
    format!("{FINDING}{}", mark(finding))
}

/// `own`: whose finding is in hand.
pub(super) fn left(item: &Item, own: Option<&str>) -> Left {
    let mut left = Left::default();
    for name in item.keys().filter(|it| it.starts_with(FINDING) && Some(it.as_str()) != own) {
        // What can't be read is nobody's: only we write here.
        left.findings.extend(string(item, name).and_then(|it| Finding::from_kept(&it)));
        left.names.push(name.clone());
    }
    left.findings.sort_by_key(|it| std::cmp::Reverse(it.threat.gravity()));
    left
}
