//! Whether a condition holds, as far as is known of the request: yes, no, or by which keys it depends.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::glob::{Piece, literal, matches, pieces};

/// Yes, no, or by which condition keys it depends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    Yes,
    No,
    Depends(BTreeSet<String>),
}

impl From<bool> for Truth {
    fn from(it: bool) -> Self {
        if it { Self::Yes } else { Self::No }
    }
}

impl Truth {
    pub fn depends(key: &str) -> Self {
        Self::Depends(BTreeSet::from([key.to_owned()]))
    }

    pub fn all(each: impl IntoIterator<Item = Self>) -> Self {
        let mut keys = BTreeSet::new();
        for it in each {
            match it {
                Self::No => return Self::No,
                Self::Yes => {}
                Self::Depends(more) => keys.extend(more),
            }
        }
        if keys.is_empty() { Self::Yes } else { Self::Depends(keys) }
    }

    pub fn any(each: impl IntoIterator<Item = Self>) -> Self {
        Self::all(each.into_iter().map(Self::negated)).negated()
    }

    pub fn negated(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            depends => depends,
        }
    }
}

/// What is known of a request. Keys are compared without case.
#[derive(Debug, Clone, Default)]
pub struct Context {
    known: BTreeMap<String, Option<Vec<String>>>,
    /// Prefixes of keys, such as those of tags, of which everything is known.
    complete: Vec<String>,
}

/// What is known of one key.
enum Known<'a> {
    Values(&'a [String]),
    Absent,
    Unknown,
}

impl Context {
    pub fn with(mut self, key: &str, values: &[&str]) -> Self {
        self.known.insert(key.to_lowercase(), Some(values.iter().map(|it| (*it).to_owned()).collect()));
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        self.known.insert(key.to_lowercase(), None);
        self
    }

    /// Of keys that begin so, all that there are were given.
    pub fn complete(mut self, prefix: &str) -> Self {
        self.complete.push(prefix.to_lowercase());
        self
    }

    fn get(&self, key: &str) -> Known<'_> {
        let key = key.to_lowercase();
        match self.known.get(&key) {
            Some(Some(values)) => Known::Values(values),
            Some(None) => Known::Absent,
            None if self.complete.iter().any(|it| key.starts_with(it.as_str())) => Known::Absent,
            None => Known::Unknown,
        }
    }

    /// The pattern with its variables put in, each for what it says and no pattern. A variable without a value
    /// matches nothing.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
    pub(super) fn fill(&self, text: &str) -> Result<Vec<Piece>, Truth> {
        let mut parts = text.split("${");
        let mut filled = pieces(parts.next().unwrap_or_default());
        let mut keys = BTreeSet::new();
        for part in parts {
            let Some((name, rest)) = part.split_once('}') else {
                filled.extend(literal("${").into_iter().chain(pieces(part)));
                continue;
            };
            let (key, default) = match name.split_once(',') {
                Some((key, default)) => (key.trim(), Some(default.trim().trim_matches('\''))),
                None => (name.trim(), None),
            };
            match (key, self.get(key)) {
                ("*" | "?" | "$", _) => filled.extend(literal(key)),
                (_, Known::Values([value])) => filled.extend(literal(value)),
                (_, Known::Unknown) => drop(keys.insert(key.to_owned())),
                (_, Known::Values(_) | Known::Absent) => match default {
                    Some(default) => filled.extend(literal(default)),
                    None => return Err(Truth::No),
                },
            }
            filled.extend(pieces(rest));
        }
        if keys.is_empty() { Ok(filled) } else { Err(Truth::Depends(keys)) }
    }
}

/// One key of one operator.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    /// `ForAllValues` or `ForAnyValue`.
    quantifier: Option<Quantifier>,
    operator: String,
    is_if_exists: bool,
    key: String,
    wanted: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    All,
    Any,
}

impl Clause {
    /// Every one must hold.
    pub(super) fn parse_all(condition: &Value) -> Option<Vec<Self>> {
        let mut clauses = Vec::new();
        for (operator, keys) in condition.as_object()? {
            let (quantifier, operator) = match operator.split_once(':') {
                Some(("ForAllValues", rest)) => (Some(Quantifier::All), rest),
                Some(("ForAnyValue", rest)) => (Some(Quantifier::Any), rest),
                Some(_) => return None,
                None => (None, operator.as_str()),
            };
            let (operator, is_if_exists) = match operator.strip_suffix("IfExists") {
                Some(operator) => (operator, true),
                None => (operator, false),
            };
            for (key, wanted) in keys.as_object()? {
                let wanted = match wanted {
                    Value::Array(items) => items.iter().map(text).collect::<Option<_>>()?,
                    single => vec![text(single)?],
                };
                let operator = operator.to_owned();
                clauses.push(Self { quantifier, operator, is_if_exists, key: key.clone(), wanted });
            }
        }
        Some(clauses)
    }

    pub(super) fn holds(&self, context: &Context, has_variables: bool) -> Truth {
        let (base, is_negated) = match self.operator.replacen("Not", "", 1) {
            base if base.len() < self.operator.len() && self.operator != "Null" => (base, true),
            _ => (self.operator.clone(), false),
        };
        let values = match context.get(&self.key) {
            Known::Unknown => return Truth::depends(&self.key),
            known if base == "Null" => {
                let is_absent = matches!(known, Known::Absent);
                return self.wanted.iter().all(|it| it.eq_ignore_ascii_case("true") == is_absent).into();
            }
            Known::Absent => {
                return match self.quantifier {
                    _ if self.is_if_exists => true,
                    Some(Quantifier::All) => true,
                    // No value, and so none of which it holds, negated or not.
                    Some(Quantifier::Any) => false,
                    None => is_negated,
                }
                .into();
            }
            Known::Values(values) => values,
        };
        let one = |value: &String| {
            let any =
                Truth::any(self.wanted.iter().map(|wanted| self.one(&base, wanted, value, context, has_variables)));
            if is_negated { any.negated() } else { any }
        };
        match self.quantifier {
            Some(Quantifier::Any) => Truth::any(values.iter().map(one)),
            Some(Quantifier::All) => Truth::all(values.iter().map(one)),
            None if is_negated => Truth::all(values.iter().map(one)),
            None => Truth::any(values.iter().map(one)),
        }
    }

    fn one(&self, operator: &str, wanted: &str, value: &str, context: &Context, has_variables: bool) -> Truth {
        let filled = if has_variables { context.fill(wanted) } else { Ok(pieces(wanted)) };
        let filled = match filled {
            Ok(it) => it,
            Err(truth) => return truth,
        };
        let exact = || plain(&filled);
        match operator {
            "StringEquals" => (exact() == value).into(),
            "StringEqualsIgnoreCase" => (exact().to_lowercase() == value.to_lowercase()).into(),
            "StringLike" => matches(&filled, value).into(),
            "ArnEquals" | "ArnLike" => arn_matches(&filled, value).into(),
            "Bool" => exact().eq_ignore_ascii_case(value).into(),
            // Of numbers, dates and addresses nothing is known beforehand.
            _ => Truth::depends(&self.key),
        }
    }
}

/// IAM takes a number or a truth value for its text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(it) => Some(it.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// As it is written: in most operators `*` is a star.
pub(super) fn plain(pattern: &[Piece]) -> String {
    let c = |it: &Piece| match it {
        Piece::Any => '*',
        Piece::One => '?',
        Piece::Is(c) => *c,
    };
    pattern.iter().map(c).collect()
}

/// Each of the six parts on its own: a `*` does not reach over a colon.
fn arn_matches(pattern: &[Piece], arn: &str) -> bool {
    if pattern == [Piece::Any] {
        return true;
    }
    let parts: Vec<_> = pattern.splitn(6, |it| *it == Piece::Is(':')).collect();
    let values: Vec<_> = arn.splitn(6, ':').collect();
    parts.len() == 6 && values.len() == 6 && parts.iter().zip(values).all(|(part, value)| matches(part, value))
}
