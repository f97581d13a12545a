"""Every AWS call that the responder makes, failing in every way it can, in the HTTP path.

Each cell's required outcome is in `REQUIRED`. In all of them: an answer within the time, no panic, no
verdict better than what an administrator sees afterwards.
"""

import os
import time

import pytest

from .harness.slack import Slack
from .harness.victims import Role, User
from .harness.world import POLICIES

GOOD = ("Contained", "ok")

# What each fault is, on the wire. `times` absent means for good.
FAULTS = {
    "throttled-once": {"code": "Throttling", "status": 400, "times": 1},
    "throttled": {"code": "Throttling", "status": 400},
    "denied": {"code": "AccessDenied", "status": 403},
    "no-such-entity": {"code": "NoSuchEntity", "status": 404},
    "broken": {"code": "ServiceFailure", "status": 500},
    "timeout-once": {"delay_ms": 5_000, "times": 1},
    "reset-before": {"reset": "before", "times": 1},
    "reset-after": {"reset": "after", "times": 1},
    "conflict-twice": {"code": "ConcurrentModification", "status": 409, "times": 2},
    "quota": {"code": "LimitExceeded", "status": 409},
    "slow": {"delay_ms": 15_000},
}
# About how long a cell waits for its fault; the others answer at once.
SECONDS = {"slow": 25, "throttled": 6, "timeout-once": 4}
ONCE = ("throttled-once", "timeout-once", "reset-before", "reset-after")
LASTING = ("throttled", "denied", "broken", "slow")

# The kinds of calls, and what each kind's lasting failure must come to: the verdict, and whether the
# invocation is an error, so that it is tried again.
REQUIRED = {
    "assume": dict.fromkeys(LASTING, ("NotContained", "error")),
    "resolve": dict.fromkeys(LASTING, ("NotContained", "error")) | {"no-such-entity": ("NotContained", "error")},
    "read": dict.fromkeys(LASTING, ("Unverified", "error")) | {"no-such-entity": ("Unverified", "error")},
    # That a user has no password, and a role no revocation, is what NoSuchEntity says.
    "absent": dict.fromkeys(LASTING, ("Unverified", "error")) | {"no-such-entity": GOOD},
    "revocation": dict.fromkeys(LASTING, ("Unverified", "error")) | {"no-such-entity": ("NotContained", "error")},
    "write": dict.fromkeys((*LASTING, "no-such-entity", "quota"), ("NotContained", "error")) | {"conflict-twice": GOOD},
    # Where there are not ten policies yet, a boundary alone is no quarantine: who attaches none is asked again.
    "attach": dict.fromkeys((*LASTING, "no-such-entity", "quota"), ("NotContained", "error")) | {"conflict-twice": GOOD},
    # A role that has no room for a revocation is denied everything.
    "revoke": dict.fromkeys((*LASTING, "no-such-entity"), ("NotContained", "error")) | {"conflict-twice": GOOD, "quota": GOOD},
    # What only a restore or a person needs to know is said to be missing.
    "aside": dict.fromkeys((*LASTING, "no-such-entity"), GOOD),
    "tag": dict.fromkeys((*LASTING, "no-such-entity"), ("Contained", "error")) | {"conflict-twice": GOOD, "quota": GOOD},
    # Without the ledger nothing is taken away; what adds is done, and the invocation is tried again. Whether a
    # suspect is open, nobody knows.
    "ledger": dict.fromkeys(LASTING, ("Unverified", "error")),
    "notice": dict.fromkeys(LASTING, ("Contained", "error")),
    # Slack gets it later.
    "slack": dict.fromkeys(LASTING, GOOD),
}

# Each call, where it is made, and its kind.
CALLS = [
    ("user", "sts:AssumeRole", "assume"),
    ("user", "iam:GetUser", "resolve"),
    ("user", "iam:ListAccessKeys", "read"),
    ("user", "iam:ListAttachedUserPolicies", "read"),
    ("user", "iam:ListUserPolicies", "read"),
    ("user", "iam:ListGroupsForUser", "read"),
    ("user", "iam:GetUserPolicy", "aside"),
    ("user", "iam:ListGroupPolicies", "aside"),
    ("user", "iam:ListAttachedGroupPolicies", "aside"),
    ("user", "iam:ListMFADevices", "read"),
    ("user", "iam:ListSSHPublicKeys", "read"),
    ("user", "iam:ListSigningCertificates", "read"),
    ("user", "iam:ListServiceSpecificCredentials", "read"),
    ("user", "iam:ListUsers", "read"),
    ("user", "iam:ListRoles", "read"),
    ("user", "iam:GetLoginProfile", "absent"),
    ("user", "iam:AttachUserPolicy", "attach"),
    ("user", "iam:UpdateAccessKey", "write"),
    ("user", "iam:TagUser", "tag"),
    ("user", "ssm:StartAutomationExecution", "notice"),
    ("user", "ssm-incidents:StartIncident", "notice"),
    ("user", "securityhub:BatchUpdateFindings", "notice"),
    ("user", "sns:Publish", "notice"),
    ("slack", "ssm:GetParameter", "slack"),
    ("role", "iam:GetRole", "resolve"),
    ("role", "iam:GetRolePolicy", "revocation"),
    ("role", "iam:ListRolePolicies", "read"),
    ("role", "iam:ListAttachedRolePolicies", "read"),
    ("role", "iam:PutRolePolicy", "revoke"),
    ("role", "iam:TagRole", "tag"),
    ("role", "ssm:CreateOpsItem", "notice"),
    ("user", "dynamodb:UpdateItem", "ledger"),
    ("overprivileged", "iam:GetPolicy", "read"),
    ("overprivileged", "iam:GetPolicyVersion", "read"),
    ("overprivileged", "iam:ListGroupPolicies", "read"),
    ("overprivileged", "iam:ListAttachedGroupPolicies", "read"),
    ("overprivileged", "iam:DetachUserPolicy", "write"),
    ("overprivileged", "iam:RemoveUserFromGroup", "write"),
    ("stuffed", "iam:PutUserPermissionsBoundary", "write"),
]


def required(kind, fault):
    return GOOD if fault in ONCE else REQUIRED[kind].get(fault)


# Every fault is played for the first call of each kind, these for the others too, and all for all of them in `make nightly`.
FIRST = {kind: (where, call) for where, call, kind in reversed(CALLS)}
FOR_EACH = ("denied", "broken", "throttled-once", "reset-after")


def is_played(where, call, kind, fault):
    return fault in FOR_EACH or FIRST[kind] == (where, call) or "EVERY_CELL" in os.environ


CELLS = [
    pytest.param(where, call, kind, fault, marks=pytest.mark.seconds(SECONDS.get(fault, 0)))
    for where, call, kind in CALLS
    for fault in FAULTS
    if required(kind, fault) and is_played(where, call, kind, fault)
]
# Taking away what is gone is done, and the read afterwards says whether it is.
SPECIAL = {("iam:GetRole", "no-such-entity"): ("Refused", "ok")}


def stage(world, where):
    """The event, and how to see whether the identity is really contained."""
    if where == "role":
        world.deploy()
        role = Role(world)
        name = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
        denied = lambda: [it for it in world.iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"] if it["PolicyName"] == "AWSDenyAll"]  # noqa: E731
        return world.event(name, role=role), lambda: "AWSRevokeOlderSessions" in role.state()["inline"] or denied()
    slack = Slack(world).parameters if where == "slack" else {}
    world.deploy(response_plan=True, rotation=True, TrustedProducts="product/aws/*,product/*/default", **slack)
    more = ["ReadOnlyAccess", "PowerUserAccess", "AmazonEC2FullAccess", "AmazonVPCFullAccess", "AmazonSQSFullAccess"]
    stuffed = [*POLICIES, *more, "AmazonSNSFullAccess", "AmazonRDSFullAccess"]
    user = User(world, policies=stuffed if where == "stuffed" else POLICIES)
    name = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
    if where == "overprivileged":
        name = "security-hub-simulation-administrator-access"
    event = world.event(name, user)
    world.finding(event)

    def contained():
        state = user.state()
        if where == "overprivileged":
            return state["policies"] == [] and state["groups"] == [] and "Active" not in state["keys"].values()
        denied = "AWSDenyAll" in state["policies"] or state["boundary"]
        return bool(denied) and "Active" not in state["keys"].values()

    return event, contained


@pytest.mark.parametrize(("where", "call", "kind", "fault"), CELLS, ids=lambda it: str(it))
def test_cell(world, where, call, kind, fault):
    event, contained = stage(world, where)
    world.fault(call, **FAULTS[fault])
    # What is throttled is tried on for as long as there is time.
    timeout = 16 if fault == "throttled" else 45
    responder, began = world.responder(timeout=timeout), time.monotonic()
    answer = responder.invoke(event)
    assert time.monotonic() - began < timeout - 1
    report = responder.last_report()
    output = responder.output()
    assert "panicked" not in output and "Task timed out" not in output
    ending = "ok" if "reports" in answer else "error"
    outcomes = [SPECIAL.get((call, fault), required(kind, fault))]
    if fault == "slow" and kind in ("write", "attach", "revoke"):
        # A change that nobody waits for any more may still be made, and seen by the last read.
        outcomes.append(("Contained", "error"))
    assert (report["verdict"], ending) in outcomes, answer
    if report["verdict"] == "Contained":
        assert contained()
    if ending == "error":
        assert answer["errorType"] == "ResponseIncomplete"
