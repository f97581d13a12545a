//! What decides: from an event to a finding, from a finding and what IAM says to a plan, from what was
//! done to what people are told. Pure: no SDK, no network, no clock, no environment, no file, no log;
//! time comes in as an argument.
//!
//! The folders (`settings`, `sources`, `containment`, `approval`, `restoration`, `slack`, `hygiene`, `evidence`) never
//! import each other, only the files beside this one.

pub mod acknowledgement;
pub mod administrator;
pub mod answered;
pub mod approval;
pub mod change;
pub mod child;
pub mod cli;
pub mod command;
pub mod containment;
pub mod coverage;
pub mod day;
pub mod decision;
pub mod evidence;
pub mod finding;
#[cfg(test)]
mod fixtures;
pub mod glob;
pub mod guardrail;
pub mod history;
pub mod hygiene;
pub mod identity;
pub mod ids;
pub mod made;
pub mod notice;
pub mod outcome;
pub mod payload;
pub mod policy_document;
pub mod problem;
pub mod question;
pub mod restoration;
pub mod round_trips;
pub mod session_policy;
pub mod settings;
pub mod slack;
pub mod sources;
pub mod suspects;
pub mod text;
pub mod told;
pub mod verdict;
