//! Tells people of a report: a message of the topic, one in the identity's thread in Slack, and the log.

use clients::accounts::Home;
use clients::ledger::evidence::Told;
use clients::ledger::slack::News;
use clients::notices::alert;
use domain::evidence::prose::Prose;
use domain::evidence::report::Evidence;
use domain::identity::Identity;
use domain::ids::AccountId;
use domain::outcome::Outcome;
use domain::settings::Investigator;
use domain::suspects::Suspect;

use crate::slack::{self, Poster};

/// CloudWatch takes an event of 256 KB, in which every quote is escaped.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
const MOST_LOGGED: usize = 100_000;

/// Where people are told, as the ledger calls it.
const TOPIC: &str = "topic";
const SLACK: &str = "slack";

/// Whom a report is about, and by what people are told of it.
pub(super) struct Telling<'a> {
    pub(super) home: &'a Home,
    pub(super) settings: &'a Investigator,
    pub(super) of: (&'a AccountId, &'a Identity),
    pub(super) request_id: &'a str,
}

impl Telling<'_> {
    /// Tells people wherever they do not know it yet: what they know now, and what failed. In Slack it is said by the
    /// responder, which has the token, within a minute.
    pub(super) async fn tell(
        &self,
        report: &Evidence,
        link: Option<&str>,
        new: &[Suspect],
        matter: &str,
        mut known: Told,
    ) -> (Told, Vec<String>) {
        let Self { home, settings, of: (account, identity), request_id } = *self;
        let (title, text) = report.message(new, link);
        let is_new = |at: &str| known.get(at).is_none_or(|it| it != matter);
        let (to_topic, to_slack) = (is_new(TOPIC), is_new(SLACK));
        let published = async {
            let topic = settings.common.alert_topic_arn.as_ref().filter(|_| to_topic)?;
            let attributes = [
                ("kind", "evidence".to_owned()),
                ("account", report.account.clone()),
                ("risk", report.risk.level.word().to_owned()),
            ];
            Some(alert::publish(&home.sns, topic, &title, &text, &attributes).await)
        };
        let posted = async {
            let poster = Poster::new(home, &settings.common, None).filter(|_| to_slack)?;
            let thread = domain::slack::thread_of(account, identity);
            let news = format!("report {}", report.revision);
            let alert = slack::told(&title, &text, request_id);
            Some(poster.post(&thread, alert, News { words: &news, can_be_old: false }).await)
        };
        let (published, posted) = tokio::join!(published, posted);
        let mut failed = Vec::new();
        for (at, what, outcome) in [(TOPIC, "telling people", published), (SLACK, "telling people in Slack", posted)] {
            match outcome {
                Some(Outcome::Failed(failure)) => failed.push(format!("{what}: {failure}")),
                Some(_) => {
                    known.insert(at.to_owned(), matter.to_owned());
                }
                None => {}
            }
        }
        (known, failed)
    }

    /// What a model said of it, behind the report. What fails here is logged, and makes nothing again.
    pub(super) async fn tell_prose(&self, report: &Evidence, prose: &Prose) {
        let Self { home, settings, of: (account, identity), request_id } = *self;
        let Some(poster) = Poster::new(home, &settings.common, None) else { return };
        let (title, text) = prose.message(&report.id);
        let (thread, news) = (domain::slack::thread_of(account, identity), format!("prose {}", report.revision));
        let alert = slack::told(&title, &text, request_id);
        let posted = poster.post(&thread, alert, News { words: &news, can_be_old: false }).await;
        if let Outcome::Failed(failure) = posted {
            tracing::warn!("the AI-written summary could not be kept for Slack: {failure}");
        }
    }
}

/// All of it, in parts that an event of the log holds: joined in their order they are the JSON to the byte.
pub(super) fn log(report: &Evidence) {
    let json = report.json().to_string();
    let parts = in_parts(&json, MOST_LOGGED);
    let (sha256, of) = (report.sha256(), parts.len());
    for (n, part) in parts.into_iter().enumerate() {
        tracing::info!(
            account = report.account,
            report = report.id,
            risk = report.risk.level.word(),
            sha256,
            part = n + 1,
            of,
            evidence = part,
            "evidence: {}",
            report.summary.join(" ")
        );
    }
}

/// None longer than `most` bytes, and no character cut.
fn in_parts(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > most {
        let (part, more) = rest.split_at(rest.floor_char_boundary(most));
        parts.push(part);
        rest = more;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_same_in_parts() {
        let text = "a\u{1f600}b".repeat(50);
        let parts = in_parts(&text, 7);
        assert!(parts.len() > 40 && parts.iter().all(|it| it.len() <= 7 && !it.is_empty()));
        assert_eq!(parts.concat(), text);
        assert_eq!(in_parts("short", 7), ["short"]);
    }
}
