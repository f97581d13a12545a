//! What a restore decides: what is given back and in which order, what changed since, and what is said
//! of it.

mod drift;
mod held;
pub mod plan;
pub mod report;
pub mod taken;
