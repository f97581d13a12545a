"""The service control policy that makes the quarantine irremovable, in an account that has it."""

import dataclasses
import json
import os
import pathlib

import pytest

from .harness import doors
from .harness.doors import DENY_ALL, GUARDED, SHUT, Administrator, attempt
from .harness.processes import ROOT
from .harness.victims import LONG_AGO, Role, User, allowed
from .harness.world import POLICIES

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
SCP = (ROOT / "guardrail-scp.json").read_text()
# Ten policies, the most that can be attached: the deny becomes a boundary.
FULL = [*POLICIES, "ReadOnlyAccess", "PowerUserAccess", "AmazonEC2FullAccess", "AmazonVPCFullAccess", "AmazonSQSFullAccess", "AmazonSNSFullAccess", "AmazonRDSFullAccess"]


def guard(world, document=SCP):
    world.control("control-policies", {"account": world.member, "documents": [document] if document else []})


def contain(world, responder=None, **fields):
    command = {"command": "contain", "account": world.member, "reason": "a key in a paste", **fields}
    answer = (responder or world.responder()).invoke(command)
    assert "reports" in answer, answer
    [report] = answer["reports"]
    assert report["verdict"] == "Contained", report


@dataclasses.dataclass
class Contained:
    """One user under the deny, one under the boundary, and a role whose sessions were revoked."""

    denied: User
    bounded: User
    role: Role
    session: object

    def alive(self):
        """Which of them can do anything again, by using them."""
        uses = {"denied": self.denied.session().list_users, "bounded": self.bounded.session().list_users, "role": self.session.list_users}
        return sorted(name for name, use in uses.items() if allowed(use))


def contained(world, scp=SCP):
    world.deploy()
    iam = world.iam
    # As StackSets made them, before the guardrail was attached.
    trusts_stack_sets = Administrator.trust({"AWS": f"arn:aws:iam::{world.security}:root"})
    iam.create_role(RoleName=doors.STACK_SETS_ROLE, AssumeRolePolicyDocument=trusts_stack_sets)
    here = {"AWS": f"arn:aws:iam::{world.member}:root", "Service": "cloudformation.amazonaws.com"}
    iam.create_role(RoleName=doors.SELF_MANAGED_ROLE, AssumeRolePolicyDocument=Administrator.trust(here))
    for role in (doors.STACK_SETS_ROLE, doors.SELF_MANAGED_ROLE):
        iam.attach_role_policy(RoleName=role, PolicyArn=doors.ADMINISTRATOR)
        world.identify(role=role, created=LONG_AGO)
    role_arn = iam.get_role(RoleName=doors.SELF_MANAGED_ROLE)["Role"]["Arn"]
    world.client("cloudformation").create_stack(StackName=doors.STACK, TemplateBody=doors.EMPTY_TEMPLATE, RoleARN=role_arn)
    guard(world, scp)
    denied = User(world, name="alice", groups=())
    bounded = User(world, name="bob", groups=(), policies=FULL)
    role = Role(world)
    session = role.session()
    victims = Contained(denied, bounded, role, session)
    assert victims.alive() == ["bounded", "denied", "role"]
    responder = world.responder()
    for fields in ({"user": "alice"}, {"user": "bob"}, {"role": "app"}):
        contain(world, responder, **fields)
    assert bounded.state()["boundary"] == DENY_ALL
    assert victims.alive() == []
    return victims, Administrator(world, (denied, bounded), (role,))


def test_it_leaves_room_for_the_operators_own_policies_and_only_denies():
    """https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"""
    policy = json.loads(SCP)
    assert len(json.dumps(policy, separators=(",", ":"))) <= 3_500
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Deny"}


@pytest.mark.parametrize("name", GUARDED)
def test_a_door_of_an_administrator_is_shut(world, name):
    """And open without the guardrail, which shows that the door was really tried."""
    victims, administrator = contained(world)
    GUARDED[name](administrator)
    assert victims.alive() == []
    guard(world, None)
    GUARDED[name](administrator)
    assert victims.alive() != []


@pytest.mark.parametrize("name", SHUT)
def test_a_door_that_aws_keeps_shut_itself_is_shut_with_the_guardrail_too(world, name):
    victims, administrator = contained(world)
    SHUT[name](administrator)
    assert victims.alive() == []
