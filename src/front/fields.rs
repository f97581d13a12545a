//! The fields of `application/x-www-form-urlencoded`, strictly: UTF-8, and each name once.
//! <https://url.spec.whatwg.org/#urlencoded-parsing>

use std::collections::BTreeMap;

use percent_encoding::percent_decode;

/// By name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// `None` where it is no UTF-8 or says something twice: what two readers would read differently is not read.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for pair in body.split(|b| *b == b'&').filter(|it| !it.is_empty()) {
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            let (name, value) = (pair.get(..at)?, pair.get(at + 1..).unwrap_or_default());
            if fields.insert(decode(name)?, decode(value)?).is_some() {
                return None;
            }
        }
        Some(Self(fields))
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn only(&self, name: &str) -> Option<&str> {
        (self.0.len() == 1).then(|| self.0.get(name).map(String::as_str))?
    }
}

fn decode(text: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    String::from_utf8(percent_decode(&spaced).collect()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_decoded() {
        let fields = Fields::read(b"a=1+2%2B3&%C3%A4=%F0%9F%98%80&empty=&bare&&").unwrap();
        assert_eq!((fields.get("a"), fields.get("\u{e4}"), fields.get("empty")), ("1 2+3", "\u{1f600}", ""));
        assert_eq!((fields.get("bare"), fields.get("missing")), ("", ""));
        assert_eq!(Fields::read(b"payload=x").unwrap().only("payload"), Some("x"));
        assert_eq!(Fields::read(b"payload=x&y=z").unwrap().only("payload"), None);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        assert_eq!(Fields::read(b"a=1&a=2"), None);
        assert_eq!(Fields::read(b"a=1&%61=2"), None);
        assert_eq!(Fields::read(b"a=%FF"), None);
        assert_eq!(Fields::read(b"a=\xff"), None);
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_not(body in any::<Vec<u8>>()) {
            let _ = Fields::read(&body);
        }
    }
}
