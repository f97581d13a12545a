//! Reads variables, one parser for each kind of setting. Every problem is kept, with the variable's
//! name.

use super::values::{FindingResponse, Mode, Pattern};
use crate::finding::Threat;
use crate::ids::{AccountId, Arn, Parse, PrincipalName, Region, UniqueId};
use crate::problem::Kind;
use crate::text;
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
    pub(super) fn tell(&mut self, problem: String) {
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

pub(super) fn sweep_role(read: &mut Reader) -> String {
    read.role_name("SWEEP_ROLE_NAME", "SecuritySweepRole")
}

pub(super) fn whole_number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "expected a whole number".to_owned())
}

/// A record has room for so many.
pub(super) fn children_limit(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|it| *it <= 100).ok_or_else(|| "expected a whole number from 0 to 100".to_owned())
}

pub(super) fn percent(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|it| *it <= 100).ok_or_else(|| "expected a whole number from 0 to 100".to_owned())
}

/// Whether the answer to missing MFA is to hold the console back, and not to take keys away.
pub(super) fn holds_console(text: &str) -> Result<bool, String> {
    match text {
        "keys" => Ok(false),
        "console" => Ok(true),
        _ => Err("expected `keys` or `console`".to_owned()),
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules>
pub(super) fn tag_key(text: &str) -> Result<String, String> {
    let is_key = text.len() <= 128 && text.chars().all(|it| it.is_alphanumeric() || " _.:/=+-@".contains(it));
    is_key.then(|| text.to_owned()).ok_or_else(|| "expected the key of a tag".to_owned())
}

pub(super) fn kind_to_act_on(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().filter(|it| it.threat().is_some()).collect::<Vec<_>>();
    let kind = known.iter().find(|it| it.name() == text).copied();
    let names = || known.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
    kind.ok_or_else(|| format!("expected one of {}", names()))
}

/// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_OrganizationalUnit.html>
pub(super) fn organizational_unit(text: &str) -> Result<String, String> {
    let is_id = |prefix: &str| {
        let rest = text.strip_prefix(prefix);
        rest.is_some_and(|it| {
            (4..=68).contains(&it.len())
                && it.bytes().all(|b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    };
    if is_id("ou-") || is_id("r-") {
        Ok(text.to_owned())
    } else {
        Err("expected the ID of an organisational unit or of the root".to_owned())
    }
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

/// A channel's ID: its name may be another's tomorrow, and Slack takes no name.
/// <https://docs.slack.dev/reference/methods/chat.postMessage>
pub(super) fn slack_channel(text: &str) -> Result<String, String> {
    let is_id = |it: &str| it.len() >= 8 && it.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    match text.strip_prefix(['C', 'G', 'D', 'U', 'W']) {
        Some(rest) if is_id(rest) && text.len() <= 32 => Ok(text.to_owned()),
        _ => Err("expected the ID of a Slack channel, such as C0123456789".to_owned()),
    }
}

/// The name of a parameter, never the value of one: a token is not repeated in the error.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>
pub(super) fn parameter(text: &str) -> Result<String, String> {
    let is_part = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    match text.strip_prefix('/') {
        Some(rest) if text.len() <= 1_000 && rest.split('/').all(is_part) => Ok(text.to_owned()),
        _ => Err("expected the name of an SSM parameter that begins with a slash".to_owned()),
    }
}

fn slack_id(text: &str, kinds: &[char], what: &str) -> Result<String, String> {
    let is_rest =
        |it: &str| (2..=30).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let is_id = text.strip_prefix(kinds).is_some_and(is_rest);
    is_id.then(|| text.to_owned()).ok_or_else(|| format!("expected {what}"))
}

pub(super) fn slack_app(text: &str) -> Result<String, String> {
    slack_id(text, &['A'], "the app's ID, such as A0123456789")
}

/// An organisation's ID begins with an E, and is refused: what is clicked there names no workspace.
pub(super) fn slack_team(text: &str) -> Result<String, String> {
    slack_id(text, &['T'], "the workspace's ID, such as T0123456789")
}

pub(super) fn slack_user(text: &str) -> Result<String, String> {
    slack_id(text, &['U', 'W'], "a Slack user ID such as U0123456789")
}

/// `U0123456789=arn:aws:iam::111122223333:user/alice`, or the unique ID instead of the ARN.
pub(super) fn approver_identity(text: &str) -> Result<(String, String), String> {
    let (user, arn) = text.split_once('=').ok_or("expected `<Slack user ID>=<ARN or unique ID>`")?;
    let is_arn = Arn::parse(arn).is_some_and(|it| it.service == "iam" && it.kind_and_name().is_some());
    let is_identity = is_arn || UniqueId::parse(arn).is_ok();
    if !is_identity {
        return Err("expected the ARN or unique ID of an IAM user or role".to_owned());
    }
    Ok((slack_user(user)?, arn.to_owned()))
}

/// What HTTP's basic authentication takes, and more strictly: the name is shown to approvers.
pub(super) fn form_user(text: &str) -> Result<String, String> {
    let is_name = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    is_name.then(|| text.to_owned()).ok_or_else(|| "expected 1 to 64 letters, digits, `.`, `_` or `-`".to_owned())
}

/// `111122223333=Shop`, or the ID alone.
pub(super) fn form_account(text: &str) -> Result<(AccountId, String), String> {
    let (id, name) = text.split_once('=').unwrap_or((text, text));
    Ok((parsed(id)?, text::line(name, 60)))
}

/// As a browser says it: a scheme, a host and nothing behind. Without TLS on the machine itself only.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let is_host = |it: &str| {
        !it.is_empty() && it.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:".contains(&b))
    };
    let is_local = text.strip_prefix("http://").is_some_and(|it| it.starts_with("127.0.0.1:") && is_host(it));
    let is_origin = is_local || text.strip_prefix("https://").is_some_and(is_host);
    is_origin.then(|| text.to_owned()).ok_or_else(|| "expected an origin such as https://report.example.com".to_owned())
}

/// CloudTrail's event history has ninety days.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>
pub(super) fn hours(text: &str) -> Result<u64, String> {
    let number = text.parse::<u64>().ok().filter(|it| (1..=90 * 24).contains(it));
    number.ok_or_else(|| "expected a number of hours from 1 to 2160".to_owned())
}

/// The ID of a model or of an inference profile of the own account and region.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>
pub(super) fn model(text: &str) -> Result<String, String> {
    let is_id = (1..=140).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".:-".contains(&b));
    is_id.then(|| text.to_owned()).ok_or_else(|| "expected the ID of a Bedrock model or inference profile".to_owned())
}

/// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_Policy.html>
pub(super) fn policy_id(text: &str) -> Result<String, String> {
    let is_id = |it: &str| (8..=128).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match text.strip_prefix("p-") {
        Some(rest) if is_id(rest) => Ok(text.to_owned()),
        _ => Err("expected the ID of a service control policy, such as p-a1b2c3d4".to_owned()),
    }
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
        "missing-mfa" => Threat::MissingMfa,
        _ => return Err("expected the playbook `overprivileged-user`, `unused-user` or `missing-mfa`".to_owned()),
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

/// A day at most: what waited for longer is looked at anew.
pub(super) fn minutes(text: &str) -> Result<u64, String> {
    let number = text.parse::<u64>().ok().filter(|it| (1..=1_440).contains(it));
    number.ok_or_else(|| "expected a number of minutes from 1 to 1440".to_owned())
}

/// `overprivileged-user=2`: a playbook, and how many different approvers it takes.
pub(super) fn approvals(text: &str) -> Result<(&'static str, i64), String> {
    let (id, number) = text.split_once('=').ok_or("expected `<playbook>=<number>`")?;
    let number = number.parse::<i64>().ok().filter(|it| (1..=5).contains(it));
    Ok((playbook(id)?, number.ok_or("expected a number of approvers from 1 to 5")?))
}

pub(super) fn playbook_mode(text: &str) -> Result<(&'static str, Mode), String> {
    let (id, mode) = text.split_once('=').ok_or("expected `<playbook>=<mode>`")?;
    Ok((playbook(id)?, mode.parse()?))
}

fn playbook(id: &str) -> Result<&'static str, String> {
    let known = Threat::ALL.map(Threat::playbook);
    let playbook = known.into_iter().find(|it| *it == id);
    playbook.ok_or_else(|| format!("expected one of the playbooks {}", known.join(", ")))
}
