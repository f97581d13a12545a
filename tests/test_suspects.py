"""No verdict improves on an open suspect: who came into being around a compromise stays open until a person
says who looked and why it is closed."""

import copy
import datetime as dt
import itertools
import json
import time

import pytest

from .harness.ledger import Table, about
from .harness.victims import Role, User
from .test_lease import while_running

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
OUTSIDE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
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
    closed = close(world, responder, suspect="all")
    assert closed.get("closed"), closed
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
    assert call > 5


def seen(event, at):
    """The same kind of event about behaviour that was seen at that time."""
    event = copy.deepcopy(event)
    event["detail"]["service"]["eventFirstSeen"] = event["detail"]["service"]["eventLastSeen"] = at
    event["detail"]["id"] += at
    return event


def test_new_sessions_that_a_person_closed_once_do_not_hide_the_next_ones(world):
    """The role was active again after a revocation, a person closed it; then it is active after the next one too."""
    world.deploy()
    role, responder = Role(world), world.responder()
    event = world.event(OUTSIDE, role=role)
    assert responder.invoke(event)["reports"][0]["verdict"] == "Contained"
    second = seen(event, "2099-01-01T00:00:00.000Z")
    assert responder.invoke(second)["reports"][0]["verdict"] == "SuspectsOpen"
    command = {"command": "close-suspect", "account": world.member, "role": "app", "by": "Dana", "reason": "ours"}
    for suspect in ("new-sessions", "all"):
        assert responder.invoke({**command, "suspect": suspect}).get("closed")
        # What the person has looked at stays closed.
        assert responder.invoke(second)["reports"][0]["verdict"] == "Contained"
        second = seen(event, f"2099-0{2 + len(suspect) % 4}-01T00:00:00.000Z")
        [report] = responder.invoke(second)["reports"]
        assert report["verdict"] == "SuspectsOpen", report["reason"]


def test_closing_all_suspects_keeps_who_closed_which_before_and_why(world):
    world.deploy()
    user, responder = User(world), world.responder()
    first, second = suspect(world, "svc-one"), suspect(world, "svc-two")
    responder.invoke(world.event(EXFILTRATION, user))
    assert close(world, responder, suspect=first)["closed"]["whom"] == [first]
    assert close(world, responder, suspect="all", by="Eve", reason="tidied up")["closed"]["whom"] == [second]
    told = {it["suspect"]: (it["by"], it["reason"]) for it in status(world, responder)["closed_suspects"]}
    assert told == {first: ("Dana", "our own"), second: ("Eve", "tidied up"), "all": ("Eve", "tidied up")}
    assert "no open suspect" in close(world, responder, suspect="all")["errorMessage"]


def test_closing_all_suspects_closes_nobody_whom_no_report_has_named(world):
    """The report names one; another accomplice is made before the person, who read it, closes what it names."""
    world.deploy()
    user, responder = User(world), world.responder()
    suspect(world, hours=1)
    event = world.event(EXFILTRATION, user)
    assert responder.invoke(event)["reports"][0]["verdict"] == "SuspectsOpen"
    world.iam.create_user(UserName="accomplice")
    time.sleep(1.1)
    assert close(world, responder, suspect="all").get("closed")
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "SuspectsOpen" and "accomplice" in json.dumps(report["open"]), report["reason"]
    assert "svc-backup" not in json.dumps(report["open"])


def test_nobody_is_closed_whom_a_report_names_at_the_same_moment(world):
    world.deploy()
    user, responder = User(world), world.responder()
    suspect(world, hours=1)
    responder.invoke(world.event(EXFILTRATION, user))
    world.fault("dynamodb:UpdateItem", delay_ms=1_500, times=1)
    delayed = lambda: not world.faults()[-1]["times"]  # noqa: E731
    command = {"command": "close-suspect", "account": world.member, "user": "alice", "by": "Dana", "reason": "ours"}
    table = Table(world)
    with while_running(responder, {**command, "suspect": "all"}, delayed) as answer:
        named = {"id": "AIDANEW", "words": "open suspect: new", "since": 1}
        table.change(table.item("suspects#"), "SET #n = :n ADD looks :one", {"#n": "open AIDANEW"}, n={"S": json.dumps(named)}, one={"N": "1"})
    assert "meanwhile" in answer[0]["errorMessage"], answer
    assert len(status(world, responder)["open_suspects"]) == 2


@pytest.mark.parametrize("verdict", ["SuspectsOpen", "Unverified"])
def test_a_suspect_that_could_not_be_kept_is_not_forgotten_by_the_next_try(world, verdict):
    """The report named the accomplice, who is gone by then."""
    world.deploy(SettleSeconds="0.2", MaxContainmentsPerHour="100,100")
    responder, named = world.responder(), 0
    for call in itertools.count():
        user = User(world, name=f"user-{call}", groups=())
        suspect(world, hours=1)
        event = about(world, EXFILTRATION, user)
        world.fault("dynamodb:UpdateItem", "ValidationException", status=400, after=call, times=1)
        answer = responder.invoke(event)
        is_through = world.faults()[-1]["times"]
        was, is_named = responder.last_report()["verdict"], "svc-backup" in json.dumps(responder.last_report()["open"])
        world.iam.delete_user(UserName="svc-backup")
        Table(world).pass_time()
        responder.invoke(event)
        then = responder.last_report()["verdict"]
        assert not (is_named and was == verdict and then == "Contained"), (call, answer)
        named += is_named and was == verdict
        if is_through:
            break
    assert call > 6 and named


def test_where_a_suspect_can_not_be_kept_its_record_remembers_it(world):
    world.deploy()
    user, responder, table = User(world), world.responder(), Table(world)
    who = suspect(world, hours=1)
    event = world.event(EXFILTRATION, user)
    # As the only write after the breaker, the leases and the snapshot.
    for call in itertools.count(3):
        world.fault("dynamodb:UpdateItem", "ValidationException", status=400, after=call, times=1)
        responder.invoke(event)
        record = table.item("record#")
        if "unkept" in record:
            break
        assert not world.faults()[-1]["times"], "keeping the suspect never failed"
        for item in [*table.items("suspects#"), *table.items("record#"), *table.items("lock#")]:
            table.client.delete_item(TableName=table.name, Key={"id": item["id"]})
    assert responder.last_report()["verdict"] == "Unverified" and who in record["unkept"]["SS"][0]
    world.iam.delete_user(UserName="svc-backup")
    table.pass_time()
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "SuspectsOpen" and who in json.dumps(report["open"]), report
    assert "unkept" not in table.item("record#") and who in status(world, responder)["open_suspects"]


def test_suspects_that_the_ledger_has_lost_stay_open_until_a_person_has_looked(world):
    """As after the update from a version that kept them in the identity's own record."""
    world.deploy()
    user, responder, table = User(world), world.responder(), Table(world)
    suspect(world, hours=1)
    event = world.event(EXFILTRATION, user)
    assert responder.invoke(event)["reports"][0]["verdict"] == "SuspectsOpen"
    world.iam.delete_user(UserName="svc-backup")
    table.client.delete_item(TableName=table.name, Key={"id": table.item("suspects#")["id"]})
    for _ in range(2):
        assert responder.invoke(event)["reports"][0]["verdict"] == "SuspectsOpen"
    assert close(world, responder, suspect="unknown-suspects").get("closed")
    assert responder.invoke(event)["reports"][0]["verdict"] == "Contained"


def test_no_verdict_is_contained_while_a_suspect_came_in_by_another_finding_under_way(world):
    world.deploy()
    role, responder, second = Role(world), world.responder(), world.responder()
    event = world.event(OUTSIDE, role=role)
    assert responder.invoke(event)["reports"][0]["verdict"] == "Contained"
    world.fault("iam:ListRoles", delay_ms=3_000, after=1, times=1)
    held = lambda: any("lease_until" in it for it in Table(world).items("record#"))  # noqa: E731
    with while_running(responder, {"command": "contain", "account": world.member, "role": role.id}, held) as first:
        [report] = second.invoke(seen(event, "2099-01-01T00:00:00.000Z"))["reports"]
        assert report["verdict"] == "InProgress", report
        assert "open new-sessions" in Table(world).item("suspects#")
    assert first[0]["reports"][0]["verdict"] == "SuspectsOpen", first


def test_what_a_finding_tells_of_new_sessions_is_kept_also_where_the_time_runs_out(world):
    """By the next try the sessions up to now are revoked, and the finding tells nothing new."""
    world.deploy()
    role = Role(world)
    event = world.event(OUTSIDE, role=role)
    assert world.responder().invoke(event)["reports"][0]["verdict"] == "Contained"
    world.fault("iam:ListRoles", delay_ms=5_000, times=20)
    responder = world.responder(timeout=9)
    responder.invoke(seen(event, "2099-01-01T00:00:00.000Z"))
    report = responder.last_report()
    assert report["verdict"] in ("Unverified", "NotContained") and "time" in report["reason"], report["reason"]
    assert "open new-sessions" in Table(world).item("suspects#")
