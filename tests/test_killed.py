"""Whoever is killed is missed, whatever lease it had, and whoever had the lease after it."""

import pytest

from .harness.ledger import DUE, Table
from .harness.victims import User
from .harness.world import POLICIES
from .test_lease import intends, killed, snapshots, while_running, wrote

KEY_ONLY = "health-risk-credentials-exposed-key-only"
UNUSED = "security-hub-iam-8-unused-credentials"
EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def contain(world):
    """Nobody tries a command again."""
    return {"command": "contain", "account": world.member, "user": "alice"}


def test_a_response_beside_a_busy_lease_that_is_killed_is_taken_up(world):
    world.deploy()
    user = User(world)
    unused = world.event(UNUSED, user)
    world.finding(unused)
    with while_running(world.responder(part="hygiene", SETTLE_SECONDS="5"), unused, wrote(world, "iam:TagUser")) as first:
        world.fault("sts:AssumeRole", delay_ms=3_000, times=1)
        killed(world, contain(world), lambda: Table(world).items("due#"))
    assert first[0]["reports"][0]["verdict"] == "Contained", first
    assert not user.is_denied()
    table = Table(world)
    table.pass_time()
    [report] = world.responder().invoke(DUE)["reports"]
    assert report["verdict"] == "Contained" and user.is_denied() and table.due() == []


def test_lesser_news_does_not_erase_a_killed_response_from_what_is_due(world):
    world.deploy()
    user, table = User(world), Table(world)
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    killed(world, contain(world), lambda: table.items("lock#"))
    assert user.key_works()
    table.pass_time()
    unused = world.event(UNUSED, user)
    world.finding(unused)
    assert world.responder(part="hygiene").invoke(unused)["reports"][0]["verdict"] == "Contained"
    table.pass_time()
    [report] = world.responder().invoke(DUE)["reports"]
    assert report["verdict"] == "Contained" and user.is_denied() and table.due() == []


def test_nor_does_a_restore(world):
    world.deploy()
    user, table, responder = User(world), Table(world), world.responder()
    assert responder.invoke(world.event(EXFILTRATION, user))["reports"][0]["verdict"] == "Contained"
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    killed(world, contain(world), table.keeps_a_finding)
    table.pass_time()
    command = world.restore_command()
    assert world.responder(part="restorer").invoke(command)["restore"]["verdict"] == "Restored"
    assert not user.is_denied()
    table.pass_time()
    [report] = responder.invoke(DUE)["reports"]
    assert report["verdict"] == "Contained" and user.is_denied(), report


def test_a_response_beside_a_busy_lease_is_remembered_like_any_other(world):
    world.deploy(SettleSeconds="0", MaxContainmentsPerHour="1,20")
    user, table, responder = User(world), Table(world), world.responder()
    unused = world.event(UNUSED, user)
    world.finding(unused)
    with while_running(world.responder(part="hygiene", SETTLE_SECONDS="3"), unused, wrote(world, "iam:TagUser")):
        assert responder.invoke(world.event(EXFILTRATION, user))["reports"][0]["verdict"] == "Contained"
    assert table.due() == []
    command = world.restore_command()
    for _ in range(2):
        assert world.responder(part="restorer").invoke(command)["restore"]["verdict"] == "Restored"
    [report] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert report["verdict"] == "Refused", report


def test_a_lesser_response_does_not_make_the_deny_of_a_killed_one_the_state_before(world):
    """By key, killed after its strike; unused keys, by name; then the copy of the compromise, by name."""
    world.deploy()
    user, responder, table = User(world), world.responder(), Table(world)
    world.fault("iam:ListGroupsForUser", delay_ms=3_000, times=1)
    killed(world, world.event(KEY_ONLY, user), lambda: user.is_denied() and intends(table))
    table.pass_time()
    unused = world.event(UNUSED, user)
    world.finding(unused)
    assert world.responder(part="hygiene").invoke(unused)["reports"][0]["verdict"] == "Contained"
    assert responder.invoke(world.event(EXFILTRATION, user))["reports"][0]["verdict"] == "Contained"
    assert not intends(table)
    for before in snapshots(table):
        assert sorted(arn.rsplit("/", 1)[1] for arn in before["attached_policies"]) == sorted(POLICIES)
    table.pass_time()
    responder.invoke(DUE)
    command = world.restore_command()
    restorer = world.responder(part="restorer")
    verdicts = [restorer.invoke(command)["restore"]["verdict"] for _ in range(3)]
    assert verdicts == ["Restored", "Restored", "NothingToDo"] and not user.is_denied(), "restored, with our deny on"


# Each write in the ledger by which what a killed holder left could be lost.
WRITES = {"the list of what is due": "due#", "releasing the lease": "REMOVE lease_until"}


@pytest.mark.parametrize("text", WRITES.values(), ids=WRITES)
def test_a_write_that_fails_does_not_lose_what_a_killed_holder_left_to_lesser_news(world, text):
    world.deploy()
    user, table = User(world), Table(world)
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    killed(world, contain(world), lambda: table.items("lock#"))
    assert user.key_works()
    table.pass_time()
    unused = world.event(UNUSED, user)
    world.finding(unused)
    hygiene = world.responder(part="hygiene")
    world.fault("dynamodb:UpdateItem", "ValidationException", status=400, text=text, times=1)
    hygiene.invoke(unused)
    assert world.faults()[-1]["times"] == 0
    hygiene.invoke(unused)  # Lambda tries again.
    for _ in range(2):
        table.pass_time()
        world.responder().invoke(DUE)
    assert user.is_denied() and table.due() == [] and not table.keeps_a_finding()


@pytest.mark.parametrize("text", WRITES.values(), ids=WRITES)
def test_a_write_that_fails_does_not_lose_what_a_killed_holder_left_to_a_restore(world, text):
    world.deploy()
    user, table, responder = User(world), Table(world), world.responder()
    assert responder.invoke(world.event(EXFILTRATION, user))["reports"][0]["verdict"] == "Contained"
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    killed(world, contain(world), table.keeps_a_finding)
    table.pass_time()
    restorer = world.responder(part="restorer")
    world.fault("dynamodb:UpdateItem", "ValidationException", status=400, text=text, times=1)
    restorer.invoke(world.restore_command())
    assert world.faults()[-1]["times"] == 0
    restorer.invoke(world.restore_command())  # The person sends it again.
    for _ in range(2):
        table.pass_time()
        responder.invoke(DUE)
    assert user.is_denied() and table.due() == [] and not table.keeps_a_finding()


def test_a_restore_that_is_killed_leaves_what_a_killed_holder_left(world):
    world.deploy()
    user, table, responder = User(world), Table(world), world.responder()
    assert responder.invoke(world.event(EXFILTRATION, user))["reports"][0]["verdict"] == "Contained"
    world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    killed(world, contain(world), table.keeps_a_finding)
    table.pass_time()
    world.fault("dynamodb:UpdateItem", text="due#", delay_ms=3_000, reset="before", times=1)
    is_held = lambda: any(it.get("playbook", {}).get("S") == "restore" for it in table.items("lock#"))  # noqa: E731
    killed(world, world.restore_command(), is_held, part="restorer")
    assert not user.is_denied() and table.due() == []
    table.pass_time()
    responder.invoke(DUE)
    assert user.is_denied() and not table.keeps_a_finding()


def test_each_finding_of_several_killed_holders_is_taken_up(world):
    """The lesser news of those that were killed comes last."""
    world.deploy()
    user, table = User(world), Table(world)
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    killed(world, contain(world), lambda: table.items("lock#"))
    table.pass_time()
    unused = world.event(UNUSED, user)
    world.finding(unused)
    # Killed before it put on the list what it found on the lease.
    world.fault("dynamodb:UpdateItem", text="due#", delay_ms=3_000, reset="before", times=1)
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    both = lambda: len([it for it in table.item("lock#") if it.startswith("finding ")]) == 2  # noqa: E731
    killed(world, unused, both, part="hygiene")
    assert user.key_works() and table.due() == []
    table.pass_time()
    responder, reports = world.responder(), []
    for _ in range(2):
        reports += responder.invoke(DUE)["reports"]
        table.pass_time()
    assert user.is_denied() and table.due() == [] and not table.keeps_a_finding()
    assert [it["playbook"] for it in reports] == ["compromised-credential", "unused-user"], reports
