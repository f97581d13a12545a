//! Whom and what else to tell. Each takes a client and a finished message.

pub mod alert;
pub mod incident;
pub mod rotation;
pub mod security_hub;
