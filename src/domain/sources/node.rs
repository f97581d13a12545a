//! A JSON value that knows where it stands, so that every complaint names the exact field.
//!
//! AWS sends camelCase on the bus and PascalCase from its APIs; both occur in hand-made and
//! forwarded events, so a field is found under either spelling.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::Value;

use super::DecodeError;
use crate::ids::Parse;

#[derive(Clone)]
pub(super) struct Node<'a> {
    value: Option<&'a Value>,
    path: String,
    /// A field above it is there and is no object: whether this one was ever sent can't be told, which is
    /// not the same as absent.
    is_lost: bool,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value: Some(value), path: String::new(), is_lost: false }
    }

    /// The field `key`, or its other spelling with the case of the first letter swapped. JSON's
    /// `null` counts as absent.
    pub(super) fn get(&self, key: &str) -> Node<'a> {
        let object = self.value.and_then(Value::as_object);
        let value = object.and_then(|fields| fields.get(key).or_else(|| fields.get(&swap_first(key))));
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let is_lost = self.is_lost || (self.value.is_some() && object.is_none());
        Node { value: value.filter(|it| !it.is_null()), path, is_lost }
    }

    /// `a.b.c`, one field after the other.
    pub(super) fn at(&self, path: &str) -> Node<'a> {
        path.split('.').fold(self.clone(), |node, key| node.get(key))
    }

    /// The elements of an array; nothing when it is absent. Made one at a time: an event may be 1 MB, and
    /// one of zeros alone would be half a million of them.
    pub(super) fn items(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let elements = self.value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let path = self.path.clone();
        elements.iter().enumerate().map(move |(n, value)| Node {
            value: Some(value),
            path: format!("{path}[{n}]"),
            is_lost: false,
        })
    }

    /// The elements of an array that must be there, not be empty, and have at most `max` elements.
    pub(super) fn bounded_items(&self, max: usize) -> Result<impl Iterator<Item = Node<'a>> + use<'a>, DecodeError> {
        match self.value.and_then(Value::as_array).map_or(0, Vec::len) {
            0 => Err(self.malformed("a list with at least one element")),
            _ => self.at_most(max).map(|()| self.items()),
        }
    }

    /// That the list, where there is one, has at most `max` elements.
    pub(super) fn at_most(&self, max: usize) -> Result<(), DecodeError> {
        match self.value.and_then(Value::as_array) {
            Some(list) if list.len() > max => Err(self.malformed(&format!("a list of at most {max}"))),
            _ => Ok(()),
        }
    }

    /// That it is a list of at most `max`, or absent.
    pub(super) fn list_of_at_most(&self, max: usize) -> Result<(), DecodeError> {
        match self.value {
            Some(Value::Array(_)) => self.at_most(max),
            Some(_) => Err(self.malformed("a list")),
            None => Ok(()),
        }
    }

    /// Whether something stands here, or may have: the first of several places that is said counts.
    pub(super) fn is_said(&self) -> bool {
        self.is_present() || self.is_lost
    }

    pub(super) fn is_present(&self) -> bool {
        self.value.is_some()
    }

    /// The text, when it is one and is not empty. For fields that only inform.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.value.and_then(Value::as_str).filter(|it| !it.is_empty())
    }

    /// The text of a field that decides something: absent or empty is `None`, another type is an
    /// error.
    pub(super) fn optional(&self) -> Result<Option<&'a str>, DecodeError> {
        match self.value {
            None if self.is_lost => Err(self.malformed("text")),
            None => Ok(None),
            Some(Value::String(it)) if it.is_empty() => Ok(None),
            Some(Value::String(it)) => Ok(Some(it)),
            Some(_) => Err(self.malformed("text")),
        }
    }

    pub(super) fn required(&self) -> Result<&'a str, DecodeError> {
        self.optional()?.ok_or_else(|| self.malformed("text"))
    }

    pub(super) fn parse<T: Parse>(&self) -> Result<Option<T>, DecodeError> {
        match self.value {
            None if self.is_lost => Err(self.malformed(T::EXPECTED)),
            None => Ok(None),
            Some(Value::String(it)) if it.is_empty() => Ok(None),
            Some(Value::String(it)) => T::parse(it).map(Some).map_err(|it| self.malformed(it.expected)),
            Some(_) => Err(self.malformed(T::EXPECTED)),
        }
    }

    pub(super) fn require<T: Parse>(&self) -> Result<T, DecodeError> {
        self.parse()?.ok_or_else(|| self.malformed(T::EXPECTED))
    }

    pub(super) fn number(&self) -> Option<f64> {
        self.value.and_then(Value::as_f64)
    }

    pub(super) fn is_true(&self) -> bool {
        self.value == Some(&Value::Bool(true))
    }

    /// A flag that decides something: absent is false, another type than a boolean or its word is an error.
    pub(super) fn flag(&self) -> Result<bool, DecodeError> {
        match self.value {
            None if self.is_lost => Err(self.malformed("`true` or `false`")),
            None => Ok(false),
            Some(Value::Bool(it)) => Ok(*it),
            Some(Value::String(it)) if it == "true" || it == "false" => Ok(it == "true"),
            Some(_) => Err(self.malformed("`true` or `false`")),
        }
    }

    pub(super) fn is_empty_text(&self) -> bool {
        self.value.and_then(Value::as_str).is_some_and(str::is_empty)
    }

    pub(super) fn is_empty_list(&self) -> bool {
        self.value.and_then(Value::as_array).is_some_and(Vec::is_empty)
    }

    /// Where it stands, such as `detail.findings[0]`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// A time in any of the forms that AWS uses. Whether one that can't be read matters, `seen` knows.
    pub(super) fn time(&self) -> Option<DateTime> {
        match self.value? {
            Value::String(text) => DateTime::from_str(text, Format::DateTimeWithOffset)
                .or_else(|_| DateTime::from_str(text, Format::HttpDate))
                .ok(),
            Value::Number(millis) => Some(DateTime::from_millis(millis.as_i64()?)),
            _ => None,
        }
    }

    pub(super) fn malformed(&self, expected: &str) -> DecodeError {
        let found = match self.value {
            None if self.is_lost => "no object around it".to_owned(),
            None => "nothing".to_owned(),
            Some(Value::Null) => "null".to_owned(),
            Some(Value::Bool(_)) => "a boolean".to_owned(),
            Some(Value::Number(_)) => "a number".to_owned(),
            Some(Value::String(it)) => format!("other text of {} characters", it.chars().count()),
            Some(Value::Array(it)) => format!("a list of {}", it.len()),
            Some(Value::Object(_)) => "an object".to_owned(),
        };
        let path = if self.path.is_empty() { "$".to_owned() } else { self.path.clone() };
        DecodeError { path, problem: format!("expected {expected}, found {found}"), event: String::new() }
    }
}

fn swap_first(key: &str) -> String {
    let mut letters = key.chars();
    match letters.next() {
        Some(first) if first.is_ascii_lowercase() => first.to_ascii_uppercase().to_string() + letters.as_str(),
        Some(first) => first.to_ascii_lowercase().to_string() + letters.as_str(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::AccountId;

    #[test]
    fn both_spellings_are_found_and_the_path_is_told() {
        let value = json!({"Detail": {"AccountId": 12345, "list": [{"x": null}]}});
        let root = Node::root(&value);
        let error = root.at("detail.accountId").require::<AccountId>().unwrap_err();
        assert_eq!(error.path, "detail.accountId");
        assert_eq!(error.problem, "expected a 12-digit account ID, found a number");
        let list: Vec<_> = root.at("detail.list").items().collect();
        assert_eq!(list[0].get("x").required().unwrap_err().path, "detail.list[0].x");
    }

    #[test]
    fn what_is_in_something_else_than_an_object_is_not_absent() {
        let value = json!({"details": 7, "absent": null});
        let root = Node::root(&value);
        assert!(root.at("details.userId").parse::<AccountId>().is_err());
        assert!(root.at("absent.userId").parse::<AccountId>().unwrap().is_none());
    }

    #[test]
    fn a_value_is_never_repeated_in_the_complaint() {
        let value = json!({"account": "wJalrXUtnFEMI/secret"});
        let error = Node::root(&value).get("account").require::<AccountId>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn times_come_in_three_forms() {
        let value = json!({"a": "2026-02-12T00:37:54.123+01:00", "b": "Wed, 12 Feb 2025 00:37:54 GMT", "c": 1763700000000i64, "d": "soon"});
        let root = Node::root(&value);
        assert_eq!(root.get("a").time().unwrap().secs(), 1770853074);
        assert_eq!(root.get("b").time().unwrap().secs(), 1739320674);
        assert_eq!(root.get("c").time().unwrap().secs(), 1763700000);
        assert_eq!(root.get("d").time(), None);
    }
}
