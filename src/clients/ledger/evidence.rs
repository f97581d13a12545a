//! Reports on identities: `evidence#<account>#<unique ID>` has what was asked for, how many reports there were, the gist
//! of the last that people were told of, and of which suspects they were not. It is in the index `due` until the last pass
//! is made.
//!
//! The investigating function writes what it found and when it is due again, and nothing that puts an item on a list:
//! the template's condition on attributes holds it to that.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::child::Followed;
use domain::evidence::revision::Gist;
use domain::outcome::Failure;

use serde::de::DeserializeOwned;
use serde_json::json;

use super::children::{self, FLAGGED, MADE};
use super::{Item, Ledger, holds, int, millis_now, number, string, text};
use crate::errors::{failure, is};

/// Reports have lists of their own in the index: they must stand before no finding.
const BUCKET: &str = "evidence";
/// On whoever is cheap to make: those let all others go first.
const LESSER: &str = "evidence lesser";
/// When a report is asked for again that nobody has made.
const AGAIN_MILLIS: i64 = 5 * 60_000;

/// What the investigating function may write of such an item.
pub const ATTRIBUTES: &[&str] = &["id", "asked_at", "due_at", "gist", "is_final", "made", "revision", "told", "untold"];

/// The matter that was delivered last, by where.
pub type Told = BTreeMap<String, String>;

/// A report that is being made.
#[derive(Debug, Default)]
pub struct Begun {
    /// From one on.
    pub revision: i64,
    /// The last report that people were told of.
    pub gist: Option<Gist>,
    /// Where people were told of which matter last.
    pub told: Told,
    /// The suspects that are kept, and of whom people were not told.
    pub untold: BTreeSet<String>,
    /// When it was first asked for, in milliseconds since 1970. Absent where only a person asked.
    pub asked_at: Option<i64>,
    /// Of which credentials it is to name what they made.
    pub followed: Vec<Followed>,
}

/// A report that is due.
#[derive(Debug)]
pub struct DueEvidence {
    pub id: String,
    /// What to send the investigating function.
    pub command: String,
    /// When it was first asked for, in milliseconds since 1970.
    pub asked_at: i64,
    /// The last one is made.
    pub is_final: bool,
}

impl Ledger {
    /// Has a report made at `at`, in milliseconds since 1970, and again until it is final. `followed`: of which
    /// credentials it is to name what they made, beside those that were handed over before.
    pub async fn ask_for_evidence(
        &self,
        record: &str,
        command: &str,
        is_grave: bool,
        at: i64,
        followed: &[Followed],
    ) -> Result<(), Failure> {
        let mut expression =
            "SET command = :command, asked_at = :now, due_bucket = :bucket, due_at = :at REMOVE is_final".to_owned();
        let mut request = self
            .update(&item_of(record))
            .expression_attribute_values(":command", text(command))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":bucket", text(if is_grave { BUCKET } else { LESSER }))
            .expression_attribute_values(":at", number(at));
        if !followed.is_empty() {
            expression.push_str(" ADD #flagged :flagged");
            let all = followed.iter().map(|it| json!(it).to_string()).collect();
            request = request
                .expression_attribute_names("#flagged", FLAGGED)
                .expression_attribute_values(":flagged", AttributeValue::Ss(all));
        }
        request.update_expression(expression).send().await.map(|_| ()).map_err(|it| failure(&it))
    }

    /// Whether a report that is due knows that it is to name what this credential made.
    pub async fn is_told_of(&self, record: &str, followed: &Followed) -> Result<bool, Failure> {
        let item = self.item(&item_of(record)).await?;
        Ok(item.contains_key("due_bucket") && children::each(&item, FLAGGED).contains(followed))
    }

    /// Those that are due, the graver ones first, then the oldest.
    pub async fn due_evidence(&self, most: i32) -> Result<Vec<String>, Failure> {
        let mut ids = Vec::new();
        for bucket in [BUCKET, LESSER] {
            let request = self.query(bucket, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
            let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
            let items = found.map_err(|it| failure(&it))?.items.unwrap_or_default();
            ids.extend(items.iter().filter_map(|it| string(it, "id")).filter(|it| it.starts_with("evidence#")));
        }
        ids.truncate(usize::try_from(most).unwrap_or_default());
        Ok(ids)
    }

    /// Takes one that is due. It is due again unless the report is made meanwhile. `None`: another run has it.
    pub async fn take_evidence(&self, id: &str) -> Result<Option<DueEvidence>, Failure> {
        let now = millis_now();
        let sent = self
            .update(id)
            .update_expression("SET due_at = :again")
            .condition_expression("attribute_exists(due_bucket) AND due_at <= :now")
            .expression_attribute_values(":again", number(now + AGAIN_MILLIS))
            .expression_attribute_values(":now", number(now))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match sent {
            Ok(output) => {
                let item = output.attributes.unwrap_or_default();
                Ok(Some(DueEvidence {
                    id: id.to_owned(),
                    command: string(&item, "command").unwrap_or_default(),
                    asked_at: int(&item, "asked_at"),
                    is_final: item.contains_key("is_final"),
                }))
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Nothing more is to be made of it, unless somebody asked anew.
    pub async fn drop_evidence(&self, it: &DueEvidence) -> Result<(), Failure> {
        let request = self.update(&it.id).update_expression("REMOVE due_bucket, due_at, is_final, #flagged");
        let request = request.expression_attribute_names("#flagged", FLAGGED);
        unless_asked_anew(request, it.asked_at).await
    }

    pub async fn begin_evidence(&self, record: &str) -> Result<Begun, Failure> {
        let request = self
            .update(&item_of(record))
            .update_expression("ADD revision :one")
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew);
        let item = request.send().await.map_err(|it| failure(&it))?.attributes.unwrap_or_default();
        Ok(Begun {
            revision: int(&item, "revision"),
            gist: json(&item, "gist"),
            told: json(&item, "told").unwrap_or_default(),
            untold: json(&item, "untold").unwrap_or_default(),
            asked_at: item.contains_key("asked_at").then(|| int(&item, "asked_at")),
            followed: children::each(&item, FLAGGED),
        })
    }

    /// Before they are kept: should telling fail, the next report tells of them.
    pub async fn note_untold(&self, record: &str, suspects: &BTreeSet<String>) -> Result<(), Failure> {
        let request = self.update(&item_of(record)).update_expression("SET untold = :untold");
        let sent = request.expression_attribute_values(":untold", text(json!(suspects).to_string())).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    /// What was delivered where. `gist`: of the report of which everybody was told, and with which the next is compared.
    /// `made`: the calls by which the flagged credential may have made somebody, for the responder to look at.
    pub async fn keep_told(
        &self,
        record: &str,
        told: &Told,
        gist: Option<&Gist>,
        made: &[String],
    ) -> Result<(), Failure> {
        let mut request =
            self.update(&item_of(record)).expression_attribute_values(":told", text(json!(told).to_string()));
        let mut expression = "SET told = :told".to_owned();
        if !made.is_empty() {
            expression.push_str(", #made = :made");
            request = request
                .expression_attribute_names("#made", MADE)
                .expression_attribute_values(":made", text(json!(made).to_string()));
        }
        if let Some(gist) = gist {
            expression.push_str(", gist = :gist REMOVE untold");
            request = request.expression_attribute_values(":gist", text(json!(gist).to_string()));
        }
        request.update_expression(expression).send().await.map(|_| ()).map_err(|it| failure(&it))
    }

    /// When it is to be made again, in milliseconds since 1970. `None`: it is final, and whoever has the list takes it
    /// off.
    pub async fn end_evidence(&self, record: &str, asked_at: i64, next: Option<i64>) -> Result<(), Failure> {
        let request = self.update(&item_of(record));
        let request = match next {
            Some(at) => request.update_expression("SET due_at = :at").expression_attribute_values(":at", number(at)),
            None => request
                .update_expression("SET due_at = :at, is_final = :yes")
                .expression_attribute_values(":at", number(millis_now()))
                .expression_attribute_values(":yes", number(1)),
        };
        unless_asked_anew(request, asked_at).await
    }
}

fn json<T: DeserializeOwned>(item: &Item, name: &str) -> Option<T> {
    serde_json::from_str(&string(item, name)?).ok()
}

async fn unless_asked_anew(request: UpdateItemFluentBuilder, asked_at: i64) -> Result<(), Failure> {
    let request =
        request.condition_expression("asked_at = :asked").expression_attribute_values(":asked", number(asked_at));
    holds(request).await.map(|_| ())
}

/// `evidence#<account>#<unique ID>`, beside `record#<account>#<unique ID>`.
fn item_of(record: &str) -> String {
    format!("evidence#{}", record.trim_start_matches("record#"))
}
