//! Approval: what is asked of people, what they answered, and what that is good for. Pure; `clients/ledger`
//! keeps it, the responder asks and carries out, Slack's function and the form write the two ends.
//!
//! One item a request, `request#<id>`. Who writes which attribute is what keeps the parts apart, so that a role
//! can be held to its own by `dynamodb:Attributes`:
//! - the form: [`request::REPORT_ATTRIBUTES`], and it reads [`standing::ATTRIBUTES`]. Without a `state` it is a report that nobody looked at yet.
//! - the responder: everything else, `state` among it.
//! - whoever decides: [`decision::ATTRIBUTES`].

pub mod affected;
pub mod decision;
pub mod request;
pub mod standing;
pub mod words;
