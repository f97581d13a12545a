//! What Slack gets: kept in the ledger first, then sent, and taken off once Slack says that it has it. What it does
//! not take now waits there in order, and the schedule of what is due sends it.
//!
//! INVARIANT: nothing waits for Slack but a notice, and no trouble of Slack's is a failure of a response: it makes no
//! verdict, no retry and no other notice. `tests/test_slack.py` holds it.

use std::time::{Duration, SystemTime};

use clients::accounts::Home;
use clients::ledger::Ledger;
use clients::ledger::digest::Taken;
use clients::ledger::slack::{CardOf, Kept, News, Thread, Waiting};
use clients::notices::alert as topic;
use clients::slack::Slack;
use domain::outcome::{Failure, Outcome};
use domain::settings::{Common, Responder};
use domain::slack::{self, Accepted, Place, Refused, Trouble};

use crate::invocation::now_millis;

mod card;

pub(crate) use card::{LIST, is_shown};
use card::{Ready, person_of};

/// What sending at once may take, whatever has to be asked for it.
const AT_ONCE: Duration = Duration::from_secs(6);
/// How long a thread is one invocation's.
const LEASE: Duration = Duration::from_secs(60);
/// The longest pause between two attempts.
const LONGEST_PAUSE: i64 = 5 * 60_000;
/// After so long a message is given up: people have it from the topic.
const GIVEN_UP: i64 = 24 * 3_600_000;
/// People are told again of the same trouble after a day.
const AGAIN: Duration = Duration::from_secs(24 * 3_600);
/// What Slack may ask to wait for within a run, in seconds.
const SHORT_WAIT: u64 = 5;
/// How many threads are listed at a time.
const MOST: i32 = 100;

/// Where alerts go in Slack.
pub(crate) struct Poster<'a> {
    home: &'a Home,
    common: &'a Common,
    channel: &'a str,
    /// Where people are asked for approval.
    approvers: &'a str,
    ledger: Ledger,
    /// Only one function has the token.
    sender: Option<Slack>,
}

/// What became of a thread's messages.
#[derive(Default)]
struct Delivery {
    sent: Vec<String>,
    /// Slack has all of them.
    is_empty: bool,
    trouble: Option<Refused>,
}

impl<'a> Poster<'a> {
    /// `None` where nobody looks at Slack. `parameter`: of the token, where this function has it.
    pub(crate) fn new(home: &'a Home, common: &'a Common, parameter: Option<&str>) -> Option<Self> {
        let channel = common.slack_channel.as_deref()?;
        // Two of one invocation must not pass for one holder of a thread.
        let owner = format!("slack/{:016x}", fastrand::u64(..));
        let ledger = Ledger::new(home.dynamodb.clone(), &common.ledger_table, &owner);
        let sender = parameter.map(|it| home.slack(it, common.endpoint_url.as_deref()));
        Some(Self { home, common, channel, approvers: channel, ledger, sender })
    }

    /// That of a function that asks for approval. One in a hurry leaves what it says to the schedule.
    pub(crate) fn asking(home: &'a Home, settings: &'a Responder, is_hurried: bool) -> Option<Self> {
        let parameter = settings.slack_token_parameter.as_deref().filter(|_| !is_hurried);
        let poster = Self::new(home, &settings.common, parameter)?;
        let approvers = settings.approver_channel.as_deref().unwrap_or(poster.channel);
        Some(Self { approvers, ..poster })
    }

    /// Posts a message in a thread, behind what waits there.
    pub(crate) async fn post(&self, thread: &str, alert: slack::Alert, news: News<'_>) -> Outcome {
        self.keep(thread, self.waiting(alert), news).await
    }

    /// Posts a message that stands in the channel by itself.
    pub(crate) async fn post_apart(&self, queue: &str, alert: slack::Alert) -> Outcome {
        let news = News { words: "-", can_be_old: false };
        self.keep(queue, Waiting { is_apart: true, ..self.waiting(alert) }, news).await
    }

    /// The same, unless it was the last thing that was said there.
    pub(crate) async fn post_apart_once(&self, queue: &str, alert: slack::Alert, words: &str) -> Outcome {
        self.keep(queue, Waiting { is_apart: true, ..self.waiting(alert) }, News { words, can_be_old: true }).await
    }

    fn waiting(&self, alert: slack::Alert) -> Waiting {
        let id = format!("{:016x}", fastrand::u64(..));
        Waiting { id, at: now_millis(), alert, card: None, is_apart: false }
    }

    async fn keep(&self, thread: &str, it: Waiting, news: News<'_>) -> Outcome {
        let waits = match self.ledger.keep_for_slack(thread, &it, news).await {
            Ok(Kept::Waits | Kept::Counted) => true,
            Ok(Kept::Said { waits }) => waits,
            Err(failure) => return self.send_without_ledger(&it, failure).await,
        };
        if !waits {
            return Outcome::AlreadyDone { detail: "Slack has it".to_owned() };
        }
        let Some(sender) = &self.sender else { return later("the responder sends it within a minute") };
        if sender.is_resting() {
            return later("Slack was in trouble a moment ago");
        }
        let delivered = tokio::time::timeout(AT_ONCE, self.deliver(sender, thread)).await;
        match delivered {
            Ok(Ok(it_is)) if it_is.is_empty || it_is.sent.contains(&it.id) => {
                Outcome::Applied { detail: format!("in the thread of {thread}") }
            }
            Ok(Ok(Delivery { trouble: Some(refused), .. })) => later(&refused.code),
            Ok(Ok(_)) => later("another invocation is at the thread"),
            Ok(Err(failure)) => later(&failure.to_string()),
            Err(_) => later("Slack did not answer in time"),
        }
    }

    /// The ledger is away: once, and without a thread, rather than not at all. What is rendered from the ledger can't
    /// be sent.
    async fn send_without_ledger(&self, it: &Waiting, failure: Failure) -> Outcome {
        let failed = |failure: Failure| {
            Outcome::Failed(Failure { message: format!("keeping it for Slack: {}", failure.message), ..failure })
        };
        let is_alert = matches!(it.card, None | Some(CardOf::Watched(_)));
        let Some(sender) = self.sender.as_ref().filter(|it| is_alert && !it.is_resting()) else {
            return failed(failure);
        };
        let message = slack::alert(&it.alert);
        let sent = tokio::time::timeout(AT_ONCE, sender.send(self.channel, Place::Channel, &message)).await;
        match sent {
            Ok(Ok(_)) => Outcome::Applied { detail: "without its thread: the ledger could not be reached".to_owned() },
            _ => failed(failure),
        }
    }

    /// Sends what waits, in order, until Slack has all of it or refuses.
    async fn deliver(&self, sender: &Slack, thread: &str) -> Result<Delivery, Failure> {
        let until = SystemTime::now() + LEASE;
        let mut delivery = Delivery::default();
        let Some(mut taken) = self.ledger.take_thread(thread, until).await? else { return Ok(delivery) };
        loop {
            let Some(first) = self.next(&taken) else {
                if self.ledger.rest_thread(&taken).await? {
                    delivery.is_empty = true;
                    return Ok(delivery);
                }
                // Something came meanwhile.
                match self.ledger.take_thread(thread, until).await? {
                    Some(again) => taken = again,
                    None => return Ok(delivery),
                }
                continue;
            };
            let Some(mut ready) = self.ready(&first).await? else {
                delivery.sent.push(first.id.clone());
                match self.ledger.drop_first(&taken).await? {
                    Some(it) => taken = it,
                    None => return Ok(delivery),
                }
                continue;
            };
            let channel = self.channel_of(thread);
            let next = match self.send(sender, channel, &mut taken, &mut ready).await {
                Ok((accepted, is_root)) => {
                    self.note_shown(&first, channel, &ready, &accepted).await?;
                    delivery.sent.push(first.id.clone());
                    let root = Some(&accepted).filter(|_| is_root && !first.is_apart);
                    self.ledger.has_sent(&taken, channel, root).await?
                }
                // A tag may name anybody, also who is not there: that is nobody's alarm, and holds up nothing.
                Err(refused) if person_of(thread).is_some() && refused.trouble == Trouble::Configuration => {
                    tracing::warn!(code = refused.code, "a message to a person is given up: {}", refused.code);
                    self.ledger.drop_first(&taken).await?
                }
                Err(refused) if self.is_given_up(&first, refused.trouble) => {
                    tracing::error!(code = refused.code, "a message for Slack is given up: {}", refused.code);
                    self.alarm(channel, &refused).await;
                    self.ledger.drop_first(&taken).await?
                }
                Err(refused) => {
                    self.put_off(&taken, channel, &refused).await?;
                    delivery.trouble = Some(refused);
                    return Ok(delivery);
                }
            };
            match next {
                // What there was no room for was said with the last one.
                Some(it) if first.id == COUNTED => taken = Thread { left_out: 0, ..it },
                Some(it) => taken = it,
                None => return Ok(delivery),
            }
        }
    }

    /// The first that waits; at last how many there was no room for.
    fn next(&self, taken: &Thread) -> Option<Waiting> {
        let counted = || {
            let subject = format!("And {} more messages about it", taken.left_out);
            let alert = slack::Alert::new(&subject, "", "Look at the alerts of the topic");
            (taken.left_out > 0).then(|| Waiting { id: COUNTED.to_owned(), ..self.waiting(alert) })
        };
        taken.waiting.first().cloned().or_else(counted)
    }

    /// As new where what it is to replace, or the thread, is gone; as plain text where the blocks are not taken. Tells
    /// whether it begins a thread.
    async fn send(
        &self,
        sender: &Slack,
        channel: &str,
        taken: &mut Thread,
        it: &mut Ready,
    ) -> Result<(Accepted, bool), Refused> {
        // Of another channel nothing is known here.
        if taken.channel.as_deref() != Some(channel) {
            taken.ts = None;
        }
        loop {
            let (shown, ts) = (it.instead_of.clone(), taken.ts.clone().filter(|_| !it.is_apart));
            let (place, channel) = match (&shown, &ts) {
                (Some(card), _) => (Place::Instead(&card.ts), card.channel.as_str()),
                (None, Some(ts)) => (Place::Thread(ts), channel),
                (None, None) => (Place::Channel, channel),
            };
            let refused = match sender.send(channel, place, &it.message).await {
                Ok(accepted) => return Ok((accepted, matches!(place, Place::Channel))),
                Err(it) => it,
            };
            tracing::warn!(code = refused.code, trouble = ?refused.trouble, "Slack: {}", refused.code);
            match (refused.trouble, place) {
                (Trouble::Gone, Place::Instead(_)) => it.instead_of = None,
                (Trouble::Gone, Place::Thread(_)) => taken.ts = None,
                (Trouble::Unfit, _) if !it.message.blocks.is_empty() => it.message = it.message.plain(),
                _ => return Err(refused),
            }
        }
    }

    /// What no other attempt can mend, or none did for a day, must not hold up what comes after it.
    fn is_given_up(&self, it: &Waiting, trouble: Trouble) -> bool {
        matches!(trouble, Trouble::Unfit | Trouble::Gone) || now_millis() - it.at > GIVEN_UP
    }

    async fn put_off(&self, taken: &Thread, channel: &str, refused: &Refused) -> Result<(), Failure> {
        let mut pause = 30_000_i64.saturating_mul(1 << taken.attempts.clamp(0, 8)).min(LONGEST_PAUSE);
        match refused.trouble {
            Trouble::Later { after: Some(seconds) } => pause = i64::try_from(seconds).unwrap_or(3_600) * 1_000,
            Trouble::Configuration | Trouble::Secret => self.alarm(channel, refused).await,
            _ => {}
        }
        self.ledger.put_thread_off(taken, now_millis() + pause).await
    }

    /// Once a day for one trouble, by the topic: Slack can't tell of itself.
    async fn alarm(&self, channel: &str, refused: &Refused) {
        let what = "Slack does not take the alerts";
        tracing::error!(code = refused.code, channel, "{what}: {}", refused.code);
        let Some(arn) = &self.common.alert_topic_arn else { return };
        let matter = format!("slack|{channel}|{}", refused.code);
        match self.ledger.take_to_tell(&matter, AGAIN).await {
            Ok(Taken::Ours) => {}
            Ok(Taken::Told(_) | Taken::Others) => return,
            // Told twice is better than not at all.
            Err(failure) => tracing::warn!("whether people were told is not known: {failure}"),
        }
        let text = format!(
            "{what}: {}\n\nChannel: {channel}\nWhat to do: {}\n\nNothing is lost: what waits is sent in order once that is \
             done, for a day. The alerts of this topic go on.",
            refused.code,
            refused.trouble.remedy()
        );
        let attributes = [("severity", "HIGH".to_owned()), ("verdict", "Slack".to_owned())];
        let subject = format!("{what}: {}", refused.code);
        let sent = topic::publish(&self.home.sns, arn, &subject, &text, &attributes).await;
        let noted = match &sent {
            Outcome::Failed(failure) => {
                tracing::error!("people could not be told that {what}: {failure}");
                self.ledger.leave_untold(&matter).await
            }
            _ => self.ledger.note_told(&matter, None).await,
        };
        if let Err(failure) = noted {
            tracing::warn!("what people were told could not be kept: {failure}");
        }
    }

    /// Sends what waits and is due, the oldest thread first, until Slack is in trouble: what is wrong with the ledger.
    pub(crate) async fn deliver_due(&self, within: Duration) -> Vec<String> {
        let Some(sender) = &self.sender else { return Vec::new() };
        let mut failed = Vec::new();
        let all = async {
            while let Some(pause) = self.deliver_some(sender, &mut failed).await {
                tokio::time::sleep(pause).await;
            }
        };
        // What is left is due in a minute.
        let _ = tokio::time::timeout(within, all).await;
        failed
    }

    /// How long Slack asks to wait before the rest; `None`: nothing is left, or not to be tried now.
    async fn deliver_some(&self, sender: &Slack, failed: &mut Vec<String>) -> Option<Duration> {
        let due = match self.ledger.due_for_slack(MOST).await {
            Ok(it) => it,
            Err(failure) => {
                failed.push(format!("listing what Slack is to get: {failure}"));
                return None;
            }
        };
        let mut hung = 0;
        for thread in due {
            match self.deliver(sender, &thread).await.map(|it| it.trouble.map(|it| it.trouble)) {
                Ok(None) => {}
                // One message a second is what a channel takes.
                Ok(Some(Trouble::Later { after: Some(seconds) })) if seconds <= SHORT_WAIT => {
                    return Some(Duration::from_secs(seconds));
                }
                Ok(Some(Trouble::Later { after: None })) if hung == 0 => hung += 1,
                // The next thread would fare no better.
                Ok(Some(_)) => return None,
                Err(failure) => failed.push(format!("sending what Slack is to get: {failure}")),
            }
        }
        None
    }
}

/// The message that says how many there was no room for.
const COUNTED: &str = "counted";

fn later(why: &str) -> Outcome {
    Outcome::Later { reason: format!("kept for Slack, which gets it later: {why}") }
}

/// An alert, as the topic gets it.
pub(crate) fn told(subject: &str, text: &str, request_id: &str) -> slack::Alert {
    let rest = format!("The whole of it: the alerts of the topic, or the log of invocation {request_id}");
    slack::Alert::new(subject, text, &rest)
}
