//! One policy as its statements: what IAM evaluates, and what a report names.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use std::collections::BTreeSet;

use serde_json::Value;

use super::condition::{Clause, Context, Truth};
use crate::glob::{Piece, matches_chars, pieces};
use crate::policy_document::{decoded, statements, texts};

/// Where a policy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `inline policy`, `policy` or `boundary`.
    pub kind: &'static str,
    /// Its name, or a managed policy's ARN.
    pub name: String,
    /// The group by which the user has it.
    pub group: Option<String>,
}

/// A policy that could be read.
#[derive(Debug, Clone)]
pub struct Policy {
    pub origin: Origin,
    /// Which of a managed policy's versions was read.
    pub version: Option<String>,
    /// What tells it, or its group, from what it was: as `Contents`.
    pub fingerprint: Option<String>,
    /// As it is written.
    pub text: String,
    /// What is wrong with a document that is none.
    pub document: Result<Document, String>,
    pub denies: Denies,
}

/// Whether what a policy denies counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Denies {
    #[default]
    Count,
    /// It came after the time that is judged.
    TooLate,
    /// Nobody knows whether it did.
    Undated,
}

impl Policy {
    pub fn new(kind: &'static str, name: &str, group: Option<&str>, document: &str) -> Self {
        Self {
            origin: Origin { kind, name: name.to_owned(), group: group.map(str::to_owned) },
            version: None,
            fingerprint: None,
            text: decoded(document).into_owned(),
            document: Document::parse(document),
            denies: Denies::Count,
        }
    }

    pub fn with_denies(self, denies: Denies) -> Self {
        Self { document: self.document.map(|it| it.with_denies(denies)), denies, ..self }
    }

    /// What it allows, where what it denies does not count or not surely; `None`: it counts as it is written.
    pub(super) fn allowing(&self) -> Option<String> {
        let mut policy: Value = serde_json::from_str(&self.text).ok().filter(|_| self.denies != Denies::Count)?;
        let all = statements(&policy);
        let allowing = all.iter().filter(|it| it.get("Effect").and_then(Value::as_str) != Some("Deny"));
        let allowing: Vec<_> = allowing.map(|it| (*it).clone()).collect();
        if allowing.len() == all.len() {
            return None;
        }
        policy.as_object_mut()?.insert("Statement".to_owned(), Value::Array(allowing));
        Some(policy.to_string())
    }
}

#[derive(Debug, Clone)]
pub struct Document {
    pub statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
pub struct Statement {
    /// Its `Sid`, or its number from one on.
    pub name: String,
    pub is_allow: bool,
    actions: Actions,
    resources: Option<Named>,
    /// Whom a trust policy or another policy of a resource is about.
    pub principal: Option<Value>,
    clauses: Vec<Clause>,
    /// The version of 2008 takes `${…}` for what it says.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html>
    has_variables: bool,
    /// See `Denies`.
    is_undated: bool,
}

/// `Action` or `NotAction`, in small letters.
#[derive(Debug, Clone)]
struct Actions {
    all_but: bool,
    patterns: Vec<Vec<Piece>>,
}

/// `Resource` or `NotResource`.
#[derive(Debug, Clone)]
struct Named {
    all_but: bool,
    patterns: Vec<String>,
}

impl Document {
    pub fn parse(document: &str) -> Result<Self, String> {
        let policy: Value = serde_json::from_str(&decoded(document)).map_err(|it| format!("it is no JSON ({it})"))?;
        let has_variables = match policy.get("Version").map(Value::as_str) {
            None | Some(Some("2008-10-17")) => false,
            Some(Some("2012-10-17")) => true,
            _ => return Err("its version is neither 2012-10-17 nor 2008-10-17".to_owned()),
        };
        if !matches!(policy.get("Statement"), Some(Value::Array(_) | Value::Object(_))) {
            return Err("it has no statements".to_owned());
        }
        let each = statements(&policy).into_iter().enumerate();
        let read = |(n, it): (usize, &Value)| {
            Statement::parse(n + 1, it, has_variables).map_err(|why| format!("statement {}: {why}", n + 1))
        };
        Ok(Self { statements: each.map(read).collect::<Result<_, _>>()? })
    }

    pub(super) fn with_denies(mut self, denies: Denies) -> Self {
        match denies {
            Denies::Count => {}
            Denies::TooLate => self.statements.retain(|it| it.is_allow),
            Denies::Undated => {
                self.statements.iter_mut().filter(|it| !it.is_allow).for_each(|it| it.is_undated = true);
            }
        }
        self
    }
}

impl Statement {
    fn parse(number: usize, statement: &Value, has_variables: bool) -> Result<Self, String> {
        let is_allow = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err("its effect is neither Allow nor Deny".to_owned()),
        };
        let actions = named(statement, "Action", "NotAction")?.ok_or("it names no action")?;
        let clauses = match statement.get("Condition") {
            None => Vec::new(),
            Some(it) => Clause::parse_all(it).ok_or("its condition can't be read")?,
        };
        let sid = statement.get("Sid").and_then(Value::as_str).filter(|it| !it.is_empty());
        Ok(Self {
            name: sid.map_or_else(|| format!("#{number}"), str::to_owned),
            is_allow,
            actions: Actions {
                all_but: actions.all_but,
                patterns: actions.patterns.iter().map(|it| pieces(&it.to_ascii_lowercase())).collect(),
            },
            resources: named(statement, "Resource", "NotResource")?,
            principal: statement.get("Principal").cloned(),
            clauses,
            has_variables,
            is_undated: false,
        })
    }

    /// Whether the statement is about the action, which is compared without case.
    pub fn is_about(&self, action: &str) -> bool {
        let action: Vec<char> = action.to_ascii_lowercase().chars().collect();
        self.actions.patterns.iter().any(|it| matches_chars(it, &action)) != self.actions.all_but
    }

    /// Whether it applies to the action on the resource.
    pub fn applies(&self, action: &str, resource: &str, context: &Context) -> Truth {
        if !self.is_about(action) {
            return Truth::No;
        }
        let resource: Vec<char> = resource.chars().collect();
        Truth::all([self.resources(context).names(&resource), self.holds(context)])
    }

    /// Whether its conditions hold.
    pub(super) fn holds(&self, context: &Context) -> Truth {
        let undated = self.is_undated.then(|| Truth::depends("whether it was there before containment"));
        Truth::all(self.clauses.iter().map(|it| it.holds(context, self.has_variables)).chain(undated))
    }

    /// What it names, with variables put in.
    pub(super) fn resources(&self, context: &Context) -> Resources {
        // Without any it names everything: the policy of a resource, such as a role's trust.
        let Some(named) = &self.resources else { return Resources { all_but: true, ..Resources::default() } };
        let mut resources = Resources { all_but: named.all_but, ..Resources::default() };
        for pattern in &named.patterns {
            match self.pattern(pattern, context) {
                Ok(filled) => resources.patterns.push(filled),
                Err(Truth::Depends(keys)) => resources.unknown.push((pattern.clone(), keys)),
                Err(_) => {}
            }
        }
        resources
    }

    /// As they are written, and whether it names all but these.
    pub(super) fn written(&self) -> (bool, &[String]) {
        self.resources.as_ref().map_or((false, &[]), |it| (it.all_but, it.patterns.as_slice()))
    }

    fn pattern(&self, pattern: &str, context: &Context) -> Result<Vec<Piece>, Truth> {
        if self.has_variables { context.fill(pattern) } else { Ok(pieces(pattern)) }
    }
}

/// The resources that a statement names, with what is known of the request put in.
#[derive(Debug, Clone, Default)]
pub(super) struct Resources {
    pub(super) all_but: bool,
    pub(super) patterns: Vec<Vec<Piece>>,
    /// As they are written, and by which keys it depends what they match.
    pub(super) unknown: Vec<(String, BTreeSet<String>)>,
}

impl Resources {
    pub(super) fn names(&self, resource: &[char]) -> Truth {
        let any = if self.patterns.iter().any(|it| matches_chars(it, resource)) {
            Truth::Yes
        } else if self.unknown.is_empty() {
            Truth::No
        } else {
            Truth::Depends(self.unknown.iter().flat_map(|(_, keys)| keys.clone()).collect())
        };
        if self.all_but { any.negated() } else { any }
    }
}

fn named(statement: &Value, these: &str, all_but: &str) -> Result<Option<Named>, String> {
    let read = |field: &Value, all_but| {
        let patterns: Vec<_> = texts(Some(field)).into_iter().map(str::to_owned).collect();
        let is_text = match field {
            Value::Array(items) => items.len() == patterns.len() && !items.is_empty(),
            other => other.is_string(),
        };
        if is_text { Ok(Some(Named { all_but, patterns })) } else { Err(format!("its {these} is no text")) }
    };
    match (statement.get(these), statement.get(all_but)) {
        (Some(_), Some(_)) => Err(format!("it has both {these} and {all_but}")),
        (Some(field), None) => read(field, false),
        (None, Some(field)) => read(field, true),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_iam_would_not_take_is_said() {
        for (document, why) in [
            ("no policy", "no JSON"),
            ("{}", "no statements"),
            (r#"{"Version":"2020-01-01","Statement":[]}"#, "version"),
            (r#"{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}"#, "statement 1: its effect"),
            (r#"{"Statement":[{"Effect":"Deny","Resource":"*"}]}"#, "no action"),
            (r#"{"Statement":[{"Effect":"Deny","Action":7,"Resource":"*"}]}"#, "no text"),
            (r#"{"Statement":[{"Effect":"Deny","Action":["*",7],"Resource":"*"}]}"#, "no text"),
            (r#"{"Statement":[{"Effect":"Deny","Action":"*","NotAction":"*","Resource":"*"}]}"#, "both"),
            (r#"{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":[]}]}"#, "condition"),
        ] {
            let error = Document::parse(document).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let document = Document::parse(
            "%7B%22Statement%22:%7B%22Sid%22:%22S%22,%22Effect%22:%22Allow%22,%22Action%22:%22*%22%7D%7D",
        );
        assert_eq!(document.unwrap().statements[0].name, "S");
    }
}
