"""A restore's writes go by name: none gives anything to, or frees, who was given the name of whom it is about."""

import pytest

from .harness.ledger import about
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
