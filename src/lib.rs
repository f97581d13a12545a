//! Contains compromised or unauthorised IAM identities, and tells the truth about it.
//!
//! ```text
//! payload ─decode─▶ Finding ─select─▶ &Playbook
//!                      │
//!    accounts          assume SecurityRemediationRole with the external ID
//!    resolve           the immutable unique ID, checked against the finding and the protected list
//!    strike            what stops the attacker: deny-all ∥ the named key inactive
//!    reconcile         observe ─▶ plan ─▶ apply ─▶ read back ─▶ verdict
//!    escalate          rotation runbook ∥ incident ∥ Security Hub ─▶ alert
//!    report            the response, the log line, the texts people read
//! ```
//!
//! Decoding, planning, guarding and reporting are pure. `observe` only reads; `apply` is the only
//! code that changes an identity.

pub mod accounts;
pub mod action;
pub mod apply;
pub mod aws_error;
mod before;
pub mod calls;
mod clock;
pub mod command;
pub mod config;
pub mod decode;
pub mod drill;
pub mod escalate;
pub mod finding;
pub mod guard;
pub mod identity;
pub mod ledger;
pub mod metrics;
pub mod observe;
pub mod playbooks;
pub mod reconcile;
pub mod record;
pub mod report;
pub mod resolve;
mod respond;
pub mod restore;
mod status;
mod suspects;
mod text;

pub use respond::{Call, Context, Error, handle};
