//! The requests that are open, all of them: whoever decides can't put one off by its time.

use domain::ids::{Parse, RequestId};
use domain::outcome::Failure;

use super::requests::BUCKET;
use super::{Item, Ledger, int, string};
use crate::errors::failure;

/// How many are listed by one call.
const PAGE: i32 = 100;

/// Requests that are open.
#[derive(Debug, Default)]
pub struct Open {
    /// Each with the time at which it is to be looked at, in milliseconds since 1970.
    pub requests: Vec<(RequestId, i64)>,
    /// How many more there are.
    pub more: usize,
}

impl Ledger {
    /// Everything that is open, what is due first before the rest: so many, and how many more there are.
    pub async fn requests_open(&self, most: usize) -> Result<Open, Failure> {
        let mut open = Open::default();
        let mut from = None;
        loop {
            let query = self.query(BUCKET, PAGE).key_condition_expression("due_bucket = :bucket");
            let found = query.set_exclusive_start_key(from).send().await.map_err(|it| failure(&it))?;
            let listed: Vec<_> = found.items().iter().filter_map(listed).collect();
            let room = most - open.requests.len();
            open.more += listed.len().saturating_sub(room);
            open.requests.extend(listed.into_iter().take(room));
            from = found.last_evaluated_key;
            if from.is_none() {
                return Ok(open);
            }
        }
    }
}

fn listed(item: &Item) -> Option<(RequestId, i64)> {
    let id = RequestId::parse(string(item, "id")?.strip_prefix("request#")?).ok()?;
    Some((id, int(item, "due_at")))
}
