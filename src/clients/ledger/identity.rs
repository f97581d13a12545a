//! The lease on an identity itself, by its unique ID, kept in its record: findings that call it by name, by
//! ID or by one of its keys meet here. What is meant to be done goes with it, beside the strike.

use std::time::SystemTime;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::answered::{Answered, Answers};
use domain::containment::admission::{self, Held, Holder};
use domain::finding::Finding;
use domain::history::Past;
use domain::identity::Identity;
use domain::outcome::Failure;
use domain::verdict::Verdict;

use super::lease::held;
use super::records::{answers, kept, past};
use super::{APPEND, Item, Ledger, holds, int, millis, millis_now, number, refused, set, snapshots, strings, text};
use crate::errors::{failure, is};

/// How many findings wait for one response and are looked at as soon as it ends; the others are due later.
const MOST_WAITING: usize = 150;

/// The right to an identity, until it runs out. The fence is when it was acquired.
#[derive(Debug, Clone)]
pub struct IdentityLease {
    pub(super) id: String,
    pub(super) fence: i64,
    /// Of what was done, how many bytes are in the record, and how many parts it has.
    pub(super) applied: usize,
    pub(super) parts: i64,
    /// The finding that it is held for; a restore has none.
    finding: Option<String>,
    /// Which findings were answered before.
    answered: Answers,
}

pub enum Hold {
    Mine(IdentityLease, Box<Past>),
    /// Another response covers the finding, or a restore is at it and knows it.
    Others(Held),
}

/// What a response leaves.
pub struct Ending<'a> {
    pub identity: &'a Identity,
    pub verdict: Verdict,
    pub incident: Option<&'a str>,
    /// When it was last read to be in place, all of it: milliseconds since 1970.
    pub held_at: Option<i64>,
    /// The response in whose snapshot it is part.
    pub response: Option<&'a str>,
    /// What it meant to take away and did not, as `Change::words_of_record`.
    pub not_taken: &'a [String],
    /// One JSON text an action.
    pub applied: Vec<String>,
    pub told: Option<String>,
    pub is_rotated: bool,
}

impl Ledger {
    /// Acquires the lease on the identity until `until`, also from a response that covers less, and from a
    /// restore when the finding is news to it. Keeps what is meant to be done, and gives what was known before, but
    /// for the suspects: they are read with the last look, since others add theirs until then.
    ///
    /// INVARIANT: it is sent with the strike and never waited for before it. What people were told holds no
    /// longer from here on, until a response says what they were told of what it did.
    pub async fn hold(
        &self,
        identity: &Identity,
        finding: &Finding,
        strike: Vec<String>,
        until: SystemTime,
    ) -> Result<Hold, Failure> {
        let id = Self::record_of(identity);
        let now = millis_now();
        let word = Holder::Response(finding.threat).word();
        let mut condition = "attribute_not_exists(lease_until) OR lease_until < :now OR holder = :me OR \
                             (playbook = :restore AND fence < :restore_yields)"
            .to_owned();
        let mut expression = "SET holder = :me, lease_until = :until, fence = :now, playbook = :playbook \
                              REMOVE told, is_rotated"
            .to_owned();
        let mut request = self
            .update(&id)
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":until", number(millis(until)))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":playbook", text(word))
            .expression_attribute_values(":restore", text(Holder::Restore.word()))
            .expression_attribute_values(":restore_yields", number(admission::restore_yields_until(finding)));
        for (n, weaker) in admission::yielding(finding).into_iter().enumerate() {
            condition.push_str(&format!(" OR playbook = :weaker{n}"));
            request = request.expression_attribute_values(format!(":weaker{n}"), text(weaker));
        }
        if !strike.is_empty() {
            // What had held has to be put back: it is to be seen to hold anew.
            expression.push_str(", held_at ADD #intent :intent");
            request = request
                .expression_attribute_names("#intent", snapshots::intent(word))
                .expression_attribute_values(":intent", AttributeValue::Ss(strike));
        }
        let sent = request
            .update_expression(expression)
            .condition_expression(condition)
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(output) => {
                let item = output.attributes.unwrap_or_default();
                Ok(Hold::Mine(lease(id, now, Some(finding), &item), Box::new(past(&item, now))))
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                Ok(Hold::Others(held(&refused(error), "unique_id")))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Acquires the lease on the identity for a restore, which gives way to everybody, and gives what is kept.
    pub async fn hold_to_restore(
        &self,
        identity: &Identity,
        until: SystemTime,
    ) -> Result<Result<(IdentityLease, domain::history::Kept), Held>, Failure> {
        let id = Self::record_of(identity);
        let now = millis_now();
        let sent = self
            .update(&id)
            .update_expression("SET holder = :me, lease_until = :until, fence = :now, playbook = :playbook")
            .condition_expression("attribute_not_exists(lease_until) OR lease_until < :now OR holder = :me")
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":until", number(millis(until)))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":playbook", text(Holder::Restore.word()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(output) => {
                let item = output.attributes.unwrap_or_default();
                Ok(Ok((lease(id, now, None, &item), kept(&item))))
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(Err(held(&refused(error), "unique_id"))),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Whether the lease is still ours: a restore asks before it lifts the deny.
    pub async fn still_holds(&self, lease: &IdentityLease) -> Result<bool, Failure> {
        let request = self
            .update(&lease.id)
            .update_expression("SET lifting = :fence")
            .condition_expression("fence = :fence AND holder = :me")
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":me", text(&self.owner));
        holds(request).await
    }

    /// Leaves a finding, which is due already, with whoever holds the identity, to be looked at as soon as
    /// that ends. False when that has ended, or too many wait already.
    pub async fn wait_along(&self, record: &str, due: &str) -> Result<bool, Failure> {
        let request = self
            .update(record)
            .update_expression("SET has_others = :yes ADD waiting :due")
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .condition_expression("lease_until >= :now AND (attribute_not_exists(waiting) OR size(waiting) < :most)")
            .expression_attribute_values(":due", set(due))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":most", number(MOST_WAITING));
        holds(request).await
    }

    /// Keeps how it ended and releases the identity. Returns what waited for it, unless somebody took the
    /// identity over: then what was done is kept, and the verdict is the other's.
    pub async fn close(&self, lease: &IdentityLease, ending: &Ending<'_>) -> Result<Vec<String>, Failure> {
        let (applied, rolled_over) = self.make_room(lease, &ending.applied).await?;
        let append = if rolled_over.is_some() { "applied = :done, parts = :parts" } else { APPEND };
        let mut request = self
            .update(&lease.id)
            .condition_expression("fence = :fence")
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":verdict", text(ending.verdict.name()))
            .expression_attribute_values(":done", AttributeValue::L(applied.clone()))
            .expression_attribute_values(":now", number(millis_now()))
            .return_values(ReturnValue::AllOld);
        request = match rolled_over {
            Some(parts) => request.expression_attribute_values(":parts", number(parts)),
            None => request.expression_attribute_values(":empty", AttributeValue::L(Vec::new())),
        };
        let mut expression = format!("SET verdict = :verdict, last_seen = :now, contained_at = :now, {append}");
        if let Some(incident) = ending.incident {
            expression.push_str(", incident = :incident");
            request = request.expression_attribute_values(":incident", text(incident));
        }
        if let Some(held_at) = ending.held_at {
            expression.push_str(", held_at = :held");
            request = request.expression_attribute_values(":held", number(held_at));
        }
        if let Some(response) = ending.response {
            expression.push_str(", #ended = :verdict");
            request = request.expression_attribute_names("#ended", snapshots::ended(response));
            // A restore of those whom it made, or of itself as one of them, tells by this what the response is about.
            if let Some(finding) = &lease.finding {
                let answers = lease.answered.clone().with(Answered::new(response, finding));
                let all = answers.all.iter().map(Answered::words_of_record).collect();
                expression.push_str(", answered = :answered");
                request = request.expression_attribute_values(":answered", AttributeValue::Ss(all));
            }
        }
        if let Some(told) = &ending.told {
            expression.push_str(", told = :told");
            request = request.expression_attribute_values(":told", text(told));
        }
        if ending.is_rotated {
            expression.push_str(", is_rotated = :yes");
            request = request.expression_attribute_values(":yes", AttributeValue::Bool(true));
        }
        expression.push_str(" REMOVE lease_until, holder, playbook");
        let is_answer = ending.verdict.is_success();
        if is_answer {
            expression.push_str(", waiting");
        }
        if let (Some(response), false) = (ending.response, ending.not_taken.is_empty()) {
            expression.push_str(" DELETE #planned :not_taken");
            request = request
                .expression_attribute_names("#planned", snapshots::planned(response))
                .expression_attribute_values(":not_taken", AttributeValue::Ss(ending.not_taken.to_vec()));
        }
        match request.update_expression(expression).send().await {
            Ok(output) if is_answer => Ok(strings(&output.attributes.unwrap_or_default(), "waiting")),
            // They wait for the next try, or until they are due.
            Ok(_) => Ok(Vec::new()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                tracing::warn!("somebody took the identity over, or it was released by a try of ours: see its record");
                self.append(lease, applied).await.map(|()| Vec::new())
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Keeps the incident of a response that was deferred: the one that follows needs no other.
    pub async fn note_incident(&self, identity: &Identity, incident: &str) -> Result<(), Failure> {
        let request =
            self.update(&Self::record_of(identity)).update_expression("SET incident = :incident, last_seen = :now");
        let request = request.expression_attribute_values(":incident", text(incident));
        let sent = request.expression_attribute_values(":now", number(millis_now())).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    /// Gives the identity back where there is nothing to keep.
    pub async fn let_go(&self, lease: &IdentityLease) -> Result<(), Failure> {
        let request = self
            .update(&lease.id)
            .update_expression("REMOVE lease_until, holder, playbook")
            .condition_expression("fence = :fence AND holder = :me")
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":me", text(&self.owner));
        holds(request).await.map(|_| ())
    }
}

fn lease(id: String, fence: i64, finding: Option<&Finding>, item: &Item) -> IdentityLease {
    let applied = item.get("applied").and_then(|it| it.as_l().ok()).into_iter().flatten();
    let applied = applied.filter_map(|it| it.as_s().ok()).map(String::len).sum();
    let (finding, answered) = (finding.map(|it| it.id.clone()), answers(item));
    IdentityLease { id, fence, applied, parts: int(item, "parts"), finding, answered }
}
