//! IAM in a member account. What reads can't write: two types, each with its own operations.

pub mod apply;
pub mod assumed_roles;
mod client;
mod contents;
pub mod credential_report;
mod credentials;
pub mod drill_user;
pub mod holdings;
pub mod observe;
pub mod recently_created;
pub mod remains;
pub mod resolve;
pub mod simulate;
pub mod usage;

pub use client::{IamDrill, IamRead, IamWrite};
pub(crate) use client::{both, for_drills};
