//! front

mod fields;
pub mod form;
pub mod http;
mod mac;
pub mod slack;

pub use mac::{Key, NotGenerated};
