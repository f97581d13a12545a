"""Requests for approval in Slack: each is a message with buttons that is changed when it is decided and carried out;
those that are too many are one list. Slack may be away at any of it."""

import json
import time

import pytest

from .harness.ledger import DUE, Table, about, until
from .harness.people import SlackDoor
from .harness.requests import EXFILTRATION, ask, command, iam_writes, item, wake_up, word, written
from .harness.slack import Slack, buttons, kinds, shown
from .harness.victims import User, allowed
from .test_approvals import UNUSED
from .test_lease import killed
from .test_slack import HOSTILE, SILENT
from .test_stolen_sessions import of_function


@pytest.fixture
def slack(world):
    it = Slack(world)
    world.deploy(Mode="approve", **it.parameters)
    return it


def expire(world, request):
    Table(world).change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})


def deliver(world, slack, responder):
    slack.due(Table(world))
    return responder.invoke(DUE)


def test_a_request_is_a_card_with_two_buttons(world, slack):
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    [message] = slack.messages()
    plan_hash = item(world, request)["plan_hash"]["S"]
    assert buttons(message) == {it: f"v1|{request}|{plan_hash}|{it}" for it in ("approve", "decline")}
    said = shown(message)
    for expected in (user.id, "HIGH", "guard-duty", "Expires: ", "AWSDenyAll", user.keys[1]["AccessKeyId"], "looks like", "groups: developers, operators", request):
        assert expected in said, expected
    assert "WAITING" in message["text"] and message["flags"] == SILENT
    assert len(world.alerts()) == 1 and user.key_works()
    kept = item(world, request)
    assert (kept["channel"]["S"], kept["message_ts"]["S"]) == (slack.channel, message["ts"])


def test_it_says_who_approved_and_how_it_ended(world, slack):
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    command(responder, "approve", request)
    assert not user.key_works()
    [card, ended] = slack.messages()
    assert buttons(card) == {} and "APPROVED by Dana (as stated with the command): looked at it, and ended: Contained" in shown(card)
    assert card["changes"] == 2  # While it was done, and after it.
    assert "contained: user alice" in ended["text"] and ended["thread_ts"] == card["ts"]
    before = slack.calls()
    for event in (DUE, wake_up(world, request), DUE):
        responder.invoke(event)
    assert slack.calls() == before


def test_it_says_who_declined(world, slack):
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    command(responder, "decline", request, reason="it is a test")
    [card, answer] = slack.messages()
    assert buttons(card) == {} and "DECLINED by Dana" in shown(card) and "it is a test" in shown(card)
    assert answer["thread_ts"] == card["ts"] and "DECLINED" in answer["text"] and user.key_works()


def test_it_says_that_it_expired(world, slack):
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    expire(world, request)
    deliver(world, slack, responder)
    [card, answer] = slack.messages()
    assert buttons(card) == {} and "EXPIRED" in card["text"] and "nobody decided" in shown(card)
    # A change notifies nobody.
    assert answer["thread_ts"] == card["ts"] and "EXPIRED" in answer["text"] and '"contain"' in shown(answer)


def test_a_click_on_the_card_contains_and_changes_it(world):
    """From the finding to the message that says how it ended, with what Slack itself would send."""
    slack, door = Slack(world), SlackDoor(world)
    world.deploy(Mode="approve", **slack.parameters, **door.parameters)
    door.open()
    user, responder = User(world), world.connected()
    request = ask(world, responder, user)
    [card] = slack.messages()
    [approve] = [it for block in card["blocks"] if block["type"] == "actions" for it in block["elements"] if it["action_id"] == "approve"]
    assert user.key_works() and door.click(request, actions=[{**approve, "action_ts": "1.3"}]) == 200
    world.deliveries()
    assert not user.key_works()
    card = slack.messages()[0]
    assert "APPROVED by dana (Slack U0DANA), and ended: Contained" in shown(card) and buttons(card) == {}
    # A second click, on a message that is out of date.
    assert door.click(request, "decline", actions=[{**approve, "action_ts": "1.4"}]) == 200
    world.deliveries()
    assert slack.messages()[0] == card and word(world, request) == "done"


def test_what_another_function_decided_is_shown(world, slack):
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    written(world, request)
    responder.invoke(wake_up(world, request))
    assert "APPROVED by slack Dana" in shown(slack.messages()[0]) and not user.key_works()


def test_what_was_not_carried_out_is_said_not_to_be(world, slack):
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    written(world, request, expires_at={"N": "1"})
    responder.invoke(wake_up(world, request))
    card = slack.messages()[0]
    assert "NOT CARRIED OUT" in shown(card) and "had expired" in shown(card) and buttons(card) == {}
    assert user.key_works() and iam_writes(world) == []


def test_a_first_vote_of_two_and_a_finding_that_joins_are_shown(world, slack):
    user, responder = User(world), world.responder(APPROVALS_REQUIRED="compromised-credential=2")
    event = about(world, EXFILTRATION, user)
    request = ask(world, responder, user)
    assert "0 of 2" in shown(slack.messages()[0])
    command(responder, "approve", request)
    [card] = slack.messages()
    assert "1 of 2" in shown(card) and len(buttons(card)) == 2
    event["detail"]["arn"] += "0"
    [report] = responder.invoke(event)["reports"]
    assert report["request"] == request
    [card] = slack.messages()
    assert "Findings about it since: 1" in shown(card) and card["changes"] == 2
    responder.invoke(event)
    assert slack.messages() == [card] and len(slack.calls()) == 3


def test_who_approves_may_be_asked_elsewhere(world):
    slack = Slack(world)
    approvers = "C0" + slack.channel[2:]
    slack.control("team", channels=[approvers])
    world.deploy(Mode="approve", ApproverChannel=approvers, **slack.parameters)
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    [card], [alert] = slack.messages(approvers), slack.messages()
    assert buttons(card) and buttons(alert) == {} and "WAITING FOR APPROVAL" in alert["text"]
    command(responder, "approve", request)
    [card] = slack.messages(approvers)
    assert "ended: Contained" in shown(card) and buttons(card) == {}
    assert slack.messages()[1]["thread_ts"] == alert["ts"]


def test_who_approves_may_be_a_person(world):
    slack = Slack(world)
    person = "U" + slack.channel[1:]
    slack.control("team", channels=[person])
    world.deploy(Mode="approve", ApproverChannel=person, **slack.parameters)
    user, responder = User(world), world.responder()
    command(responder, "decline", ask(world, responder, user))
    [card] = slack.messages("D" + person[1:])
    assert "DECLINED by Dana" in shown(card)


LATER = {
    "hangs": {"hold": True},
    "limits the rate": {"retry_after": 30},
    "breaks": {"reset": "before"},
    "has it and breaks": {"reset": "after"},
}


@pytest.mark.seconds(5)
@pytest.mark.parametrize("trouble", LATER)
def test_a_card_that_slack_did_not_take_comes_later_and_once(world, slack, trouble):
    user, responder = User(world), world.responder()
    slack.fault(times=1, **LATER[trouble])
    request = ask(world, responder, user)
    assert len(world.alerts()) == 1 and len(slack.calls()) == 1  # The topic's alert did not wait.
    slack.release()
    time.sleep(2)  # What hung goes on, and may be taken after all.
    before = len(slack.messages())
    for _ in range(2):
        deliver(world, slack, world.responder())
    messages = slack.messages()
    assert len(messages) == before + 1 and buttons(messages[-1])
    assert item(world, request)["message_ts"]["S"] == messages[-1]["ts"] and "waiting" not in Table(world).item("slack#")


@pytest.mark.seconds(5)
def test_slack_that_hangs_holds_up_no_approved_deny(world, slack):
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    slack.fault(times=1, hold=True)
    assert command(responder, "approve", request)["reports"][0]["verdict"] == "Contained"
    assert not user.key_works() and word(world, request) == "done"
    assert buttons(slack.messages()[0])
    slack.release()
    until(lambda: all("status" in it for it in slack.calls()))
    deliver(world, slack, world.responder())
    card = slack.messages()[0]
    assert "ended: Contained" in shown(card) and buttons(card) == {}


def test_a_crash_while_it_is_posted_makes_two_at_most_and_never_none(world, slack):
    user, table = User(world), Table(world)
    slack.fault(times=1, hold=True)
    killed(world, world.event(EXFILTRATION, user), slack.calls)
    slack.release()
    table.pass_time()
    [kept] = table.items("request#")
    table.change(kept, "SET due_at = :zero", zero={"N": "0"})
    responder = world.responder()
    deliver(world, slack, responder)
    deliver(world, slack, responder)
    assert 1 <= len(slack.cards()) <= 2
    request = kept["id"]["S"].split("#")[1]
    command(responder, "decline", request)
    # The one that is known is changed; a click on another changes nothing, and says who decided.
    assert "DECLINED" in shown(slack.cards()[-1])


def test_a_crash_between_the_post_and_the_ledger_is_no_third_one(world, slack):
    user, table = User(world), Table(world)
    responder = world.responder()
    request = ask(world, responder, user)
    [thread] = table.items("slack#target#")
    again_waiting = {"id": "x", "at": 9_999_999_999_999, "alert": {"subject": "s", "text": "", "more": 0, "rest": ""}, "card": {"Request": request}, "is_apart": False}
    table.change(thread, "SET waiting = :w, due_bucket = :b, due_at = :z", w={"L": [{"S": json.dumps(again_waiting)}]}, b={"S": "slack"}, z={"N": "0"})
    responder.invoke(DUE)
    assert len(slack.calls()) == 1 and len(slack.messages()) == 1


def test_a_card_that_somebody_deleted_is_posted_anew_in_its_thread(world, slack):
    user, responder = User(world), world.responder()
    tor = world.event("guardduty-unauthorized-access-iam-user-tor-ip-caller-medium", user)
    responder.invoke(tor)
    # The thread is the identity's by its ID.
    request = ask(world, responder, user)
    [first, card] = slack.messages()
    assert card["thread_ts"] == first["ts"] and buttons(card)
    slack.delete(card)
    command(responder, "decline", request)
    [anew] = [it for it in slack.cards() if it["ts"] != first["ts"]]
    assert anew["thread_ts"] == first["ts"] and "DECLINED by Dana" in shown(anew)


def test_names_and_titles_are_inert_on_a_card(world, slack):
    user = User(world, name="@channel")
    event = json.loads(json.dumps(world.event(EXFILTRATION, user)).replace('"alice"', '"@channel"'))
    event["detail"]["title"] = HOSTILE
    world.responder().invoke(event)
    [card] = slack.messages()
    assert kinds(card) <= {"plain_text", "text", "button"} and len(buttons(card)) == 2
    assert "<!channel> <@U012AB3CD> *bold*" in shown(card)
    assert not set("<>\u202e\u200b") & set(card["text"]) and "\u202e" not in shown(card)


def test_who_writes_what_waits_for_slack_makes_no_button(world, slack):
    """A thief of the restoring function's role."""
    user, responder, table = User(world), world.responder(), Table(world)
    ask(world, responder, user)
    dynamodb = of_function(world, "iam-responder-restorer", "dynamodb")
    forged = {
        "id": "x", "at": 9_999_999_999_999, "is_apart": True, "card": {"Request": "a" * 26},
        "alert": {"subject": "s", "text": "t", "more": 0, "rest": "", "blocks": [{"type": "actions"}]},
    }
    waiting = [{"S": json.dumps(forged)}, {"S": json.dumps({**forged, "card": None})}]
    dynamodb.update_item(
        TableName=table.name, Key={"id": {"S": "slack#target#1#X"}}, UpdateExpression="SET waiting = :w, due_bucket = :b, due_at = :z",
        ExpressionAttributeValues={":w": {"L": waiting}, ":b": {"S": "slack"}, ":z": {"N": "0"}},
    )
    responder.invoke(DUE)
    [card, said] = slack.messages()
    assert buttons(card) and buttons(said) == {}


def test_who_steals_the_restoring_functions_role_writes_no_request(world):
    """Not even where it lifts what was declined."""
    slack = Slack(world)
    world.deploy(Mode="approve", StrikeWhileWaiting="true", **slack.parameters)
    user, table = User(world), Table(world)
    request = ask(world, world.responder(), user)
    dynamodb = of_function(world, "iam-responder-restorer", "dynamodb")
    key = {"TableName": table.name, "Key": {"id": {"S": f"request#{request}"}}}
    for name in ("plan_words", "plan_hash", "target_name", "affected", "decision", "state", "expires_at", "message_ts"):
        update = {"UpdateExpression": "SET #x = :x", "ExpressionAttributeNames": {"#x": name}, "ExpressionAttributeValues": {":x": {"S": "x"}}}
        assert not allowed(dynamodb.update_item, **key, **update), name
    assert allowed(dynamodb.get_item, **key)


def test_a_request_that_is_not_what_was_asked_gets_no_buttons(world, slack):
    user, responder, table = User(world), world.responder(), Table(world)
    slack.fault(times=1, reset="before")
    request = ask(world, responder, user)
    table.change(item(world, request), "SET plan_words = :other", other={"L": [{"S": "do nothing"}]})
    deliver(world, slack, responder)
    assert slack.messages() == [] and "waiting" not in table.item("slack#")


def test_those_beyond_the_limit_are_one_list_that_is_changed_in_place(world, slack):
    responder = world.responder()
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(8)]
    requests = []
    for n, user in enumerate(users):
        event = about(world, EXFILTRATION, user)
        event["detail"]["severity"] = {0: 9, 7: 8}.get(n, 7)
        [report] = responder.invoke(event)["reports"]
        requests.append(report["request"])
    assert len(slack.cards()) == 5 and len(slack.messages()) == 5
    deliver(world, slack, responder)
    lists = [it for it in slack.messages() if not buttons(it)]
    [message] = lists
    lines = [it for it in shown(message).splitlines() if "request " in it and "[" in it]
    assert [requests.index(line.split("request ")[1][:26]) for line in lines] == [7, 5, 6]
    command(responder, "approve", requests[7])
    deliver(world, slack, responder)
    [message, ended] = [it for it in slack.messages() if not buttons(it)]
    assert requests[7] not in shown(message) and requests[5] in shown(message) and "contained: user user-7" in ended["text"]
    for request in requests[5:7]:
        command(responder, "decline", request)
    deliver(world, slack, responder)
    [message] = [it for it in slack.messages() if it["ts"] == message["ts"]]
    assert "No request waits in this list any more" in shown(message)


def test_what_the_hygiene_function_asks_is_posted_by_the_responder(world, slack):
    user = User(world)
    event = world.event(UNUSED, user)
    world.finding(event)
    [report] = world.responder(part="hygiene").invoke(event)["reports"]
    assert report["verdict"] == "Waiting" and slack.calls() == []
    world.responder().invoke(DUE)
    [card] = slack.messages()
    assert report["request"] in buttons(card)["approve"]


def test_what_is_denied_while_it_waits_is_said_to_be(world):
    slack = Slack(world)
    world.deploy(Mode="approve", StrikeWhileWaiting="true", **slack.parameters)
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    [card, alert] = slack.messages()
    assert "denied everything" in shown(card) and "Nothing is changed" not in shown(card) and not user.key_works()
    assert alert["thread_ts"] == card["ts"] and "AWSDenyAll" in shown(alert)
    expire(world, request)
    deliver(world, slack, responder)
    assert "STAYS denied everything" in shown(slack.messages()[0]) and not user.key_works()


def test_what_could_not_be_lifted_is_said_in_the_thread(world):
    slack = Slack(world)
    world.deploy(Mode="approve", StrikeWhileWaiting="true", **slack.parameters)
    user, responder = User(world), world.responder()
    request = ask(world, responder, user)
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "sure"}
    assert responder.invoke(contain)["reports"][0]["verdict"] == "Contained"
    command(responder, "decline", request)
    world.responder(part="restorer").invoke({"command": "lift-declined"})
    deliver(world, slack, responder)
    last = slack.messages()[-1]
    assert "STILL DENIED" in last["text"] and last["thread_ts"] == slack.messages()[0]["ts"] and user.is_denied()


def test_a_function_that_is_killed_while_it_changes_a_card_leaves_that_to_the_schedule(world, slack):
    user, table = User(world), Table(world)
    request = ask(world, world.responder(), user)
    slack.fault(times=1)  # The answer in the thread goes well.
    slack.fault(times=1, hold=True, reset="before")
    decline = {"command": "decline", "request": request, "by": "Dana", "reason": "a test"}
    killed(world, decline, lambda: word(world, request) == "declined" and len(slack.calls()) == 3, timeout=60)
    slack.release()
    assert buttons(slack.messages()[0])
    table.pass_time()
    deliver(world, slack, world.responder())
    assert "DECLINED by Dana" in shown(slack.messages()[0]) and "waiting" not in table.item("slack#")
