//! The daily sweep's decisions: what a credential report says, which problems that is, who is warned, reminded or
//! asked about today, and when there is too much to ask for.

pub mod account;
pub mod accounts;
pub mod budget;
pub mod credential_report;
pub mod digest;
pub mod ladder;
pub mod problems;
