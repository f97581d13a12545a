"""Events as AWS sends them, against IAM: the identity that is meant, and no other."""

import json

import pytest

from .harness.victims import Role, User

V2 = "security-hub-v2-guardduty-exfiltration-iam-user-anomalous-behavior-name-without-type"
CONSOLE = "security-hub-custom-action-console-session"
HEALTH = "health-risk-credentials-exposed-own-bus"
PROWLER = "security-hub-prowler-iam-user-administrator-access"


def writes_to_iam(world):
    return [action for action in world.writes() if action.startswith("iam:")]


def deny(state):
    return "AWSDenyAll" in state["policies"]


def test_a_name_without_a_type_is_the_user_where_no_role_bears_it(world):
    world.deploy()
    user = User(world)
    [report] = world.responder().invoke(world.event(V2, user))["reports"]
    assert (report["verdict"], report["principal"]["id"]) == ("Contained", user.id)
    assert report["round_trips"]["first_barrier"] == 3


def test_a_name_without_a_type_is_the_role_where_no_user_bears_it(world):
    world.deploy()
    role = Role(world, name="alice")
    [report] = world.responder().invoke(world.event(V2))["reports"]
    assert (report["verdict"], report["principal"]["type"]) == ("Contained", "role")
    assert "AWSRevokeOlderSessions" in json.dumps(role.state(), default=str)


def test_a_name_that_both_bear_is_put_to_a_person(world):
    world.deploy()
    user, role = User(world), Role(world, name="alice")
    [report] = world.responder().invoke(world.event(V2, user))["reports"]
    assert report["verdict"] == "Refused" and writes_to_iam(world) == []
    [alert] = world.alerts()
    assert user.arn in alert["Message"] and f":role/{role.name}" in alert["Message"]
    assert not deny(user.state())


def test_a_name_without_a_type_that_is_younger_than_the_behaviour_is_a_namesake(world):
    world.deploy()
    user = User(world)
    user.identify(created="2026-11-21T00:00:00")
    [report] = world.responder().invoke(world.event(V2, user))["reports"]
    assert report["verdict"] == "Refused" and "namesake" in report["reason"] and writes_to_iam(world) == []


def test_the_button_works_for_a_console_session(world):
    world.deploy()
    user = User(world)
    event = world.event(CONSOLE, user)
    world.finding(event)
    [report] = world.responder().invoke(event)["reports"]
    assert (report["verdict"], report["principal"]["id"]) == ("Contained", user.id)


@pytest.mark.parametrize(
    "sample",
    [
        "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior-federated",
        "guardduty-attack-sequence-iam-compromised-credentials-federated",
    ],
)
def test_a_federated_session_is_contained_at_its_issuer(world, sample):
    world.deploy()
    user = User(world)
    event = world.event(sample, user)
    if "findings" in event["detail"]:
        world.finding(event)
    [report] = world.responder().invoke(event)["reports"]
    assert (report["verdict"], report["principal"]["id"]) == ("Contained", user.id), report


def test_keys_that_can_not_be_listed_are_tried_again_and_nobody_is_contained_meanwhile(world):
    """A name and a key, and no unique ID: the key alone tells the user from a namesake."""
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event("guardduty-exfiltration-iam-user-anomalous-behavior", user)
    del event["detail"]["resource"]["accessKeyDetails"]["principalId"]
    world.fault("iam:ListAccessKeys", "AccessDenied", status=403, times=1)
    answer = responder.invoke(event)
    assert answer["errorType"] == "ResponseIncomplete" and "namesake" in answer["errorMessage"]
    assert writes_to_iam(world) == [] and not deny(user.state())
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained"


def test_the_copies_of_a_health_event_are_one_response(world):
    """Its own bus in us-east-1, the backup in us-west-2, the organisational view."""
    world.deploy()
    user, responder = User(world), world.responder()
    own = world.event(HEALTH, user)
    backup = {**own, "id": "backup", "region": "us-west-2"}
    view = {**own, "id": "view", "account": world.security, "detail": {**own["detail"], "affectedAccount": world.member}}
    reports = [responder.invoke(event)["reports"][0] for event in (own, backup, view)]
    assert [report["verdict"] for report in reports] == ["Contained"] * 3
    assert len(world.alerts()) == 1 and len(world.ops_items()) == 1
    assert not user.key_works()


def test_one_odd_entity_of_a_health_event_hides_no_other(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(HEALTH, user)
    event["detail"]["affectedEntities"].insert(0, {"entityValue": "no key"})
    answer = responder.invoke(event)
    assert answer["errorType"] == "ResponseIncomplete" and "affectedEntities[0]" in answer["errorMessage"]
    assert not user.key_works()
    subjects = [alert["Subject"] for alert in world.alerts()]
    assert len(subjects) == 2 and any("Unreadable event" in it for it in subjects)


def test_a_products_finding_about_one_account_strips_nobody_of_another(world):
    world.deploy(TrustedProducts="product/aws/*,product/prowler/prowler")
    user = User(world)
    event = world.event(PROWLER, user)
    finding = event["detail"]["findings"][0]
    finding["AwsAccountId"] = "444455556666"
    world.finding(event)
    [report] = world.responder().invoke(event)["reports"]
    assert report["verdict"] == "Refused" and "444455556666" in report["reason"]
    assert writes_to_iam(world) == [] and user.state()["policies"]
    assert len(world.alerts()) == 1


def test_a_role_that_only_bears_the_drills_name_is_contained(world):
    world.deploy()
    role = Role(world, name="SecurityDrillRole")
    event = {"command": "contain", "account": world.member, "role": role.name, "reason": "it is not ours"}
    [report] = world.responder().invoke(event)["reports"]
    assert report["verdict"] == "Contained", report


def test_keys_that_iam_throttles_are_asked_for_again(world):
    world.deploy()
    user, responder = User(world), world.responder()
    # What the SDK tries by itself, and once more.
    world.fault("iam:ListAccessKeys", "Throttling", status=400, times=6)
    [report] = responder.invoke(world.event("health-risk-credentials-exposed-key-only", user))["reports"]
    assert report["verdict"] == "Contained" and not user.key_works()
