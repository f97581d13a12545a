//! What a person asks after "contained": what the identity could do, what it did, what it left behind.
//!
//! Decided from AWS's own records. What was not read is said, and is never the same as "nothing".

pub mod answer;
pub mod assume;
pub mod before;
pub mod behaviour;
pub mod chain;
pub mod condition;
pub mod could;
pub mod document;
pub mod facts;
pub mod left;
pub mod markdown;
pub mod narrative;
pub mod persistence;
pub mod report;
pub mod risk;
pub mod trail;
