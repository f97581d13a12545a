//! Contains compromised or unauthorised IAM identities, and tells the truth about it.
//!
//! ```text
//! payload ─decode─▶ Finding ─select─▶ &Playbook
//!                      │
//!    accounts          assume SecurityRemediationRole with the external ID
//!    resolve           the immutable unique ID, checked against the finding and the protected list
//!    strike            what stops the attacker: deny-all ∥ the named key inactive
//!    hold              observe ─▶ plan ─▶ apply ─▶ read back ─▶ verdict
//!    notify            rotation runbook ∥ incident ∥ Security Hub ─▶ alert
//!    report            the response, the log line, the texts people read
//! ```
//!
//! This crate orders: what decides is in `domain`, what talks to AWS in `clients`. One file a trip.

mod acknowledge;
mod approvals;
mod children;
mod contain;
pub mod drill;
mod due;
pub mod front;
mod guardrail;
mod handle;
mod investigate;
mod invocation;
mod lift;
mod line;
pub mod metrics;
mod note;
mod notify;
mod own;
mod reports_due;
mod restore;
mod slack;
mod status;
mod suspects;
mod sweep;
mod tell;

pub use handle::{Response, handle, parse};
pub use invocation::{Call, Context, Error};
