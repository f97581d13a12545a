"""What is done while people are asked (`STRIKE_WHILE_WAITING`): it is fought over, it is beyond the breaker, it stays or
is lifted, and people are told what it is."""

import json
import threading
import time

import pytest

from .harness.ledger import DUE, Table, about
from .harness.requests import EXFILTRATION, ask, command, deploy, item, report, struck, wake_up, word, written
from .harness.victims import Role, User, stripped
from .test_approvals_between import LIFT, expire
from .test_drift import OUTSIDE
from .test_flood import SIMULATION, eventually, handed_on


def put(world, event):
    entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
    world.client("events", world.security).put_events(Entries=[entry])


@pytest.mark.seconds(30)
def test_who_fights_the_strike_puts_off_neither_the_question_nor_what_is_approved(world):
    world.deploy(Mode="approve", StrikeWhileWaiting="true", SettleSeconds="3", Simulation="true")
    user, table, told = User(world), Table(world), []
    responder = world.connected(timeout=18)

    def is_told():
        told.extend(world.alerts())
        return told

    with stripped(user, every=0.4):
        put(world, world.event(SIMULATION, user))
        assert eventually(is_told, 20), responder.output()
        # The invocation that struck fights on.
        assert len(handed_on(world)) <= 1
        request = item_id(table)
        assert request in told[0]["Message"] and "not seen to hold yet" in told[0]["Message"]
        assert word(world, request) == "waiting" and set(user.state()["keys"].values()) == {"Active"}
        command(world.responder(), "approve", request)
        assert "Inactive" in user.state()["keys"].values()
    assert len(table.items("request#")) == 1


def item_id(table):
    return table.item("request#")["id"]["S"].removeprefix("request#")


@pytest.mark.seconds(20)
def test_a_fight_that_is_won_is_told_once_more(world):
    world.deploy(Mode="approve", StrikeWhileWaiting="true", SettleSeconds="2")
    user, responder = User(world), world.responder()
    with stripped(user, every=0.4):
        event = world.event(EXFILTRATION, user)
        answer = []
        fight = threading.Thread(target=lambda: answer.append(responder.invoke(event)))
        fight.start()
        time.sleep(7)
    fight.join()
    [report] = answer[0]["reports"]
    assert report["verdict"] == "Waiting" and report["reversals"] and user.is_denied()
    first, last = world.alerts()
    assert report["request"] in first["Message"] and "FIGHTING BACK" not in first["Message"]
    assert "FIGHTING BACK" in last["Message"] and report["request"] in last["Message"]


def test_who_is_beyond_the_breaker_is_asked_about_and_not_struck(world):
    world.deploy(Mode="approve", StrikeWhileWaiting="true", MaxContainmentsPerHour="1,1")
    responder = world.responder()
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(3)]
    verdicts = [responder.invoke(about(world, EXFILTRATION, it))["reports"][0]["verdict"] for it in users]
    assert verdicts == ["Waiting"] * 3 and len(Table(world).items("request#")) == 3, verdicts
    assert [it.is_denied() for it in users] == [True, False, False]
    first, *others = world.alerts()
    assert "it is denied everything" in first["Message"] and "NOT denied" not in first["Message"]
    assert len(others) == 2
    for alert in others:
        assert "it was NOT denied everything meanwhile: more than 1" in alert["Message"]
        assert "Meanwhile: nothing is changed" in alert["Message"]
    request = others[0]["Message"].split("Request: ")[1].split()[0]
    assert command(responder, "approve", request)["reports"][0]["verdict"] == "Contained"


def test_of_a_role_whose_older_sessions_were_revoked_nobody_says_that_it_is_denied_everything(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    role = Role(world, name="app")
    [report] = responder.invoke(world.event(OUTSIDE, role=role))["reports"]
    [alert] = world.alerts()
    assert set(role.state()["inline"]) == {"AWSRevokeOlderSessions"}
    # Half a minute later whoever may assume it has a session that works.
    assert "denied everything" not in alert["Message"], alert["Message"]
    assert "its older sessions are revoked" in alert["Message"]
    expire(world, report["request"])
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert "Its older sessions STAY revoked" in alert["Message"] and "denied everything" not in alert["Message"]
    ssm = world.client("ssm", world.security)
    texts = [ssm.get_ops_item(OpsItemId=it["OpsItemId"])["OpsItem"]["Description"] for it in world.ops_items()]
    assert not any("denied everything" in it for it in texts), texts
    assert any("EXPIRED, nobody decided. Its older sessions STAY revoked" in it for it in texts), texts


def test_an_approval_that_came_too_late_says_that_it_stays_denied(world):
    responder, user, request = struck(world)
    now = int(time.time() * 1000)
    written(world, request, expires_at={"N": str(now - 600_000)}, decided_at={"N": str(now - 700_000)})
    world.alerts()
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert user.is_denied() and word(world, request) == "failed"
    assert "NOT CARRIED OUT" in alert["Subject"] and "It STAYS denied everything" in alert["Message"]
    assert '"contain"' in alert["Message"]


def test_a_decline_lifts_what_was_struck_before_the_setting_was_switched_off(world):
    deploy(world)
    user = User(world)
    request = ask(world, world.responder(STRIKE_WHILE_WAITING="true"), user)
    assert user.is_denied()
    command(world.responder(), "decline", request)
    world.responder(part="restorer").invoke(LIFT)
    assert not user.is_denied() and item(world, request)["lifted"]["S"] == "Restored"


def test_what_stayed_denied_is_lifted_once_somebody_declines_another_finding_of_it(world):
    responder, user, first = struck(world)
    expire(world, first)
    responder.invoke(DUE)
    event = about(world, EXFILTRATION, user)
    event["detail"]["id"] += "2"
    [found] = responder.invoke(event)["reports"]
    assert found["verdict"] == "Waiting" and found["request"] != first, found
    world.alerts()
    command(responder, "decline", found["request"])
    world.responder(part="restorer").invoke(LIFT)
    assert not user.is_denied(), [it["Message"] for it in world.alerts()]


def test_that_a_deny_was_lifted_is_told_though_the_topic_failed_at_first(world):
    responder, user, request = struck(world)
    command(responder, "decline", request)
    world.alerts()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=2)
    restorer, table = world.responder(part="restorer"), Table(world)
    for _ in range(2):
        assert "errorType" in restorer.invoke(LIFT)
        assert not user.is_denied() and world.alerts() == []
        table.change(item(world, request), "SET due_at = :zero", zero={"N": "0"})
    assert "errorType" not in restorer.invoke(LIFT)
    [alert] = world.alerts()
    assert request in alert["Message"] and "lifted" in alert["Subject"].lower()
    for _ in range(2):
        restorer.invoke(LIFT)
    assert world.alerts() == [] and "due_bucket" not in item(world, request)


def test_a_lift_that_was_cut_off_once_done_is_told_and_not_called_a_failure(world):
    responder, user, request = struck(world)
    command(responder, "decline", request)
    restorer, table = world.responder(part="restorer"), Table(world)
    before = item(world, request)
    restorer.invoke(LIFT)
    assert not user.is_denied()
    world.alerts()
    # As if it had ended before it noted that.
    table.client.put_item(TableName=table.name, Item=before)
    restorer.invoke(LIFT)
    [alert] = world.alerts()
    assert "LIFTED" in alert["Subject"] and "STILL" not in alert["Message"]


@pytest.mark.seconds(20)
def test_a_strike_that_joins_a_request_while_that_is_declined_is_asked_anew(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    user = User(world)
    first = report(world, user="alice")
    responder.invoke(wake_up(world, first))
    world.alerts()
    world.fault("dynamodb:UpdateItem", delay_ms=3_000, times=1, text="struck = if_not_exists")
    event = world.event(EXFILTRATION, user)
    asking = threading.Thread(target=lambda: world.responder().invoke(event))
    asking.start()
    assert eventually(user.is_denied, 15)
    time.sleep(0.6)
    command(responder, "decline", first)
    asking.join()
    assert "struck" not in item(world, first) and word(world, first) == "declined"
    [second] = responder.invoke({"command": "requests"})["requests"]
    assert second["request"] != first
    assert any(second["request"] in it["Message"] and "denied everything" in it["Message"] for it in world.alerts())
    command(responder, "decline", second["request"])
    world.responder(part="restorer").invoke(LIFT)
    assert not user.is_denied()


def test_a_decline_lifts_what_was_struck_after_the_request_was_read(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    user = User(world)
    request = ask(world, responder, user)
    struck, barrier = (item(world, request)[it] for it in ("struck", "barrier"))
    Table(world).change(item(world, request), "REMOVE struck, barrier")
    world.fault("dynamodb:UpdateItem", delay_ms=3_000, times=1, text="attribute_not_exists(struck)")
    declining = threading.Thread(target=lambda: command(responder, "decline", request))
    declining.start()
    assert eventually(lambda: "holder" in item(world, request), 10)
    Table(world).change(item(world, request), "SET struck = :s, barrier = :b", s=struck, b=barrier)
    declining.join()
    world.responder(part="restorer").invoke(LIFT)
    assert not user.is_denied()


def test_what_a_restoring_function_that_only_observes_does_not_lift_is_told(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    user = User(world)
    command(responder, "decline", ask(world, responder, user))
    world.alerts()
    world.responder(part="restorer", MODE="observe").invoke(LIFT)
    [alert] = world.alerts()
    assert user.is_denied() and "STILL DENIED" in alert["Subject"], alert
    assert "mode is `observe`" in alert["Message"]


def test_declines_that_nobody_can_be_told_of_hold_up_no_lift(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    table, user = Table(world), User(world)
    request = ask(world, responder, user)
    command(responder, "decline", request)
    kept = item(world, request)
    for letter in "abcdefghij":
        other = {**kept, "id": {"S": f"request#{letter * 26}"}, "due_at": {"N": "1"}, "struck": {"S": "another"}}
        table.client.put_item(TableName=table.name, Item=other)
    world.fault("sns:Publish", "AuthorizationError", status=403)
    restorer = world.responder(part="restorer")
    for _ in range(2):
        restorer.invoke(LIFT)
    assert not user.is_denied()


def test_strike_while_waiting_denies_at_once_and_takes_nothing_for_good(world):
    responder, user, request = struck(world)
    assert not user.key_works() and user.is_denied()
    assert set(user.state()["keys"].values()) == {"Active"}
    [alert] = world.alerts()
    assert "it is denied everything" in alert["Message"] and user.keys[0]["AccessKeyId"] in alert["Message"]
    assert command(responder, "approve", request)["reports"][0]["verdict"] == "Contained"
    assert set(user.state()["keys"].values()) == {"Inactive"} and word(world, request) == "done"
    world.alerts()
    [again] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert again["verdict"] == "Contained" and "request" not in again and world.alerts() == []


def test_a_decline_lifts_what_was_struck_and_nothing_else_does(world):
    responder, user, request = struck(world)
    restorer = world.responder(part="restorer")
    lift = {"command": "lift-declined"}
    restorer.invoke(lift)
    assert user.is_denied()
    command(responder, "decline", request)
    assert user.is_denied()  # The responder can lift nothing.
    answer = restorer.invoke(lift)
    assert not user.is_denied(), (answer, item(world, request)["lifted"])
    assert user.key_works()
    subjects = [it["Subject"] for it in world.alerts()]
    assert any("DECLINED" in it for it in subjects) and any("restored" in it.lower() for it in subjects)
    assert "lifted" in item(world, request) and restorer.invoke(lift).get("errorType") is None


def test_a_decline_takes_back_no_more_than_what_was_struck(world):
    responder, user, request = struck(world)
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "sure"}
    assert responder.invoke(contain)["reports"][0]["verdict"] == "Contained"
    command(responder, "decline", request)
    world.alerts()
    world.responder(part="restorer").invoke({"command": "lift-declined"})
    [alert] = world.alerts()
    assert user.is_denied() and "STILL DENIED" in alert["Subject"]


def test_what_was_struck_stays_when_nobody_decides(world):
    responder, user, request = struck(world, response_plan=True)
    table = Table(world)
    incidents = len(world.incidents())
    world.alerts()
    table.change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})
    responder.invoke(DUE)
    world.responder(part="restorer").invoke({"command": "lift-declined"})
    [alert] = world.alerts()
    assert "EXPIRED" in alert["Subject"] and "STAYS denied everything" in alert["Message"]
    assert user.is_denied() and word(world, request) == "expired"
    assert incidents == 1 and len(world.incidents()) == 2


def put_again(world, request):
    """As if the time to the next look had passed."""
    table = Table(world)
    table.change(item(world, request), "SET due_at = :zero", zero={"N": "0"})


def test_a_decline_that_can_not_be_lifted_is_told_once_and_not_every_minute(world):
    responder, user, request = struck(world)
    command(responder, "decline", request)
    world.alerts()
    # The restore role of the account does not let it in.
    restorer = world.responder(part="restorer", EXTERNAL_ID="another-external-id-than-the-roles")
    for _ in range(4):
        assert "errorType" not in restorer.invoke(LIFT)
        put_again(world, request)
    [alert] = world.alerts()
    assert user.is_denied() and "DECLINED, NOT LIFTED" in alert["Subject"] and "AccessDenied" in alert["Message"]
    # Somebody mended it.
    world.responder(part="restorer").invoke(LIFT)
    assert not user.is_denied() and any("restored" in it["Subject"].lower() for it in world.alerts())


@pytest.mark.seconds(15)
def test_what_fails_otherwise_is_told_anew_and_after_a_day_that_it_is_given_up(world):
    responder, user, request = struck(world)
    command(responder, "decline", request)
    world.alerts()
    denied = world.responder(part="restorer", EXTERNAL_ID="another-external-id-than-the-roles")
    denied.invoke(LIFT)
    put_again(world, request)
    world.fault("iam:DetachUserPolicy", "ServiceFailure", status=500)
    world.responder(part="restorer").invoke(LIFT)
    first, second = world.alerts()
    assert "AccessDenied" in first["Message"] and "AccessDenied" not in second["Message"]
    assert "it is tried again" in second["Message"]
    later = int(time.time() * 1000) - 25 * 3_600_000
    Table(world).change(item(world, request), "SET due_at = :zero, ended_at = :later", zero={"N": "0"}, later={"N": str(later)})
    denied.invoke(LIFT)
    [alert] = world.alerts()
    assert user.is_denied() and "it is not tried any more" in alert["Message"] and "`restore`" in alert["Message"]
    assert item(world, request)["lifted"]["S"] == "NotRestored" and "due_bucket" not in item(world, request)


def test_a_lift_that_fails_is_tried_again_ever_more_rarely(world):
    responder, _, request = struck(world)
    command(responder, "decline", request)
    denied, table = world.responder(part="restorer", EXTERNAL_ID="another-external-id-than-the-roles"), Table(world)
    pauses = []
    for minutes in (0, 10, 600):
        ended = int(time.time() * 1000) - minutes * 60_000
        table.change(item(world, request), "SET due_at = :zero, ended_at = :ended", zero={"N": "0"}, ended={"N": str(ended)})
        denied.invoke(LIFT)
        pauses.append(round((int(item(world, request)["due_at"]["N"]) / 1000 - time.time()) / 60))
    assert pauses == [1, 10, 30]


def test_who_changed_while_it_was_declined_is_not_said_to_be_denied(world):
    responder, user, request = struck(world)
    command(responder, "decline", request)
    world.alerts()
    world.iam.detach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    world.responder(part="restorer").invoke(LIFT)
    [alert] = world.alerts()
    assert not user.is_denied() and "NOT LIFTED" in alert["Subject"] and "STILL" not in alert["Message"], alert


@pytest.mark.seconds(10)
def test_that_a_request_expired_is_told_though_its_incident_can_not_be_opened_again(world):
    responder, user, request = struck(world)
    world.alerts()
    expire(world, request)
    world.fault("ssm:CreateOpsItem", "AccessDeniedException", status=400)
    answers = [responder.invoke(DUE)]
    # It is tried again ever more rarely.
    before = len(world.journal())
    answers.append(responder.invoke(DUE))
    assert not any(it["action"] == "ssm:CreateOpsItem" for it in world.journal()[before:])
    for _ in range(2):
        Table(world).change(item(world, request), "SET again_at = :past", past={"N": "1"})
        answers.append(responder.invoke(DUE))
    assert ["errorType" in it for it in answers] == [True, False, True, True]
    [alert] = world.alerts()
    assert "EXPIRED" in alert["Subject"] and user.is_denied() and "ended_at" not in item(world, request)
    # After a day people know, and it is over.
    past = {"N": str(int(time.time() * 1000) - 25 * 3_600_000)}
    Table(world).change(item(world, request), "SET again_at = :past, expiry_told_at = :past", past=past)
    assert "errorType" not in responder.invoke(DUE)
    assert word(world, request) == "expired" and world.alerts() == []


def test_the_incident_is_opened_once_though_nobody_could_be_told_of_the_expiry(world):
    responder, _, request = struck(world, response_plan=True)
    world.alerts()
    before = len(world.incidents())
    expire(world, request)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=4)
    for _ in range(4):
        responder.invoke(DUE)
        it = item(world, request)
        Table(world).change(it, "SET again_at = :past", past={"N": "1"})
    started = [it for it in world.journal() if it["action"] == "ssm-incidents:StartIncident"]
    assert len(world.incidents()) == before + 1 and len(started) == 2, started


@pytest.mark.parametrize("decision", ["approve", "decline"])
def test_who_decides_too_late_is_told_what_stays(world, decision):
    responder, user, request = struck(world)
    expire(world, request)
    answer = command(responder, decision, request)["decision"]
    assert user.is_denied() and answer["outcome"] == "expired", answer
    assert "It STAYS denied everything" in answer["reason"] and "nothing was changed" not in answer["reason"]


def test_who_decides_too_late_about_whom_nobody_struck_is_told_that_nothing_was_done(world):
    responder = deploy(world)
    request = ask(world, responder, User(world))
    expire(world, request)
    assert command(responder, "approve", request)["decision"]["reason"] == "nobody decided in time. Nothing was done under this request"
