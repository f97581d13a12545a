//! What an identity left behind: each thing with its creator, time and event, and whether it is still there.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Serialize;

use super::behaviour::time;
use super::persistence::Trace;
use super::trail::Event;
use crate::identity::{Identity, IdentityKind};
use crate::suspects::Suspect;
use crate::text;

/// Something that it left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    #[serde(flatten)]
    pub trace: Trace,
    pub action: String,
    pub at: String,
    pub by: String,
    pub event: String,
    pub region: String,
    /// It is about the identity itself, which is contained with it.
    pub is_on_itself: bool,
    /// Whether it is still there, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

impl Left {
    pub(super) fn suspect(&self) -> Suspect {
        let (trace, id) = (&self.trace, self.trace.unique_id.clone().unwrap_or_else(|| self.event.clone()));
        let detail =
            if trace.detail.is_empty() { String::new() } else { format!(" ({})", text::line(&trace.detail, 200)) };
        Suspect {
            words: format!(
                "open suspect: {} {} ({}){detail}, by {} at {}, event {}",
                trace.what,
                text::line(&trace.object, 200),
                text::line(&id, 128),
                text::line(&self.by, 200),
                self.at,
                text::line(&self.event, 64)
            ),
            id: text::line(&id, 128),
            since: millis(&self.at),
        }
    }
}

fn millis(at: &str) -> i64 {
    let time = DateTime::from_str(at, Format::DateTime);
    time.ok().and_then(|it| it.to_millis().ok()).unwrap_or_default()
}

/// `exists`: what was found of each, by its event's ID.
pub(super) fn left(identity: &Identity, events: &[Event], exists: &[(String, String)]) -> Vec<Left> {
    let own = Some(identity.name.as_str());
    let is_own = |trace: &Trace| match identity.kind {
        IdentityKind::User => trace.user.as_deref() == own,
        IdentityKind::Role => trace.role.as_deref() == own,
    };
    let traces = events.iter().filter_map(|event| Some((event, event.trace.clone()?)));
    let mut left: Vec<_> = traces
        .map(|(event, trace)| Left {
            // Whom a role lets in is somebody else, whoever's role it is.
            is_on_itself: is_own(&trace) && !trace.detail.contains("lets in "),
            action: event.action(),
            at: time(event.at),
            by: event.actor.arn.clone(),
            event: event.id.clone(),
            region: event.region.clone(),
            now: exists.iter().find(|(id, _)| *id == event.id).map(|(_, words)| words.clone()),
            trace,
        })
        .collect();
    left.sort_by(|a, b| (&a.at, &a.event).cmp(&(&b.at, &b.event)));
    left
}
