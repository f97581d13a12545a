//! What is due: findings that are to be taken up, or taken up again, in one sparse index. A schedule asks for
//! it every minute, so that nothing is lost with whoever wrote it.

use std::time::SystemTime;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;
use domain::containment::admission;
use domain::finding::Finding;
use domain::outcome::Failure;

use super::left::{self, Left};
use super::{Item, Ledger, digest, holds, int, millis, millis_now, number, principal, string, text};
use crate::errors::{failure, is};

const INDEX: &str = "due";
/// What is due at a time and waits for nothing else: leases that run out, and what is grave.
pub(super) const BUCKET: &str = "due";
/// What is due at a time, and lets all of that go first.
const LESSER: &str = "due lesser";
/// What is due when there is room, the gravest first.
const DEFERRED: &str = "deferred";
/// After a lease ran out its holder may still be ending.
pub(super) const GRACE_MILLIS: i64 = 5_000;
/// It is listed, and nobody has it: the condition under which it is taken.
pub(super) const FREE: &str =
    "attribute_exists(due_bucket) AND (attribute_not_exists(lease_until) OR lease_until < :now)";
/// How long a finding is kept that is not due any more.
const KEPT_SECONDS: i64 = 7 * 24 * 3_600;

/// Why a finding is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The breaker put it off.
    Deferred,
    /// Another invocation is at its identity.
    Waiting,
    /// Somebody could not be told.
    Undelivered,
    /// It was taken up from here, and ended badly.
    Unfinished,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Deferred, Self::Waiting, Self::Undelivered, Self::Unfinished];

    pub fn word(self) -> &'static str {
        match self {
            Self::Deferred => "deferred",
            Self::Waiting => "waiting",
            Self::Undelivered => "undelivered",
            Self::Unfinished => "unfinished",
        }
    }
}

/// An item of the index.
#[derive(Debug, Clone)]
pub struct Listed {
    pub id: String,
    pub account: String,
    pub threat: String,
    pub target: String,
    /// It waits for its turn and for no time.
    pub is_deferred: bool,
    /// Of one that is deferred: since when, in milliseconds since 1970.
    pub since: i64,
}

impl Listed {
    /// A lease that ran out: nobody released it.
    pub fn is_lease(&self) -> bool {
        self.id.starts_with("lock#")
    }
}

/// A finding that is due.
#[derive(Debug, Clone)]
pub struct Due {
    pub finding: Finding,
    pub kind: Kind,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    /// How often it was taken up in vain.
    pub attempts: i64,
    /// The user or role that it was seen to mean when it was deferred, as `user/alice`.
    pub whom: Option<String>,
}

impl Ledger {
    /// The same for the same finding about the same principal: what is due twice is one item.
    pub fn due_id(finding: &Finding) -> String {
        format!("due#{}#{}", finding.account, digest(&format!("{}|{}", finding.id, principal(finding))))
    }

    /// Puts a finding on the list; `at` in milliseconds since 1970, which a deferred one does not go by.
    /// Returns whether people were told that it is deferred.
    pub async fn put_due(&self, finding: &Finding, kind: Kind, at: i64) -> Result<bool, Failure> {
        self.put(finding, kind, at, None).await
    }

    /// The same of what there is no room for. `whom`: the user or role that it was seen to mean, as `user/alice`.
    pub async fn put_deferred(&self, finding: &Finding, whom: Option<&str>) -> Result<bool, Failure> {
        self.put(finding, Kind::Deferred, 0, whom).await
    }

    /// Whom a deferred finding was seen to mean.
    pub async fn deferred_whom(&self, id: &str) -> Result<Option<String>, Failure> {
        Ok(string(&self.item(id).await?, "whom"))
    }

    async fn put(&self, finding: &Finding, kind: Kind, at: i64, whom: Option<&str>) -> Result<bool, Failure> {
        let now = millis_now();
        let mut expression = "SET finding = :finding, kind = :kind, account = :account, threat = :threat, \
                              target = :target, since = if_not_exists(since, :now), due_bucket = :bucket, "
            .to_owned();
        let (bucket, at) = match kind {
            Kind::Deferred => {
                expression.push_str("due_at = if_not_exists(turn, :at), turn = if_not_exists(turn, :at)");
                (DEFERRED, admission::order(finding, now))
            }
            Kind::Waiting | Kind::Undelivered | Kind::Unfinished => {
                expression.push_str("due_at = :at");
                (bucket(finding), at)
            }
        };
        let mut request = self.update(&Self::due_id(finding));
        if let Some(whom) = whom {
            expression.push_str(", whom = :whom");
            request = request.expression_attribute_values(":whom", text(whom));
        }
        let output = request
            .update_expression(format!("{expression} REMOVE expires"))
            .expression_attribute_values(":finding", text(finding.kept()))
            .expression_attribute_values(":kind", text(kind.word()))
            .expression_attribute_values(":account", text(finding.account.as_str()))
            .expression_attribute_values(":threat", text(finding.threat.playbook()))
            .expression_attribute_values(":target", text(principal(finding)))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":bucket", text(bucket))
            .expression_attribute_values(":at", number(at))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|it| failure(&it))?;
        Ok(output.attributes.is_some_and(|it| it.contains_key("told_at")))
    }

    /// People know that the finding is deferred.
    pub async fn note_deferral_told(&self, finding: &Finding) -> Result<(), Failure> {
        let request = self.update(&Self::due_id(finding)).update_expression("SET told_at = :now");
        self.change_due(request.expression_attribute_values(":now", number(millis_now()))).await
    }

    /// What is due now and grave, or a lease that ran out: the oldest first.
    pub async fn due_now(&self, most: i32) -> Result<Vec<Listed>, Failure> {
        self.due_of(BUCKET, most).await
    }

    /// What is due now and lets the grave go first: the oldest first.
    pub async fn lesser_due_now(&self, most: i32) -> Result<Vec<Listed>, Failure> {
        self.due_of(LESSER, most).await
    }

    async fn due_of(&self, bucket: &str, most: i32) -> Result<Vec<Listed>, Failure> {
        let request = self.query(bucket, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
        let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
        Ok(listed(found.map_err(|it| failure(&it))?.items.unwrap_or_default()))
    }

    /// What was deferred, the gravest first, then the oldest.
    pub async fn deferred(&self, most: i32) -> Result<Vec<Listed>, Failure> {
        let found = self.query(DEFERRED, most).key_condition_expression("due_bucket = :bucket").send().await;
        Ok(listed(found.map_err(|it| failure(&it))?.items.unwrap_or_default()))
    }

    pub(super) fn query(&self, bucket: &str, most: i32) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.table).index_name(INDEX).limit(most);
        query.expression_attribute_values(":bucket", text(bucket))
    }

    /// Takes an item until `until`, so that no other run takes it too. `None`: another has it, or it is not
    /// due any more. One that is due at a time is listed again only when the lease has run out: what is taken must
    /// not stand before what is not.
    pub async fn take_due(&self, it: &Listed, until: SystemTime) -> Result<Option<Due>, Failure> {
        let mut expression = "SET holder = :me, lease_until = :until".to_owned();
        let mut request = self.update(&it.id);
        if !it.is_deferred {
            expression.push_str(", due_at = :again");
            request = request.expression_attribute_values(":again", number(millis(until) + GRACE_MILLIS));
        }
        let item = self.take_item(request.update_expression(expression).condition_expression(FREE), until).await?;
        Ok(item.and_then(|it| due(&it)))
    }

    /// The item as it is once it is taken until `until`. `None`: the request's condition does not hold.
    pub(super) async fn take_item(
        &self,
        request: UpdateItemFluentBuilder,
        until: SystemTime,
    ) -> Result<Option<Item>, Failure> {
        let sent = request
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":until", number(millis(until)))
            .expression_attribute_values(":now", number(millis_now()))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Some(output.attributes.unwrap_or_default())),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// The findings of a lease that ran out, the gravest first; the others are put on the list. `None`: somebody has
    /// the lease again. Whoever takes the finding up takes the lease with it.
    pub async fn abandoned(&self, id: &str) -> Result<Option<(Due, Left)>, Failure> {
        let item = self.item(id).await?;
        let is_over = item.contains_key("due_bucket") && int(&item, "lease_until") < millis_now();
        let left = left::left(&item, None);
        let Some(finding) = left.findings.first().cloned().filter(|_| is_over) else { return Ok(None) };
        for other in left.findings.iter().skip(1) {
            self.put_due(other, Kind::Unfinished, millis_now()).await?;
        }
        let due = Due { finding, kind: Kind::Unfinished, since: int(&item, "fence"), attempts: 0, whom: None };
        Ok(Some((due, left)))
    }

    /// A lease that ran out is not due any more, whatever the findings' own responses did about it.
    pub async fn forget_lease(&self, id: &str, left: &Left) -> Result<(), Failure> {
        let mut request = self
            .update(id)
            .condition_expression("attribute_not_exists(lease_until) OR lease_until < :now")
            .expression_attribute_values(":now", number(millis_now()));
        let mut removes = vec!["due_bucket".to_owned(), "due_at".to_owned()];
        for (n, name) in left.names.iter().enumerate() {
            removes.push(format!("#left{n}"));
            request = request.expression_attribute_names(format!("#left{n}"), name);
        }
        match request.update_expression(format!("REMOVE {}", removes.join(", "))).send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// A finding that waits for a response that has ended.
    pub async fn waiting(&self, id: &str) -> Result<Option<Finding>, Failure> {
        let item = self.item(id).await?;
        Ok(due(&item).filter(|_| item.contains_key("due_bucket")).map(|it| it.finding))
    }

    /// The finding is answered: it is not due any more. What was put there meanwhile under the same ID, with more
    /// to tell, stays.
    pub async fn settle(&self, finding: &Finding) -> Result<(), Failure> {
        let request = self
            .update(&Self::due_id(finding))
            .update_expression(
                "SET expires = :expires REMOVE due_bucket, due_at, turn, since, attempts, told_at, holder, lease_until",
            )
            .condition_expression("attribute_exists(due_bucket) AND finding = :finding")
            .expression_attribute_values(":finding", text(finding.kept()))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS));
        holds(request).await.map(|_| ())
    }

    /// It stays due, but not before `at`: nothing is done about it now, and it must not stand before the others.
    pub async fn put_off(&self, it: &Listed, at: i64) -> Result<(), Failure> {
        let give_back = if it.is_lease() { "" } else { " REMOVE holder, lease_until" };
        let condition =
            if it.is_lease() { "attribute_exists(due_bucket) AND lease_until < :now" } else { "holder = :me" };
        let (name, value) = if it.is_lease() { (":now", number(millis_now())) } else { (":me", text(&self.owner)) };
        let request = self
            .update(&it.id)
            .update_expression(format!("SET due_at = :at{give_back}"))
            .condition_expression(condition)
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(name, value);
        holds(request).await.map(|_| ())
    }

    /// It is due again, where it stands, unless it was answered meanwhile.
    pub async fn put_back(&self, id: &str) -> Result<(), Failure> {
        self.change_due(self.update(id).update_expression("REMOVE holder, lease_until")).await
    }

    /// It is due again at `at`, after an attempt in vain, unless it was answered meanwhile.
    pub async fn try_again(&self, finding: &Finding, at: i64) -> Result<(), Failure> {
        let request = self
            .update(&Self::due_id(finding))
            .update_expression("SET due_bucket = :bucket, due_at = :at REMOVE holder, lease_until ADD attempts :one")
            .expression_attribute_values(":bucket", text(bucket(finding)))
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(":one", number(1));
        self.change_due(request).await
    }

    /// What is not due any more is left as it is: without its finding, and since when, it would be nobody's.
    async fn change_due(&self, request: UpdateItemFluentBuilder) -> Result<(), Failure> {
        holds(request.condition_expression("attribute_exists(due_bucket)")).await.map(|_| ())
    }
}

fn bucket(finding: &Finding) -> &'static str {
    if admission::comes_first(finding.threat) { BUCKET } else { LESSER }
}

fn listed(items: Vec<Item>) -> Vec<Listed> {
    let text = |item: &Item, name: &str| string(item, name).unwrap_or_default();
    let one = |it: &Item| Listed {
        id: text(it, "id"),
        account: text(it, "account"),
        threat: text(it, "threat"),
        target: text(it, "target"),
        is_deferred: text(it, "due_bucket") == DEFERRED,
        since: admission::since(int(it, "due_at")),
    };
    // A role that writes other items must not put findings on the list with them.
    let is_ours = |it: &Listed| it.id.starts_with("due#") || it.is_lease();
    items.iter().map(one).filter(is_ours).collect()
}

/// `None` for what can't be read: only we write here.
fn due(item: &Item) -> Option<Due> {
    let kind = string(item, "kind").and_then(|word| Kind::ALL.into_iter().find(|it| it.word() == word));
    Some(Due {
        finding: Finding::from_kept(&string(item, "finding")?)?,
        kind: kind.unwrap_or(Kind::Unfinished),
        // Not known is not long ago.
        since: if item.contains_key("since") { int(item, "since") } else { millis_now() },
        attempts: int(item, "attempts"),
        whom: string(item, "whom"),
    })
}
