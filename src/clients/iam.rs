//! IAM in a member account. What reads can't write: two types, each with its own operations.

pub mod apply;
pub mod assumed_roles;
mod client;
mod contents;
mod credentials;
pub mod drill_user;
pub mod holdings;
pub mod observe;
pub mod recently_created;
pub mod resolve;

pub use client::{IamDrill, IamRead, IamWrite};
pub(crate) use client::{both, for_drills};
