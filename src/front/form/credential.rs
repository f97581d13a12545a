//! The form's one credential: a user name, and a secret that is generated or a password that people chose.
//!
//! A generated secret of 128 bits can't be guessed, so that comparing costs nothing. A password is kept as an
//! argon2id hash; one guess takes 7 MiB and about 90 ms at 256 MB of Lambda's memory (12 ms of a whole core),
//! which is why the lock-out comes before it. The hash's parameters are bounded: one that is foreign to us
//! must neither burn the function nor be weak.
//! <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>

use argon2::{Algorithm, Argon2, Params, Version};
use aws_smithy_types::base64;
use domain::settings::Secret;

use crate::mac::{Key, is_generated};

/// The longest password that is hashed.
const MAX_PASSWORD: usize = 256;

#[derive(Debug, Clone)]
pub struct Credential {
    user: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Generated(Secret),
    Password(Hash),
}

/// What somebody says: it is neither shown nor kept.
#[derive(Clone)]
pub(super) struct Presented {
    pub(super) user: String,
    password: Secret,
}

/// Neither a generated secret nor a hash that is fit to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitCredential {
    #[error("expected a user name of 1 to 64 letters, digits, `.`, `_` or `-`")]
    User,
    #[error(
        "expected a generated secret of 32 to 128 lower-case hexadecimal digits, or `$argon2id$v=19$m=7168,t=5,p=1$…`"
    )]
    Secret,
    #[error(
        "expected argon2id with m from 7168 to 47104, p=1 and m times t from 35840 to 47104, a salt of 16 to 64 bytes and a hash of 32"
    )]
    Parameters,
}

impl Credential {
    /// `secret`: the parameter's value.
    pub fn new(user: &str, secret: &Secret) -> Result<Self, UnfitCredential> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !(1..=64).contains(&user.len()) || !user.bytes().all(allowed) {
            return Err(UnfitCredential::User);
        }
        let text = secret.expose().trim();
        let kind = match text.strip_prefix("$argon2id$") {
            Some(rest) => Kind::Password(Hash::parse(rest)?),
            None if is_generated(text) => Kind::Generated(Secret::new(text.to_owned())),
            None => return Err(UnfitCredential::Secret),
        };
        Ok(Self { user: user.to_owned(), kind })
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Whether telling right from wrong costs nothing.
    pub(super) fn is_generated(&self) -> bool {
        matches!(self.kind, Kind::Generated(_))
    }

    /// The same work for an unknown user as for a wrong password.
    pub(super) fn is(&self, presented: &Presented, key: &Key) -> bool {
        let is_user = key.is_same(&presented.user, &self.user);
        let is_password = match &self.kind {
            Kind::Generated(secret) => key.is_same(presented.password.expose(), secret.expose()),
            Kind::Password(hash) => hash.is_of(presented.password.expose(), key),
        };
        is_user & is_password
    }
}

impl Presented {
    /// From an `Authorization` header. <https://www.rfc-editor.org/rfc/rfc7617>
    pub(super) fn read(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 2 * MAX_PASSWORD {
            return None;
        }
        let text = String::from_utf8(base64::decode(encoded.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        let is_fit = !user.is_empty() && user.len() <= 64 && password.len() <= MAX_PASSWORD;
        is_fit.then(|| Self { user: user.to_owned(), password: Secret::new(password.to_owned()) })
    }
}

/// An argon2id hash in PHC's form: `$argon2id$v=19$m=7168,t=5,p=1$<salt>$<hash>`.
/// <https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>
#[derive(Clone)]
struct Hash {
    memory: u32,
    passes: u32,
    salt: Vec<u8>,
    hash: [u8; 32],
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "argon2id m={},t={}", self.memory, self.passes)
    }
}

impl Hash {
    /// From what follows `$argon2id$`. Nothing is computed.
    fn parse(rest: &str) -> Result<Self, UnfitCredential> {
        let parts: Vec<_> = rest.split('$').collect();
        let ["v=19", parameters, salt, hash] = parts.as_slice() else { return Err(UnfitCredential::Secret) };
        let mut numbers = Vec::new();
        for (part, name) in parameters.split(',').zip(["m=", "t=", "p="]) {
            let number = part.strip_prefix(name).and_then(|it| it.parse::<u32>().ok());
            numbers.push(number.ok_or(UnfitCredential::Secret)?);
        }
        let ([memory, passes, lanes], 3) = (numbers.as_slice(), parameters.split(',').count()) else {
            return Err(UnfitCredential::Secret);
        };
        let (salt, hash) = (unpadded(salt)?, unpadded(hash)?);
        let is_bounded = (7_168..=47_104).contains(memory)
            && *lanes == 1
            && memory.checked_mul(*passes).is_some_and(|it| (35_840..=47_104).contains(&it))
            && (16..=64).contains(&salt.len());
        let hash = hash.try_into().map_err(|_| UnfitCredential::Parameters)?;
        if !is_bounded {
            return Err(UnfitCredential::Parameters);
        }
        Ok(Self { memory: *memory, passes: *passes, salt, hash })
    }

    fn is_of(&self, password: &str, key: &Key) -> bool {
        let Ok(parameters) = Params::new(self.memory, self.passes, 1, Some(32)) else { return false };
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        let mut hash = [0; 32];
        let is_computed = argon2.hash_password_into(password.as_bytes(), &self.salt, &mut hash).is_ok();
        is_computed & key.is_same(&hex::encode(hash), &hex::encode(self.hash))
    }
}

/// Base64 without its padding.
fn unpadded(text: &str) -> Result<Vec<u8>, UnfitCredential> {
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    let is_plain = !text.is_empty() && !text.contains('=');
    let bytes = base64::decode(format!("{text}{padding}")).ok().filter(|_| is_plain);
    bytes.ok_or(UnfitCredential::Secret)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(in crate::form) const GENERATED: &str = "5f2b8c1d9e0a47638b4c2d1e0f9a8b7c";

    pub(in crate::form) fn key() -> Key {
        Key::new(&Secret::new("00112233445566778899aabbccddeeff".to_owned())).unwrap()
    }

    pub(in crate::form) fn authorization(user: &str, password: &str) -> String {
        format!("Basic {}", base64::encode(format!("{user}:{password}")))
    }

    fn new(secret: &str) -> Result<Credential, UnfitCredential> {
        Credential::new("report", &Secret::new(secret.to_owned()))
    }

    pub(in crate::form) fn hashed(password: &str, memory: u32, passes: u32) -> String {
        let mut hash = [0; 32];
        let parameters = Params::new(memory, passes, 1, Some(32)).unwrap();
        let salt = [7; 16];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(password.as_bytes(), &salt, &mut hash)
            .unwrap();
        let plain = |bytes: &[u8]| base64::encode(bytes).trim_end_matches('=').to_owned();
        format!("$argon2id$v=19$m={memory},t={passes},p=1${}${}", plain(&salt), plain(&hash))
    }

    fn accepts(credential: &Credential, user: &str, password: &str) -> bool {
        credential.is(&Presented::read(&authorization(user, password)).unwrap(), &key())
    }

    #[test]
    fn only_the_credential_is_accepted() {
        for credential in [new(GENERATED).unwrap(), new(&hashed("päss:word", 7168, 5)).unwrap()] {
            let right = if credential.is_generated() { GENERATED } else { "päss:word" };
            assert!(accepts(&credential, "report", right));
            for (user, password) in
                [("Report", right), ("x", right), ("report", ""), ("report", "wrong"), ("report", &right[1..])]
            {
                assert!(!accepts(&credential, user, password), "{user}");
            }
        }
    }

    /// As Debian's program `argon2` writes it, and libsodium: `echo -n password | argon2 somesaltsomesalt -id -t 5 -k 7168 -p 1 -e`.
    #[test]
    fn a_hash_that_others_made_is_understood() {
        let made = "$argon2id$v=19$m=7168,t=5,p=1$c29tZXNhbHRzb21lc2FsdA$r4Oo1wGvZA95Ee2ql0BxTjPMLtEb2RJx3pJ/l+PU2ts";
        let credential = new(made).unwrap();
        assert!(accepts(&credential, "report", "password"));
        assert!(!accepts(&credential, "report", "Password"));
    }

    #[test]
    fn a_hash_that_is_weak_or_would_burn_the_function_is_refused() {
        let good = hashed("x", 7168, 5);
        let with = |parameters: &str| good.replace("m=7168,t=5,p=1", parameters);
        for good in ["m=9216,t=4,p=1", "m=12288,t=3,p=1", "m=19456,t=2,p=1", "m=47104,t=1,p=1"] {
            assert!(new(&with(good)).is_ok(), "{good}");
        }
        for bad in [
            "m=7168,t=4,p=1",
            "m=8,t=5000,p=1",
            "m=47105,t=1,p=1",
            "m=4194304,t=1,p=1",
            "m=7168,t=700,p=1",
            "m=4294967295,t=4294967295,p=1",
            "m=7168,t=5,p=4",
        ] {
            assert_eq!(new(&with(bad)).err(), Some(UnfitCredential::Parameters), "{bad}");
        }
        for bad in ["m=7168,t=5", "m=7168,t=5,p=1,keyid=x", "t=5,m=7168,p=1", "m=-1,t=5,p=1", ""] {
            assert_eq!(new(&with(bad)).err(), Some(UnfitCredential::Secret), "{bad}");
        }
        let parts: Vec<_> = good.split('$').collect();
        for (salt, hash) in
            [("c2hvcnQ", parts[5]), (parts[4], "c2hvcnQ"), (parts[4], ""), ("%", parts[5]), (parts[4], &parts[5][2..])]
        {
            assert!(new(&format!("$argon2id$v=19$m=7168,t=5,p=1${salt}${hash}")).is_err(), "{salt} {hash}");
        }
    }

    #[test]
    fn a_password_in_the_clear_is_no_credential() {
        for bad in [
            "",
            "hunter2",
            "correct horse battery staple and more",
            "$argon2i$v=19$m=7168,t=5,p=1$c29t$c29t",
            "$2b$12$x",
            "00000000000000000000000000000000",
        ] {
            assert_eq!(new(bad).err(), Some(UnfitCredential::Secret), "{bad}");
        }
        assert_eq!(Credential::new("a:b", &Secret::new(GENERATED.to_owned())).err(), Some(UnfitCredential::User));
        assert!(!format!("{:?}", new(GENERATED)).contains(GENERATED));
        assert!(!format!("{:?}", new(&hashed("x", 7168, 5))).contains("$"));
    }

    #[test]
    fn only_a_well_formed_header_is_read() {
        let read = |header: &str| Presented::read(header).is_some();
        assert!(read(&authorization("report", "x")) && read(&authorization("report", "")));
        assert!(read(&authorization("report", "x").replace("Basic", "bAsIc")));
        for bad in [
            "",
            "Basic",
            "Basic ",
            "Bearer cmVwb3J0Ong=",
            "Basic cmVwb3J0",
            "Basic %%%",
            &authorization("", "x"),
            &authorization("report", &"x".repeat(257)),
        ] {
            assert!(!read(bad), "{bad}");
        }
        assert!(!read(&authorization("report", "x").replace('=', "=,Basic x=")));
    }
}
