//! The settings of the function that takes containments back.

use std::str::FromStr;

use super::reader::{Reader, restore_role};
use super::{Common, Mode, Untouchable};

#[derive(Debug, Clone)]
pub struct Restorer {
    pub common: Common,
    pub mode: Mode,
    pub untouchable: Untouchable,
}

impl Restorer {
    pub(super) fn read(read: &mut Reader) -> Self {
        let member_role = restore_role(read);
        Self {
            mode: read.optional("MODE", Mode::from_str).unwrap_or(Mode::Observe),
            common: Common::read(read, member_role),
            untouchable: Untouchable::read(read),
        }
    }
}
