//! What talks to AWS: the only crate with its SDKs. One service a file, plain structs and functions; what
//! comes back is the domain's own types.

pub mod accounts;
pub mod bedrock;
pub mod bucket;
pub mod cloudtrail;
mod connections;
pub mod errors;
pub mod events;
pub mod guardrail;
pub mod iam;
pub mod ledger;
pub mod notices;
pub mod organizations;
pub mod parameters;
pub mod patience;
pub mod relay;
pub mod round_trips;
pub mod sessions;
pub mod slack;
