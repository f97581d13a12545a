//! Whether what the responses wanted is still in place when the report is made: a verdict is about when it was read.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use crate::change::console_hold;
use crate::child::Child;
use crate::history::Kept;
use crate::identity::{Identity, Observed, Read, Unreadable};
use crate::made::Became;
use crate::text;

/// What is known of the containment.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    /// What the responses left in the ledger.
    pub kept: Read<&'a Kept>,
    /// What they wanted and is not so now, in words.
    pub lacking: Vec<String>,
    /// What became of those whom it made with a flagged credential.
    pub made: Vec<(Child, Became)>,
}

impl<'a> From<&'a Kept> for Standing<'a> {
    fn from(kept: &'a Kept) -> Self {
        Self { kept: Ok(kept), lacking: Vec::new(), made: Vec::new() }
    }
}

/// What the responses wanted, and did not get or somebody took away again: in words. What could not be read beside.
pub fn lacking(kept: &Kept, identity: &Identity, now: &Observed, deny_all: &str) -> (Vec<String>, Vec<String>) {
    let mut found = Findings::default();
    for response in &kept.responses {
        for (name, target) in response.planned.iter().filter_map(|it| it.split_once(' ')) {
            let given_back = |by: &str| {
                let words = format!("{by} {target}");
                kept.given_back.iter().any(|it| it.split_once(' ').is_some_and(|(_, it)| it == words))
            };
            match name {
                "AttachDenyAll" | "SetDenyAllBoundary" | "AttachDenyAllToRole" => found.deny(now, deny_all),
                "HoldConsole" => {
                    let hold = console_hold(&identity.arn).unwrap_or_default();
                    let is_there = now.attached.as_ref().is_ok_and(|it| it.contains(&hold));
                    let words = if is_there { "says something else" } else { "is not attached" };
                    found.add(now.is_held.as_ref().copied(), || format!("policy {hold} {words}"));
                }
                "DeactivateAccessKey" => {
                    let is_off = now.keys.as_ref().map(|it| !it.iter().any(|it| it.active && it.id.as_str() == target));
                    found.add(is_off, || format!("access key {target} is active"));
                }
                "DeactivateCredential" => {
                    let is_off = now.credentials.as_ref().map(|it| !it.iter().any(|it| it.active && it.id == target));
                    found.add(is_off, || format!("credential {} is active", text::line(target, 128)));
                }
                "DeleteLoginProfile" => {
                    found.add(now.login.as_ref().map(|it| !it), || "it has a console password".to_owned());
                }
                "DetachPolicy" if !given_back("AttachPolicy") => {
                    let is_off = now.attached.as_ref().map(|it| !it.iter().any(|it| it == target));
                    found.add(is_off, || format!("policy {} is attached", text::line(target, 200)));
                }
                "LeaveGroup" if !given_back("JoinGroup") => {
                    let group = target.trim_start_matches("group/");
                    let is_off = now.groups.as_ref().map(|it| !it.iter().any(|it| it == group));
                    found.add(is_off, || format!("it is in group {}", text::line(group, 128)));
                }
                "RevokeSessions" => {
                    let wanted = target.rsplit(' ').next().unwrap_or_default();
                    let wanted = DateTime::from_str(wanted, Format::DateTime).ok();
                    let is_there =
                        now.revoked_before.as_ref().map(|it| it.is_some_and(|it| wanted.is_none_or(|at| at <= it)));
                    found.add(is_there, || "its sessions are not revoked".to_owned());
                }
                _ => {}
            }
        }
    }
    (found.lacking, found.unread)
}

#[derive(Default)]
struct Findings {
    lacking: Vec<String>,
    unread: Vec<String>,
}

impl Findings {
    fn add(&mut self, is_so: Result<bool, &Unreadable>, otherwise: impl FnOnce() -> String) {
        let (list, words) = match is_so {
            Ok(true) => return,
            Ok(false) => (&mut self.lacking, otherwise()),
            Err(unreadable) => {
                let why = text::line(&unreadable.why.to_string(), 200);
                (&mut self.unread, format!("whether it is still contained: {} ({why})", unreadable.what))
            }
        };
        if !list.contains(&words) {
            list.push(words);
        }
    }

    /// Attached, or the boundary: either denies everything.
    fn deny(&mut self, now: &Observed, deny_all: &str) {
        let is_there = match (&now.attached, &now.profile) {
            _ if now.is_attached(deny_all) || now.is_boundary(deny_all) => Ok(true),
            (Err(unreadable), _) | (_, Err(unreadable)) => Err(unreadable),
            _ => Ok(false),
        };
        self.add(is_there, || "`AWSDenyAll` is not attached".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::evidence::report::Evidence;
    use crate::evidence::report::tests::{report, report_with};
    use crate::evidence::risk::Level;
    use crate::fixtures::{identity, observed};
    use crate::history::Response;
    use crate::identity::IdentityKind;
    use crate::outcome::Failure;
    use crate::verdict::Verdict;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
    const POLICY: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

    fn kept(planned: &[&str]) -> Kept {
        let mut response = Response::new("compromised-credential", "f", DateTime::from_secs(1), Value::Null);
        response.planned = planned.iter().map(|it| (*it).to_owned()).collect();
        Kept { responses: vec![response], ..Kept::default() }
    }

    fn missing(planned: &[&str], now: &Observed) -> usize {
        lacking(&kept(planned), &identity(IdentityKind::User), now, DENY_ALL).0.len()
    }

    #[test]
    fn what_somebody_lifted_is_named_and_what_stands_is_not() {
        let key = "DeactivateAccessKey AKIAIOSFODNN7EXAMPLE";
        let detached = format!("DetachPolicy {POLICY}");
        let revoked = "RevokeSessions role/app 1970-01-01T00:10:00Z";
        let (deny, leave) = ("AttachDenyAll user/alice", "LeaveGroup group/developers");
        let all = [deny, key, &detached, leave, revoked, "Tag user/alice"];
        let lifted = observed();
        assert_eq!(missing(&all, &lifted), 5);
        for each in [deny, key, &detached, leave, revoked] {
            assert_eq!(missing(&[each], &lifted), 1, "{each}");
        }
        let mut held = observed();
        held.attached = Ok(vec![DENY_ALL.to_owned()]);
        held.groups = Ok(Vec::new());
        held.keys.as_mut().unwrap()[0].active = false;
        held.revoked_before = Ok(Some(DateTime::from_secs(600)));
        assert_eq!(missing(&all, &held), 0);
        held.revoked_before = Ok(Some(DateTime::from_secs(599)));
        assert_eq!(missing(&all, &held), 1);
        // The boundary denies as well.
        let mut bounded = observed();
        bounded.profile.as_mut().unwrap().boundary = Some(DENY_ALL.to_owned());
        assert_eq!(missing(&[deny], &bounded), 0);
    }

    #[test]
    fn a_hold_that_says_something_else_holds_nothing() {
        let hold = console_hold(&identity(IdentityKind::User).arn).unwrap();
        let said =
            |now: &Observed| lacking(&kept(&["HoldConsole alice"]), &identity(IdentityKind::User), now, DENY_ALL);
        assert!(said(&observed()).0[0].ends_with("is not attached"));
        let mut now = observed();
        now.attached = Ok(vec![hold]);
        assert!(said(&now).0[0].ends_with("says something else"));
        now.is_held = Ok(true);
        assert_eq!(said(&now), (Vec::new(), Vec::new()));
        now.is_held = Err(Unreadable::not_read("hold"));
        assert_eq!((said(&now).0.len(), said(&now).1.len()), (0, 1));
    }

    #[test]
    fn a_containment_that_somebody_lifted_is_not_reported_as_in_place() {
        let mut kept = kept(&["AttachDenyAll user/alice"]);
        (kept.verdict, kept.held_at) = (Some(Verdict::Contained), Some(120_000));
        let is_calm =
            |it: &Evidence| it.risk.level < Level::Critical && it.next_steps.iter().all(|it| !it.contains("contain"));
        assert!(is_calm(&report("{}", Vec::new(), Vec::new(), &kept)));
        let words = "`AWSDenyAll` is not attached".to_owned();
        let alice = identity(IdentityKind::User);
        let lifted = report_with(&alice, Vec::new(), &kept, |_, found| found.standing.lacking = vec![words.clone()]);
        assert_eq!(lifted.risk.level, Level::Critical);
        assert!(
            lifted.summary[0]
                .contains("read at 1970-01-01T00:02:00Z; not in place at 1970-01-01T02:46:40Z: `AWSDenyAll`")
        );
        assert!(
            lifted.next_steps[0].contains(r#""command":"contain""#) && lifted.markdown().contains("Not in place at")
        );
    }

    #[test]
    fn a_response_that_has_begun_is_not_said_to_have_contained_nothing() {
        let report = report("{}", Vec::new(), Vec::new(), &kept(&["AttachDenyAll user/alice"]));
        assert!(report.summary[0].contains("a response has begun"), "{}", report.summary[0]);
        assert_eq!(report.risk.level, Level::Critical);
    }

    #[test]
    fn what_the_ledger_does_not_tell_is_not_said_to_be_nothing() {
        let why = Failure { code: "AccessDenied".to_owned(), message: "no".to_owned(), retryable: false };
        let alice = identity(IdentityKind::User);
        let report = report_with(&alice, Vec::new(), &Kept::default(), |_, found| {
            found.standing.kept = Err(Unreadable::failed("the ledger", why.clone()));
        });
        assert!(report.summary[0].contains("whether it is contained is not known"), "{}", report.summary[0]);
        assert_eq!(report.risk.level, Level::Critical);
        let page = report.markdown();
        for wrong in ["nothing was contained", "has no containment", "nobody restored"] {
            assert!(!page.contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_could_not_be_read_is_neither() {
        let all = ["AttachDenyAll user/alice", "DeactivateAccessKey AKIAIOSFODNN7EXAMPLE"];
        let (lacking, unread) =
            lacking(&kept(&all), &identity(IdentityKind::User), &Observed::nothing_read(), DENY_ALL);
        assert_eq!((lacking.len(), unread.len()), (0, 2));
    }

    #[test]
    fn what_a_restore_gave_back_is_not_missed() {
        let mut kept = kept(&[&format!("DetachPolicy {POLICY}")]);
        kept.given_back = BTreeSet::from([format!("1 AttachPolicy {POLICY}")]);
        assert_eq!(lacking(&kept, &identity(IdentityKind::User), &observed(), DENY_ALL).0, Vec::<String>::new());
    }
}
