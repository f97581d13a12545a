//! A fight that outlasts an invocation goes on in a new one, under the same lease.

use aws_smithy_types::DateTime;
use serde::{Deserialize, Serialize};

use super::contest::Fought;
use super::grouping::Group;
use super::progress::Progress;
use crate::coverage::Approval;
use crate::guardrail::Standing;
use crate::ids::RequestId;

/// Lambda stops a function that has invoked itself some sixteen times in a chain.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
pub const MOST: u32 = 12;

/// At most so many lines of what was undone are handed on.
const LINES: usize = 50;

/// What the next invocation needs, as the member `continue` of its payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    pub group: Group,
    /// The invocation that acquired the lease: whoever goes on holds it in its name.
    pub holder: String,
    /// How many invocations there were before.
    pub number: u32,
    /// It was set apart from findings that looked like ones about the same identity: nobody else's answer is its.
    #[serde(default)]
    pub is_apart: bool,
    /// People approved it: it is carried out, whatever the mode is, and under nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Of an approval that could not be carried out yet, what people were told, as `Progress::trouble`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_trouble: Option<String>,
    /// The request under which people are asked, where there is one already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<RequestId>,
    /// Who reported it, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// Somebody clicked an offer under an alert, by the Slack ID: people are asked, in any mode, and nothing is done
    /// meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_by: Option<String>,
    /// It was taken up from the list of what is due: whoever did says there how it ended, and nobody else.
    #[serde(default)]
    pub is_due: bool,
    /// What it took so far, where somebody undid something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fought: Option<Fought>,
    /// Up to when the role's sessions were revoked first, in seconds since 1970: no later ones are cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_cutoff: Option<i64>,
    /// What became of the guardrail so far, where it was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Standing>,
    /// What was undone last.
    pub reversals: Vec<String>,
    /// How often something was undone before that.
    #[serde(default)]
    pub undone_before: usize,
}

impl Relay {
    pub fn new(group: Group, holder: String) -> Self {
        Self {
            group,
            holder,
            number: 0,
            is_apart: false,
            is_due: false,
            approval: None,
            told_trouble: None,
            asking: None,
            requester: None,
            opened_by: None,
            fought: None,
            first_cutoff: None,
            guardrail: None,
            reversals: Vec::new(),
            undone_before: 0,
        }
    }

    pub fn under(self, approval: Approval) -> Self {
        Self { approval: Some(approval), ..self }
    }

    pub fn asking(self, request: RequestId, requester: Option<String>) -> Self {
        Self { asking: Some(request), requester, ..self }
    }

    /// For a group that did not go with this one's lead. Two that turn out to be one identity must not pass for one
    /// holder of its lease.
    pub fn apart(&self, group: Group, number: usize) -> Self {
        let apart = Self::new(group, format!("{}/apart-{number}", self.holder));
        Self { is_apart: true, opened_by: self.opened_by.clone(), ..apart }
    }

    /// How it is to go on, or none when it has gone on for too long: a person must know.
    pub fn next(&self, progress: &Progress) -> Option<Self> {
        let reversals = &progress.reversals;
        let undone_before = self.undone_before + reversals.len().saturating_sub(LINES);
        let reversals = reversals.iter().rev().take(LINES).rev().cloned().collect();
        (self.number < MOST).then(|| Self {
            number: self.number + 1,
            is_due: false,
            fought: progress.fought,
            first_cutoff: progress.first_cutoff.map(|it| it.secs()),
            reversals,
            undone_before,
            ..self.clone()
        })
    }

    /// What those before it knew, for a response that goes on from there.
    pub fn take_up(&self, progress: &mut Progress) {
        progress.reversals.clone_from(&self.reversals);
        progress.undone_before = self.undone_before;
        progress.fought = self.fought;
        progress.first_cutoff = self.first_cutoff.map(DateTime::from_secs);
        progress.approved = self.approval.as_ref().map(|it| format!("{} (request {})", it.by, it.request));
    }

    pub fn is_continued(&self) -> bool {
        self.number > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Threat;
    use crate::fixtures::finding;

    #[test]
    fn what_is_set_apart_from_an_offer_is_asked_as_well() {
        let group = Group { lead: finding(Threat::CompromisedCredential), others: Vec::new() };
        let relay = Relay { opened_by: Some("U1".to_owned()), ..Relay::new(group.clone(), "first".to_owned()) };
        assert_eq!(relay.apart(group, 1).opened_by, relay.opened_by);
    }

    #[test]
    fn it_goes_on_with_what_is_known_and_ends() {
        let group = Group { lead: finding(Threat::CompromisedCredential), others: Vec::new() };
        let guardrail = Some(Standing::Attached { policy: "p-guardrail0".to_owned(), at: 1 });
        let mut relay = Relay { guardrail: guardrail.clone(), ..Relay::new(group, "first".to_owned()) };
        let fought = Some(Fought { millis: 1, writes: 2, throttled: 3 });
        let first_cutoff = Some(DateTime::from_secs(1_500));
        let reversals = (0..100).map(|it| it.to_string()).collect();
        let undone = Progress { reversals, fought, first_cutoff, ..Progress::default() };
        let mut times = 0;
        while let Some(next) = relay.next(&undone) {
            let kept = serde_json::to_string(&next).unwrap();
            relay = serde_json::from_str(&kept).unwrap();
            times += 1;
        }
        assert_eq!((relay.undone_before, relay.guardrail), (12 * 50, guardrail));
        assert_eq!((relay.fought, relay.first_cutoff), (fought, Some(1_500)));
        assert_eq!((times, relay.holder.as_str(), relay.reversals.first().unwrap().as_str()), (12, "first", "50"));
    }
}
