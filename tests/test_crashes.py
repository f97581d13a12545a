"""Killed before and after each AWS call of a response or a restore, then sent again: the end is that of
a clean run, and nothing was done twice that must not be."""

import concurrent.futures
import json
import os
import time

import pytest

from .harness.victims import User
from .harness.world import POLICIES

HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
# As many as a response to this finding makes; the last test holds that there are no more.
CALLS = 51
RESTORE_CALLS = 75


def killed(calls):
    """Before each second call and after the others; before and after each in `make nightly`."""
    pairs = [(call, made) for call in range(calls) for made in (False, True)]
    return pytest.mark.parametrize(
        ("call", "made"),
        [pytest.param(call, made, id=f"{call}-{'after' if made else 'before'}") for call, made in pairs if call % 2 == made or "EVERY_CELL" in os.environ],
    )


def stage(world):
    world.deploy(response_plan=True, rotation=True)
    user = User(world)
    event = world.event(HUB, user)
    return user, event, world.finding(event)


def ending(world, user, finding):
    state = user.state()
    assert state["tags"].pop("RemediationDate")
    return {**state, "workflow": finding()["Workflow"]["Status"], "rotations": len(world.rotations()), "incidents": len(world.incidents())}


def kill_at(world, event, call, made, part="responder"):
    """Ends the function while its call number `call` is under way; `made`: the call still counts, and is
    made when nobody waits for it any more. Then the lease of the one that was killed has run out."""
    world.fault("*", after=call, times=1, hold=True, **({} if made else {"reset": "before"}))
    responder = world.responder(part=part)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(quietly, responder, event)
        wait_until(lambda: not world.faults()[-1]["times"] or answer.done())
        was_killed = not answer.done()
        world.emulators.remove(responder)
        responder.close()
    if was_killed:
        world.release()
        wait_until(lambda: world.faults()[-1].get("through"))
        world.let_leases_run_out()
    return was_killed


def wait_until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def quietly(responder, event):
    try:
        return responder.invoke(event)
    except OSError:
        return None  # It was killed.


@killed(CALLS)
def test_a_crash_changes_nothing_in_the_end(world, call, made):
    user, event, finding = stage(world)
    assert kill_at(world, event, call, made), "the response makes fewer calls than CALLS"
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
    [before] = [json.loads(value["S"])["before"] for name, value in record.items() if name.startswith("snapshot ")]
    assert sorted(arn.rsplit("/", 1)[1] for arn in before["attached_policies"]) == sorted(POLICIES)
    assert before["tags"] == {} and before["permissions_boundary"] is None
    assert before["groups"] == ["developers", "operators"]


def test_every_call_is_among_those_killed_at(world):
    _, event, _ = stage(world)
    [report] = world.responder().invoke(event)["reports"]
    assert report["round_trips"]["calls"] == CALLS


def stage_restore(world):
    world.deploy(TrustedProducts="product/*/default")
    user = User(world)
    before, event = user.state(), world.event("security-hub-simulation-administrator-access", user)
    world.finding(event)
    world.responder().invoke(event)
    assert user.state()["policies"] == []
    return user, before, world.restore_command()


@killed(RESTORE_CALLS)
def test_a_restore_goes_on_after_a_crash(world, call, made):
    user, before, command = stage_restore(world)
    assert kill_at(world, command, call, made, part="restorer"), "a restore makes fewer calls than RESTORE_CALLS"
    state = user.state()
    is_marked = "SecurityIncident" in state["tags"]
    assert is_marked or (set(POLICIES) <= set(state["policies"]) and state["groups"] == before["groups"]), "the mark went too early"
    answer = world.responder(part="restorer").invoke(command)
    assert answer["restore"]["verdict"] in ("Restored", "NothingToDo"), answer
    keys = {key["AccessKeyId"]: "Inactive" for key in user.keys}
    assert user.state() == {**before, "keys": keys}
    status = {key: value for key, value in command.items() if key in ("account", "user")} | {"command": "status"}
    status = world.responder(part="restorer").invoke(status)["status"]
    assert status["restored"]["by"] == "Dana" and not status["is_contained_by_us"]


def test_every_call_of_a_restore_is_among_those_killed_at(world):
    _, _, command = stage_restore(world)
    answer = world.responder(part="restorer").invoke(command)
    assert answer["restore"]["round_trips"]["calls"] == RESTORE_CALLS
