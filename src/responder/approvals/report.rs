//! A report from the form becomes a request, a finding and a question. Its words decide nothing: key and user are
//! looked up in the account that owns them, and where they do not agree, people are told so.
//!
//! INVARIANT: reports come after what is asked and decided, so many in one run, and what is kept as a report and is
//! none is closed and counted. `tests/test_front_thieves.py` holds it.

use clients::ledger::End;
use clients::ledger::digest;
use clients::ledger::reports::{Telling, report_item};
use domain::approval::report_words as words;
use domain::approval::reported::{REQUESTER, Reported};
use domain::approval::request::{Request, State};
use domain::approval::words::Alert;
use domain::containment::guard;
use domain::finding::{Finding, Principal, Severity, Source, Threat};
use domain::ids::{AccessKeyId, Parse, Partition, RequestId};
use domain::outcome::Failure;
use domain::session_policy::Scope;
use domain::settings::{Mode, Responder};
use domain::text;
use domain::told::Digest;
use domain::verdict::Verdict;
use futures_util::StreamExt;
use futures_util::stream;

use aws_smithy_types::DateTime;

use super::{Desk, ENOUGH, GIVEN_UP, Looked, PARALLEL, PAUSE, pause};
use crate::invocation::now_millis;

/// How many that nobody was woken for are read in one run, and how many of them are looked up.
const MOST_READ: i32 = 500;
const MOST_LOOKED_UP: usize = 20;
/// Of those that join one request, so many are told; the others are kept with it.
const MOST_JOINED_TOLD: usize = 3;

/// Why one ended without a question.
struct Ending<'a> {
    state: State,
    verdict: Verdict,
    why: &'a str,
    alert: Alert,
}

/// What is kept as a report.
enum Kept {
    Sound(RequestId, Box<Reported>),
    Unreadable(String),
    /// It was read meanwhile.
    Gone,
}

impl Desk<'_> {
    /// Somebody reported.
    pub(super) async fn read_report(&self, id: &RequestId) -> Looked {
        match self.kept(report_item(id)).await {
            Ok(Kept::Sound(id, reported)) => self.begin(&id, &reported).await,
            Ok(Kept::Unreadable(item)) => (Vec::new(), self.close_unreadable(&[item]).await),
            Ok(Kept::Gone) => Looked::default(),
            Err(failure) => (Vec::new(), vec![format!("report {id}: {failure}")]),
        }
    }

    /// Reports that nobody was woken for, the oldest first.
    pub(super) async fn read_reports(&self) -> Looked {
        let items = match self.ledger.unread_reports(MOST_READ).await {
            Ok(it) => it,
            Err(failure) => return (Vec::new(), vec![format!("listing the reports: {failure}")]),
        };
        let kept: Vec<_> = stream::iter(items).map(|it| self.kept(it)).buffered(PARALLEL).collect().await;
        let (mut sound, mut unreadable, mut looked) = (Vec::new(), Vec::new(), Looked::default());
        for kept in kept {
            match kept {
                Ok(Kept::Sound(id, reported)) => sound.push((id, reported)),
                Ok(Kept::Unreadable(item)) => unreadable.push(item),
                Ok(Kept::Gone) => {}
                Err(failure) => looked.1.push(format!("reading a report: {failure}")),
            }
        }
        looked.1.extend(self.close_unreadable(&unreadable).await);
        let begin = |(id, reported): (RequestId, Box<Reported>)| async move { self.begin(&id, &reported).await };
        let begun = stream::iter(sound.into_iter().take(MOST_LOOKED_UP)).map(begin).buffer_unordered(PARALLEL);
        for (reports, failed) in begun.collect::<Vec<_>>().await {
            looked.0.extend(reports);
            looked.1.extend(failed);
        }
        looked
    }

    async fn kept(&self, item: String) -> Result<Kept, Failure> {
        let Some(text) = self.ledger.unread_report(&item).await? else { return Ok(Kept::Gone) };
        let id = item.strip_prefix("report#").and_then(|it| RequestId::parse(it).ok());
        Ok(match id.zip(Reported::read(&text, now_millis())) {
            Some((id, reported)) => Kept::Sound(id, Box::new(reported)),
            None => Kept::Unreadable(item),
        })
    }

    /// Once people were told of them, in one alert.
    async fn close_unreadable(&self, items: &[String]) -> Vec<String> {
        let closed = async {
            let Some(first) = items.first() else { return Ok(()) };
            self.tell_once("unreadable", "unreadable", first, &words::unreadable(items.len()), None).await?;
            let close = |item: &String| {
                let (id, item) = (item.strip_prefix("report#").and_then(|it| RequestId::parse(it).ok()), item.clone());
                async move {
                    if let Some(id) = id {
                        self.ledger.refuse_report(&id, "it is none that the form writes").await?;
                    }
                    self.ledger.close_report(&item).await
                }
            };
            let closed: Vec<_> = stream::iter(items).map(close).buffer_unordered(PARALLEL).collect().await;
            closed.into_iter().collect::<Result<(), Failure>>()
        };
        closed.await.err().map(|it| format!("closing what is no report: {it}")).into_iter().collect()
    }

    /// It is a request from now on, and read no more. One that is there already is nobody's to overwrite.
    async fn begin(&self, id: &RequestId, reported: &Reported) -> Looked {
        if self.call.left() < ENOUGH {
            return Looked::default();
        }
        let begun = async {
            let is_ours = self.ledger.open_request(id, reported, self.call.deadline).await?;
            self.ledger.close_report(&report_item(id)).await?;
            match self.ledger.request(id).await?.filter(|_| is_ours) {
                Some(request) => self.ask_for_report(&request, reported).await,
                None => Ok(Looked::default()),
            }
        };
        begun.await.unwrap_or_else(|failure| (Vec::new(), vec![format!("report {id}: {failure}")]))
    }

    pub(super) async fn ask_for_report(&self, request: &Request, reported: &Reported) -> Result<Looked, Failure> {
        let refused = |why| Ending {
            state: State::Failed,
            verdict: Verdict::Refused,
            why,
            alert: words::not_asked(&request.id, reported, why),
        };
        let finding = match finding(self.settings, request, reported) {
            Ok(it) => it,
            Err(why) => return self.end_report(request, reported, refused(why)).await.map(|()| Looked::default()),
        };
        if let Some(why) = self.out_of_reach(&finding).await {
            return self.end_report(request, reported, refused(&why)).await.map(|()| Looked::default());
        }
        let relay = self.relay(&request.id, &finding, &[]).asking(request.id.clone(), Some(REQUESTER.to_owned()));
        let (reports, failed) = self.contain(&relay).await;
        let is_fresh = now_millis() - reported.at < GIVEN_UP;
        let (verdict, reason, asked) = match reports.first() {
            Some(it) if failed.is_empty() => (it.verdict, it.reason.clone(), it.request.clone()),
            _ if is_fresh => {
                self.try_later(request, reported, &failed).await?;
                return Ok((reports, failed));
            }
            _ => (Verdict::NotContained, failed.join("; "), None),
        };
        let is_observed = self.settings.mode_for(&finding) == Mode::Observe;
        match verdict {
            // It waits under this ID, or as a part of another.
            Verdict::Waiting => {
                let other = asked.and_then(|it| RequestId::parse(&it).ok()).filter(|it| *it != request.id);
                match other {
                    Some(other) => self.join(request, reported, &finding, &other).await?,
                    None => self.ledger.leave_request(&request.id, None).await?,
                }
            }
            Verdict::Observed if is_observed => {
                let why = "the mode is `observe`: nothing is changed, and nobody is asked";
                self.end_report(request, reported, Ending { verdict, ..refused(why) }).await?;
            }
            Verdict::Observed => {
                let alert = words::in_place(&request.id, reported, &reason);
                let ending = Ending { state: State::Done, verdict, why: &reason, alert };
                self.end_report(request, reported, ending).await?;
            }
            _ => self.end_report(request, reported, Ending { verdict, ..refused(&reason) }).await?,
        }
        Ok((reports, failed))
    }

    /// Whether the account is none that we can look into: that is no matter of another try.
    async fn out_of_reach(&self, it: &Finding) -> Option<String> {
        if guard::refuse_target(self.settings, it).is_some() {
            return None;
        }
        let assumed = self.home.assume(&self.settings.common, &it.account, &it.partition, &Scope::Observe).await;
        let denied = assumed.err().filter(|it| it.code == "AccessDenied")?;
        Some(format!("account {} is none of ours, or has no remediation role: {denied}", it.account))
    }

    /// Twice as long after each try; people are told once.
    async fn try_later(&self, request: &Request, reported: &Reported, failed: &[String]) -> Result<(), Failure> {
        let told = match request.told_trouble {
            None => {
                let alert = words::not_looked_up(&request.id, reported, &failed.join("; "));
                match self.tell_once("failing", &reported.subject(), request.id.as_str(), &alert, Some(request)).await {
                    Ok(()) => self.ledger.note_trouble(&request.id, Some("not looked up")).await,
                    Err(failure) => Err(failure),
                }
            }
            Some(_) => Ok(()),
        };
        self.ledger.leave_request(&request.id, Some(now_millis() + pause(request))).await?;
        told
    }

    /// What somebody says of what waits already is told with it.
    async fn join(
        &self,
        request: &Request,
        reported: &Reported,
        finding: &Finding,
        other: &RequestId,
    ) -> Result<(), Failure> {
        if let Some(open) = self.ledger.request(other).await?
            && let Some(asked) = &open.asked
        {
            let mut reports = asked.others.iter().filter(|it| it.source == Source::Report);
            let alert = words::joined(other, asked, reported);
            let told = match reports.position(|it| it.id == finding.id) {
                Some(place) if place < MOST_JOINED_TOLD => self.publish(&alert, Some(&open)).await,
                Some(_) => Ok(()),
                // There was no room for it: the alert is all that is left of its words.
                None => self.tell_once("joined", &finding.id, request.id.as_str(), &alert, Some(&open)).await,
            };
            if let Err(failure) = told {
                self.ledger.leave_request(&request.id, Some(now_millis() + PAUSE)).await?;
                return Err(failure);
            }
        }
        self.ledger.note_joined(&request.id, other).await
    }

    /// It is over once people were told.
    async fn end_report(&self, request: &Request, reported: &Reported, it: Ending<'_>) -> Result<(), Failure> {
        let (id, subject) = (request.id.as_str(), reported.subject());
        tracing::warn!(request = id, state = it.state.word(), reason = it.why, "{}", it.alert.subject);
        if let Err(failure) = self.tell_once("unclear", &subject, id, &it.alert, Some(request)).await {
            self.ledger.leave_request(&request.id, Some(now_millis() + PAUSE)).await?;
            return Err(failure);
        }
        self.close(request, &End { state: it.state, verdict: it.verdict.name(), reason: it.why }).await
    }

    /// Of a kind so many matters are told singly in an hour, each once; the rest is counted in the digest, so that
    /// nobody drowns the alerts by reports.
    async fn tell_once(
        &self,
        kind: &str,
        matter: &str,
        id: &str,
        alert: &Alert,
        request: Option<&Request>,
    ) -> Result<(), Failure> {
        if !self.settings.common.has_alerts() {
            return Ok(());
        }
        match self.ledger.take_matter(kind, matter).await? {
            Telling::Alert => match self.publish(alert, request).await {
                Ok(()) => Ok(()),
                Err(failure) => {
                    self.ledger.give_matter_back(kind, matter).await?;
                    Err(failure)
                }
            },
            Telling::Digest => {
                let line = format!("[HIGH] {}", alert.subject);
                let entry = digest::Entry { identity: matter, finding: id, line: &line };
                self.ledger.add_to_digest(Digest::Hourly, Severity::HIGH, entry).await
            }
        }
    }
}

/// As far as the report says whom it means; it always means a credential in somebody else's hands.
fn finding(settings: &Responder, request: &Request, it: &Reported) -> Result<Finding, &'static str> {
    let key = it.access_key.as_ref().filter(|it| it.is_long_term());
    let principal = match (&it.user, &it.role, key) {
        (Some(_), Some(_), _) => return Err("it names a user and a role"),
        (None, Some(_), Some(_)) => return Err("it names a role and a user's access key"),
        (Some(user), None, _) => Principal::User { name: Some(user.clone()), id: None },
        (None, Some(role), None) => Principal::Role { name: Some(role.clone()), id: None, session: None },
        (None, None, Some(_)) => Principal::KeyOwner,
        (None, None, None) => return Err("it names no user, no role and no long-term access key"),
    };
    let region = settings.common.region.clone();
    Ok(Finding {
        id: format!("report/{}", request.id),
        source: Source::Report,
        threat: Threat::CompromisedCredential,
        severity: Severity::HIGH,
        account: it.account.clone(),
        partition: Partition::of_region(&region),
        region,
        principal,
        access_key: it.access_key.clone().filter(AccessKeyId::is_long_term),
        kind: "report".to_owned(),
        title: text::line(&format!("{} (reported from {} as {})", it.text, it.network, it.by), 700),
        occurred_at: Some(DateTime::from_millis(it.at)),
        creator: None,
        security_hub: None,
        began_at: None,
        parent: None,
    })
}
