//! front

mod fields;
pub mod http;
mod mac;
pub mod slack;

pub use mac::Key;
