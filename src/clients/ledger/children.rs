//! What a flagged credential made: `children#<account>#<unique ID>#<credential>` says whose calls are looked for, from
//! when on, what of them was looked at, and which users of its line have a place. It is in the index `due` for some hours.
//!
//! The investigating function names calls in its own item, `evidence#…`, by their IDs. It can write nothing here: who is
//! flagged, since when and how many places there are is what the responder wrote.
//!
//! Who was made by whom is in the records of both, as sets beside what responses keep there: adding needs no lease.

use std::collections::BTreeSet;
use std::time::SystemTime;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::child::{self, Child, Maker, Parent, WATCHED_MILLIS};
use domain::evidence::children::is_event_id;
use domain::ids::{AccountId, PrincipalName, UniqueId};
use domain::outcome::Failure;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Item, Ledger, holds, int, millis, millis_now, number, set, string, strings, text};
use crate::errors::{failure, is};

const BUCKET: &str = "children";
/// The attributes of a record.
pub(super) const CHILDREN: &str = "children";
pub(super) const PARENTS: &str = "parents";
/// The investigating function's attribute of its own item.
pub(super) const MADE: &str = "made";
/// More than that no such item has, whatever somebody put there.
const MOST_NAMED: usize = 100;

/// Whose calls are looked for.
#[derive(Debug, Clone)]
pub struct Watch {
    pub id: String,
    pub maker: Maker,
    /// Those that need no other look.
    pub looked: BTreeSet<String>,
    pub is_over: bool,
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
    /// From now on, and from the beginning of the behaviour as it was told first.
    pub async fn watch_children(&self, maker: &Maker) -> Result<(), Failure> {
        let request = self
            .update(&child::item(&maker.account, &maker.id, &maker.flagged))
            .update_expression(
                "SET maker = if_not_exists(maker, :maker), asked_at = :now, due_bucket = :bucket, due_at = :now",
            )
            .expression_attribute_values(":maker", text(json!(maker).to_string()))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":now", number(millis_now()));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
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
                Ok(maker.map(|maker| Watch {
                    id: id.to_owned(),
                    maker,
                    looked: strings(&item, "looked").into_iter().collect(),
                    is_over: now - int(&item, "asked_at") > WATCHED_MILLIS,
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

    /// Nothing more is looked for.
    pub async fn end_children(&self, id: &str) -> Result<(), Failure> {
        let sent = self.update(id).update_expression("REMOVE due_bucket, due_at").send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    /// The calls that the last report on somebody named: claims, of which nothing is believed.
    pub async fn named_calls(&self, account: &AccountId, id: &UniqueId) -> Result<Vec<String>, Failure> {
        let item = self.item(&format!("evidence#{account}#{id}")).await?;
        let named: Vec<String> = string(&item, MADE).and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default();
        Ok(named.into_iter().filter(|it| is_event_id(it)).take(MOST_NAMED).collect())
    }

    /// It needs no other look.
    pub async fn note_looked(&self, id: &str, event: &str) -> Result<(), Failure> {
        let request = self.update(id).update_expression("ADD looked :event");
        let sent = request.expression_attribute_values(":event", set(event)).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    /// A place for a user in the line, of which there are so many.
    ///
    /// INVARIANT: one line never has more places than that, however many look at it at once. `tests/test_children.py`
    /// holds it.
    pub async fn take_place(&self, line: &str, user: &PrincipalName, most: u32) -> Result<Place, Failure> {
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
    pub async fn give_place_back(&self, line: &str, user: &PrincipalName) -> Result<(), Failure> {
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

/// What of a set of a record can be read, in an order that is always the same.
pub(super) fn each<T: DeserializeOwned + Ord>(item: &Item, attribute: &str) -> Vec<T> {
    let set = item.get(attribute).and_then(|it: &AttributeValue| it.as_ss().ok());
    let mut each: Vec<T> = set.into_iter().flatten().filter_map(|it| serde_json::from_str(it).ok()).collect();
    each.sort();
    each
}
