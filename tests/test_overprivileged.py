"""Administrator access that the playbook must leave: the report names what still grants it, and nobody is told that
the user is contained."""

import json

import pytest

from .harness.victims import User

OVERPRIVILEGED = "security-hub-simulation-administrator-access"
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def inline(iam):
    iam.put_user_policy(UserName="alice", PolicyName="mine", PolicyDocument=document(ALLOW))
    return "inline policy mine"


def group(iam):
    iam.put_group_policy(GroupName="operators", PolicyName="both", PolicyDocument=document(ALLOW, DENY))
    return "group operators"


def group_by_two_policies(iam):
    iam.put_group_policy(GroupName="operators", PolicyName="deny", PolicyDocument=document(DENY))
    iam.attach_group_policy(GroupName="operators", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return "group operators"


def policy(iam):
    arn = iam.create_policy(PolicyName="both", PolicyDocument=document({**ALLOW, "Action": "iam:*"}, DENY))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    return f"policy {arn}"


@pytest.mark.parametrize("plant", [inline, group, group_by_two_policies, policy])
def test_what_still_grants_it_is_open_and_the_verdict_says_so(world, plant):
    world.deploy(TrustedProducts="product/*/default")
    user = User(world)
    remains = plant(world.iam)
    event = world.event(OVERPRIVILEGED, user)
    finding = world.finding(event)
    responder = world.responder()
    answer = responder.invoke(event)
    report = responder.last_report()
    assert report["verdict"] == "NotContained" and "administrator access remains" in report["reason"], report
    [line] = report["open"]
    assert f"by the {remains}:" in line and line in answer["errorMessage"]
    assert finding()["Workflow"]["Status"] == "NEW"
    state = user.state()
    assert "AdministratorAccess" not in state["policies"] and "developers" not in state["groups"]
    [alert] = world.alerts()
    assert "NOT CONTAINED" in alert["Subject"] and remains in alert["Message"]


def test_where_everything_is_denied_nothing_grants_it(world):
    world.deploy(TrustedProducts="product/*/default")
    user = User(world)
    inline(world.iam)
    world.iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    event = world.event(OVERPRIVILEGED, user)
    world.finding(event)
    [report] = world.responder().invoke(event)["reports"]
    assert report["verdict"] == "Contained" and report["open"] == []


def test_a_boundary_that_would_allow_everything_grants_nothing(world):
    world.deploy(TrustedProducts="product/*/default")
    user = User(world)
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess")
    event = world.event(OVERPRIVILEGED, user)
    world.finding(event)
    [report] = world.responder().invoke(event)["reports"]
    assert report["verdict"] == "Contained" and report["open"] == []


@pytest.mark.parametrize("how", [
    {"Action": "iam:?*"},
    {"Action": ["iam:Attach*", "iam:Put*", "iam:Create*"]},
    {"Action": "iam:*", "Resource": ["arn:aws:iam::*:user/*", "arn:aws:iam::*:role/*"]},
], ids=str)
def test_administrator_access_that_is_written_otherwise_is_open(world, how):
    world.deploy(TrustedProducts="product/*/default")
    event = world.event(OVERPRIVILEGED, User(world))
    world.finding(event)
    world.iam.put_user_policy(UserName="alice", PolicyName="mine", PolicyDocument=document({**ALLOW, **how}))
    responder = world.responder()
    responder.invoke(event)
    report = responder.last_report()
    assert report["verdict"] == "NotContained" and any("inline policy mine" in line for line in report["open"]), report
