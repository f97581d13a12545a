//! What faces the internet: from a request of a Lambda Function URL to an answer, or to what the caller is to do
//! before there is one. Pure, like `domain`: no SDK, network, clock, environment or file; the time, random bytes and
//! what the ledger says come in as arguments. Two functions use it, each with a role and concurrency of its own, so
//! that a flood at one is not felt at the other.
//!
//! # Slack's endpoint: [`slack::Slack`]
//!
//! `POST /slack/interactions`, which is the app's interactivity request URL.
//!
//! ```text
//! match slack.receive(event, now) {
//!     Decide(decided)        => one conditional UpdateItem on `request#<decided.request>`: waiting, not expired, same
//!                               `plan_hash`, nobody decided, and the approver, in Slack or in AWS, is neither the
//!                               requester nor the target. Then wake the responder, answer `acknowledged()`, also when
//!                               somebody was first: the message says who. `not_allowed()` for one's own matter and
//!                               what is not to be decided, `unavailable()` where the ledger can't be reached.
//!     Ignored(response)      => answer it
//!     Refused(response, why) => log `why`, answer it: it says no reason
//! }
//! ```
//!
//! What a button says is [`domain::decision`]'s. [`slack::signature::SigningSecrets::parse`] reads the parameter's
//! value, `<secret>` or `<new>,<old>`.
//!
//! # The form: [`form::Form`]
//!
//! `GET /` is the page, `POST /` a report, `GET /state/<token>` how far one has come.
//!
//! ```text
//! let visit = match form.receive(event, now) {
//!     Answer(response) => return response,
//!     State(link)      => read `request#<link.request>`, return form.state(&link, `form::State::of` it, or None)
//!     Visit(visit)     => visit,                       // a generated secret, and it was right: no counter is touched
//!     Check(attempt)   => {
//!         // UpdateItem ADD tries 1, UPDATED_NEW, on `own`; on `all` only where `own` is at most `LIMIT`.
//!         let tries = count(attempt.counters(), 1)     // or return form::unavailable()
//!         match form.check(attempt, tries, now) {      // hashes, where the lock-out lets it
//!             Answer(response) => return response,     // 401 or 429: the try stays counted
//!             Visit(visit)     => { take the try back, ADD tries -1; visit }
//!         }
//!     }
//! };
//! match form.serve(&visit, &16 random bytes, now) {
//!     Answer(response)   => response,
//!     Create(submission) => keep `submission.report` as `request#<id>` in the state `reported`, or find the open one
//!                           about the same; wake the responder; form.created(id, now), which redirects to the state.
//!                           form.unavailable(&submission, &16 random bytes, now) where it could not be kept.
//! }
//! ```
//!
//! Tokens are signed and kept nowhere: a link to a state needs no attribute of the ledger, a report that joins
//! another's request has a link of its own, and a guessed one costs no read. [`Key`] signs them; a new key makes
//! pages, links and known browsers of the old one worthless, and nothing else. Settings: [`form::Credential::new`]
//! reads a generated secret or an argon2id hash.
//!
//! `responder/front.rs` makes both trips. `tests/support/pages.rs` is the form's with a ledger in memory;
//! `tests/test_pages.py` walks through it in a browser.

mod fields;
pub mod form;
pub mod http;
mod mac;
pub mod slack;

pub use mac::{Key, NotGenerated};
