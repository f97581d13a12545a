//! How many calls a response took, and how many had to be waited for one after the other.

use serde::Serialize;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RoundTrips {
    /// Up to and with the first call that held the identity back; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_barrier: Option<usize>,
    pub total: usize,
    pub calls: usize,
}
