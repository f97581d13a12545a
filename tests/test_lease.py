"""Worse news than what somebody is at is never swallowed: whoever has the identity has it only for what it
covers, for the identity that was meant, and only when it ends well."""

import concurrent.futures
import contextlib
import json

from .harness.ledger import Table, until
from .harness.victims import User
from .harness.world import POLICIES

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
UNUSED = "security-hub-iam-8-unused-credentials"
KEY_ONLY = "health-risk-credentials-exposed-key-only"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"


@contextlib.contextmanager
def while_running(responder, event, begun):
    """The first response is under way, and has come as far as `begun`; at the end its answer is there."""
    answers = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(responder.invoke, event)
        until(begun)
        yield answers
        answers.append(future.result())


def killed(world, event, begun, timeout=30, part="responder"):
    """The function ends while it responds to the event."""
    responder = world.responder(part=part, timeout=timeout)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        def invoke():
            with contextlib.suppress(OSError):
                responder.invoke(event)

        pool.submit(invoke)
        until(begun)
        world.emulators.remove(responder)
        responder.close()


def wrote(world, action):
    return lambda: action in world.writes()


def snapshots(table):
    record = table.item("record#")
    return [json.loads(value["S"])["before"] for name, value in record.items() if name.startswith("snapshot ")]


def intends(table):
    """What was meant is in the ledger, and in no snapshot."""
    return any(name.startswith("intent ") for it in table.items("record#") for name in it)


def restoring(world):
    return lambda: any(it.get("playbook", {}).get("S") == "restore" for it in Table(world).items("record#"))


def test_a_response_to_unused_keys_does_not_swallow_a_compromise(world):
    world.deploy(SettleSeconds="5")
    user = User(world)
    unused = world.event(UNUSED, user)
    finding, second = world.finding(unused), world.responder(SETTLE_SECONDS="0")
    with while_running(world.responder(part="hygiene"), unused, wrote(world, "iam:UpdateAccessKey")) as first:
        [report] = second.invoke(world.event(EXFILTRATION, user))["reports"]
        assert report["verdict"] == "Contained", report
        assert "AWSDenyAll" in user.state()["policies"]
    assert first[0]["reports"][0]["verdict"] == "Contained", first
    assert {"compromised-credential", "unused-user"} == {
        it["MessageAttributes"]["playbook"]["Value"] for it in world.alerts()
    }
    assert finding()["Workflow"]["Status"] == "NOTIFIED"
    # The graver verdict is the one that stays.
    assert "incident" in Table(world).item("record#")


def test_a_compromise_covers_unused_keys(world):
    world.deploy(SettleSeconds="4")
    user = User(world)
    unused = world.event(UNUSED, user)
    finding, second = world.finding(unused), world.responder(part="hygiene")
    with while_running(world.responder(), world.event(EXFILTRATION, user), wrote(world, "iam:TagUser")) as first:
        [report] = second.invoke(unused)["reports"]
        assert report["verdict"] == "InProgress", report
        assert finding()["Workflow"]["Status"] == "NEW" and len(Table(world).due()) == 1
    assert first[0]["reports"][0]["verdict"] == "Contained"
    assert finding()["Workflow"]["Status"] == "NOTIFIED" and Table(world).due() == []


def test_a_finding_left_with_one_that_is_killed_is_taken_up(world):
    world.deploy(SettleSeconds="20")
    user, second = User(world), world.responder(SETTLE_SECONDS="0")
    event = world.event(HUB, user)
    finding = world.finding(event)
    killed(world, world.event(EXFILTRATION, user), wrote(world, "iam:TagUser"))
    [report] = second.invoke(event)["reports"]
    assert report["verdict"] == "InProgress" and finding()["Workflow"]["Status"] == "NEW"
    Table(world).pass_time()
    second.invoke({"command": "due"})
    Table(world).pass_time()  # Of two that are due at once one waits for the other.
    second.invoke({"command": "due"})
    assert finding()["Workflow"]["Status"] == "NOTIFIED" and Table(world).due() == []


def test_a_refusal_about_a_namesake_does_not_swallow_the_real_ones_finding(world):
    world.deploy()
    user, second = User(world), world.responder()
    namesake = json.loads(json.dumps(world.event(EXFILTRATION, user)).replace(user.id, "AIDAOTHEROTHEROTHER00"))
    world.fault("iam:ListUsers", delay_ms=2_500, times=1)
    with while_running(world.responder(), namesake, lambda: Table(world).items("lock#")) as first:
        [report] = second.invoke(world.event(EXFILTRATION, user))["reports"]
        assert report["verdict"] in ("Contained", "SuspectsOpen"), report
        assert not user.key_works()
    assert first[0]["reports"][0]["verdict"] == "Refused"


def test_a_restore_that_learns_of_new_behaviour_stops_before_it_lifts_the_deny(world):
    world.deploy(TrustedProducts="product/*/default")
    user, responder = User(world), world.responder()
    event = world.event(OVERPRIVILEGED, user)
    world.finding(event)
    responder.invoke(event)
    responder.invoke({"command": "contain", "account": world.member, "user": "alice"})
    command = world.restore_command()
    newer = world.event(EXFILTRATION, user)
    newer["detail"]["service"]["eventLastSeen"] = "2099-01-01T00:00:00.000Z"
    world.alerts()
    # The restore reads first what there is to do.
    world.fault("iam:ListMFADevices", delay_ms=3_000, times=1)
    with while_running(world.responder(part="restorer"), command, restoring(world)) as restore:
        [report] = responder.invoke(newer)["reports"]
        assert report["verdict"] == "Contained", report
    assert "something new was reported" in restore[0]["errorMessage"], restore
    assert "AWSDenyAll" in user.state()["policies"] and not user.key_works()
    assert any("NOT RESTORED" in it["Subject"] for it in world.alerts())


def test_a_restore_that_learns_of_it_too_late_says_so_and_the_deny_is_back(world):
    """The response comes between the last look at the lease and the lifting."""
    world.deploy()
    user, responder = User(world), world.responder()
    responder.invoke(world.event(EXFILTRATION, user))
    command = world.restore_command()
    newer = world.event(EXFILTRATION, user)
    newer["detail"]["service"]["eventLastSeen"] = "2099-01-01T00:00:00.000Z"
    world.fault("iam:UntagUser", delay_ms=3_000, times=1)
    lifted = lambda: "AWSDenyAll" not in user.state()["policies"]  # noqa: E731
    with while_running(world.responder(part="restorer"), command, lifted) as restore:
        [report] = responder.invoke(newer)["reports"]
        assert report["verdict"] == "Contained", report
    assert restore[0]["errorType"] == "ResponseIncomplete", restore
    assert "AWSDenyAll" in user.state()["policies"] and not user.key_works()


def test_what_a_restore_knows_waits_for_it(world):
    world.deploy(TrustedProducts="product/*/default")
    user, responder = User(world), world.responder()
    event = world.event(OVERPRIVILEGED, user)
    world.finding(event)
    responder.invoke(event)
    command = world.restore_command()
    world.fault("iam:AddUserToGroup", delay_ms=2_500)
    with while_running(world.responder(part="restorer"), command, restoring(world)) as restore:
        [report] = responder.invoke(event)["reports"]
        assert report["verdict"] == "InProgress" and "restoring" in report["reason"], report
    assert restore[0]["restore"]["verdict"] == "Restored", restore
    table = Table(world)
    table.pass_time()
    [report] = responder.invoke({"command": "due"})["reports"]
    assert report["verdict"] == "Refused" and "known then" in report["reason"], report
    assert table.due() == [] and set(user.state()["policies"]) == set(POLICIES)


def test_a_crash_by_key_then_a_response_by_name_keep_the_snapshot_from_before_both(world):
    world.deploy(SettleSeconds="0")
    user, responder = User(world), world.responder()
    world.fault("iam:ListGroupsForUser", delay_ms=3_000, times=1)

    def is_struck():
        return wrote(world, "iam:AttachUserPolicy")() and intends(Table(world))

    killed(world, world.event(KEY_ONLY, user), is_struck)
    table = Table(world)
    assert snapshots(table) == []
    [report] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert report["verdict"] == "InProgress"  # The one that was killed may still be there.
    table.pass_time()
    responder.invoke({"command": "due"})
    table.pass_time()
    responder.invoke({"command": "due"})
    [before] = snapshots(table)
    assert sorted(arn.rsplit("/", 1)[1] for arn in before["attached_policies"]) == sorted(POLICIES)
    command = world.restore_command()
    assert world.responder(part="restorer").invoke(command)["restore"]["verdict"] == "Restored"
    assert "AWSDenyAll" not in user.state()["policies"]
