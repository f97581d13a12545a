//! What IAM says, at the moment, of a user whom a credential report of some hours ago shows without MFA.

use crate::identity::{AccessKey, Read};

/// What IAM said of a user whom the report shows without MFA.
#[derive(Debug, Clone)]
pub struct Confirmation {
    pub login: Read<bool>,
    pub mfa_devices: Read<Vec<String>>,
    pub keys: Read<Vec<AccessKey>>,
}

pub(super) enum Confirmed {
    Yes { has_active_keys: bool },
    No(String),
    Unknown(String),
}

impl Confirmation {
    pub(super) fn judge(&self) -> Confirmed {
        let unread = [self.login.as_ref().err(), self.mfa_devices.as_ref().err(), self.keys.as_ref().err()];
        if unread.iter().flatten().any(|it| it.is_gone()) {
            return Confirmed::No("the user is gone".to_owned());
        }
        match (&self.login, &self.mfa_devices, &self.keys) {
            (Ok(false), ..) => Confirmed::No("there is no console password any more".to_owned()),
            (_, Ok(devices), _) if !devices.is_empty() => Confirmed::No("MFA is on".to_owned()),
            (Ok(true), Ok(_), Ok(keys)) => Confirmed::Yes { has_active_keys: keys.iter().any(|it| it.active) },
            _ => {
                let all: Vec<_> = unread.iter().flatten().map(ToString::to_string).collect();
                Confirmed::Unknown(format!("could not be read: {}", all.join(", ")))
            }
        }
    }
}
