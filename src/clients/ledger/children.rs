//! What flagged credentials made: `children#<account>#<unique ID>#<response>` says whose calls are looked for, of which
//! credentials and from when on, what of them was looked at, and which users of its line have a place. It is in the index
//! `due` for some hours, once the response is one that nobody has to be asked about.
//!
//! The investigating function names calls in its own item, `evidence#…`, by their IDs. It can write nothing here: who is
//! flagged, since when and how many places there are is what the responder wrote.
//!
//! Who was made by whom is in the records of both, as sets beside what responses keep there: adding needs no lease.

use std::collections::BTreeSet;
use std::time::SystemTime;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::child::{self, Child, Link, Maker, Mark, Parent, WATCHED_MILLIS};
use domain::evidence::children::is_event_id;
use domain::ids::{AccountId, UniqueId};
use domain::outcome::Failure;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Item, Ledger, holds, int, millis, millis_now, number, refused, set, string, strings, text};
use crate::errors::{failure, is};

const BUCKET: &str = "children";
/// The attributes of a record.
pub(super) const CHILDREN: &str = "children";
pub(super) const PARENTS: &str = "parents";
/// The investigating function's attribute of its own item.
pub(super) const MADE: &str = "made";
/// And what the responder puts there for it.
pub(super) const FLAGGED: &str = "flagged";
/// More than that no such item has, whatever somebody put there.
const MOST_NAMED: usize = 100;
/// So many credentials of one response are followed.
const MOST_FLAGGED: usize = 100;

/// Whose calls are looked for.
#[derive(Debug, Clone)]
pub struct Watch {
    pub id: String,
    pub maker: Maker,
    pub marks: Vec<Mark>,
    /// Those that were answered, or left to a person: so many are.
    pub looked: BTreeSet<String>,
    /// Those that need no answer.
    pub dismissed: BTreeSet<String>,
    /// Those that no flagged credential made, as far as it is known which are.
    pub unrelated: BTreeSet<String>,
    pub asked_at: i64,
    pub is_over: bool,
}

impl Watch {
    /// Whether it needs no other look.
    pub fn has_seen(&self, event: &str) -> bool {
        [&self.looked, &self.dismissed, &self.unrelated].into_iter().any(|it| it.contains(event))
    }
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Looked,
    Dismissed,
    Unrelated,
}

impl Seen {
    const fn attribute(self) -> &'static str {
        match self {
            Self::Looked => "looked",
            Self::Dismissed => "dismissed",
            Self::Unrelated => "unrelated",
        }
    }
}

/// Whether somebody has a place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    New,
    /// For another call about the same user.
    Had,
    /// All are taken.
    None,
}

impl Ledger {
    /// Has a flagged credential of a response followed, beside those that are, and each from the earliest beginning that
    /// was told: what was none of theirs before is looked at anew. `is_held_back`: people are asked about the response,
    /// and nothing is looked at before it goes on without them. False: too many are followed.
    pub async fn follow(&self, maker: &Maker, mark: &Mark, is_held_back: bool) -> Result<bool, Failure> {
        let mark = json!(mark).to_string();
        let request = self
            .update(&child::item(&maker.account, &maker.link()))
            .condition_expression(
                "attribute_not_exists(flagged) OR (NOT contains(flagged, :it) AND size(flagged) < :most)",
            )
            .expression_attribute_values(":maker", text(json!(maker).to_string()))
            .expression_attribute_values(":it", text(&mark))
            .expression_attribute_values(":mark", set(&mark))
            .expression_attribute_values(":most", number(MOST_FLAGGED))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let keep = "SET maker = if_not_exists(maker, :maker)";
        let change = "REMOVE unrelated ADD flagged :mark";
        let sent = if is_held_back {
            request.update_expression(format!("{keep} {change}")).send().await
        } else {
            listed(request).update_expression(format!("{keep}, {LIST} {change}")).send().await
        };
        let kept = match sent {
            Ok(_) => return Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => refused(error),
            Err(error) => return Err(failure(&error)),
        };
        if !strings(&kept, "flagged").contains(&mark) {
            return Ok(false);
        }
        if !is_held_back {
            let request = self.update(&child::item(&maker.account, &maker.link()));
            let sent = listed(request).update_expression(format!("SET {LIST}")).send().await;
            sent.map_err(|it| failure(&it))?;
        }
        Ok(true)
    }

    pub async fn due_children(&self, most: i32) -> Result<Vec<String>, Failure> {
        let request = self.query(BUCKET, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
        let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
        let items = found.map_err(|it| failure(&it))?.items.unwrap_or_default();
        Ok(items.iter().filter_map(|it| string(it, "id")).filter(|it| it.starts_with("children#")).collect())
    }

    /// Takes one that is due, until `until`. `None`: another run has it.
    pub async fn take_children(&self, id: &str, until: SystemTime) -> Result<Option<Watch>, Failure> {
        let now = millis_now();
        let sent = self
            .update(id)
            .update_expression("SET due_at = :until")
            .condition_expression("attribute_exists(due_bucket) AND due_at <= :now")
            .expression_attribute_values(":until", number(millis(until)))
            .expression_attribute_values(":now", number(now))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match sent {
            Ok(output) => {
                let item = output.attributes.unwrap_or_default();
                let maker = string(&item, "maker").and_then(|it| serde_json::from_str(&it).ok());
                let asked_at = int(&item, "asked_at");
                let seen = |it: Seen| strings(&item, it.attribute()).into_iter().collect();
                Ok(maker.map(|maker| Watch {
                    id: id.to_owned(),
                    maker,
                    marks: each(&item, "flagged"),
                    looked: seen(Seen::Looked),
                    dismissed: seen(Seen::Dismissed),
                    unrelated: seen(Seen::Unrelated),
                    asked_at,
                    is_over: now - asked_at > WATCHED_MILLIS,
                }))
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// The next run looks again.
    pub async fn leave_children(&self, id: &str) -> Result<(), Failure> {
        let request = self.update(id).update_expression("SET due_at = :now");
        let request = request.condition_expression("attribute_exists(due_bucket)");
        holds(request.expression_attribute_values(":now", number(millis_now()))).await.map(|_| ())
    }

    /// Nothing more is looked for, unless somebody asked anew.
    pub async fn end_children(&self, watch: &Watch) -> Result<(), Failure> {
        let request = self
            .update(&watch.id)
            .update_expression("REMOVE due_bucket, due_at")
            .condition_expression("asked_at = :asked")
            .expression_attribute_values(":asked", number(watch.asked_at));
        holds(request).await.map(|_| ())
    }

    /// The calls that the last report on somebody named: claims, of which nothing is believed.
    pub async fn named_calls(&self, account: &AccountId, id: &UniqueId) -> Result<Vec<String>, Failure> {
        let item = self.item(&format!("evidence#{account}#{id}")).await?;
        let named: Vec<String> = string(&item, MADE).and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default();
        Ok(named.into_iter().filter(|it| is_event_id(it)).take(MOST_NAMED).collect())
    }

    /// The calls about somebody that need no other look, whichever of these responses looks at them.
    pub async fn seen_calls(
        &self,
        account: &AccountId,
        id: &UniqueId,
        responses: &BTreeSet<&str>,
    ) -> Result<BTreeSet<String>, Failure> {
        let mut by_all: Option<BTreeSet<String>> = None;
        for response in responses {
            let link = Link { id: id.clone(), response: (*response).to_owned() };
            let item = self.item(&child::item(account, &link)).await?;
            let each = [Seen::Looked, Seen::Dismissed, Seen::Unrelated];
            let seen: BTreeSet<_> = each.into_iter().flat_map(|it| strings(&item, it.attribute())).collect();
            by_all = Some(by_all.map_or(seen.clone(), |all| &all & &seen));
        }
        Ok(by_all.unwrap_or_default())
    }

    /// What is nobody's is so only as long as no other credential is flagged.
    pub async fn note_seen_call(&self, watch: &Watch, event: &str, as_what: Seen) -> Result<(), Failure> {
        let mut request = self
            .update(&watch.id)
            .update_expression("ADD #seen :event")
            .expression_attribute_names("#seen", as_what.attribute())
            .expression_attribute_values(":event", set(event));
        if as_what == Seen::Unrelated {
            request = request
                .condition_expression("size(flagged) = :flagged")
                .expression_attribute_values(":flagged", number(watch.marks.len()));
        }
        holds(request).await.map(|_| ())
    }

    /// How often AWS could not say what a call made, this time included.
    pub async fn count_call_try(&self, id: &str, event: &str) -> Result<i64, Failure> {
        let name = format!("tries {event}");
        let request = self
            .update(id)
            .update_expression("ADD #tries :one")
            .expression_attribute_names("#tries", &name)
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew);
        let item = request.send().await.map_err(|it| failure(&it))?.attributes.unwrap_or_default();
        Ok(int(&item, &name))
    }

    /// A place for a user in the line, of which there are so many.
    ///
    /// INVARIANT: one line never has more places than that, however many look at it at once. `tests/test_children.py`
    /// holds it.
    pub async fn take_place(&self, line: &str, user: &UniqueId, most: u32) -> Result<Place, Failure> {
        if most == 0 {
            return Ok(Place::None);
        }
        let sent = self
            .update(line)
            .update_expression("ADD places :users")
            .condition_expression("attribute_not_exists(places) OR size(places) < :most OR contains(places, :user)")
            .expression_attribute_values(":users", set(user.as_str()))
            .expression_attribute_values(":user", text(user.as_str()))
            .expression_attribute_values(":most", number(most))
            .return_values(ReturnValue::AllOld)
            .send()
            .await;
        match sent {
            Ok(output) => {
                let had = strings(&output.attributes.unwrap_or_default(), "places");
                Ok(if had.iter().any(|it| it == user.as_str()) { Place::Had } else { Place::New })
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(Place::None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Nobody was contained for it.
    pub async fn give_place_back(&self, line: &str, user: &UniqueId) -> Result<(), Failure> {
        let request = self.update(line).update_expression("DELETE places :users");
        let sent = request.expression_attribute_values(":users", set(user.as_str())).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    /// In the record of who made it.
    pub async fn note_child(&self, maker: &Maker, child: &Child) -> Result<(), Failure> {
        self.add_to_record(&Self::record_id(&maker.account, maker.id.as_str()), CHILDREN, json!(child).to_string())
            .await
    }

    /// In the record of who was made, or was given a key.
    pub async fn note_parent(&self, record: &str, parent: &Parent) -> Result<(), Failure> {
        self.add_to_record(record, PARENTS, json!(parent).to_string()).await
    }

    async fn add_to_record(&self, record: &str, attribute: &str, it: String) -> Result<(), Failure> {
        let request = self.update(record).update_expression("ADD #attribute :it");
        let request = request.expression_attribute_names("#attribute", attribute);
        let sent = request.expression_attribute_values(":it", set(it)).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }
}

const LIST: &str = "asked_at = :now, due_bucket = :bucket, due_at = if_not_exists(due_at, :now)";

/// Whoever looks at it now goes on, and nobody looks beside.
fn listed(request: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
    let request = request.expression_attribute_values(":bucket", text(BUCKET));
    request.expression_attribute_values(":now", number(millis_now()))
}

/// What of a set of a record can be read, in an order that is always the same.
pub(super) fn each<T: DeserializeOwned + Ord>(item: &Item, attribute: &str) -> Vec<T> {
    let set = item.get(attribute).and_then(|it: &AttributeValue| it.as_ss().ok());
    let mut each: Vec<T> = set.into_iter().flatten().filter_map(|it| serde_json::from_str(it).ok()).collect();
    each.sort();
    each
}
