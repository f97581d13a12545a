"""Whom an event names: never somebody on less evidence than what the event says."""

import json

import pytest

from .harness.victims import Role, User
from .harness.world import World, random_account

SEQUENCE = "guardduty-attack-sequence-iam-compromised-credentials"
NAME_ONLY = "security-hub-v2-guardduty-exfiltration-iam-user-anomalous-behavior-name-without-type"
FEDERATED = "guardduty-exfiltration-iam-user-anomalous-behavior-federated"
EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def verdicts(answer):
    return [it["verdict"] for it in answer.get("reports", [])]


def writes_to_iam(world):
    return [action for action in world.writes() if action.startswith("iam:")]


@pytest.mark.parametrize("kind, key", [("IAMUser", None), ("IAMUser", "ASIAIOSFODNN7EXAMPLE"), ("AssumedRole", "ASIAI44QH8DHBEXAMPLE")])
def test_an_actor_of_another_account_is_contained_only_by_its_unique_id(world, kind, key):
    """An actor's account is "not necessarily the account that owns the identity".
    https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Account.html"""
    other = random_account()
    world.deploy(members=[other])
    there = World(world.url, member=other, security=world.security)
    namesake = User(there, name="alice") if kind == "IAMUser" else Role(there, name="alice")
    event = world.event(SEQUENCE)
    sequence = event["detail"]["service"]["detection"]["sequence"]
    user = {"name": "alice", "type": kind, "account": {"uid": other}, **({"credentialUid": key} if key else {})}
    sequence.update(actors=[{"id": "a", "user": user}], resources=[])
    responder = world.responder()
    answer = responder.invoke(event)
    assert verdicts(answer) == ["Refused"] and other in answer["reports"][0]["reason"]
    assert writes_to_iam(there) == [] and writes_to_iam(world) == []
    user["uid"] = namesake.id if kind == "IAMUser" else f"{namesake.id}:session"
    assert verdicts(responder.invoke(event)) == ["Contained"]


@pytest.mark.parametrize("principal_id", ["{account}:", "{account}:ce"])
def test_a_damaged_principal_id_makes_no_user_of_a_federated_sessions_name(world, principal_id):
    """Its caller chose the name: nobody who merely bears it may be contained for it."""
    world.deploy()
    boss = User(world, name="ceo")
    event = world.event(FEDERATED)
    details = event["detail"]["resource"]["accessKeyDetails"]
    details.update(userName="ceo", principalId=principal_id.format(account=world.member))
    world.responder().invoke(event)
    assert boss.key_works() and writes_to_iam(world) == []
    assert len(world.alerts()) == 1


def test_a_federated_session_of_another_account_contains_nobody_of_this_one(world):
    """The principal ID begins with the account that issued the session."""
    world.deploy()
    user = User(world)
    event = world.event(FEDERATED)
    event["detail"]["resource"]["accessKeyDetails"]["principalId"] = f"{random_account()}:nightly-build"
    assert verdicts(world.responder().invoke(event)) == ["Refused"]
    assert user.key_works() and writes_to_iam(world) == [] and len(world.alerts()) == 1


def test_the_root_user_of_another_account_is_not_said_to_be_this_ones(world):
    world.deploy()
    event = world.event("guardduty-impact-iam-user-anomalous-behavior-root")
    event["detail"]["resource"]["accessKeyDetails"].update(userType="Root", userName="Root", principalId=random_account())
    assert verdicts(world.responder().invoke(event)) == ["Refused"]
    [alert] = world.alerts()
    assert "root user of account" not in alert["Message"] and "another account" in alert["Message"]


@pytest.mark.parametrize("damaged", ["service.eventLastSeen", "both"])
def test_a_damaged_time_makes_no_namesake_the_one_who_is_meant(world, damaged):
    """Without a unique ID the time is what tells a user from one who got the name later."""
    world.deploy()
    user = User(world)
    user.identify(created="2026-11-20T09:13:30")
    event = world.event(EXFILTRATION)
    detail = event["detail"]
    detail["resource"]["accessKeyDetails"] = {"userType": "IAMUser", "userName": "alice", "accessKeyId": "ASIAIOSFODNN7EXAMPLE"}
    responder = world.responder()
    assert verdicts(responder.invoke(event)) == ["Refused"]
    world.alerts()
    detail["service"]["eventLastSeen"] = "20 November"
    if damaged == "both":
        detail["updatedAt"] = detail["service"]["eventFirstSeen"] = "20 November"
    answer = responder.invoke(event)
    assert answer["errorType"] == "MalformedEvent" and "detail.service.eventLastSeen" in answer["errorMessage"]
    assert user.key_works() and writes_to_iam(world) == []
    assert len(world.alerts()) == 1


def named_root(world):
    return json.loads(json.dumps(world.event(NAME_ONLY)).replace('"alice"', '"root"'))


def test_a_user_that_is_called_root_is_contained_like_any_other(world):
    """The intruder chooses the name; Security Hub's second format has a name and no type."""
    world.deploy()
    user = User(world, name="root")
    assert verdicts(world.responder().invoke(named_root(world))) == ["Contained"]
    assert not user.key_works()


def test_where_nobody_is_called_root_the_root_user_is_told_of(world):
    world.deploy()
    answer = world.responder().invoke(named_root(world))
    assert verdicts(answer) == ["Refused"] and writes_to_iam(world) == []
    [alert] = world.alerts()
    assert "it is the root user" in alert["Message"] and "delete every access key of the root user" in alert["Message"]
