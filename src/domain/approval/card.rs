//! Where a request is shown in Slack.

/// A message in Slack that is changed when there is something else to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The channel or person of the settings.
    pub posted_to: String,
    /// Where Slack put it.
    pub channel: String,
    pub ts: String,
    /// The mark of what it shows.
    pub shown: String,
}
