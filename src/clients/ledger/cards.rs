//! Where the messages of requests are in Slack: with each request, and the list of those that are not asked singly at
//! `asked#list`. Only what writes requests writes here, so that nobody else says which message is changed.

use domain::approval::card::Card;
use domain::ids::RequestId;
use domain::outcome::Failure;

use super::{Item, Ledger, holds, string, text};
use crate::errors::failure;

/// The list of those that are not asked singly.
pub(super) const LIST: &str = "asked#list";

impl Ledger {
    pub async fn note_card(&self, id: &RequestId, it: &Card) -> Result<(), Failure> {
        self.note_shown(
            &Self::request_item(id),
            Some("attribute_exists(asked_at) OR attribute_exists(offer_subject)"),
            it,
        )
        .await
    }

    /// Where the list is that people were shown last.
    pub async fn list_card(&self) -> Result<Option<Card>, Failure> {
        Ok(card(&self.item(LIST).await?))
    }

    pub async fn note_list_card(&self, it: &Card) -> Result<(), Failure> {
        self.note_shown(LIST, None, it).await
    }

    /// The next list is a message of its own, which people are notified of.
    pub async fn forget_list_card(&self) -> Result<(), Failure> {
        let request = self.update(LIST).update_expression("REMOVE posted_to, channel, message_ts, card_shown");
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }

    pub(super) async fn note_shown(&self, id: &str, condition: Option<&str>, it: &Card) -> Result<(), Failure> {
        let request = self
            .update(id)
            .update_expression("SET posted_to = :to, channel = :channel, message_ts = :ts, card_shown = :shown")
            .set_condition_expression(condition.map(str::to_owned))
            .expression_attribute_values(":to", text(&it.posted_to))
            .expression_attribute_values(":channel", text(&it.channel))
            .expression_attribute_values(":ts", text(&it.ts))
            .expression_attribute_values(":shown", text(&it.shown));
        holds(request).await.map(|_| ())
    }
}

pub(super) fn card(item: &Item) -> Option<Card> {
    Some(Card {
        posted_to: string(item, "posted_to")?,
        channel: string(item, "channel")?,
        ts: string(item, "message_ts")?,
        shown: string(item, "card_shown")?,
    })
}
