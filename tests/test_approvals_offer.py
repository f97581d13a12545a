"""Alerts about whom nobody contained have a button that has people asked: whoever clicks it decides nothing."""

import pytest

from .harness.ledger import DUE, Table
from .harness.people import DANA, EVE, SlackDoor
from .harness.requests import command, iam_writes, item, wake_up, word
from .harness.slack import Slack, buttons, shown
from .harness.victims import User
from .test_form_reports import again
from .test_told import ROOT, TOR

SEQUENCE = "guardduty-attack-sequence-iam-compromised-credentials"


@pytest.fixture
def told(world):
    """A workspace, its door, and the function, after an alert about alice."""
    return tell(world)


def tell(world, name=TOR, **parameters):
    slack, door = Slack(world), SlackDoor(world)
    world.deploy(**slack.parameters, **door.parameters, **parameters)
    door.open()
    user, responder = User(world), world.connected()
    responder.invoke(world.event(name, user))
    return slack, door, user, responder


def offer(slack):
    [message] = [it for it in slack.messages() if "open" in buttons(it)]
    version, request, _, word = buttons(message)["open"].split("|")
    assert (version, word) == ("v1", "open")
    return request


def requests(world):
    return [it["id"]["S"].removeprefix("request#") for it in Table(world).items("request#") if "plan_words" in it]


def test_a_click_under_an_alert_asks_people_and_another_approver_contains(world, told):
    slack, door, user, _ = told
    [alert] = slack.messages()
    assert "not contained: user alice" in alert["text"] and '"contain"' in shown(alert) and "Contain…" in shown(alert)
    request = offer(slack)
    assert door.click(request, "open", user=DANA) == 200
    world.deliveries()
    assert user.key_works() and iam_writes(world) == []
    [asked] = requests(world)
    alert, card = slack.messages()
    assert buttons(alert) == {} and f"dana (Slack {DANA}) had people asked: request {asked}" in shown(alert)
    assert set(buttons(card)) == {"approve", "decline"} and card["thread_ts"] == alert["ts"]
    assert f"Asked by: dana (Slack {DANA})" in shown(card) and user.id in shown(card)
    # Who asked is no approver of it.
    assert door.click(asked, "approve", user=DANA) == 403 and door.click(asked, "decline", user=DANA) == 403
    assert door.click(asked, "approve", user=EVE) == 200
    world.deliveries()
    assert not user.key_works() and item(world, asked)["state"]["S"] == "done"


def test_a_second_click_and_a_replay_ask_nobody_again(world, told):
    slack, door, user, responder = told
    request = offer(slack)
    assert [door.click(request, "open", user=it) for it in (DANA, EVE, DANA)] == [200, 200, 200]
    world.deliveries()
    for event in (wake_up(world, request), DUE):
        responder.invoke(event)
    assert len(requests(world)) == 1 and user.key_works()
    assert DANA in item(world, request)["decided_by"]["S"]


def test_a_click_that_nobody_was_woken_by_is_found(world, told):
    slack, _, user, responder = told
    request = offer(slack)
    table, values = Table(world), {"word": {"S": "open"}, "by": {"S": "dana"}, "at": {"N": "1"}, "zero": {"N": "0"}}
    table.change(item(world, request), "SET decision = :word, decided_by = :by, decided_at = :at, due_at = :zero", **values)
    responder.invoke(DUE)
    assert len(requests(world)) == 1 and user.key_works()


def test_an_offer_that_ran_out_asks_nobody_and_says_so(world, told):
    slack, door, _, _ = told
    request = offer(slack)
    Table(world).change(item(world, request), "SET expires_at = :past", past={"N": "1"})
    assert door.click(request, "open") == 403
    world.deliveries()
    [alert] = slack.messages()
    assert buttons(alert) == {} and "This offer ran out at" in shown(alert) and "not contained" in shown(alert)
    assert requests(world) == [] and door.click(request, "open") == 403


def test_an_offer_that_nobody_clicks_loses_its_button(world, told):
    slack, _, _, responder = told
    request = offer(slack)
    Table(world).change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})
    world.alerts()
    responder.invoke(DUE)
    [alert] = slack.messages()
    assert buttons(alert) == {} and "ran out" in shown(alert) and world.alerts() == []


def test_who_may_not_click_has_nobody_asked(world, told):
    slack, door, _, responder = told
    request = offer(slack)
    assert door.click(request, "open", user="U0MALLORY") == 403
    assert door.click(request, "open", plan_hash="0" * 64) == 403
    assert door.click(request, "open", secret="0" * 32) == 401
    # An offer is nothing to approve, and a wake-up opens none.
    assert door.click(request, "approve") == 403
    responder.invoke(wake_up(world, request))
    assert requests(world) == [] and "decision" not in item(world, request)


def test_what_the_ledger_has_must_be_what_was_shown(world, told):
    slack, door, user, _ = told
    other = User(world, name="bob", groups=())
    request = offer(slack)
    finding = item(world, request)["finding"]["S"].replace(user.id, other.id)
    Table(world).change(item(world, request), "SET finding = :finding", finding={"S": finding})
    assert door.click(request, "open") == 200
    world.deliveries()
    assert requests(world) == [] and item(world, request)["state"]["S"] == "failed"


def test_what_is_asked_by_a_click_is_never_struck_meanwhile(world):
    slack, door, user, _ = tell(world, Mode="approve", StrikeWhileWaiting="true")
    assert door.click(offer(slack), "open") == 200
    world.deliveries()
    assert len(requests(world)) == 1 and user.key_works() and iam_writes(world) == []


def test_an_alert_about_root_has_no_button(world):
    slack, *_ = tell(world, ROOT, Mode="enforce")
    assert all("open" not in buttons(it) for it in slack.messages())


def test_an_offer_whose_question_was_not_told_is_asked_again_and_contains_nobody(world):
    """Whatever failed: nobody has approved anything."""
    slack, door, user, responder = tell(world, Mode="enforce")
    world.alerts()
    world.fault("sns:Publish", "AuthorizationError", status=403)
    assert door.click(offer(slack), "open", user=DANA) == 200
    world.deliveries()
    [asked] = requests(world)
    assert "told_at" not in item(world, asked) and "opened_by" in item(world, asked)
    again(world, responder, asked)
    assert user.key_works() and iam_writes(world) == [] and word(world, asked) == "waiting"
    assert DANA in item(world, asked)["barred"]["SS"]
    command(responder, "approve", asked)
    assert not user.key_works()


def test_an_offer_is_asked_again_where_only_the_note_of_it_failed(world):
    slack, door, user, responder = tell(world, Mode="enforce")
    note = {"status": 400, "text": "told_at = if_not_exists"}
    world.fault("dynamodb:UpdateItem", "AccessDeniedException", **note)
    assert door.click(offer(slack), "open", user=DANA) == 200
    world.deliveries()
    [asked] = requests(world)
    again(world, responder, asked)
    assert user.key_works() and iam_writes(world) == []


def test_nobody_is_struck_for_an_offer_that_is_asked_again(world):
    slack, door, user, responder = tell(world, Mode="approve", StrikeWhileWaiting="true")
    world.fault("sns:Publish", "AuthorizationError", status=403)
    assert door.click(offer(slack), "open", user=DANA) == 200
    world.deliveries()
    [asked] = requests(world)
    again(world, responder, asked)
    assert not user.is_denied()


def test_an_offer_whose_approval_does_not_cover_it_is_asked_anew(world):
    slack, door, user, _ = tell(world, Mode="enforce")
    assert door.click(offer(slack), "open", user=DANA) == 200
    world.deliveries()
    [asked] = requests(world)
    later = world.responder(REMOVE_LOGIN_PROFILE="true")
    command(later, "approve", asked)
    assert user.key_works() and iam_writes(world) == []
    [anew] = [it for it in requests(world) if it != asked]
    assert word(world, anew) == "waiting" and DANA in item(world, anew)["barred"]["SS"]


def test_each_actor_of_one_finding_has_an_alert_and_a_button_of_its_own(world):
    slack, door = Slack(world), SlackDoor(world)
    world.deploy(**slack.parameters, **door.parameters, Mode="enforce", FindingResponses="AttackSequence=alert")
    users = User(world), User(world, name="bob", groups=())
    event = world.event(SEQUENCE, users[0])
    sequence = event["detail"]["service"]["detection"]["sequence"]
    actors = [actor(world, it) for it in users]
    sequence.update(actors=actors, resources=[])
    world.responder().invoke(event)
    for _ in range(2):
        Table(world).pass_time()
        world.responder().invoke(DUE)
    offered = [it for it in slack.messages() if buttons(it)]
    told = [[it.name for it in users if f"not contained: user {it.name}" in shown(message)] for message in offered]
    assert sorted(told) == [["alice"], ["bob"]], told


def actor(world, user):
    key = user.keys[0]["AccessKeyId"]
    named = {"name": user.name, "uid": user.id, "type": "IAMUser", "credentialUid": key, "account": {"uid": world.member}}
    return {"id": f"user:IAMUser:{user.id}", "user": named}
