"""A restore's writes go by name: none gives anything to, or frees, who was given the name of whom it is about."""

import json
import time

import pytest

from .harness.ledger import about, until
from .harness.victims import User
from .test_children import status
from .test_lease import while_running
from .test_struck_by_name import in_flight

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def contained(world, *names):
    responder = world.responder()
    users = [User(world, name=it, groups=()) for it in names]
    for user in users:
        [report] = responder.invoke(about(world, EXFILTRATION, user))["reports"]
        assert report["verdict"] == "Contained", report
    return responder, *users


def restore(world, user, **fields):
    return {"command": "restore", "account": world.member, "user": user.id, "reason": "a false alarm", "by": "Dana", **fields}


def give_the_name(world, alice, eve):
    """alice is called otherwise, and eve what alice was."""
    world.iam.update_user(UserName=alice.name, NewUserName="elsewhere")
    world.iam.update_user(UserName=eve.name, NewUserName=alice.name)
    alice.name, eve.name = "elsewhere", alice.name


@pytest.mark.seconds(15)
def test_a_restore_by_unique_id_frees_no_other_who_is_given_the_name_between_two_reads(world):
    world.deploy()
    _, alice, eve = contained(world, "alice", "eve")
    world.fault("iam:GetUser", delay_ms=1_500, times=1, text="UserName=alice")
    with while_running(world.responder(part="restorer"), restore(world, alice), in_flight(world)) as answer:
        give_the_name(world, alice, eve)
    assert eve.is_denied(), answer
    restored = answer[0]["restore"]
    assert (restored["verdict"], restored["principal"]["id"]) == ("Restored", alice.id) and not alice.is_denied(), restored


@pytest.mark.seconds(15)
def test_a_status_by_unique_id_is_of_no_other_who_is_given_the_name_between_two_reads(world):
    world.deploy()
    responder, alice = contained(world, "alice")
    other = User(world, name="eve", groups=())
    world.fault("iam:GetUser", delay_ms=1_500, times=1, text="UserName=alice")
    command = {"command": "status", "account": world.member, "user": alice.id}
    with while_running(responder, command, in_flight(world)) as answer:
        give_the_name(world, alice, other)
    assert answer[0]["status"]["principal"] == {"type": "user", "name": "elsewhere", "id": alice.id}, answer
    assert answer[0]["status"] == status(world, responder, alice.id)


def over_privileged(world, **parameters):
    """alice has lost all that made her an administrator; eve was contained for less, and bears the mark."""
    world.deploy(TrustedProducts="product/aws/*,product/*/default", **parameters)
    alice, eve = User(world), User(world, name="eve", policies=(), groups=())
    event = world.event("security-hub-simulation-administrator-access", alice)
    world.finding(event)
    assert world.responder().invoke(event)["reports"][0]["verdict"] == "Contained"
    unused = json.dumps(world.event("security-hub-iam-8-unused-credentials", eve))
    unused = json.loads(unused.replace("user/alice", "user/eve").replace('"alice"', '"eve"').replace(alice.id, eve.id))
    world.finding(unused)
    [report] = world.responder(part="hygiene").invoke(unused)["reports"]
    assert report["verdict"] == "Contained" and eve.state()["tags"], report
    assert eve.state()["policies"] == [] == alice.state()["policies"]
    return alice, eve


@pytest.mark.seconds(15)
def test_a_restore_gives_administrator_access_to_nobody_who_is_given_the_name_meanwhile(world):
    """What alice is given back is planned by one read, and the session to write it with takes its time."""
    alice, eve = over_privileged(world)
    world.fault("sts:AssumeRole", delay_ms=1_500, times=1, after=1)
    with while_running(world.responder(part="restorer"), restore(world, alice), in_flight(world)) as answer:
        time.sleep(0.3)
        give_the_name(world, alice, eve)
    assert (eve.state()["policies"], eve.state()["groups"]) == ([], []), answer
    assert "the name alice leads elsewhere" in answer[0]["errorMessage"], answer
    again = world.responder(part="restorer").invoke(restore(world, alice))
    assert again["restore"]["verdict"] == "Restored" and alice.state()["policies"] != [], again


@pytest.mark.seconds(15)
def test_who_is_given_something_back_by_the_name_of_another_is_told_of(world):
    """The name is given away while the write is on its way, which nobody can call back."""
    alice, eve = over_privileged(world)
    while world.alerts():
        pass
    world.fault("iam:AttachUserPolicy", delay_ms=1_500, times=1, text="UserName=alice")
    with while_running(world.responder(part="restorer"), restore(world, alice), in_flight(world)) as answer:
        give_the_name(world, alice, eve)
    [given] = eve.state()["policies"]
    [alert] = [it for it in world.alerts() if "NOT RESTORED" in it["Subject"]]
    for words in (eve.id, given, "aws iam detach-user-policy --user-name alice --policy-arn"):
        assert words in alert["Message"] and words in answer[0]["errorMessage"], (words, alert, answer)


@pytest.mark.seconds(15)
def test_a_restore_lifts_the_deny_of_nobody_who_is_given_the_name_before_it_is_lifted(world):
    """The lease is asked for between the last look and the lift."""
    world.deploy()
    _, alice, eve = contained(world, "alice", "eve")
    world.fault("dynamodb:UpdateItem", delay_ms=1_000, times=1, text="lifting")
    with while_running(world.responder(part="restorer"), restore(world, alice), in_flight(world)) as answer:
        give_the_name(world, alice, eve)
    assert eve.is_denied() and "iam:DetachUserPolicy" not in world.writes(), answer
    assert answer[0]["errorType"] == "ResponseIncomplete", answer
    again = world.responder(part="restorer").invoke(restore(world, alice))
    assert again["restore"]["verdict"] == "Restored" and not alice.is_denied() and eve.is_denied(), again


@pytest.mark.seconds(15)
def test_who_is_freed_by_the_name_of_another_is_denied_everything_again(world):
    """The name is given away while the lift is on its way."""
    world.deploy()
    responder, alice, eve = contained(world, "alice", "eve")
    while world.alerts():
        pass
    world.fault("iam:DetachUserPolicy", delay_ms=1_500, times=1, text="UserName=alice")
    with while_running(world.responder(part="restorer"), restore(world, alice), in_flight(world)) as answer:
        give_the_name(world, alice, eve)
    assert "iam:DetachUserPolicy" in world.writes()
    assert eve.is_denied() and alice.is_denied(), answer
    assert status(world, responder, eve.id)["verdict"] == "Contained"
    [alert] = [it for it in world.alerts() if "NOT RESTORED" in it["Subject"]]
    assert f"user alice ({eve.id}) was contained, and is denied everything again" in alert["Message"], alert
    again = world.responder(part="restorer").invoke(restore(world, alice))
    assert again["restore"]["verdict"] == "Restored" and not alice.is_denied() and eve.is_denied(), again


@pytest.mark.seconds(15)
def test_who_is_contained_by_nothing_of_ours_is_not_denied_because_the_name_was_given_on(world):
    """The lift was about alice, and its answer takes its time."""
    world.deploy()
    _, alice = contained(world, "alice")
    other = User(world, name="eve", groups=())
    # By the unique ID, before and after what is planned and looked at again, and before the lift: the next comes after it.
    world.fault("iam:GetUser", delay_ms=1_500, times=1, after=6, text="UserName=alice")
    with while_running(world.responder(part="restorer"), restore(world, alice), in_flight(world)) as answer:
        assert "iam:DetachUserPolicy" in world.writes()
        give_the_name(world, alice, other)
    assert not other.is_denied() and not alice.is_denied(), answer
    assert other.id in answer[0]["errorMessage"] and "may have got" in answer[0]["errorMessage"], answer


@pytest.mark.seconds(15)
def test_what_is_read_of_another_by_the_name_hides_nothing_that_was_planted(world):
    """alice got a policy since; by the time that hers are listed the name is eve's."""
    world.deploy()
    _, alice, eve = contained(world, "alice", "eve")
    world.iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/IAMFullAccess")
    world.fault("iam:ListAttachedUserPolicies", delay_ms=1_500, times=1, after=1, text="UserName=alice")
    with while_running(world.responder(part="restorer"), restore(world, alice), in_flight(world)) as answer:
        time.sleep(0.5)
        give_the_name(world, alice, eve)
    assert alice.is_denied() and eve.is_denied(), answer
    assert "belongs to another unique ID" in answer[0]["errorMessage"], answer


@pytest.mark.seconds(15)
def test_a_lift_that_is_not_to_be_seen_is_told_of_and_leaves_the_mark(world):
    """eve bears the name for the moment of the lift, and gives it back."""
    world.deploy()
    _, alice, eve = contained(world, "alice", "eve")
    world.fault("iam:GetUser", delay_ms=1_500, times=1, after=6, text="UserName=alice")
    world.fault("iam:DetachUserPolicy", delay_ms=1_000, times=1, text="UserName=alice")
    with while_running(world.responder(part="restorer"), restore(world, alice), in_flight(world)) as answer:
        give_the_name(world, alice, eve)
        until(lambda: "iam:DetachUserPolicy" in world.writes())
        world.iam.update_user(UserName="alice", NewUserName="eve")
        world.iam.update_user(UserName="elsewhere", NewUserName="alice")
        alice.name, eve.name = "alice", "eve"
    assert alice.is_denied() and "SecurityIncident" in alice.state()["tags"], answer
    assert "another bore the name for that moment" in answer[0]["errorMessage"], answer
