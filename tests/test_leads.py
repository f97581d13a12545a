"""Roles that a user may have assumed before it was contained: their sessions live on, and the report says so, with
whom to look at. None of it is in the verdict."""

import json

from .harness.victims import User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"


def trusting(world, arn, count, used="2099-01-01T00:00:00"):
    for name in (f"helper-{n:02}" for n in range(count)):
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}}
        world.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        world.identify(role=name, created="2020-01-01T00:00:00")
        if used:
            world.control("used", {"account": world.member, "role": name, "at": used})


def contained(world, name=EXFILTRATION, user=None):
    event = world.event(name, user)
    if "findings" in event["detail"]:
        world.finding(event)
    [report] = world.responder().invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    return report


def test_a_role_that_trusts_the_user_and_was_used_since_is_a_lead(world):
    world.deploy()
    user = User(world)
    trusting(world, user.arn, 1)
    report = contained(world, user=user)
    [lead] = report["leads"]
    assert "role helper-00" in lead and report["open"] == []
    [alert] = world.alerts()
    section = alert["Message"].split("Leads, for a person to look at:")[1]
    assert lead in section
    # What the lead says to send revokes the role's sessions.
    command = json.loads(lead[lead.index("{") : lead.rindex("}") + 1])
    assert world.responder().invoke(command)["reports"][0]["verdict"] == "Contained"
    assert "AWSRevokeOlderSessions" in world.iam.list_role_policies(RoleName="helper-00")["PolicyNames"]


def test_roles_that_were_not_used_since_or_trust_others_are_none(world):
    world.deploy()
    user = User(world)
    trusting(world, user.arn, 2, used=None)
    world.control("used", {"account": world.member, "role": "helper-01", "at": "2020-01-01T00:00:00"})
    world.iam.create_role(RoleName="others", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{world.member}:root"}}]}))
    world.identify(role="others", created="2020-01-01T00:00:00")
    world.control("used", {"account": world.member, "role": "others", "at": "2099-01-01T00:00:00"})
    assert "leads" not in contained(world, user=user)


def test_of_many_roles_twenty_are_read_and_the_rest_counted(world):
    world.deploy()
    user = User(world)
    trusting(world, user.arn, 23)
    report = contained(world, user=user)
    assert len(report["leads"]) == 20 and any(note.startswith("3 more roles") for note in report["notes"])
    assert len([call for call in world.journal() if call["action"] == "iam:GetRole"]) == 20


def test_that_roles_sessions_live_on_is_said_for_every_user(world):
    world.deploy(TrustedProducts="product/*/default")
    for name in (EXFILTRATION, OVERPRIVILEGED):
        user = User(world, groups=()) if name == EXFILTRATION else user
        report = contained(world, name, user)
        assert any("had assumed live on" in note for note in report["notes"]), name


def test_roles_that_can_not_be_read_hold_up_nothing(world):
    world.deploy()
    user = User(world)
    trusting(world, user.arn, 1)
    world.fault("iam:GetRole", "AccessDenied", status=403)
    [lead] = contained(world, user=user)["leads"]
    assert "could not be read" in lead and "helper-00" in lead
