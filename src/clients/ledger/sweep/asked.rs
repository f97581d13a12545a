//! What a sweep asked and how that ended: `sweep#asked#<account>#<problem>`, written by whoever asks and by whoever
//! ends a request, read by the next sweep.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use domain::approval::request::State;
use domain::command::Act;
use domain::day::Day;
use domain::hygiene::step::{Ending, Inquiry};
use domain::ids::{AccountId, Parse, RequestId};
use domain::outcome::Failure;

use super::super::{Ledger, holds, millis_now, number, string, text};
use super::{AT_ONCE, expires};

fn asked_id(account: &AccountId, problem: &str) -> String {
    format!("sweep#asked#{account}#{problem}")
}

impl Ledger {
    /// On which day people were asked last about a problem, and under which request.
    pub async fn sweep_asked(&self, account: &AccountId, problem: &str) -> Result<Option<(Day, RequestId)>, Failure> {
        let item = self.item(&asked_id(account, problem)).await?;
        let day = string(&item, "day").and_then(|it| Day::parse(&it).ok());
        Ok(day.zip(string(&item, "request_id").and_then(|it| RequestId::parse(&it).ok())))
    }

    /// A write of what a sweep of that day does about a request.
    fn asking(&self, Act { day, account, problem }: &Act, request: &RequestId) -> UpdateItemFluentBuilder {
        self.update(&asked_id(account, problem))
            .expression_attribute_names("#day", "day")
            .expression_attribute_values(":day", text(day.to_string()))
            .expression_attribute_values(":request", text(request.as_str()))
    }

    /// What a sweep of that day asked joined a question that was open already: that one is the one to follow.
    pub async fn note_sweep_joined(&self, act: &Act, request: &RequestId) -> Result<(), Failure> {
        let request = self
            .asking(act, request)
            .update_expression("SET request_id = :request")
            .condition_expression("#day = :day");
        holds(request).await.map(|_| ())
    }

    /// A sweep of that day asks, under that request; what became of an earlier one is forgotten. A message that comes
    /// twice, or late, changes nothing.
    pub async fn note_sweep_asked(&self, act: &Act, request: &RequestId) -> Result<(), Failure> {
        let request = self
            .asking(act, request)
            .update_expression("SET #day = :day, request_id = :request, expires = :expires REMOVE ending, ended_at")
            .condition_expression("attribute_not_exists(#day) OR #day < :day")
            .expression_attribute_values(":expires", number(expires()));
        holds(request).await.map(|_| ())
    }

    /// A sweep of that day leaves it at the earlier request, of which what it has come to is kept.
    pub async fn note_sweep_left(&self, act: &Act, request: &RequestId) -> Result<(), Failure> {
        let request = self
            .asking(act, request)
            .update_expression("SET #day = :day, expires = :expires")
            .condition_expression("#day < :day AND request_id = :request")
            .expression_attribute_values(":expires", number(expires()));
        holds(request).await.map(|_| ())
    }

    /// How it ended. Of what no sweep asked nothing is kept.
    pub async fn note_sweep_ended(&self, account: &AccountId, problem: &str, how: &Ending) -> Result<(), Failure> {
        let request = self
            .update(&asked_id(account, problem))
            .update_expression("SET ending = :ending, ended_at = :now")
            .condition_expression("attribute_exists(#day)")
            .expression_attribute_names("#day", "day")
            .expression_attribute_values(":ending", text(serde_json::to_string(how).unwrap_or_default()))
            .expression_attribute_values(":now", number(millis_now()));
        holds(request).await.map(|_| ())
    }

    /// What waits, and nobody decided, is over now instead of at its time. `false`: it is over, or was decided.
    pub async fn expire_request(&self, id: &RequestId) -> Result<bool, Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression("SET expires_at = :now, due_at = :now")
            .condition_expression(
                "#state = :waiting AND attribute_exists(plan_hash) AND attribute_exists(due_bucket) AND \
                 attribute_not_exists(decision)",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":waiting", text(State::Waiting.word()))
            .expression_attribute_values(":now", number(millis_now()));
        holds(request).await
    }

    /// The last request about each of these problems.
    pub async fn sweep_inquiries(
        &self,
        account: &AccountId,
        problems: &[&str],
    ) -> Result<BTreeMap<String, Inquiry>, Failure> {
        let prefix = asked_id(account, "");
        let mut found = BTreeMap::new();
        for some in problems.chunks(AT_ONCE) {
            for item in self.items(some.iter().map(|it| asked_id(account, it)).collect()).await? {
                let problem = string(&item, "id").and_then(|it| it.strip_prefix(&prefix).map(str::to_owned));
                let day = string(&item, "day").and_then(|it| Day::parse(&it).ok());
                let ending = string(&item, "ending").and_then(|it| serde_json::from_str(&it).ok());
                if let (Some(problem), Some(day)) = (problem, day) {
                    found.insert(problem, Inquiry { day, ending });
                }
            }
        }
        Ok(found)
    }
}
