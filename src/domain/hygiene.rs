//! The daily sweep's decisions: what a credential report says, which problems that is, who is warned, reminded or
//! asked about today, and when there is too much to ask for.

pub mod account;
pub mod accounts;
pub mod budget;
pub mod confirmation;
pub mod credential_report;
pub mod cross_check;
pub mod digest;
pub mod ladder;
pub mod owner;
pub mod problems;
pub mod release;
pub mod step;
pub mod summary;
pub mod unseen;
