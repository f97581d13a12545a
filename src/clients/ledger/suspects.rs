//! Who is suspected around an identity, until a person closes each one: in an item beside its record, since an
//! item holds 400 KB and 200 ARNs are half of that.
//!
//! Each open one is an attribute of its own, so that adding needs no place that was made before, and no lease.
//!
//! INVARIANT: only a person's command closes one. `tests/test_suspects.py` holds it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::outcome::Failure;
use domain::suspects::{ALL, Suspect, Suspects};
use serde_json::{Value, json};

use super::{Item, Ledger, int, millis_now, number, text};
use crate::errors::{failure, is};

/// How many are closed one by one; `all` closes what is left.
const MOST_CLOSED: usize = 200;
/// How many bytes of closures stay in the item; those before go into a part of it with the next `all`.
const MOST_CLOSED_BYTES: usize = 80_000;

/// An expression has at most 4 KB.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MOST_AT_ONCE: usize = 50;

/// How an attribute begins that is an open suspect; its ID follows.
const OPEN: &str = "open ";

/// What a report has found.
#[derive(Debug, Default)]
pub struct Named {
    pub suspects: Vec<Suspect>,
    /// How many are only counted, and their latest `since`.
    pub more: usize,
    pub more_since: i64,
    /// Whoever came into being until then is among them.
    pub named_at: Option<i64>,
}

impl Ledger {
    /// Keeps those whom a report names: whoever holds the identity, and whether or not anybody does. Where that fails
    /// the identity's record keeps their IDs, and the next response knows of them.
    pub async fn keep_suspects(&self, record: &str, named: &Named) -> Result<(), Failure> {
        let each = named.suspects.chunks(MOST_AT_ONCE).map(|it| self.add_suspects(record, it, named));
        let added = futures_util::future::join_all(each).await;
        let mut result = added.into_iter().collect::<Result<Vec<_>, _>>().map(|_| ());
        if named.suspects.is_empty() && named.more > 0 {
            result = self.add_suspects(record, &[], named).await;
        }
        if result.is_err() && !named.suspects.is_empty() {
            let short = AttributeValue::Ss(named.suspects.iter().map(Suspect::short).collect());
            let request = self.update(record).update_expression("ADD unkept :suspects");
            let sent = request.expression_attribute_values(":suspects", short).send().await;
            sent.map_err(|it| failure(&it))?;
        }
        result
    }

    async fn add_suspects(&self, record: &str, suspects: &[Suspect], named: &Named) -> Result<(), Failure> {
        let mut request = self.update(&item_of(record)).expression_attribute_values(":one", number(1));
        let mut sets = Vec::new();
        for (n, it) in suspects.iter().enumerate() {
            sets.push(format!("#s{n} = :s{n}"));
            request = request
                .expression_attribute_names(format!("#s{n}"), format!("{OPEN}{}", it.id))
                .expression_attribute_values(format!(":s{n}"), text(json!(it).to_string()));
        }
        if named.more > 0 {
            sets.push("suspects_more = :more, more_since = :more_since".to_owned());
            request = request
                .expression_attribute_values(":more", number(named.more))
                .expression_attribute_values(":more_since", number(named.more_since));
        }
        if let Some(named_at) = named.named_at {
            sets.push("named_at = :named".to_owned());
            request = request.expression_attribute_values(":named", number(named_at));
        }
        let sent = request.update_expression(format!("SET {} ADD looks :one", sets.join(", "))).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    /// Those of the record are kept in their own place by now.
    pub async fn forget_unkept(&self, record: &str, suspects: &[Suspect]) -> Result<(), Failure> {
        let short = AttributeValue::Ss(suspects.iter().map(Suspect::short).collect());
        let request = self.update(record).update_expression("DELETE unkept :suspects");
        let sent = request.expression_attribute_values(":suspects", short).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    pub async fn known_suspects(&self, record: &str) -> Result<Suspects, Failure> {
        Ok(suspects(&self.item(&item_of(record)).await?))
    }

    /// Those that are open, and of those that a person closed who and why: one JSON value each.
    pub async fn suspects_of(&self, record: &str) -> Result<(Suspects, Vec<Value>), Failure> {
        let item = self.item(&item_of(record)).await?;
        Ok((suspects(&item), closures(&item).iter().flat_map(each).collect()))
    }

    /// Closes a suspect of the record, or all whom a report has named, with who did it and why: their IDs. `None` when
    /// there is no such one, or too many were closed one by one: `all` closes those too.
    pub async fn close_suspect(
        &self,
        record: &str,
        suspect: &str,
        by: &str,
        reason: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        let id = item_of(record);
        let item = self.item(&id).await?;
        let Some(closing) = suspects(&item).closing(suspect) else { return Ok(None) };
        let closure = json!({
            "suspect": suspect, "by": by, "reason": reason, "at": millis_now(), "closed": closing.closed, "more": closing.more,
        });
        let mut closures = lines(&item);
        if suspect != ALL && closures.len() >= MOST_CLOSED {
            return Ok(None);
        }
        let mut parts = int(&item, "parts");
        // Those were named before, so that `all` covers them too.
        let is_full =
            closures.len() >= MOST_CLOSED || closures.iter().map(String::len).sum::<usize>() > MOST_CLOSED_BYTES;
        if suspect == ALL && is_full {
            self.move_closures(&id, parts, std::mem::take(&mut closures)).await?;
            parts += 1;
        }
        closures.push(closure.to_string());
        let mut request = self
            .update(&id)
            // Nobody was suspected meanwhile whom the person may not have seen.
            .condition_expression("attribute_not_exists(looks) OR looks = :looks")
            .expression_attribute_values(":looks", number(int(&item, "looks")))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":parts", number(parts))
            .expression_attribute_values(":until", number(closing.all_closed_at))
            .expression_attribute_values(":closures", AttributeValue::L(closures.into_iter().map(text).collect()));
        let mut removes = "suspects_more, more_since";
        if suspect != ALL {
            removes = "#closed";
            request = request.expression_attribute_names("#closed", format!("{OPEN}{suspect}"));
        }
        let expression =
            format!("SET closures = :closures, all_closed_at = :until, parts = :parts REMOVE {removes} ADD looks :one");
        match request.update_expression(expression).send().await {
            Ok(_) => {
                self.tidy_up(&id).await;
                Ok(Some(closing.closed.into_keys().collect()))
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                let message = "a report named somebody meanwhile: look at `status`, then send it again".to_owned();
                Err(Failure { code: "Changed".to_owned(), message, retryable: true })
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Removes those that are closed: who reads them leaves them out, and they only take room.
    async fn tidy_up(&self, id: &str) {
        let tidied = async {
            let item = self.item(id).await?;
            let open = suspects(&item).open;
            let names = item.keys().filter(|it| it.strip_prefix(OPEN).is_some_and(|it| !open.contains_key(it)));
            for names in names.collect::<Vec<_>>().chunks(MOST_AT_ONCE) {
                let mut request = self
                    .update(id)
                    .condition_expression("looks = :looks")
                    .expression_attribute_values(":looks", number(int(&item, "looks")));
                let short: Vec<_> = (0..names.len()).map(|n| format!("#s{n}")).collect();
                for (short, name) in short.iter().zip(names) {
                    request = request.expression_attribute_names(short, *name);
                }
                let sent = request.update_expression(format!("REMOVE {}", short.join(", "))).send().await;
                sent.map_err(|it| failure(&it))?;
            }
            Ok::<_, Failure>(())
        };
        if let Err(failure) = tidied.await {
            tracing::warn!("closed suspects take room in the ledger until one is closed again: {failure}");
        }
    }

    /// Who closed whom long ago.
    async fn move_closures(&self, id: &str, part: i64, closures: Vec<String>) -> Result<(), Failure> {
        let request = self.update(&format!("{id}#part#{part}")).update_expression("SET closures = :closures");
        let closures = AttributeValue::L(closures.into_iter().map(text).collect());
        let sent = request.expression_attribute_values(":closures", closures).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }
}

/// `suspects#<account>#<unique ID>`, beside `record#<account>#<unique ID>`.
fn item_of(record: &str) -> String {
    format!("suspects#{}", record.trim_start_matches("record#"))
}

fn lines(item: &Item) -> Vec<String> {
    let lines = item.get("closures").and_then(|it| it.as_l().ok()).into_iter().flatten();
    lines.filter_map(|it| it.as_s().ok().cloned()).collect()
}

fn closures(item: &Item) -> Vec<Value> {
    lines(item).iter().filter_map(|it| serde_json::from_str(it).ok()).collect()
}

/// Whom it closed, and up to which `since`.
fn whom(closure: &Value) -> impl Iterator<Item = (&String, &Value)> {
    closure.get("closed").and_then(Value::as_object).into_iter().flatten()
}

/// Of each whom it closed, one value.
fn each(closure: &Value) -> Vec<Value> {
    let (by, reason, at) = (&closure["by"], &closure["reason"], &closure["at"]);
    let mut each: Vec<_> =
        whom(closure).map(|(id, _)| json!({"suspect": id, "by": by, "reason": reason, "at": at})).collect();
    if closure["suspect"] == ALL {
        each.push(json!({"suspect": ALL, "by": by, "reason": reason, "at": at, "more": closure["more"]}));
    }
    each
}

fn suspects(item: &Item) -> Suspects {
    let open = item.iter().filter_map(|(name, it)| {
        let id = name.strip_prefix(OPEN)?;
        Some((id.to_owned(), serde_json::from_str::<Suspect>(it.as_s().ok()?).ok()?))
    });
    let mut closed = BTreeMap::<String, i64>::new();
    for closure in closures(item) {
        for (id, until) in whom(&closure) {
            let latest = closed.entry(id.clone()).or_default();
            *latest = (*latest).max(until.as_i64().unwrap_or_default());
        }
    }
    let mut suspects = Suspects {
        open: open.collect(),
        closed,
        more: usize::try_from(int(item, "suspects_more")).unwrap_or_default(),
        more_since: int(item, "more_since"),
        named_at: int(item, "named_at"),
        all_closed_at: int(item, "all_closed_at"),
    };
    // Whoever could not read the closures may have added somebody anew.
    let open = std::mem::take(&mut suspects.open);
    suspects.open = open.into_iter().filter(|(_, it)| !suspects.is_closed(it)).collect();
    suspects
}
