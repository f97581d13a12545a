//! Whether an event counts: the rules once, over what each source says in its own fields.
//!
//! A decoder brings its fields into one form and asks here; what is ignored gets its reason from here.

use crate::finding::Severity;
use crate::settings::{Eligibility, Responder};
use crate::text;

/// Where a finding stands, as far as its source says it.
#[derive(Default)]
pub(super) struct Standing {
    pub(super) is_sample: bool,
    /// We wrote to it last, so that it is no news.
    pub(super) is_ours: bool,
    /// Why it is not open any more, or not yet, in the source's own terms.
    pub(super) not_open: Option<String>,
    pub(super) has_passed: bool,
}

impl Standing {
    pub(super) fn why_ignored(self) -> Option<String> {
        match () {
            () if self.is_sample => Some("it is a sample finding".to_owned()),
            () if self.is_ours => Some("this responder updated the finding last".to_owned()),
            () if self.not_open.is_some() => self.not_open,
            () if self.has_passed => Some("its control did not fail".to_owned()),
            () => None,
        }
    }
}

/// `product/<company>/<name>`: whose findings count.
pub(super) fn ignored_product(name: &str, settings: &Eligibility) -> Option<String> {
    let is_trusted = settings.trusted_products.iter().any(|it| it.matches(name));
    (!is_trusted).then(|| format!("its product `{}` is not in TRUSTED_PRODUCTS", text::line(name, 120)))
}

/// Findings that describe a state. `words`: the severity as the source writes it. The controls that playbooks
/// name are switched by PLAYBOOK_MODES and not by their severity, which is MEDIUM for IAM.8 and IAM.22; one
/// without any severity asks for nothing.
pub(super) fn ignored_state(
    severity: Severity,
    words: &str,
    is_control: bool,
    settings: &Eligibility,
) -> Option<String> {
    let min = settings.min_severity;
    match () {
        () if is_control && severity.0 <= 0.0 => Some(format!("severity {words} asks for nothing")),
        () if !is_control && severity.0 < min => Some(format!("severity {words} is below MIN_SEVERITY {min}")),
        () => None,
    }
}

/// Whoever created a user: the operator says who may.
pub(super) fn ignored_creator(arn: &str, settings: &Responder) -> Option<String> {
    let is_trusted = settings.eligibility.trusted_creators.iter().any(|it| it.matches(arn));
    is_trusted.then(|| format!("its creator `{}` is in TRUSTED_CREATORS", text::line(arn, 200)))
}
