//! The settings of the function that takes containments back.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::reader::{Reader, playbook_mode, restore_role};
use super::{Common, Mode, Untouchable, mode_of};

#[derive(Debug, Clone)]
pub struct Restorer {
    pub common: Common,
    pub mode: Mode,
    /// By playbook ID, as the responder has them: what one contained can be taken back.
    pub playbook_modes: BTreeMap<&'static str, Mode>,
    pub untouchable: Untouchable,
}

impl Restorer {
    pub(super) fn read(read: &mut Reader) -> Self {
        let member_role = restore_role(read);
        Self {
            mode: read.optional("MODE", Mode::from_str).unwrap_or(Mode::Observe),
            playbook_modes: read.list("PLAYBOOK_MODES", playbook_mode).into_iter().collect(),
            common: Common::read(read, member_role),
            untouchable: Untouchable::read(read),
        }
    }

    /// Whether a response of this playbook is taken back, or only the plan shown. Where all only observe, one that
    /// contains must be able to give back; where all contain, one that now observes has contained before.
    pub fn mode_of(&self, playbook: &str) -> Mode {
        match mode_of(self.mode, &self.playbook_modes, playbook) {
            mode @ (Mode::Approve | Mode::Enforce) => mode,
            Mode::Observe => self.mode,
        }
    }
}
