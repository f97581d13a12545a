//! A fight that outlasts an invocation goes on in a new one, under the same lease.

use serde::{Deserialize, Serialize};

use super::grouping::Group;
use crate::coverage::Approval;
use crate::ids::RequestId;

/// Lambda stops a function that has invoked itself some sixteen times in a chain.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
const MOST: u32 = 12;

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
    /// The request under which people are asked, where there is one already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<RequestId>,
    /// Who reported it, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// It was taken up from the list of what is due: whoever did says there how it ended, and nobody else.
    #[serde(default)]
    pub is_due: bool,
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
            asking: None,
            requester: None,
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
        Self { is_apart: true, ..Self::new(group, format!("{}/apart-{number}", self.holder)) }
    }

    /// How it is to go on, or none when it has gone on for too long: a person must know.
    pub fn next(&self, reversals: &[String]) -> Option<Self> {
        let undone_before = self.undone_before + reversals.len().saturating_sub(LINES);
        let reversals = reversals.iter().rev().take(LINES).rev().cloned().collect();
        (self.number < MOST).then(|| Self {
            number: self.number + 1,
            is_due: false,
            reversals,
            undone_before,
            ..self.clone()
        })
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
    fn it_goes_on_with_what_is_known_and_ends() {
        let group = Group { lead: finding(Threat::CompromisedCredential), others: Vec::new() };
        let mut relay = Relay::new(group, "first".to_owned());
        let undone: Vec<_> = (0..100).map(|it| it.to_string()).collect();
        let mut times = 0;
        while let Some(next) = relay.next(&undone) {
            let kept = serde_json::to_string(&next).unwrap();
            relay = serde_json::from_str(&kept).unwrap();
            times += 1;
        }
        assert_eq!(relay.undone_before, 12 * 50);
        assert_eq!((times, relay.holder.as_str(), relay.reversals.first().unwrap().as_str()), (12, "first", "50"));
    }
}
