"""What is said to hold was seen to hold since it was put there last, and by whoever says so."""

import copy
import json
import time

import pytest

from .harness.ledger import DUE, Table, until
from .harness.victims import Role, User, stripped
from .test_lease import killed, while_running

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
ROLE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"


def test_what_was_undone_after_it_held_is_not_called_contained_until_it_has_held_again(world):
    """The attacker strips it an hour later; the copy of the finding strikes again, and is killed."""
    world.deploy()
    user = User(world)
    event = world.event(EXFILTRATION, user)
    assert world.responder().invoke(event)["reports"][0]["verdict"] == "Contained"
    world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    world.fault("iam:ListGroupsForUser", delay_ms=3_000, times=1)
    killed(world, event, lambda: user.is_denied())
    Table(world).pass_time()
    responder, began = world.responder(SETTLE_SECONDS="2"), time.monotonic()
    [report] = responder.invoke(event)["reports"]
    took = time.monotonic() - began
    assert took > 2 and report["verdict"] == "Contained", report


def test_a_fight_that_was_handed_on_is_held_for_the_settle_time(world):
    """The next invocation finds the deny in place, as the one before it has just put it."""
    world.deploy()
    user = User(world)
    event = world.event(EXFILTRATION, user)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    world.responder().invoke(event)
    [finding] = Table(world).due()
    relay = {"group": {"lead": finding, "others": []}, "holder": "it", "number": 1, "reversals": ["was undone: the deny"]}
    responder, began = world.responder(SETTLE_SECONDS="2"), time.monotonic()
    [report] = responder.invoke({"continue": relay})["reports"]
    took = time.monotonic() - began
    assert took > 2 and report["verdict"] == "Contained", report


def test_no_verdict_is_better_than_an_open_suspect_that_the_ledger_could_not_tell_of(world):
    world.deploy()
    user, responder = User(world), world.responder()
    hub = world.event(HUB, user)
    finding = world.finding(hub)
    world.iam.create_user(UserName="svc-backup")
    [first] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert first["verdict"] == "SuspectsOpen"
    world.iam.delete_user(UserName="svc-backup")
    world.alerts()
    world.fault("dynamodb:UpdateItem", "AccessDenied", status=400)
    assert responder.invoke(hub)["errorType"] == "ResponseIncomplete"
    report = responder.reports()[-1]
    assert report["verdict"] == "Unverified" and "suspected" in report["reason"], report
    assert finding()["Workflow"]["Status"] == "NEW"


def test_new_sessions_of_a_revoked_role_are_not_swallowed_by_an_older_finding_under_way(world):
    world.deploy()
    role, responder, second = Role(world), world.responder(), world.responder()
    event = world.event(ROLE, role=role)
    assert responder.invoke(event)["reports"][0]["verdict"] == "Contained"
    newer = copy.deepcopy(event)
    newer["detail"]["service"]["eventLastSeen"] = "2099-01-01T00:00:00.000Z"
    world.fault("iam:ListRoles", delay_ms=3_000, times=1)
    struck = lambda: any("struck_id" in it for it in Table(world).items("lock#"))  # noqa: E731
    with while_running(responder, event, struck) as first:
        [report] = second.invoke(newer)["reports"]
        assert report["verdict"] == "InProgress", report
    assert first[0]["reports"][0]["verdict"] == "Contained"
    table = Table(world)
    table.pass_time()
    assert [it["verdict"] for it in responder.invoke(DUE)["reports"]] == ["SuspectsOpen"]
    assert "open new-sessions" in table.item("suspects#") and table.due() == []


@pytest.mark.seconds(35)
def test_no_fight_that_goes_on_is_called_contained_because_it_held_an_hour_ago(world):
    """The attacker comes back after the first containment, and outlasts the invocation that the copy got."""
    world.deploy(SettleSeconds="3", Simulation="true")
    user = User(world)
    responder = world.connected(timeout=18)
    event = world.event("simulation-exfiltration-iam-user-anomalous-behavior", user)

    def send():
        detail = json.dumps(event["detail"])
        entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": detail}
        world.client("events", world.security).put_events(Entries=[entry])

    send()
    until(lambda: [it["verdict"] for it in responder.reports()] == ["Contained"])
    with stripped(user, every=1):
        time.sleep(2)
        send()
        end = time.monotonic() + 30
        while time.monotonic() < end and (len(responder.reports()) < 3 or responder.reports()[-1]["verdict"] == "InProgress"):
            time.sleep(0.2)
        verdict = responder.reports()[-1]["verdict"]
    assert verdict not in ("Contained", "SuspectsOpen"), "the attacker never stopped"


def test_a_mark_that_somebody_removes_during_the_response_is_put_back(world):
    """The guardrail protects what bears it, and a restore needs it."""
    world.deploy(SettleSeconds="2")
    user, responder = User(world), world.responder()
    marked = lambda: "SecurityIncident" in user.state()["tags"]  # noqa: E731
    with while_running(responder, world.event(EXFILTRATION, user), marked) as answer:
        world.iam.untag_user(UserName="alice", TagKeys=["SecurityIncident"])
    [report] = answer[0]["reports"]
    assert report["verdict"] == "Contained" and marked(), report
    assert any("was undone: tag" in it for it in report["reversals"]), report["reversals"]
