"""The ledger: one response for a principal, however often it is reported, and its record."""

import collections
import concurrent.futures
import copy
import json
import time

import pytest

from .harness.ledger import Table
from .harness.victims import User
from .harness.world import POLICIES

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"


def items(world, prefix):
    return Table(world).items(prefix)


@pytest.mark.heavy
@pytest.mark.seconds(45)
def test_of_many_invocations_one_executes(world):
    """The others say so, succeed, and their findings are seen to."""
    crowd, at_once = 64, 8
    # Whoever executes is at it until long after the last of the others has begun.
    world.deploy(response_plan=True, rotation=True, SettleSeconds="30")
    user = User(world)
    events, findings = [], []
    for n in range(crowd):
        event = copy.deepcopy(world.event(HUB, user))
        event["detail"]["findings"][0]["Id"] += f"-{n}"
        events.append(event)
        findings.append(world.finding(event))
    responders = [world.responder() for _ in events]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda it: it.invoke({"source": "nothing of ours", "detail-type": "Nothing"}), responders))
    assert all("ignored" in answer for answer in started), started
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(lambda pair: pair[0].invoke(pair[1]), zip(responders, events)))
    assert all("reports" in answer for answer in answers), answers
    verdicts = collections.Counter(answer["reports"][0]["verdict"] for answer in answers)
    assert verdicts == {"Contained": 1, "InProgress": crowd - 1}
    assert len(world.alerts()) == len(world.incidents()) == len(world.rotations()) == 1
    assert {finding()["Workflow"]["Status"] for finding in findings} == {"NOTIFIED"}


def test_the_same_behaviour_from_every_source_is_one_alert(world):
    world.deploy(response_plan=True)
    user, responder = User(world), world.responder()
    hub = world.event(HUB, user)
    finding = world.finding(hub)
    later = world.event(EXFILTRATION, user)
    later["detail"]["service"]["eventLastSeen"] = "2026-11-20T19:12:48.000Z"
    for event in (world.event(EXFILTRATION, user), hub, world.event("health-risk-credentials-exposed-key-only", user), later):
        [report] = responder.invoke(event)["reports"]
        assert report["verdict"] == "Contained", report
    assert len(world.alerts()) == len(world.incidents()) == 1
    assert finding()["Workflow"]["Status"] == "NOTIFIED"


def test_an_alert_comes_again_when_something_new_was_done(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    responder.invoke(event)
    assert len(world.alerts()) == 1
    world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    responder.invoke(event)
    assert len(world.alerts()) == 1  # One more: the first was taken out of the queue.


def test_a_lost_lease_is_taken_over_and_the_response_resumes(world):
    world.deploy(response_plan=True)
    user = User(world)
    event = world.event(EXFILTRATION, user)
    world.fault("iam:List*", hold=True)
    crashing, began = world.responder(timeout=12), time.time()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: crashing.process and crashing.invoke(event))
        while not (leases := [item["lease_until"] for item in items(world, "lock#") if "lease_until" in item]):
            time.sleep(0.02)
        world.emulators.remove(crashing)
        crashing.close()
    world.release()
    # As long as Lambda may let the function run, and not longer.
    assert 0 <= int(leases[0]["N"]) / 1000 - began - 12 < 12
    # It struck nobody: nothing is left with it.
    [report] = world.responder().invoke(event)["reports"]
    assert report["verdict"] == "Contained" and not user.key_works()
    assert len(world.incidents()) == 1


def test_the_before_state_is_written_once(world):
    world.deploy(TrustedProducts="product/*/default")
    user, responder = User(world), world.responder()
    event = world.event("security-hub-simulation-administrator-access", user)
    world.finding(event)
    responder.invoke(event)
    assert user.state()["policies"] == []
    responder.invoke(event)
    [record] = items(world, "record#")
    [snapshot] = [json.loads(value["S"]) for name, value in record.items() if name.startswith("snapshot ")]
    before = snapshot["before"]
    assert sorted(arn.rsplit("/", 1)[1] for arn in before["attached_policies"]) == sorted(POLICIES)
    assert before["groups"] == ["developers", "operators"]
    assert {key["active"] for key in before["access_keys"]} == {True}
    applied = [json.loads(entry["S"]) for entry in record["applied"]["L"]]
    assert {"DetachPolicy", "LeaveGroup", "DeactivateAccessKey"} <= {entry["action"] for entry in applied}
    assert all(entry["at"] and "request" in entry["detail"] for entry in applied if entry["action"] == "DetachPolicy")
    assert user.keys[0]["SecretAccessKey"] not in json.dumps(record)


def test_without_the_ledger_nothing_is_taken_away(world):
    world.deploy(TrustedProducts="product/*/default")
    user, responder = User(world), world.responder()
    before = user.state()
    event = world.event("security-hub-simulation-administrator-access", user)
    world.finding(event)
    world.fault("dynamodb:*", "AccessDenied", status=400)
    answer = responder.invoke(event)
    assert answer["errorType"] == "ResponseIncomplete" and "ledger" in answer["errorMessage"]
    after = user.state()
    assert (after["policies"], after["groups"]) == (before["policies"], before["groups"])
    assert set(after["keys"].values()) == {"Inactive"}
    assert responder.last_report()["verdict"] == "NotContained"


def test_without_the_ledger_the_deny_and_the_keys_still_happen(world):
    world.deploy()
    user, responder = User(world), world.responder()
    world.fault("dynamodb:*", delay_ms=8_000)
    answer = responder.invoke(world.event(EXFILTRATION, user))
    assert answer["errorType"] == "ResponseIncomplete" and not user.key_works()
    assert responder.last_report()["timings_ms"]["first_barrier"] < 5_000


def test_observe_leaves_no_trace_in_the_ledger(world):
    world.deploy(Mode="observe")
    world.responder().invoke(world.event(EXFILTRATION, User(world)))
    assert items(world, "") == []
