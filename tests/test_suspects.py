"""No verdict improves on an open suspect: who came into being around a compromise stays open until a person
says who looked and why it is closed."""

import datetime as dt
import itertools

from .harness.victims import User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"


def hours_ago(hours):
    return (dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)).replace(tzinfo=None).isoformat(timespec="seconds")


def suspect(world, name="svc-backup", hours=2):
    created = world.iam.create_user(UserName=name)["User"]
    world.identify(user=name, created=hours_ago(hours))
    return created["UserId"]


def close(world, responder, **fields):
    command = {"command": "close-suspect", "account": world.member, "user": "alice", "by": "Dana", "reason": "our own"}
    return responder.invoke({**command, **fields})


def status(world, responder):
    return responder.invoke({"command": "status", "account": world.member, "user": "alice"})["status"]


def test_the_second_delivery_of_a_finding_ends_no_better(world):
    world.deploy()
    user, responder = User(world), world.responder()
    hub = world.event(HUB, user)
    world.finding(hub)
    who = suspect(world)
    [first] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    # It is gone by the time of the copy: who made it may have made others.
    world.iam.delete_user(UserName="svc-backup")
    [copy] = responder.invoke(hub)["reports"]
    for report in (first, copy):
        assert report["verdict"] == "SuspectsOpen" and any(who in it for it in report["open"]), report
    assert len(world.alerts()) == 1
    assert status(world, responder)["verdict"] == "SuspectsOpen"


def test_a_try_after_a_failed_one_ends_no_better(world):
    world.deploy()
    user, responder = User(world), world.responder()
    suspect(world, hours=0)
    world.fault("iam:ListGroupsForUser", "AccessDenied", status=403, times=2)
    event = world.event(EXFILTRATION, user)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    world.identify(user="svc-backup", created=hours_ago(0.01))
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "SuspectsOpen"


def test_a_suspect_is_who_was_created_from_a_day_before_the_first_response_on(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    event["detail"]["service"]["eventFirstSeen"] = "2026-10-01T00:00:00.000Z"
    suspect(world, "old", hours=30)
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    suspect(world, "young", hours=20)
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "SuspectsOpen"
    assert any("user/young" in it for it in report["open"]) and not any("user/old" in it for it in report["open"])


def test_only_a_person_closes_a_suspect_and_says_why(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event, who, other = world.event(EXFILTRATION, user), suspect(world), suspect(world, "svc-other")
    responder.invoke(event)
    assert responder.invoke({"command": "close-suspect", "account": world.member, "user": "alice", "suspect": who})["errorType"]
    assert "no open suspect" in close(world, responder, suspect="AIDANOBODYNOBODY0000")["errorMessage"]
    assert close(world, responder, suspect=who)["closed"]["by"] == "Dana"
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "SuspectsOpen" and not any(who in it for it in report["open"])
    close(world, responder, suspect=other, by="Eve", reason="made by the pipeline")
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    told = status(world, responder)
    assert told["open_suspects"] == {}
    closed = {it["suspect"]: (it["by"], it["reason"]) for it in told["closed_suspects"]}
    assert closed == {who: ("Dana", "our own"), other: ("Eve", "made by the pipeline")}


def test_suspects_outlive_a_restore(world):
    world.deploy()
    user, responder = User(world), world.responder()
    who = suspect(world)
    responder.invoke(world.event(EXFILTRATION, user))
    command = world.restore_command()
    assert world.responder(part="restorer").invoke(command)["restore"]["verdict"] == "Restored"
    world.iam.delete_user(UserName="svc-backup")
    assert who in status(world, responder)["open_suspects"]
    later = world.event(EXFILTRATION, user)
    later["detail"]["service"]["eventLastSeen"] = "2099-01-01T00:00:00.000Z"
    [report] = responder.invoke(later)["reports"]
    assert report["verdict"] == "SuspectsOpen"


def test_two_hundred_suspects_are_kept_and_the_others_counted(world):
    world.deploy()
    user, responder = User(world), world.responder()
    for n in range(205):
        world.iam.create_user(UserName=f"decoy-{n}")
    event = world.event(EXFILTRATION, user)
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "SuspectsOpen" and any("5 more" in it for it in report["open"])
    told = status(world, responder)
    assert (len(told["open_suspects"]), told["more_suspects"]) == (200, 5)
    close(world, responder, suspect="all")
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    suspect(world, "after-that", hours=0)
    world.identify(user="after-that", created=hours_ago(-0.01))
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "SuspectsOpen" and len(status(world, responder)["open_suspects"]) == 1


def test_whichever_call_of_the_ledger_fails_an_open_suspect_is_not_forgotten(world):
    """Only the ledger knows of it by now."""
    world.deploy(SettleSeconds="0.2")
    user, responder = User(world), world.responder()
    suspect(world)
    event = world.event(EXFILTRATION, user)
    [first] = responder.invoke(event)["reports"]
    assert first["verdict"] == "SuspectsOpen"
    world.iam.delete_user(UserName="svc-backup")
    for call in itertools.count():
        world.let_leases_run_out()
        world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
        world.fault("dynamodb:UpdateItem", "ValidationException", status=400, after=call, times=1)
        responder.invoke(event)
        assert responder.last_report()["verdict"] in ("SuspectsOpen", "Unverified"), call
        if world.faults()[-1]["times"]:
            break
    assert call > 6
