//! What a containment decides: whom it may touch, what it does, and what is said of it.

pub mod admission;
pub mod barriers;
mod by_hand;
pub mod contest;
pub mod escalation;
pub mod grouping;
pub mod guard;
pub mod incident_token;
pub mod message;
pub mod names;
pub mod playbooks;
pub mod progress;
pub mod relay;
pub mod report;
pub mod snapshot;
pub mod watch;
