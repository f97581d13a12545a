"""The service control policy that makes the quarantine irremovable, in an account that has it."""

import json

from .harness.processes import ROOT
from .harness.victims import User, allowed
from .harness.world import POLICIES

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
SCP = (ROOT / "guardrail-scp.json").read_text()


def guarded(world):
    world.deploy()
    world.control("control-policies", {"account": world.member, "documents": [SCP]})
    return User(world, name="intruder", groups=()).session()


def test_it_fits_and_only_denies():
    """https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"""
    policy = json.loads(SCP)
    assert len(SCP) <= 5120
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Deny"}
    assert all("Condition" in statement for statement in policy["Statement"])


def test_an_administrator_can_not_lift_the_quarantine(world):
    intruder, user = guarded(world), User(world)
    assert allowed(intruder.detach_user_policy, UserName="alice", PolicyArn=f"arn:aws:iam::aws:policy/{POLICIES[0]}")
    world.responder().invoke(world.event(EXFILTRATION, user))
    assert not allowed(intruder.detach_user_policy, UserName="alice", PolicyArn=DENY_ALL)
    assert not user.key_works()


def test_nor_by_the_boundary(world):
    intruder = guarded(world)
    more = ["ReadOnlyAccess", "PowerUserAccess", "AmazonEC2FullAccess", "AmazonVPCFullAccess", "AmazonSQSFullAccess"]
    user = User(world, policies=[*POLICIES, *more, "AmazonSNSFullAccess", "AmazonRDSFullAccess"])
    world.responder().invoke(world.event(EXFILTRATION, user))
    assert user.state()["boundary"] == DENY_ALL
    assert not allowed(intruder.delete_user_permissions_boundary, UserName="alice")
    assert not allowed(intruder.put_user_permissions_boundary, UserName="alice", PermissionsBoundary=f"arn:aws:iam::aws:policy/{POLICIES[0]}")


def test_nor_by_way_of_the_remediation_role(world):
    intruder = guarded(world)
    for role, policy in (("SecurityRemediationRole", "remediation"), ("SecurityRestoreRole", "restore")):
        assert not allowed(intruder.update_assume_role_policy, RoleName=role, PolicyDocument='{"Version": "2012-10-17", "Statement": []}')
        assert not allowed(intruder.delete_role_policy, RoleName=role, PolicyName=policy)
        assert not allowed(intruder.detach_role_policy, RoleName=role, PolicyArn=DENY_ALL)


def test_the_quarantine_can_still_be_taken_back(world):
    guarded(world)
    user = User(world)
    before = user.state()
    world.responder().invoke(world.event(EXFILTRATION, user))
    restore = {"command": "restore", "account": world.member, "user": "alice", "reason": "a drill", "by": "Dana"}
    assert world.responder(part="restorer").invoke(restore)["restore"]["verdict"] == "Restored"
    assert user.state()["policies"] == before["policies"]


def test_the_responder_still_can_work(world):
    guarded(world)
    user = User(world)
    [report] = world.responder().invoke(world.event(EXFILTRATION, user))["reports"]
    assert report["verdict"] == "Contained"
