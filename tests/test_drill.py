"""The fire drill, as its schedule starts it: by the deployed rule to the responder, and by using the key."""

import json

import pytest

from .harness.ledger import Table
from .harness.victims import User

PATH = "/iam-responder-drill/"


def stage(world, connect=True, **parameters):
    world.deploy(DrillAccount=world.member, **{"SettleSeconds": "2", **parameters})
    if connect:
        world.connected()


def drill(world, timeout=None, **fields):
    driller = world.responder(part="driller", timeout=timeout)
    answer = driller.invoke({"command": "drill", **fields})
    [line] = [line for line in driller.log_lines() if "_aws" in line]
    return answer, line


def users_of_drills(world):
    return world.iam.list_users(PathPrefix=PATH)["Users"]


def test_it_passes_and_leaves_nothing(world):
    stage(world)
    answer, line = drill(world)
    report = answer["drill"]
    assert report["verdict"] == "Passed", report
    assert 0 < report["key_stopped_after_ms"] < 60_000 and report["user"].startswith("drill-")
    assert users_of_drills(world) == []
    assert line["DrillPassed"] == 1 and line["DaysSinceDrill"] == 0 and line["DrillTimeToContain"] == report["key_stopped_after_ms"]
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [[]]
    assert world.alerts() == [] == world.incidents()  # Nobody is woken up by it.


def test_it_is_held_only_when_the_last_one_is_old_enough(world):
    stage(world)
    drill(world, if_older_than_days=7)
    writes = len(world.writes())
    answer, line = drill(world, if_older_than_days=7)
    assert "verdict" not in answer["drill"] or answer["drill"]["verdict"] is None
    assert 0 < line["DaysSinceDrill"] < 0.1 and "DrillPassed" not in line
    assert len(world.writes()) == writes


@pytest.mark.seconds(16)
@pytest.mark.parametrize("broken", ["no-rule", "observe"])
def test_a_responder_that_does_not_respond_is_an_alarm(world, broken):
    stage(world, connect=False)
    if broken == "observe":
        responder = world.responder(MODE="observe")
        world.listen(responder)
    answer, line = drill(world, timeout=20)
    assert answer["errorType"] == "ResponseIncomplete" and "the drill failed" in answer["errorMessage"]
    assert line["DrillPassed"] == 0 and "DaysSinceDrill" not in line
    [alert] = world.alerts()
    assert "DRILL FAILED" in alert["Subject"]
    assert users_of_drills(world) == []


def test_a_user_that_is_only_made_is_contained_by_way_of_cloudtrail(world):
    """By the member account's rule, the bus for what is forwarded and the queue: nobody reports it. Nobody is called."""
    world.deploy(DrillAccount=world.member, SettleSeconds="0")
    world.connected(part="hygiene")
    world.iam.create_user(UserName="drill-of-the-other-kind", Path=PATH)
    world.iam.create_user(UserName="drill-created-last-week", Path=PATH)
    answer, line = drill(world, kind="created")
    report = answer["drill"]
    assert report["verdict"] == "Passed" and report["kind"] == "created", report
    assert report["user"].startswith("drill-created-") and 0 < report["key_stopped_after_ms"] < 60_000
    assert [it["UserName"] for it in users_of_drills(world)] == ["drill-of-the-other-kind"]
    assert line["CreationDrillPassed"] == 1 and line["CreationDrillTimeToContain"] > 0 and "DrillPassed" not in line
    assert [it["id"]["S"] for it in Table(world).items("drill#")] == ["drill#created"]
    assert world.alerts() == []
    # The digest names it, as every user that the drill's role makes.
    assert any(report["user"] in json.dumps(it) for it in Table(world).items("digest#"))


@pytest.mark.seconds(8)
def test_an_account_that_forwards_nothing_is_an_alarm(world):
    """The other kind of drill would pass."""
    world.deploy(DrillAccount=world.member, SettleSeconds="0")
    world.connected(part="hygiene")
    world.client("events").disable_rule(Name="iam-responder-forward-create-user")
    answer, line = drill(world, timeout=8, kind="created")
    assert "the drill failed" in answer["errorMessage"] and line["CreationDrillPassed"] == 0
    [alert] = world.alerts()
    assert "DRILL FAILED" in alert["Subject"] and "Drill: created" in alert["Message"]
    assert users_of_drills(world) == [] and "DaysSinceCreationDrill" not in line


def test_what_an_earlier_drill_left_is_removed(world):
    stage(world)
    world.iam.create_user(UserName="drill-of-last-week", Path=PATH)
    world.iam.create_access_key(UserName="drill-of-last-week")
    answer, _ = drill(world)
    assert answer["drill"]["verdict"] == "Passed" and users_of_drills(world) == []


def test_it_removes_nobody_who_is_no_drills(world):
    stage(world)
    User(world, path=PATH)
    User(world, name="drill-engineer", path=f"{PATH}team/")
    answer, _ = drill(world)
    assert answer["drill"]["verdict"] == "Passed"
    assert sorted(it["UserName"] for it in users_of_drills(world)) == ["alice", "drill-engineer"]


def test_its_event_reaches_no_other_user(world):
    stage(world)
    user, responder = User(world), world.responder()
    before, event = user.state(), world.event("drill", user)
    event["detail"]["user"] = "alice"
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Refused" and PATH in report["reason"] and user.state() == before
    event["detail"]["account"] = "123456789012"
    assert "another account" in responder.invoke(event)["ignored"][0]["reason"]


def test_its_roles_reach_nobody_else(world):
    stage(world)
    User(world)
    [policy] = world.iam.list_role_policies(RoleName="SecurityDrillRole")["PolicyNames"]
    document = world.iam.get_role_policy(RoleName="SecurityDrillRole", PolicyName=policy)["PolicyDocument"]
    writes = [it for it in document["Statement"] if it["Action"] != "iam:ListUsers"]
    assert json.dumps(writes).count(f"user{PATH}*") == len(writes) == 2
