//! Guardrails that are attached: each is looked at as long as it is, told of daily while somebody that it is for is
//! open, and detached with the last of them. Whoever was killed at attaching one, or at detaching it, left it here.

use std::time::Duration;

use clients::accounts::Home;
use clients::guardrail::Guardrail as Client;
use clients::ledger::{Guarded, Ledger};
use clients::notices::alert;
use domain::guardrail::{Next, Stands, Told, next};
use domain::ids::AccountId;
use domain::outcome::{Failure, Outcome};
use domain::settings::{Guardrail, Responder};
use domain::verdict::Verdict;

use crate::invocation::{Call, now_millis};
use crate::slack::{self, Poster};

/// How many accounts are looked at in one run: the next run comes in a minute.
const MOST: i32 = 20;
const AGAIN_MILLIS: i64 = 60_000;
/// After AWS did not let it be seen or detached.
const LATER_MILLIS: i64 = 15 * 60_000;
/// What one account needs at the least.
const ENOUGH: Duration = Duration::from_secs(30);

struct Look<'a> {
    home: &'a Home,
    ledger: &'a Ledger,
    settings: &'a Responder,
    allowed: &'a Guardrail,
    call: &'a Call,
}

/// What failed. Without a guardrail that may be attached, no call is made.
pub(crate) async fn look(home: &Home, ledger: &Ledger, settings: &Responder, call: &Call) -> Vec<String> {
    let Some(allowed) = &settings.guardrail else { return Vec::new() };
    let look = Look { home, ledger, settings, allowed, call };
    let accounts = match ledger.due_guardrails(MOST).await {
        Ok(it) => it,
        Err(failure) => return vec![format!("listing the guardrails that are attached: {failure}")],
    };
    let each = accounts.iter().map(async |account| {
        let seen = look.at(account).await;
        seen.err().map(|failure| format!("the guardrail on account {account}: {failure}"))
    });
    futures_util::future::join_all(each).await.into_iter().flatten().collect()
}

impl Look<'_> {
    async fn at(&self, account: &AccountId) -> Result<(), Failure> {
        if self.call.left() < ENOUGH {
            return Ok(());
        }
        let Some(guarded) = self.ledger.enter_guardrail(account).await? else { return Ok(()) };
        match self.decide(account, &guarded).await {
            Ok(()) => Ok(()),
            Err(failure) => {
                self.ledger.put_guardrail_off(account, now_millis() + LATER_MILLIS, None).await?;
                Err(failure)
            }
        }
    }

    async fn decide(&self, account: &AccountId, guarded: &Guarded) -> Result<(), Failure> {
        let policy = guarded.policy.as_deref().unwrap_or(&self.allowed.policy);
        let Some(since) = guarded.attached_at else { return self.settle(account, policy, guarded).await };
        let mut stand = Vec::new();
        for record in &guarded.held_for {
            stand.push(self.stands(record).await?);
        }
        let now = now_millis();
        match next(&stand, since, guarded.told_at, now) {
            Next::Stays { is_to_be_told: false } => {
                self.ledger.put_guardrail_off(account, now + AGAIN_MILLIS, None).await
            }
            Next::Lingers(until) => {
                // Somebody may be open again by then.
                self.ledger.put_guardrail_off(account, until.min(now + AGAIN_MILLIS), None).await
            }
            Next::Stays { is_to_be_told: true } => {
                let open = guarded.held_for.iter().zip(&stand).filter_map(|(record, it)| match it {
                    Stands::Open(why) => Some((record.clone(), why.clone())),
                    Stands::Held(_) | Stands::Restored => None,
                });
                let open: Vec<_> = open.collect();
                if self.client(account, policy).await?.is_attached().await? {
                    self.tell(account, Told::stays(account, policy, &open)).await?;
                    return self.ledger.put_guardrail_off(account, now + AGAIN_MILLIS, Some(now)).await;
                }
                self.tell(account, Told::was_taken(account, policy, &open)).await?;
                self.ledger.forget_guardrail(account).await
            }
            Next::Detach => {
                self.client(account, policy).await?.detach().await?;
                let held_for: Vec<_> = guarded.held_for.iter().cloned().collect();
                // Told once more rather than never.
                self.tell(account, Told::detached(account, policy, &held_for)).await?;
                self.ledger.forget_guardrail(account).await
            }
        }
    }

    /// It was meant to be attached, by a response that was killed at that or had no answer. Whether it is there is settled
    /// at the first look: what is attached later is somebody else's.
    async fn settle(&self, account: &AccountId, policy: &str, guarded: &Guarded) -> Result<(), Failure> {
        let Some(record) = guarded.held_for.first() else { return self.ledger.forget_guardrail(account).await };
        if self.client(account, policy).await?.is_attached().await? {
            self.ledger.guardrail_is_attached(account, policy, record).await
        } else {
            self.ledger.forget_guardrail(account).await
        }
    }

    async fn client(&self, account: &AccountId, policy: &str) -> Result<Client, Failure> {
        let allowed = Guardrail { policy: policy.to_owned(), ..self.allowed.clone() };
        self.home.assume_for_guardrail(&self.settings.common, &allowed, account).await
    }

    /// How an identity that it was attached for stands, by its record.
    async fn stands(&self, record: &str) -> Result<Stands, Failure> {
        let past = self.ledger.past_of(record).await?;
        if past.is_open {
            return Ok(Stands::Open("a response or a restore is at it".to_owned()));
        }
        if past.responses.is_empty() && past.intents.is_empty() {
            return Ok(Stands::Restored);
        }
        let held = Stands::Held(past.held_at.unwrap_or_else(now_millis));
        Ok(match past.verdict {
            Some(Verdict::Contained) => held,
            Some(Verdict::SuspectsOpen) if self.ledger.known_suspects(record).await?.is_empty() => held,
            verdict => Stands::Open(verdict.map_or("it has not ended", Verdict::name).to_owned()),
        })
    }

    /// By the topic and in Slack at the same time.
    async fn tell(&self, account: &AccountId, told: Told) -> Result<(), Failure> {
        tracing::warn!(%account, "{}", told.subject);
        let common = &self.settings.common;
        let published = async {
            let topic = common.alert_topic_arn.as_ref()?;
            Some(alert::publish(&self.home.sns, topic, &told.subject, &told.text, &told.attributes).await)
        };
        let posted = async {
            let poster = Poster::asking(self.home, self.settings, false)?;
            let alert = slack::told(&told.subject, &told.text, &self.call.request_id);
            Some(poster.post_apart(&format!("guardrail#{account}"), alert).await)
        };
        let (published, posted) = tokio::join!(published, posted);
        for outcome in published.into_iter().chain(posted) {
            if let Outcome::Failed(failure) = outcome {
                return Err(failure);
            }
        }
        Ok(())
    }
}
