//! Reads variables, one parser for each kind of setting. Every problem is kept, with the variable's
//! name.

use super::values::{FindingResponse, Mode, Pattern};
use crate::finding::Threat;
use crate::ids::{Arn, Parse, PrincipalName, Region};
use crate::told::Answer;

pub(super) struct Reader<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    pub(super) problems: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn optional<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = (self.lookup)(name)?;
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        parse(text).map_err(|problem| self.tell(format!("{name}: {problem}"))).ok()
    }

    /// Once, however many structs read the variable.
    fn tell(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn role_name(&mut self, name: &str, default: &str) -> String {
        self.optional(name, parsed::<PrincipalName>).map_or_else(|| default.to_owned(), |it| it.to_string())
    }

    pub(super) fn required<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        if (self.lookup)(name).is_none_or(|it| it.trim().is_empty()) {
            self.tell(format!("{name}: not set"));
            return None;
        }
        self.optional(name, parse)
    }

    /// Comma-separated; every bad element is a problem of its own.
    pub(super) fn list<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.list_or(name, "", parse)
    }

    pub(super) fn list_or<T>(
        &mut self,
        name: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let text = (self.lookup)(name).filter(|it| !it.trim().is_empty()).unwrap_or_else(|| default.to_owned());
        let elements = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let mut parsed = Vec::new();
        for (n, element) in elements.enumerate() {
            match parse(element) {
                Ok(it) => parsed.push(it),
                Err(problem) => self.tell(format!("{name}: element {}: {problem}", n + 1)),
            }
        }
        parsed
    }
}

pub(super) fn remediation_role(read: &mut Reader) -> String {
    read.role_name("REMEDIATION_ROLE_NAME", "SecurityRemediationRole")
}

pub(super) fn restore_role(read: &mut Reader) -> String {
    read.role_name("RESTORE_ROLE_NAME", "SecurityRestoreRole")
}

pub(super) fn drill_role(read: &mut Reader) -> String {
    read.role_name("DRILL_ROLE_NAME", "SecurityDrillRole")
}

pub(super) fn investigator_role(read: &mut Reader) -> String {
    read.role_name("INVESTIGATOR_ROLE_NAME", "SecurityInvestigatorRole")
}

pub(super) fn parsed<T: Parse>(text: &str) -> Result<T, String> {
    T::parse(text).map_err(|it| it.to_string())
}

/// Only ever seen beside an error, which is what the caller gets.
pub(super) fn nowhere() -> Region {
    Region::parse("us-east-1").unwrap_or_else(|_| unreachable!("a literal region"))
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected `true` or `false`".to_owned()),
    }
}

pub(super) fn severity(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|it| (0.0..=10.0).contains(it));
    number.ok_or_else(|| "expected a number from 0 to 10".to_owned())
}

/// IAM enforces a change some four seconds after it is visible: what is not well above that proves
/// nothing, and is for tests.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|it| (0.0..=300.0).contains(it));
    number.ok_or_else(|| "expected a number of seconds from 0 to 300".to_owned())
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(super) fn external_id(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
    if (2..=1224).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected 2 to 1224 letters, digits or _+=,.@:/-".to_owned())
    }
}

pub(super) fn arn(text: &str, service: &str) -> Result<String, String> {
    match Arn::parse(text) {
        Some(arn) if arn.service == service => Ok(text.to_owned()),
        _ => Err(format!("expected an ARN of the service `{service}`")),
    }
}

pub(super) fn url(text: &str) -> Result<String, String> {
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    is_url.then(|| text.to_owned()).ok_or_else(|| "expected an http or https URL".to_owned())
}

pub(super) fn table(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if (3..=255).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected the name of a DynamoDB table".to_owned())
    }
}

/// CloudTrail's event history has ninety days.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>
pub(super) fn hours(text: &str) -> Result<u64, String> {
    let number = text.parse::<u64>().ok().filter(|it| (1..=90 * 24).contains(it));
    number.ok_or_else(|| "expected a number of hours from 1 to 2160".to_owned())
}

pub(super) fn function_name(text: &str) -> Result<String, String> {
    let is_name =
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    is_name.then(|| text.to_owned()).ok_or_else(|| "expected the name of a Lambda function".to_owned())
}

pub(super) fn limits(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once(',').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    parsed.ok_or_else(|| "expected two numbers, per account and in all, such as `5,20`".to_owned())
}

pub(super) fn document(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b);
    if (3..=128).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected the name or ARN of an SSM document".to_owned())
    }
}

pub(super) fn product(text: &str) -> Result<Pattern, String> {
    if text.starts_with("product/") && text.split('/').count() == 3 {
        Ok(Pattern(text.to_owned()))
    } else {
        Err("expected `product/<company>/<name>`, in which `*` stands for anything".to_owned())
    }
}

pub(super) fn generator(text: &str) -> Result<(Pattern, Threat), String> {
    let (pattern, playbook) = text.rsplit_once('=').ok_or("expected `<generator ID>=<playbook>`")?;
    let threat = match playbook {
        "overprivileged-user" => Threat::OverprivilegedUser,
        "unused-user" => Threat::UnusedUser,
        _ => return Err("expected the playbook `overprivileged-user` or `unused-user`".to_owned()),
    };
    if pattern.trim_matches('*').is_empty() {
        return Err("expected a generator ID before the `=`".to_owned());
    }
    Ok((Pattern(pattern.to_owned()), threat))
}

/// `S3=contain@7`: a family or a type, what is done, and from which severity on.
pub(super) fn finding_response(text: &str) -> Result<FindingResponse, String> {
    let (of, rest) = text.split_once('=').ok_or("expected `<family or type>=<answer>`")?;
    let (answer, from) = rest.split_once('@').unwrap_or((rest, "0"));
    let answer = match answer {
        "contain" => Answer::Contain,
        "alert" => Answer::Alert,
        "digest" => Answer::Digest,
        "count" => Answer::Count,
        _ => return Err("expected `contain`, `alert`, `digest` or `count`".to_owned()),
    };
    let is_family = !of.is_empty() && of.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_type = of.split_once(':').is_some_and(|(_, rest)| rest.contains('/'));
    if !is_family && !is_type {
        return Err("expected a family such as `S3`, or a type such as `Discovery:S3/TorIPCaller`".to_owned());
    }
    Ok(FindingResponse { of: of.to_owned(), answer, from: severity(from)? })
}

pub(super) fn playbook_mode(text: &str) -> Result<(&'static str, Mode), String> {
    let (id, mode) = text.split_once('=').ok_or("expected `<playbook>=<mode>`")?;
    let known = Threat::ALL.map(Threat::playbook);
    let playbook = known.into_iter().find(|it| *it == id);
    let playbook = playbook.ok_or_else(|| format!("expected one of the playbooks {}", known.join(", ")))?;
    Ok((playbook, mode.parse()?))
}
