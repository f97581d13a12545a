//! Direct commands: what a person sends with `aws lambda invoke`.
//!
//! Only who may call `lambda:InvokeFunction` can send one. A misspelt field is an error and never
//! ignored: at three in the morning a typo must not contain the wrong identity.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::Value;

use super::identity::name_or_id;
use super::node::Node;
use super::{DecodeError, Judged};
use crate::command::{
    Acknowledge, Act, CloseSuspect, Command, Decide, DrillKind, DropDeferred, End, OfAccount, Release, Report, Restore,
    Run, Subject, Sweep,
};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccessKeyId, AccountId, Partition, Region};
use crate::settings::Settings;
use crate::text;

const CONTAIN_FIELDS: &[&str] = &["command", "account", "user", "role", "access_key", "reason", "region"];
const RESTORE_FIELDS: &[&str] =
    &["command", "account", "user", "role", "response", "reason", "by", "force", "children", "region"];
const CLOSE_FIELDS: &[&str] = &["command", "account", "user", "role", "suspect", "by", "reason", "region"];
const DROP_FIELDS: &[&str] = &["command", "account", "user", "role", "by", "reason"];
const REPORT_FIELDS: &[&str] = &["command", "account", "user", "role", "access_key", "since", "detected", "region"];
const STATUS_FIELDS: &[&str] = &["command", "account", "user", "role", "region"];

pub(super) fn decode(root: &Node, settings: &Settings) -> Result<Judged, DecodeError> {
    let home = &settings.common().region;
    match (root.get("command").required()?, settings) {
        ("contain", Settings::Responder(_)) => contain(root, home),
        ("restore", Settings::Restorer(_)) => restore(root, home),
        ("lift-declined", Settings::Restorer(_)) => {
            only(root, &["command"]).map(|()| Judged::Command(Command::LiftDeclined))
        }
        ("drill", Settings::Driller(_)) => drill(root),
        ("sweep", Settings::Sweeper(_)) => sweep(root),
        ("sweep-accounts", Settings::Sweeper(_)) => Ok(Judged::Command(Command::SweepAccounts(run(root)?))),
        ("sweep-digest", Settings::Sweeper(_)) => end(root),
        ("sweep-release", Settings::Responder(it)) if it.is_hygiene => release(root),
        ("sweep-share", Settings::Responder(it)) if it.is_hygiene => share(root),
        ("sweep-act", Settings::Responder(it)) if it.is_hygiene => act(root),
        ("digest", Settings::Responder(_)) => {
            only(root, &["command"])?;
            Ok(Judged::Command(Command::Digest))
        }
        ("status", Settings::Responder(_) | Settings::Restorer(_)) => {
            only(root, STATUS_FIELDS)?;
            Ok(Judged::Command(Command::Status(subject(root, home)?)))
        }
        ("report", Settings::Investigator(_)) => report(root, home),
        ("due", Settings::Responder(_)) => only(root, &["command"]).map(|()| Judged::Command(Command::Due)),
        ("close-suspect", Settings::Responder(_)) => close_suspect(root, home),
        ("drop-deferred", Settings::Responder(_)) => drop_deferred(root),
        ("ack", Settings::Responder(_)) => acknowledge(root),
        ("approve", Settings::Responder(_)) => decide(root, true),
        ("decline", Settings::Responder(_)) => decide(root, false),
        ("requests", Settings::Responder(_)) => only(root, &["command"]).map(|()| Judged::Command(Command::Requests)),
        (_, Settings::Responder(_)) => Err(root.get("command").malformed(
            "`contain`, `ack`, `approve`, `decline`, `requests`, `status`, `due`, `close-suspect` or `drop-deferred`: `restore` \
             is for the function that restores",
        )),
        (_, Settings::Restorer(_)) => Err(root.get("command").malformed("`restore` or `status`")),
        (_, Settings::Driller(_)) => Err(root.get("command").malformed("`drill`")),
        (_, Settings::Sweeper(_)) => {
            Err(root.get("command").malformed("`sweep`, `sweep-accounts` or `sweep-digest`"))
        }
        (_, Settings::Investigator(_)) => Err(root.get("command").malformed("`report`")),
    }
}

fn sweep(root: &Node) -> Result<Judged, DecodeError> {
    only(root, &["command", "account", "day"])?;
    let day = root.get("day").parse()?;
    Ok(Judged::Command(Command::Sweep(Sweep { account: root.get("account").require()?, day })))
}

fn release(root: &Node) -> Result<Judged, DecodeError> {
    only(root, &["command", "day", "execution", "release"])?;
    let person = root.get("release");
    let is_given = person.value().is_some_and(|it| it.as_object().is_none_or(|it| !it.is_empty()));
    let by = if is_given {
        let (by, reason) = (person.get("by").required()?, person.get("reason").required()?);
        Some(format!("{}: {}", text::line(by, 100), text::line(reason, 300)))
    } else {
        None
    };
    Ok(Judged::Command(Command::SweepRelease(Release { run: run_of(root)?, by })))
}

fn end(root: &Node) -> Result<Judged, DecodeError> {
    only(root, &["command", "day", "execution", "unsent"])?;
    let unsent = root.get("unsent");
    if !matches!(unsent.value(), None | Some(Value::Bool(_))) {
        return Err(unsent.malformed("`true` or `false`"));
    }
    Ok(Judged::Command(Command::SweepDigest(End { run: run_of(root)?, is_partly_sent: unsent.is_true() })))
}

fn share(root: &Node) -> Result<Judged, DecodeError> {
    only(root, &["command", "day", "account"])?;
    let (day, account) = (root.get("day").require()?, root.get("account").require()?);
    Ok(Judged::Command(Command::SweepShare(OfAccount { day, account })))
}

fn act(root: &Node) -> Result<Judged, DecodeError> {
    only(root, &["command", "day", "account", "problem"])?;
    let (account, problem) = (root.get("account").require()?, root.get("problem").required()?.to_owned());
    Ok(Judged::Command(Command::SweepAct(Act { day: root.get("day").require()?, account, problem })))
}

fn run(root: &Node) -> Result<Run, DecodeError> {
    only(root, &["command", "day", "execution"])?;
    run_of(root)
}

fn run_of(root: &Node) -> Result<Run, DecodeError> {
    Ok(Run { day: root.get("day").require()?, execution: root.get("execution").required()?.to_owned() })
}

/// Without a number of days it is held now.
fn drill(root: &Node) -> Result<Judged, DecodeError> {
    only(root, &["command", "kind", "if_older_than_days"])?;
    let kind = root.get("kind");
    let kind = match kind.optional()? {
        None => DrillKind::default(),
        Some(word) => DrillKind::ALL
            .into_iter()
            .find(|it| it.word() == word)
            .ok_or_else(|| kind.malformed("`reported` or `created`"))?,
    };
    let days = root.get("if_older_than_days");
    let if_older_than_days = match days.number() {
        Some(number) if number >= 0.0 => number,
        None if !days.is_present() => 0.0,
        _ => return Err(days.malformed("a number of days")),
    };
    Ok(Judged::Command(Command::Drill { kind, if_older_than_days }))
}

fn only(root: &Node, fields: &[&str]) -> Result<(), DecodeError> {
    let given = root.value().and_then(Value::as_object).into_iter().flatten();
    match given.map(|(field, _)| field).find(|it| !fields.contains(&it.as_str())) {
        Some(field) => {
            Err(root.get(&text::line(field, 40)).malformed(&format!("only the fields {}", fields.join(", "))))
        }
        None => Ok(()),
    }
}

/// A person who undoes says why, and who they are.
fn restore(root: &Node, home: &Region) -> Result<Judged, DecodeError> {
    only(root, RESTORE_FIELDS)?;
    let (force, children) = (root.get("force"), root.get("children"));
    if let Some(odd) = [&force, &children].into_iter().find(|it| !matches!(it.value(), None | Some(Value::Bool(_)))) {
        return Err(odd.malformed("`true` or `false`"));
    }
    Ok(Judged::Command(Command::Restore(Restore {
        subject: subject(root, home)?,
        reason: root.get("reason").required()?.to_owned(),
        by: root.get("by").required()?.to_owned(),
        response: root.get("response").optional()?.map(str::to_owned),
        force: force.is_true(),
        children: children.is_true(),
        is_lift: false,
    })))
}

fn report(root: &Node, home: &Region) -> Result<Judged, DecodeError> {
    only(root, REPORT_FIELDS)?;
    let time = |field: &str| {
        let field = root.get(field);
        let text = field.optional()?;
        let time = text.map(|it| DateTime::from_str(it, Format::DateTimeWithOffset)).transpose();
        time.map_err(|_| field.malformed("a time such as `2026-11-21T06:00:00Z`"))
    };
    Ok(Judged::Command(Command::Report(Report {
        subject: subject(root, home)?,
        region: root.get("region").parse::<Region>()?.unwrap_or_else(|| home.clone()),
        access_key: root.get("access_key").parse::<AccessKeyId>()?,
        since: time("since")?,
        detected: time("detected")?,
    })))
}

fn close_suspect(root: &Node, home: &Region) -> Result<Judged, DecodeError> {
    only(root, CLOSE_FIELDS)?;
    Ok(Judged::Command(Command::CloseSuspect(CloseSuspect {
        subject: subject(root, home)?,
        suspect: root.get("suspect").required()?.to_owned(),
        by: root.get("by").required()?.to_owned(),
        reason: root.get("reason").required()?.to_owned(),
    })))
}

fn decide(root: &Node, is_approval: bool) -> Result<Judged, DecodeError> {
    only(root, &["command", "request", "by", "reason"])?;
    Ok(Judged::Command(Command::Decide(Decide {
        request: root.get("request").require()?,
        is_approval,
        by: root.get("by").required()?.to_owned(),
        reason: root.get("reason").required()?.to_owned(),
    })))
}

/// At three in the morning the ID and a name are enough.
fn acknowledge(root: &Node) -> Result<Judged, DecodeError> {
    only(root, &["command", "alert", "by", "reason"])?;
    Ok(Judged::Command(Command::Acknowledge(Acknowledge {
        alert: root.get("alert").require()?,
        by: root.get("by").required()?.to_owned(),
        reason: root.get("reason").optional()?.unwrap_or_default().to_owned(),
    })))
}

fn drop_deferred(root: &Node) -> Result<Judged, DecodeError> {
    only(root, DROP_FIELDS)?;
    let names_nobody = !root.get("user").is_present() && !root.get("role").is_present();
    Ok(Judged::Command(Command::DropDeferred(DropDeferred {
        account: root.get("account").require()?,
        principal: if names_nobody { None } else { Some(principal(root)?) },
        by: root.get("by").required()?.to_owned(),
        reason: root.get("reason").required()?.to_owned(),
    })))
}

fn subject(root: &Node, home: &Region) -> Result<Subject, DecodeError> {
    let account = root.get("account").require()?;
    let region = root.get("region").parse::<Region>()?.unwrap_or_else(|| home.clone());
    Ok(Subject { account, partition: Partition::of_region(&region), principal: principal(root)? })
}

fn principal(root: &Node) -> Result<Principal, DecodeError> {
    let (user, user_id) = name_or_id(&root.get("user"))?;
    let (role, role_id) = name_or_id(&root.get("role"))?;
    match (user.is_some() || user_id.is_some(), role.is_some() || role_id.is_some()) {
        (true, false) => Ok(Principal::User { name: user, id: user_id }),
        (false, true) => Ok(Principal::Role { name: role, id: role_id, session: None }),
        (true, true) => Err(root.get("role").malformed("either `user` or `role`")),
        (false, false) => Err(root.get("user").malformed("`user` or `role`")),
    }
}

fn contain(root: &Node, home: &Region) -> Result<Judged, DecodeError> {
    only(root, CONTAIN_FIELDS)?;
    let account: AccountId = root.get("account").require()?;
    let access_key = root.get("access_key").parse::<AccessKeyId>()?;
    let (user, user_id) = name_or_id(&root.get("user"))?;
    let (role, role_id) = name_or_id(&root.get("role"))?;
    let names_user = user.is_some() || user_id.is_some();
    let principal = match (names_user, role.is_some() || role_id.is_some()) {
        (true, false) => Principal::User { name: user, id: user_id },
        (false, true) => Principal::Role { name: role, id: role_id, session: None },
        (true, true) => return Err(root.get("role").malformed("either `user` or `role`")),
        (false, false) if access_key.as_ref().is_some_and(AccessKeyId::is_long_term) => Principal::KeyOwner,
        (false, false) => return Err(root.get("user").malformed("`user`, `role` or a long-term `access_key`")),
    };
    let region = root.get("region").parse::<Region>()?.unwrap_or_else(|| home.clone());
    let reason = root.get("reason").optional()?.unwrap_or("no reason given");
    Ok(Judged::from(Finding {
        id: format!("command/contain/{account}/{}", target(&principal, access_key.as_ref())),
        source: Source::Command,
        threat: Threat::CompromisedCredential,
        severity: Severity::HIGH,
        account,
        partition: Partition::of_region(&region),
        region,
        principal,
        access_key,
        kind: "contain".to_owned(),
        title: reason.to_owned(),
        occurred_at: None,
        creator: None,
        security_hub: None,
        began_at: None,
        parent: None,
    }))
}

fn target(principal: &Principal, access_key: Option<&AccessKeyId>) -> String {
    match (principal, access_key) {
        (Principal::KeyOwner, Some(key)) => format!("key/{key}"),
        (principal, _) => principal.target_key(),
    }
}
