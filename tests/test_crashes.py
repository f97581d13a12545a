"""Killed before and after each AWS call of a response, then delivered again: the end is that of a
clean run, and nothing was done twice that must not be."""

import concurrent.futures
import json
import time

import pytest

from .harness.victims import User
from .harness.world import POLICIES

HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
# As many as a response to this finding makes; the last test holds that there are no more.
CALLS = 41
# The lease of the one that is killed: its Lambda timeout.
LEASE = 4


def stage(world):
    world.deploy(response_plan=True, rotation=True)
    user = User(world)
    event = world.event(HUB, user)
    return user, event, world.finding(event)


def ending(world, user, finding):
    state = user.state()
    assert state["tags"].pop("RemediationDate")
    return {**state, "workflow": finding()["Workflow"]["Status"], "rotations": len(world.rotations()), "incidents": len(world.incidents())}


def kill_at(world, event, call, made):
    """Ends the function while its call number `call` is under way; `made`: the call still counts."""
    fault = {"after": call, "times": 1, "delay_ms": 1_500} | ({} if made else {"reset": "before"})
    world.fault("*", **fault)
    responder = world.responder(timeout=LEASE)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(quietly, responder, event)
        while world.control(f"faults?account={world.member}")[-1]["times"] and not answer.done():
            time.sleep(0.01)
        was_killed = not answer.done()
        world.emulators.remove(responder)
        responder.close()
    return was_killed


def quietly(responder, event):
    try:
        return responder.invoke(event)
    except OSError:
        return None  # It was killed.


@pytest.mark.parametrize("made", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", range(CALLS))
def test_a_crash_changes_nothing_in_the_end(world, call, made):
    user, event, finding = stage(world)
    began = time.monotonic()
    assert kill_at(world, event, call, made), "the response makes fewer calls than CALLS"
    # The call that nobody waits for is made late, and the lease runs out.
    time.sleep(max(0, began + LEASE + 1 - time.monotonic()))
    answer = world.responder().invoke(event)
    assert answer["reports"][0]["verdict"] == "Contained", answer
    assert ending(world, user, finding) == {
        "keys": {key["AccessKeyId"]: "Inactive" for key in user.keys},
        "policies": sorted(["AWSDenyAll", *POLICIES]),
        "inline": ["bucket"],
        "groups": ["developers", "operators"],
        "boundary": None,
        "tags": {"SecurityIncident": "AutomatedSecurityQuarantine", "FindingId": event["detail"]["findings"][0]["Id"][-256:]},
        "workflow": "NOTIFIED",
        "rotations": 1,
        "incidents": 1,
    }
    # A crash between the alert and the ledger's end is told twice rather than not at all.
    assert 1 <= len(world.alerts()) <= 2
    dynamodb = world.client("dynamodb", world.security)
    [table] = dynamodb.list_tables()["TableNames"]
    [record] = [it for it in dynamodb.scan(TableName=table)["Items"] if it["id"]["S"].startswith("record#")]
    before = json.loads(record["before_state"]["S"])
    assert sorted(arn.rsplit("/", 1)[1] for arn in before["attached_policies"] if "AWSDenyAll" not in arn) == sorted(POLICIES)
    assert before["groups"] == ["developers", "operators"]


def test_every_call_is_among_those_killed_at(world):
    _, event, _ = stage(world)
    [report] = world.responder().invoke(event)["reports"]
    assert report["round_trips"]["calls"] == CALLS
