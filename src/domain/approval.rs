//! Approval: what is asked of people, what they answered, and what that is good for. Pure; `clients/ledger`
//! keeps it, the responder asks and carries out, Slack's function and the form write the two ends.
//!
//! A report is an item of its own, `report#<id>`, and so is a request, `request#<id>`. Who writes which item and
//! attribute is what keeps the parts apart, so that a role can be held to its own by `dynamodb:LeadingKeys` and
//! `dynamodb:Attributes`:
//! - the form: a report, [`reported::ATTRIBUTES`]; and it reads [`standing::ATTRIBUTES`] of a request.
//! - whoever decides: [`decision::ATTRIBUTES`] of a request. Some of them are there for the conditions of that one
//!   write; what the responder goes by is its own copy, and that a request is over is its own word alone.
//! - the responder: everything else. It makes the request that a report comes to, under the same ID.

pub mod affected;
pub mod card;
pub mod decision;
pub mod offer;
pub mod report_words;
pub mod reported;
pub mod request;
pub mod standing;
pub mod words;
