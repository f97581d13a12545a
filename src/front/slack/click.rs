//! The payload of a click: what is told is read leniently, what decides strictly.
//! <https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>

use serde::Deserialize;

use crate::fields::Fields;

pub(super) enum Payload {
    Clicked(Clicked),
    /// Signed by Slack, and nothing that decides.
    Other,
}

/// The fields that decide. What is absent is empty, and equals nothing of ours.
pub(super) struct Clicked {
    pub(super) app: String,
    pub(super) team: String,
    pub(super) user: String,
    /// The clicker's own workspace: a shared channel has guests.
    pub(super) user_team: String,
    /// What the person is called in Slack, which decides nothing: they may change it.
    pub(super) called: String,
    pub(super) actions: Vec<Action>,
}

pub(super) struct Action {
    pub(super) id: String,
    pub(super) value: String,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    api_app_id: Option<String>,
    team: Option<Team>,
    user: Option<User>,
    actions: Option<Vec<WireAction>>,
}

#[derive(Deserialize)]
struct Team {
    id: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: Option<String>,
    team_id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct WireAction {
    action_id: Option<String>,
    value: Option<String>,
}

/// `None` is a body that can't be read.
pub(super) fn read(body: &[u8]) -> Option<Payload> {
    let fields = Fields::read(body)?;
    let wire: Wire = serde_json::from_str(fields.only("payload")?).ok()?;
    if wire.kind != "block_actions" {
        return Some(Payload::Other);
    }
    let user = wire.user?;
    let actions = wire.actions.unwrap_or_default().into_iter();
    let action = |it: WireAction| Action { id: it.action_id.unwrap_or_default(), value: it.value.unwrap_or_default() };
    Some(Payload::Clicked(Clicked {
        app: wire.api_app_id.unwrap_or_default(),
        team: wire.team.and_then(|it| it.id).unwrap_or_default(),
        user: user.id.unwrap_or_default(),
        called: user.name.unwrap_or_default(),
        user_team: user.team_id.unwrap_or_default(),
        actions: actions.map(action).collect(),
    }))
}
