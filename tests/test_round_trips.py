"""How many calls had to wait for another before the attacker was stopped, from the simulated AWS's
own record. Each call is made to take long enough that those sent together overlap."""

import re
import time

import pytest

from .harness.ledger import DUE, Table, about
from .harness.processes import ROOT
from .harness.victims import Role, User
from .test_breaker import SUCCESS, counted
from .test_lease import while_running

COSTS = ROOT / "docs/costs.md"
EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
BARRIERS = ("iam:AttachUserPolicy", "iam:PutRolePolicy", "iam:UpdateAccessKey")


def depths(journal):
    """Of each call, one more than the deepest that had been answered before it came."""
    found = []
    for call in journal:
        earlier = [depth for other, depth in found if other["ended"] <= call["began"]]
        found.append((call, 1 + max(earlier, default=0)))
    return found


def measured(world, event):
    responder = world.responder()
    world.fault("*", delay_ms=120)
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    found = depths(world.journal())
    first = min(depth for call, depth in found if call["action"] in BARRIERS)
    total = max(depth for _, depth in found)
    assert report["round_trips"] == {"first_barrier": first, "total": total, "calls": len(found)}
    return first, total, found


def test_three_round_trips_to_the_deny_and_nine_to_the_end(world):
    """One of them is for the session in which the rotation runbook runs."""
    world.deploy(response_plan=True, rotation=True)
    first, total, found = measured(world, world.event(EXFILTRATION, User(world)))
    assert first == 3
    assert total <= 9
    struck = {call["action"] for call, depth in found if depth == 3}
    assert {"iam:AttachUserPolicy", "iam:UpdateAccessKey"} <= struck
    assert len(found) <= 50


def test_three_round_trips_to_the_revocation(world):
    world.deploy(response_plan=True)
    role = Role(world)
    name = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
    first, total, _ = measured(world, world.event(name, role=role))
    assert first == 3 and total <= 8


def test_four_round_trips_where_only_the_key_is_known(world):
    world.deploy()
    first, _, _ = measured(world, world.event("health-risk-credentials-exposed-key-only", User(world)))
    assert first == 4


def warm(world):
    """A responder that keeps a session, the finding that it had, a user yet to be reported, and our calls from now on."""
    responder, event = world.responder(), world.event(EXFILTRATION, User(world))
    assert responder.invoke(event)["reports"][0]["verdict"] == "Contained"
    bob, seen = User(world, name="bob", groups=()), len(world.journal())
    return responder, event, bob, lambda: [it for it in world.journal()[seen:] if it["is_ours"]]


def test_two_round_trips_to_the_deny_where_a_session_is_kept(world):
    """Who it is, the lease and the hour's budget are asked together, and the strike waits for all of them."""
    world.deploy(response_plan=True, rotation=True)
    responder, _, bob, calls = warm(world)
    world.fault("*", delay_ms=120)
    [report] = responder.invoke(about(world, EXFILTRATION, bob))["reports"]
    assert report["verdict"] == "Contained", report
    found = depths(calls())
    assert min(depth for call, depth in found if call["action"] in BARRIERS) == 2 == report["round_trips"]["first_barrier"]
    began = min(call["began"] for call, _ in found if call["action"] in BARRIERS)
    before = sorted(call["action"] for call, _ in found if call["ended"] <= began)
    assert before == [*["dynamodb:UpdateItem"] * 3, "iam:GetUser", "iam:ListAccessKeys", "iam:ListAttachedUserPolicies"]


def test_no_strike_goes_by_a_name_that_was_read_long_before_the_lease(world):
    """The name is given to another while the ledger is waited for."""
    world.deploy()
    responder, _, bob, calls = warm(world)
    event = about(world, EXFILTRATION, bob)
    world.fault("dynamodb:UpdateItem", delay_ms=1_000, times=1)
    is_read = lambda: any(it["action"] == "iam:GetUser" for it in calls())  # noqa: E731
    with while_running(responder, event, is_read) as answer:
        world.iam.update_user(UserName="bob", NewUserName="robert")
        namesake = User(world, name="bob", groups=())
    [report] = answer[0]["reports"]
    assert report["verdict"] in SUCCESS and report["principal"]["name"] == "robert", report
    bob.name = "robert"
    assert bob.is_denied() and not namesake.is_denied() and namesake.key_works()
    assert not any(it["action"] in BARRIERS and it["params"]["UserName"] == "bob" for it in calls())


@pytest.mark.parametrize("takes_place", [True, False])
def test_a_place_of_the_hour_is_left_to_whoever_is_at_it_and_takes_one(world, takes_place):
    """To both it is the same one."""
    world.deploy()
    responder, _, bob, _ = warm(world)
    table = Table(world)
    lock = table.item("lock#")["id"]["S"].replace("alice", "bob")
    held = {"holder": {"S": "another"}, "lease_until": {"N": "9999999999999"}, "struck_id": {"S": bob.id}}
    held |= {"fence": {"N": str(int(time.time() * 1_000))}, "takes_place": {"BOOL": takes_place}}
    table.client.put_item(TableName=table.name, Item={"id": {"S": lock}, "playbook": {"S": "compromised-credential"}, **held})
    [report] = responder.invoke(about(world, EXFILTRATION, bob))["reports"]
    assert report["verdict"] == "InProgress" and bob.key_works(), report
    places = ("alice", "bob") if takes_place else ("alice",)
    assert counted(world, "breaker#") == sorted([f"{world.member}/user/{it}" for it in places] * 2)


def test_who_needs_no_place_of_the_hour_has_none_while_it_is_held(world):
    world.deploy()
    responder, event, _, calls = warm(world)
    Table(world).next_hour()
    world.fault("iam:ListGroupsForUser", delay_ms=1_500, times=1)
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    held = max(it["ended"] for it in calls() if it["action"] == "iam:ListGroupsForUser")
    given = [it for it in calls() if "DELETE principals" in it["params"].get("UpdateExpression", "")]
    assert len(given) == 2 and all(it["ended"] < held for it in given), given
    assert counted(world, "breaker#") == []


def test_a_containment_writes_the_ledger_as_often_as_the_costs_say(world):
    world.deploy()
    world.responder().invoke(world.event(EXFILTRATION, User(world)))
    assert world.writes().count("dynamodb:UpdateItem") == 9 and "DynamoDB nine writes each" in COSTS.read_text()


def test_the_costs_at_rest_count_what_is_asked_each_minute(world):
    world.deploy(Evidence="true")
    world.responder().invoke(DUE)
    world.responder(part="restorer").invoke({"command": "lift-declined"})
    asked = [it["action"] for it in world.journal()]
    assert asked == ["dynamodb:Query"] * 9 and "nine queries of half a read unit a minute, 388,800," in COSTS.read_text()


def test_the_costs_of_a_report_count_what_is_logged_and_written(world):
    world.deploy(Evidence="true")
    investigator = world.connected(part="investigator")
    world.responder().invoke(world.event(EXFILTRATION, User(world)))
    world.deliveries()
    said = int(re.search(r"logged whole, (\d+) KB a report", COSTS.read_text())[1])
    assert said * 900 < len(investigator.output()) < said * 1_100
    writes = [it for it in world.journal() if it["action"] == "dynamodb:UpdateItem" and "investigator" in it["principal"]]
    assert 0 < len(writes) <= 4 and "four writes a report" in COSTS.read_text()


@pytest.mark.seconds(15)
def test_the_readme_says_how_many_calls_a_deployment_makes(world):
    """Its figure is of a response that need not be seen to hold."""
    [said] = re.findall(r"\*\*(\d+) calls .*`SETTLE_SECONDS=0`.*about twice as many calls", (ROOT / "README.md").read_text())
    world.deploy(SettleSeconds="12")
    [report] = world.responder().invoke(world.event(EXFILTRATION, User(world)))["reports"]
    assert report["verdict"] == "Contained" and 1.6 < report["round_trips"]["calls"] / int(said) < 2.4, report["round_trips"]
