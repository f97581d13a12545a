//! What a restore wrote by a name that was another's by then: IAM's writes go by name, and its answer does not say whom
//! it was about. Whoever was freed so is denied everything again, and people are told of whoever may have got something.

use clients::iam::observe;
use clients::iam::resolve::{self, Resolved, Unresolved};
use domain::change::Change;
use domain::history::Response;
use domain::identity::{Identity, IdentityKind};
use domain::outcome::Outcome;
use domain::restoration::report::{Progress, Verdict};

use super::Attempt;
use super::order::Work;
use super::writers::Writers;
use crate::note::note;

/// How often somebody who was freed by a name is looked for under yet another.
const MOST_RENAMES: usize = 4;

const ELSEWHERE: &str =
    "its name led elsewhere while it was being restored: send the command again, with its unique ID";

impl Attempt<'_> {
    /// Whether the name still leads to whom the restore is about. Otherwise the verdict is in, and what was written is
    /// seen to.
    pub(super) async fn still_leads(&self, work: &Work<'_>, part: &[Change], progress: &mut Progress) -> bool {
        let Work { member, identity, .. } = work;
        let Err(unread) = observe::is_there(&member.read, identity).await else { return true };
        let written: Vec<_> = progress.changes.applied().into_iter().map(|it| it.deed).collect();
        let written: Vec<_> = part.iter().filter(|it| written.contains(it)).collect();
        let is_gone = unread.is_gone();
        if is_gone {
            progress.failed.push(format!("the name {} leads elsewhere: {}", identity.name, unread.why));
            progress.conclude(Verdict::NotRestored, ELSEWHERE);
        } else {
            progress
                .failed
                .push(format!("whether the name {} still leads to it is not known: {unread}", identity.name));
            progress.conclude(Verdict::NotRestored, format!("could not be read: {unread}"));
        }
        if !written.is_empty() {
            self.see_to(work, &written, is_gone, progress).await;
        }
        false
    }

    async fn see_to(&self, work: &Work<'_>, written: &[&Change], is_gone: bool, progress: &mut Progress) {
        let Work { member, identity, .. } = work;
        let by_name = written.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match resolve::bearer(&member.read, identity.kind, &identity.name).await {
            Ok(Some(other)) if other.identity.id != identity.id => {
                let who = format!("{} ({})", other.identity.name, other.identity.id);
                let takes_back: String = written.iter().filter_map(|it| takes_back(it, &other.identity)).collect();
                progress.failed.push(format!(
                    "{who} bears the name now, and may have got what was written by it: {by_name}. Compare with what it \
                     had{takes_back}"
                ));
                self.deny_again(work, other, written, progress).await;
            }
            Ok(Some(_)) if !is_gone => {}
            Ok(_) => progress.failed.push(of_nobody_knows_whom(&by_name)),
            Err(failure) => {
                progress
                    .failed
                    .push(format!("{}. Who bears it could not be read: {failure}", of_nobody_knows_whom(&by_name)));
            }
        }
    }

    /// Who was freed by the name of another, and is contained by a response of its own.
    async fn deny_again(&self, work: &Work<'_>, other: Resolved, written: &[&Change], progress: &mut Progress) {
        let was_freed =
            written.iter().any(|it| matches!(it, Change::LiftDenyAll { .. } | Change::RestoreBoundary { .. }));
        if !was_freed {
            return;
        }
        let who = format!("{} {} ({})", other.identity.kind.word(), other.identity.name, other.identity.id);
        match self.ledger.kept(&other.identity).await {
            Ok(kept) if !kept.responses.iter().any(Response::is_quarantine) => return,
            Ok(_) => {}
            // It bears the mark of a containment: IAM lets a restore write to nobody else.
            Err(failure) => progress.failed.push(format!("whether {who} is contained could not be read: {failure}")),
        }
        let words = match self.put_deny_back(work, other, written, progress).await {
            Ok(()) => format!("{who} was contained, and is denied everything again"),
            Err(why) => {
                format!("{who} WAS FREED, and could not be denied everything again: send `contain` for it ({why})")
            }
        };
        progress.conclude(Verdict::NotRestored, format!("{ELSEWHERE}. {words}"));
        progress.failed.push(words);
    }

    /// By the ID of whom it is about, whatever it is called by now.
    async fn put_deny_back(
        &self,
        work: &Work<'_>,
        other: Resolved,
        written: &[&Change],
        progress: &mut Progress,
    ) -> Result<(), String> {
        let read = &work.member.read;
        let policy = self.command.subject.partition.deny_all_policy();
        let Resolved { identity: mut other, observed, .. } = other;
        if other.kind != IdentityKind::User {
            return Err("a restore may deny a role nothing".to_owned());
        }
        let was_detached = written.iter().any(|it| matches!(it, Change::LiftDenyAll { .. }));
        if !was_detached && observed.is_attached(&policy) {
            return Ok(());
        }
        let mut why = String::new();
        for _ in 0..MOST_RENAMES {
            let user = other.name.clone();
            let deny = match was_detached {
                true => Change::AttachPolicy { user, policy: policy.clone() },
                false => Change::RestoreBoundary { user, policy: Some(policy.clone()) },
            };
            let writers = Writers::assume(self, &other, [&deny]).await.map_err(|it| it.to_string())?;
            let outcome = writers.write(read, &other, &deny).await;
            note(&progress.changes, deny, outcome.clone());
            match (outcome, observe::is_there(read, &other).await) {
                (Outcome::Applied { .. }, Ok(())) => return Ok(()),
                (Outcome::Failed(failure), Ok(())) => return Err(failure.to_string()),
                (outcome, _) => why = outcome.detail(),
            }
            other = find_again(work, &other).await?;
        }
        Err(why)
    }

    /// What was done by the name and is not to be seen: only who bore it for that moment can have it.
    pub(super) fn tell_of_vanished(&self, progress: &mut Progress, left: &[String]) {
        let done: Vec<_> = progress.changes.applied().iter().map(|it| it.deed.to_string()).collect();
        let vanished: Vec<_> = left.iter().filter(|it| done.contains(it)).cloned().collect();
        if !vanished.is_empty() {
            progress.failed.push(of_nobody_knows_whom(&vanished.join(", ")));
        }
    }
}

async fn find_again(work: &Work<'_>, other: &Identity) -> Result<Identity, String> {
    resolve::find_again(&work.member.read, other).await.map_err(|it| match it {
        Unresolved::Refused(why) => why,
        Unresolved::Failed(failure) => failure.to_string(),
    })
}

fn of_nobody_knows_whom(by_name: &str) -> String {
    format!(
        "this was written by the name, and somebody undid it, or another bore the name for that moment: {by_name}. Look for \
         whom somebody contained and who is not denied any more, and for who has it and should not"
    )
}

fn takes_back(change: &Change, other: &Identity) -> Option<String> {
    let name = &other.name;
    match change {
        Change::AttachPolicy { policy, .. } => {
            Some(format!("; `aws iam detach-user-policy --user-name {name} --policy-arn {policy}`"))
        }
        Change::JoinGroup { group, .. } => {
            Some(format!("; `aws iam remove-user-from-group --user-name {name} --group-name {group}`"))
        }
        _ => None,
    }
}
