//! A word to the owner of a user who was warned or reminded, in Slack, where a tag names who that is. Whoever may tag
//! the user chooses the address: the message has no button, no link and no secret.

use clients::accounts::Home;
use clients::iam::resolve::{self, Claimed, Unresolved};
use clients::round_trips::CallLog;
use domain::containment::guard;
use domain::finding::Finding;
use domain::hygiene::account::Entry;
use domain::hygiene::owner;
use domain::outcome::{Failure, Outcome};
use domain::session_policy::Scope;
use domain::settings::Mode;
use domain::slack::Alert;

use super::act::Trip;
use crate::slack::Poster;

impl Trip<'_> {
    /// Whose user that is, is read now: nobody is written to about a namesake, or by a tag of yesterday.
    pub(super) async fn write_to_owner(&self, entry: &Entry, finding: &Finding, mode: Mode) -> Result<(), Failure> {
        let Some(tag) = self.settings.sweep.as_ref().and_then(|it| it.owner_tag.as_deref()) else { return Ok(()) };
        let home = Home::new(self.aws, &CallLog::default());
        let Some(poster) = Poster::asking(&home, self.settings, false) else { return Ok(()) };
        let common = &self.settings.common;
        let member = home.assume(common, &finding.account, &finding.partition, &Scope::Observe).await?;
        let resolved = match resolve::resolve(&member.read, Claimed::from(finding)).await {
            Ok(it) => it,
            Err(Unresolved::Refused(_)) => return Ok(()),
            Err(Unresolved::Failed(failure)) => return Err(failure),
        };
        if guard::refuse_identity(self.settings, finding, &resolved.identity).is_some() {
            return Ok(());
        }
        let profile = resolved.observed.profile.as_ref();
        let Some(slack_id) = profile.ok().and_then(|it| owner::address(&it.tags, tag)) else { return Ok(()) };
        let message = owner::message(&finding.account, entry, mode, self.settings.options.holds_console);
        let alert = Alert::new(&message.subject, &message.text, owner::REST);
        let news = format!("{} {} {:?}", self.act.day, entry.id, entry.step);
        match poster.post_apart_once(&format!("person#{slack_id}"), alert, &news).await {
            Outcome::Failed(failure) => Err(failure),
            _ => Ok(()),
        }
    }
}
