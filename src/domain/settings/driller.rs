//! The settings of the function that holds drills.

use super::Common;
use super::reader::{Reader, drill_role, parsed};
use crate::ids::AccountId;

#[derive(Debug, Clone)]
pub struct Driller {
    pub common: Common,
    /// Where drills are held; absent where there are none.
    pub drill_account: Option<AccountId>,
}

impl Driller {
    pub(super) fn read(read: &mut Reader) -> Self {
        let member_role = drill_role(read);
        Self { common: Common::read(read, member_role), drill_account: read.optional("DRILL_ACCOUNT", parsed) }
    }
}
