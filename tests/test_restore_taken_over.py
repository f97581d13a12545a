"""A response to something new takes the identity from a restore: what it set up is not the restore's to take away."""

import copy
import datetime as dt
import json
import time

import pytest

from .harness.ledger import Table
from .harness.victims import Role, User, allowed
from .test_lease import while_running

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
OUTSIDE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
REVOCATION = "AWSRevokeOlderSessions"
MARK = "SecurityIncident"


def seen(event, at):
    """The same kind of event about behaviour that was seen at that time."""
    event = copy.deepcopy(event)
    event["detail"]["service"]["eventFirstSeen"] = event["detail"]["service"]["eventLastSeen"] = at
    event["detail"]["id"] += at
    return event


def now():
    return dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def restored_and_twelve_hours_over(world):
    """Only the revocation and the mark are left of the role's containment, and none of its stolen sessions."""
    role, restorer = Role(world), world.responder(part="restorer")
    world.responder().invoke(world.event(OUTSIDE, role=role))
    command = {"command": "restore", "account": world.member, "role": "app", "by": "Dana", "reason": "looked at"}
    assert restorer.invoke(command)["restore"]["verdict"] == "Restored"
    document = world.iam.get_role_policy(RoleName="app", PolicyName=REVOCATION)["PolicyDocument"]
    document["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"] = "2026-01-01T00:00:00Z"
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=json.dumps(document))
    time.sleep(1.2)  # A restore's time is whole seconds.
    return role, restorer, command


def restoring(world):
    return any(it.get("playbook", {}).get("S") == "restore" and "lease_until" in it for it in Table(world).items("record#"))


def test_a_restore_that_clears_up_leaves_what_a_newer_response_put_there(world):
    """The revocation is old; something new is reported while the restore takes its session."""
    world.deploy()
    role, restorer, command = restored_and_twelve_hours_over(world)
    session = role.session()
    # The first session reads, the second one writes.
    world.fault("sts:AssumeRole", delay_ms=3_000, after=1, times=1)
    with while_running(restorer, command, lambda: restoring(world)) as answer:
        event = seen(world.event(OUTSIDE, role=role), now())
        [report] = world.responder().invoke(event)["reports"]
        assert report["verdict"] in ("Contained", "SuspectsOpen"), report
        assert not allowed(session.list_users)
    assert answer[0].get("restore", {}).get("verdict") != "Restored", answer
    assert not allowed(session.list_users), answer
    assert REVOCATION in role.state()["inline"] and MARK in role.state()["tags"], answer


def test_what_an_earlier_restore_left_goes_only_as_long_as_it_can_be_read(world):
    world.deploy()
    role, restorer, command = restored_and_twelve_hours_over(world)
    world.fault("iam:GetRolePolicy", "AccessDenied", status=403, after=2, times=1)
    answer = restorer.invoke(command)
    assert answer["errorType"] == "ResponseIncomplete" and "could not be read" in answer["errorMessage"], answer
    assert REVOCATION in role.state()["inline"] and MARK in role.state()["tags"]
    assert restorer.invoke(command).get("restore", {}).get("verdict") == "Restored"
    assert REVOCATION not in role.state()["inline"] and MARK not in role.state()["tags"]


def test_a_restore_asks_once_more_before_it_removes_the_mark(world):
    """The response comes after the deny was lifted."""
    world.deploy()
    user, responder, restorer = User(world), world.responder(), world.responder(part="restorer")
    event = world.event(EXFILTRATION, user)
    responder.invoke(event)
    lifted = len(world.writes())
    # The look after the lifting takes its time.
    world.fault("iam:ListMFADevices", delay_ms=3_000, after=2, times=1)
    with while_running(restorer, world.restore_command(), lambda: not user.is_denied()) as answer:
        assert responder.invoke(seen(event, "2099-01-01T00:00:00.000Z"))["reports"][0]["verdict"] == "Contained"
    assert answer[0]["errorType"] == "ResponseIncomplete" and "took it over" in answer[0]["errorMessage"], answer
    assert "iam:UntagUser" not in world.writes()[lifted:]
    assert user.is_denied() and MARK in user.state()["tags"]
    answer = restorer.invoke(world.restore_command())
    assert answer.get("restore", {}).get("verdict") == "Restored", answer


@pytest.mark.seconds(6)
def test_a_response_puts_back_the_mark_that_a_restore_was_about_to_remove(world):
    """The call was on its way when the response took the user over; nobody can call it back."""
    world.deploy(SettleSeconds="4")
    user, responder, restorer = User(world), world.responder(), world.responder(part="restorer")
    event = world.event(EXFILTRATION, user)
    assert responder.invoke(event)["reports"][0]["verdict"] == "Contained"
    world.fault("iam:UntagUser", delay_ms=2_000, times=1)
    on_its_way = lambda: any(it["times"] == 0 for it in world.faults())  # noqa: E731
    with while_running(restorer, world.restore_command(), on_its_way) as answer:
        assert responder.invoke(seen(event, "2099-01-01T00:00:00.000Z"))["reports"][0]["verdict"] == "Contained"
    assert answer[0]["errorType"] == "ResponseIncomplete", answer
    assert "iam:UntagUser" in world.writes() and MARK in user.state()["tags"]
    answer = restorer.invoke(world.restore_command())
    assert answer.get("restore", {}).get("verdict") == "Restored", answer
