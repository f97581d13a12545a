//! The snapshots: one for each response that was not taken back, in the record of its identity.
//!
//! Of a response the record holds four attributes, named by its ID: `snapshot …` (JSON text), `contents …`
//! (JSON text, often a moment later), `planned …` (a set) and `ended …` (a verdict). `open <playbook>` names
//! the newest of a playbook: only who knows it may begin another. `intent <playbook>` is what was sent with a strike,
//! until it is in a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::history::{CONTENTS, Response, Restoration};
use domain::identity::{Contents, Identity};
use domain::outcome::Failure;
use domain::verdict::Verdict;
use serde_json::{Value, json};

use super::{APPEND, IdentityLease, Item, Ledger, holds, millis_now, number, string, strings, text};
use crate::errors::{failure, is};

/// Whether the snapshot is in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    Saved,
    /// Another response of the playbook began or was taken back meanwhile: look again.
    Overtaken,
}

fn snapshot(id: &str) -> String {
    format!("snapshot {id}")
}

fn contents(id: &str) -> String {
    format!("contents {id}")
}

pub(super) fn planned(id: &str) -> String {
    format!("planned {id}")
}

pub(super) fn ended(id: &str) -> String {
    format!("ended {id}")
}

fn newest(playbook: &str) -> String {
    format!("open {playbook}")
}

pub(super) fn intent(playbook: &str) -> String {
    format!("{INTENT}{playbook}")
}

const INTENT: &str = "intent ";

/// What was meant and is in no snapshot, by playbook.
pub(super) fn intents(item: &Item) -> BTreeMap<String, BTreeSet<String>> {
    let meant = item.keys().filter_map(|it| Some((it.strip_prefix(INTENT)?.to_owned(), strings(item, it))));
    meant.map(|(playbook, it)| (playbook, it.into_iter().collect())).collect()
}

/// The responses that were not taken back, the oldest first.
pub(super) fn open(item: &Item) -> Vec<Response> {
    let mut found: Vec<_> =
        item.keys().filter_map(|it| it.strip_prefix("snapshot ")).filter_map(|id| response(item, id)).collect();
    found.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    found
}

fn response(item: &Item, id: &str) -> Option<Response> {
    let json = |name: &str| serde_json::from_str::<Value>(&string(item, name)?).ok();
    let kept = json(&snapshot(id))?;
    let field = |name: &str| kept.get(name)?.as_str().map(str::to_owned);
    let mut before = kept.get("before")?.clone();
    if let (Some(fields), Some(contents)) = (before.as_object_mut(), json(&contents(id))) {
        fields.insert(CONTENTS.to_owned(), contents);
    }
    let planned = item.get(&planned(id)).and_then(|it| it.as_ss().ok());
    Some(Response {
        id: id.to_owned(),
        playbook: field("playbook")?,
        mark: field("mark")?,
        finding: field("finding")?,
        at: kept.get("at")?.as_i64()?,
        before,
        planned: planned.into_iter().flatten().cloned().collect(),
        verdict: string(item, &ended(id)).and_then(|it| it.parse().ok()),
    })
}

fn entry(it: &Response) -> String {
    json!({"playbook": it.playbook, "mark": it.mark, "finding": it.finding, "at": it.at, "before": it.before})
        .to_string()
}

impl Ledger {
    /// Saves a response's snapshot before the first change that takes something away, and what is to be done. The
    /// first state to be written stays, whatever later tries saw. `newest_known`: the newest response of the
    /// playbook that the caller has seen, which may be this one.
    pub async fn save_snapshot(
        &self,
        identity: &Identity,
        it: &Response,
        newest_known: Option<&str>,
    ) -> Result<Opened, Failure> {
        let mut expression = "SET arn = :arn, principal = :name, #newest = :id, \
                              #snapshot = if_not_exists(#snapshot, :snapshot), first_seen = if_not_exists(first_seen, :now)"
            .to_owned();
        let mut request = self
            .update(&Self::record_of(identity))
            .expression_attribute_names("#newest", newest(&it.playbook))
            .expression_attribute_names("#snapshot", snapshot(&it.id))
            .expression_attribute_values(":arn", text(&identity.arn))
            .expression_attribute_values(":name", text(identity.name.as_str()))
            .expression_attribute_values(":id", text(&it.id))
            .expression_attribute_values(":snapshot", text(entry(it)))
            .expression_attribute_values(":now", number(millis_now()));
        // The last is a try of ours whose answer was lost.
        let mut condition = "attribute_not_exists(#newest) OR #newest = :id".to_owned();
        match newest_known {
            Some(known) if known == it.id => condition = "attribute_exists(#snapshot)".to_owned(),
            Some(known) => {
                condition = "#newest = :known OR #newest = :id".to_owned();
                request = request.expression_attribute_values(":known", text(known));
            }
            None => {}
        }
        // What was meant is in the snapshot's own list from here on.
        expression.push_str(" REMOVE #intent");
        request = request.expression_attribute_names("#intent", intent(&it.playbook));
        if !it.planned.is_empty() {
            expression.push_str(" ADD #planned :planned");
            let meant = it.planned.iter().cloned().collect();
            request = request
                .expression_attribute_names("#planned", planned(&it.id))
                .expression_attribute_values(":planned", AttributeValue::Ss(meant));
        }
        match request.update_expression(expression).condition_expression(condition).send().await {
            Ok(_) => Ok(Opened::Saved),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(Opened::Overtaken),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Adds what the policies said to the snapshot, unless it is known. A response that was taken back meanwhile
    /// needs it no more.
    pub async fn save_contents(&self, identity: &Identity, response: &str, it: &Contents) -> Result<(), Failure> {
        let request = self
            .update(&Self::record_of(identity))
            .update_expression("SET #contents = if_not_exists(#contents, :contents)")
            .condition_expression("attribute_exists(#snapshot)")
            .expression_attribute_names("#contents", contents(response))
            .expression_attribute_names("#snapshot", snapshot(response))
            .expression_attribute_values(":contents", text(json!(it).to_string()));
        holds(request).await.map(|_| ())
    }

    /// It has struck and goes on in another invocation, whose verdict stays where it was quicker.
    pub async fn note_under_way(&self, lease: &IdentityLease, response: &str) -> Result<(), Failure> {
        let request = self
            .update(&lease.id)
            .update_expression("SET #ended = :under_way")
            .condition_expression("attribute_exists(#snapshot) AND (attribute_not_exists(#ended) OR #ended = :waiting)")
            .expression_attribute_names("#snapshot", snapshot(response))
            .expression_attribute_names("#ended", ended(response))
            .expression_attribute_values(":under_way", text(Verdict::InProgress.name()))
            .expression_attribute_values(":waiting", text(Verdict::Waiting.name()));
        holds(request).await.map(|_| ())
    }

    /// People were told that it was restored.
    pub async fn note_restored_told(&self, identity: &Identity) -> Result<(), Failure> {
        let request = self.update(&Self::record_of(identity)).update_expression("SET restored_told = :yes");
        let sent = request.expression_attribute_values(":yes", AttributeValue::Bool(true)).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    /// Closes a response that was taken back: after the last of them, the next begins anew. What was done stays
    /// in the record.
    pub async fn keep_restoration(
        &self,
        lease: &IdentityLease,
        identity: &Identity,
        taken_back: &Response,
        left: &[Response],
        it: Restoration,
    ) -> Result<(), Failure> {
        let id = &taken_back.id;
        let mut request = self
            .update(&Self::record_of(identity))
            .expression_attribute_names("#snapshot", snapshot(id))
            .expression_attribute_names("#contents", contents(id))
            .expression_attribute_names("#planned", planned(id))
            .expression_attribute_names("#ended", ended(id))
            .expression_attribute_names("#newest", newest(&taken_back.playbook))
            .expression_attribute_names("#intent", intent(&taken_back.playbook))
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":at", number(it.at))
            .expression_attribute_values(":by", text(it.by))
            .expression_attribute_values(":reason", text(it.reason))
            .expression_attribute_values(":id", text(id))
            .expression_attribute_values(":before", text(taken_back.before.to_string()))
            .expression_attribute_values(":empty", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":done", AttributeValue::L(it.applied.into_iter().map(text).collect()));
        let mut set = format!(
            "SET fence = :fence, restored_at = :at, restored_by = :by, restored_reason = :reason, \
             restored_response = :id, restored_state = :before, {APPEND}"
        );
        let mut remove =
            "REMOVE restored_told, held_at, contained_at, #snapshot, #contents, #planned, #ended, #intent, told, is_rotated"
                .to_owned();
        match left.iter().rfind(|it| it.playbook == taken_back.playbook) {
            Some(older) => {
                set.push_str(", #newest = :older");
                request = request.expression_attribute_values(":older", text(&older.id));
            }
            None => remove.push_str(", #newest"),
        }
        let mut add = String::new();
        match left.last() {
            Some(last) => {
                match last.verdict {
                    Some(verdict) => {
                        set.push_str(", verdict = :verdict");
                        request = request.expression_attribute_values(":verdict", text(verdict.name()));
                    }
                    None => remove.push_str(", verdict"),
                }
                if !it.given_back.is_empty() {
                    " ADD given_back :given".clone_into(&mut add);
                    request = request.expression_attribute_values(":given", AttributeValue::Ss(it.given_back));
                }
            }
            None => remove.push_str(", given_back, verdict, incident, first_seen, has_others"),
        }
        let request = request
            .update_expression(format!("{set} {remove}{add}"))
            // The second is a try of ours whose answer was lost.
            .condition_expression(
                "(attribute_exists(#snapshot) OR restored_at = :at) AND (attribute_not_exists(fence) OR fence <= :fence)",
            );
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }
}
