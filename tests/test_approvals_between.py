"""What a person is told of a request, and what is lifted, where findings join it, responses are killed or the ledger
fails in between."""

import time

from .harness.ledger import DUE, Table, about
from .harness.people import request_of
from .harness.requests import EXFILTRATION, ask, command, deploy, item, report, wake_up, word
from .harness.victims import User
from .test_front import form
from .test_lease import killed

UNUSED = "security-hub-iam-8-unused-credentials"
LIFT = {"command": "lift-declined"}


def expire(world, request):
    Table(world).change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})


def snapshots_are(table):
    return any(name.startswith("snapshot ") for it in table.items("record#") for name in it)


def test_a_decline_lifts_the_deny_of_a_finding_that_joined_a_report(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    user = User(world)
    request = report(world, user="alice")
    responder.invoke(wake_up(world, request))
    assert not user.is_denied()
    assert ask(world, responder, user) == request and user.is_denied()
    world.alerts()
    command(responder, "decline", request)
    [alert] = world.alerts()
    world.responder(part="restorer").invoke(LIFT)
    assert "Nothing was done to the identity" not in alert["Message"], alert["Message"]
    assert not user.is_denied()


def test_an_expiry_says_that_it_stays_denied_by_a_finding_that_joined_a_report(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    user = User(world)
    request = report(world, user="alice")
    responder.invoke(wake_up(world, request))
    ask(world, responder, user)
    world.alerts()
    expire(world, request)
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert user.is_denied() and "STAYS denied" in alert["Message"], alert["Message"]


def test_a_decline_says_nothing_was_done_only_where_nothing_was(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "sure"}
    assert responder.invoke(contain)["reports"][0]["verdict"] == "Contained"
    world.alerts()
    command(responder, "decline", request)
    [alert] = world.alerts()
    assert user.is_denied() and "Nothing was done to the identity" not in alert["Message"], alert["Message"]


def test_an_expired_lesser_request_does_not_say_that_nothing_was_done(world):
    responder, hygiene = deploy(world), world.responder(part="hygiene")
    user = User(world)
    event = world.event(UNUSED, user)
    world.finding(event)
    lesser = hygiene.invoke(event)["reports"][0]["request"]
    command(responder, "approve", ask(world, responder, user))
    assert user.is_denied()
    world.alerts()
    expire(world, lesser)
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert "Nothing was done to the identity" not in alert["Message"], alert["Message"]


def test_who_was_struck_by_a_response_that_was_killed_is_asked_about(world):
    world.deploy(Mode="approve", StrikeWhileWaiting="true", SettleSeconds="5")
    user, table = User(world), Table(world)
    killed(world, world.event(EXFILTRATION, user), lambda: user.is_denied() and table.keeps_a_finding() and snapshots_are(table))
    assert user.is_denied() and world.alerts() == []
    responder = world.responder()
    for _ in range(3):
        table.pass_time()
        responder.invoke(DUE)
    assert table.items("request#") and world.alerts()


def test_findings_that_could_not_be_asked_use_up_no_place_among_those_asked_singly(world):
    responder = deploy(world)
    for n in range(5):
        world.fault("dynamodb:UpdateItem", "AccessDeniedException", status=400, times=1, text="plan_hash = :hash")
        lost = responder.invoke(about(world, EXFILTRATION, User(world, name=f"lost-{n}", groups=(), policies=())))
        assert lost["errorType"] == "ResponseIncomplete", lost
    world.alerts()
    assert Table(world).items("request#") == []
    ask(world, responder, User(world))
    assert len(world.alerts()) == 1, Table(world).items("asked#singly")


def test_who_was_half_contained_when_the_mode_became_approve_is_told_once(world):
    world.deploy(SettleSeconds="5")
    user, table = User(world), Table(world)
    killed(world, world.event(EXFILTRATION, user), lambda: user.is_denied() and table.keeps_a_finding())
    responder = world.responder(MODE="approve")
    for _ in range(3):
        table.pass_time()
        responder.invoke(DUE)
    [alert] = world.alerts()
    assert "cut off" in alert["Message"] and "alice" in alert["Subject"]


def test_what_was_approved_in_time_and_killed_goes_on_however_late(world):
    responder = deploy(world, SettleSeconds="5")
    user, table = User(world), Table(world)
    request = ask(world, responder, user)
    killed(world, {"command": "approve", "request": request, "by": "Dana", "reason": "x"}, user.is_denied, timeout=120)
    past = int(time.time() * 1000) - 600_000
    table.pass_time()
    # Ten minutes later, and the hour is over: a crash, Lambda's time-out, a lease.
    table.change(item(world, request), "SET expires_at = :e, due_at = :z", e={"N": str(past)}, z={"N": "0"})
    table.begun_at(item(world, request), past - 1_000)
    world.alerts()
    reports = responder.invoke(DUE)["reports"]
    [alert] = world.alerts()
    assert reports[-1]["verdict"] == "Contained" and "contained" in alert["Subject"] and word(world, request) == "done"


def test_what_was_approved_and_fails_is_told_when_there_is_news_and_tried_ever_later(world):
    responder = deploy(world)
    user, table = User(world), Table(world)
    request = ask(world, responder, user)
    world.alerts()
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403)
    command(responder, "approve", request)

    def again():
        table.pass_time()
        table.change(item(world, request), "SET due_at = :zero", zero={"N": "0"})
        responder.invoke(DUE)
        return [it["Subject"] for it in world.alerts()], int(item(world, request).get("due_at", {"N": "0"})["N"])

    [first] = world.alerts()
    assert "NOT CONTAINED" in first["Subject"]
    pauses = []
    for _ in range(3):
        began = time.time() * 1000
        subjects, due_at = again()
        assert subjects == []
        pauses.append((due_at - began) / 60_000)
    assert 1.9 < pauses[0] < 2.5 and 3.9 < pauses[1] < 4.5 and 7.9 < pauses[2] < 8.5, pauses
    # Another reason is news.
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403, times=0)
    world.fault("iam:AttachUserPolicy", "AccessDenied", status=403)
    world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    [other], _ = again()
    assert "NOT CONTAINED" in other
    assert again()[0] == []
    # So is that it is given up.
    table.change(item(world, request), "SET expires_at = :ago", ago={"N": "2"})
    table.begun_at(item(world, request), 1)
    [last], _ = again()
    assert "GIVEN UP" in last and word(world, request) == "failed"


def test_what_was_approved_and_failed_is_told_once_it_is_done(world):
    responder = deploy(world)
    user, table = User(world), Table(world)
    request = ask(world, responder, user)
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403, times=4)
    command(responder, "approve", request)
    world.alerts()
    subjects = []
    for _ in range(4):
        table.pass_time()
        table.change(item(world, request), "SET due_at = :zero", zero={"N": "0"})
        responder.invoke(DUE)
        subjects += [it["Subject"] for it in world.alerts()]
    assert len(subjects) == 1 and "contained" in subjects[0], subjects
    assert word(world, request) == "done" and set(user.state()["keys"].values()) == {"Inactive"}


def test_forged_wake_ups_put_off_no_next_try(world):
    _, responder = form(world, mode="approve")
    User(world)
    request = report(world, user="alice")
    responder.invoke(wake_up(world, request))
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403)
    command(responder, "approve", request)
    before = item(world, request)
    for _ in range(6):
        responder.invoke(wake_up(world, request))
    assert item(world, request) == before and before["attempts"]["N"] == "1"


def test_what_an_earlier_try_did_is_never_told_as_nothing(world):
    door, responder = form(world, mode="approve")
    user = User(world)
    location = door.report(user="alice")
    world.deliveries()
    request = request_of(location)
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403)
    command(responder, "approve", request, by="Eve")
    assert user.is_denied()
    world.alerts()
    later = world.responder(MODE="observe")
    Table(world).pass_time()
    later.invoke(DUE)
    page = door.send("GET", location)[2]
    assert "nothing was done under it" not in page and "an earlier try may have done some of it" in page
    [told] = [it["Message"] for it in world.alerts()]
    assert "Not carried out: the mode is `observe` now" in told and "An earlier try began it" in told
