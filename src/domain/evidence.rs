//! What a person asks after "contained": what the identity could do, what it did, what it left behind.
//!
//! Decided from AWS's own records. What was not read is said, and is never the same as "nothing".

pub mod answer;
pub mod asked;
pub mod asking;
pub mod assume;
mod athena;
pub mod before;
pub mod behaviour;
mod blocks;
pub mod catalogue;
pub mod chain;
mod chart;
pub mod condition;
pub mod could;
pub mod document;
pub mod facts;
pub mod gains;
pub mod html;
pub mod known;
pub mod left;
pub mod markdown;
pub mod narrative;
pub mod objects;
pub mod part;
pub mod passing;
pub mod persistence;
mod places;
pub mod prose;
mod reach;
pub mod remains;
pub mod report;
pub mod resources;
pub mod revision;
pub mod risk;
mod room;
mod rules;
mod sections;
mod signs;
pub mod simulating;
pub mod simulation;
pub mod standing;
mod strangers;
pub mod trail;
pub mod versions;
mod weights;
pub mod wider;
