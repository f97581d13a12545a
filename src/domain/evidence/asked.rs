//! The actions that AWS is asked about too: those of the catalogue, and those by which an administrator is known.

use std::collections::BTreeSet;

use super::catalogue::{Kind, paths};

/// The resource of whoever means none: what is allowed to `*` is allowed to all.
pub const ANY: &str = "*";

/// Who may do whatever nothing denies, and one of these to anybody, is an administrator: what is denied it may give itself.
pub(super) const GIVES_RIGHTS: &[&str] =
    &["iam:CreateUser", "iam:AttachUserPolicy", "iam:AttachRolePolicy", "iam:PutUserPolicy", "iam:PutRolePolicy"];

/// What guardrails like to deny.
pub(super) const GUARDED: &[&str] = &[
    "sts:AssumeRole",
    "ec2:RunInstances",
    "s3:DeleteBucket",
    "kms:ScheduleKeyDeletion",
    "cloudtrail:StopLogging",
    "guardduty:DeleteDetector",
];

/// Each once.
pub fn actions() -> BTreeSet<&'static str> {
    let probes = GIVES_RIGHTS.iter().chain(GUARDED).copied();
    paths().iter().flat_map(|it| it.actions()).chain(probes).collect()
}

/// Whether it takes part in a way to more rights.
pub(super) fn gives_rights(action: &str) -> bool {
    let ways = paths().iter().filter(|it| it.kind == Kind::Rights);
    GIVES_RIGHTS.contains(&action) || ways.flat_map(|it| it.actions()).any(|it| it == action)
}
