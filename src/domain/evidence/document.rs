//! One policy as its statements: what IAM evaluates, and what a report names.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use serde_json::Value;

use super::condition::{Clause, Context, Truth};
use crate::glob::{Piece, matches, pieces};
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
    /// What is wrong with a document that is none.
    pub document: Result<Document, String>,
}

impl Policy {
    pub fn new(kind: &'static str, name: &str, group: Option<&str>, document: &str) -> Self {
        let origin = Origin { kind, name: name.to_owned(), group: group.map(str::to_owned) };
        Self { origin, document: Document::parse(document) }
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
    actions: Named,
    resources: Option<Named>,
    /// Whom a trust policy or another policy of a resource is about.
    pub principal: Option<Value>,
    clauses: Vec<Clause>,
    /// The version of 2008 takes `${…}` for what it says.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html>
    has_variables: bool,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
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
            actions,
            resources: named(statement, "Resource", "NotResource")?,
            principal: statement.get("Principal").cloned(),
            clauses,
            has_variables,
        })
    }

    /// Whether the statement is about the action, which is compared without case.
    pub fn is_about(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        self.actions.patterns.iter().any(|it| matches(&pieces(&it.to_ascii_lowercase()), &action))
            != self.actions.all_but
    }

    /// Whether it applies to the action on the resource.
    pub fn applies(&self, action: &str, resource: &str, context: &Context) -> Truth {
        if !self.is_about(action) {
            return Truth::No;
        }
        let named = match &self.resources {
            None => Truth::Yes,
            Some(it) => {
                let any = Truth::any(it.patterns.iter().map(|pattern| {
                    let one = |pattern: Result<Vec<Piece>, Truth>| match pattern {
                        Ok(pattern) => Truth::from(matches(&pattern, resource)),
                        Err(truth) => truth,
                    };
                    one(self.pattern(pattern, context))
                }));
                if it.all_but { any.negated() } else { any }
            }
        };
        Truth::all(std::iter::once(named).chain(self.clauses.iter().map(|it| it.holds(context, self.has_variables))))
    }

    /// The resources that it names, with variables put in; where it names all but some, any.
    pub fn resource_patterns(&self, context: &Context) -> Vec<Vec<Piece>> {
        match &self.resources {
            Some(it) if !it.all_but => it
                .patterns
                .iter()
                .map(|pattern| self.pattern(pattern, context).unwrap_or_else(|_| pieces("*")))
                .collect(),
            _ => vec![pieces("*")],
        }
    }

    /// For people: what it names.
    pub fn resource_words(&self) -> Vec<String> {
        match &self.resources {
            Some(it) if it.all_but => vec![format!("all but {}", it.patterns.join(", "))],
            Some(it) => it.patterns.clone(),
            None => Vec::new(),
        }
    }

    fn pattern(&self, pattern: &str, context: &Context) -> Result<Vec<Piece>, Truth> {
        if self.has_variables { context.fill(pattern) } else { Ok(pieces(pattern)) }
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
