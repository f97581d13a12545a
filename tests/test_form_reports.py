"""What becomes of reports beside and after each other: none gets lost, none is told over and over, and none takes the
place of what was found."""

import json

from .harness.ledger import DUE, Table, about
from .harness.people import FormDoor, SlackDoor, request_of
from .harness.requests import EXFILTRATION, ask, command, deploy, iam_writes, item, report, wake_up, word
from .harness.victims import User
from .test_front import form


def again(world, responder, request):
    """A minute later, or half an hour."""
    table = Table(world)
    table.pass_time()
    table.change(item(world, request), "SET due_at = :zero", zero={"N": "0"})
    return responder.invoke(DUE)


def numbered(n):
    return f"{n:02d}".translate(str.maketrans("0123456789", "abcdefghij")) * 13


def test_a_second_report_after_the_first_ones_request_was_declined_is_asked(world):
    door, responder = form(world, mode="approve")
    user = User(world)
    asked = ask(world, responder, user)
    key = user.keys[0]["AccessKeyId"]
    first = door.report(access_key=key)
    world.deliveries()
    command(responder, "decline", asked, by="Eve")
    world.alerts()
    second = door.report(access_key=key, text="It is STILL used: somebody makes instances")
    world.deliveries()
    assert "joined" not in item(world, request_of(second)) and door.state(second).startswith("Waiting for approval")
    assert any("STILL used" in it["Message"] for it in world.alerts())
    assert door.state(first).startswith("Declined by Eve")


def test_a_report_after_an_expiry_is_asked(world):
    door, responder = form(world, mode="approve")
    User(world)
    first = door.report(user="alice")
    world.deliveries()
    Table(world).change(item(world, request_of(first)), "SET expires_at = :past", past={"N": "1"})
    responder.invoke(DUE)
    assert door.state(first).startswith("Expired")
    second = door.report(user="alice")
    world.deliveries()
    assert door.state(second).startswith("Waiting for approval")


def test_a_request_that_lasts_for_longer_than_an_hour_is_joined_as_long(world):
    door, responder = form(world, mode="approve", ApprovalMinutes="600")
    User(world)
    first = door.report(user="alice")
    world.deliveries()
    table = Table(world)
    [aimed] = [it for it in table.items(f"asked#{world.member}#") if "runs_until" in it]
    assert aimed["runs_until"] == item(world, request_of(first))["expires_at"]
    second = door.report(user="alice", text="again")
    world.deliveries()
    assert item(world, request_of(second))["joined"]["S"] == request_of(first)
    # What the first comes to frees the identity; the joined one does not keep it.
    command(responder, "decline", request_of(first), by="Eve")
    assert door.state(second).startswith("Declined by Eve")
    world.alerts()
    third = door.report(user="alice", text="and again")
    world.deliveries()
    assert world.alerts() and door.state(third).startswith("Waiting")


def test_what_a_second_reporter_says_is_told_kept_and_listed(world):
    door, responder = form(world, mode="approve")
    User(world)
    first = door.report(user="alice", text="a test, please ignore")
    world.deliveries()
    world.alerts()
    door.report(user="alice", text="REAL: somebody deletes our buckets")
    world.deliveries()
    [alert] = world.alerts()
    assert "deletes our buckets" in alert["Message"] and request_of(first) in alert["Message"]
    [listed] = responder.invoke({"command": "requests"})["requests"]
    assert len(listed["reported"]) == 2 and "deletes our buckets" in listed["reported"][1]
    # No crowd drowns the alerts: the rest is kept.
    for n in range(4):
        door.report(user="alice", text=f"me too {n}")
        world.deliveries()
    assert len(world.alerts()) == 2
    [listed] = responder.invoke({"command": "requests"})["requests"]
    assert len(listed["reported"]) == 6


def test_that_more_was_reported_is_told_though_the_topic_failed_once(world):
    responder = deploy(world)
    user = User(world)
    ask(world, responder, user)
    request = report(world, user="alice", text="somebody deletes our buckets")
    world.alerts()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    responder.invoke(wake_up(world, request))
    assert world.alerts() == []
    again(world, responder, request)
    [alert] = world.alerts()
    assert "deletes our buckets" in alert["Message"] and "joined" in item(world, request)


def test_a_report_about_an_account_that_is_none_of_ours_is_told_once_and_shown(world):
    door, responder = form(world, mode="approve")
    location = door.report(account="", other_account="123456789012", user="alice")
    world.deliveries()
    [alert] = world.alerts()
    assert "123456789012" in alert["Message"] and "none of ours" in alert["Message"]
    assert door.state(location).startswith("Could not be asked")
    for _ in range(3):
        again(world, responder, request_of(location))
    assert world.alerts() == [] and word(world, request_of(location)) == "failed"


def test_a_report_that_can_not_be_looked_up_is_told_once_and_tried_less_and_less_often(world):
    responder = deploy(world)
    user = User(world)
    world.fault("iam:GetUser", "AccessDenied", status=403)
    request = report(world, user="alice")
    responder.invoke(wake_up(world, request))
    for _ in range(4):
        again(world, responder, request)
    [alert] = world.alerts()
    assert "NOT LOOKED UP YET" in alert["Subject"] and int(item(world, request)["attempts"]["N"]) >= 3


def test_reports_about_nobody_are_not_an_alert_each(world):
    responder = deploy(world)
    for n in range(12):
        responder.invoke(wake_up(world, report(world, request=numbered(n), user=f"nobody-{n}")))
    # And the same once more.
    responder.invoke(wake_up(world, report(world, request="y" * 26, user="nobody-1")))
    assert len(world.alerts()) == 5
    [digest] = Table(world).items("digest#hourly")
    assert len(digest["high"]["SS"]) == 8
    assert all(word(world, numbered(n)) == "failed" for n in range(12))


def test_an_unclear_report_is_told_though_the_topic_failed_once(world):
    responder = deploy(world)
    request = report(world, user="nobody")
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    responder.invoke(wake_up(world, request))
    assert world.alerts() == []
    again(world, responder, request)
    [alert] = world.alerts()
    assert "nobody" in alert["Subject"] and word(world, request) == "failed"


def test_a_report_of_whom_is_contained_already_is_not_called_unclear(world):
    door, responder = form(world, mode="enforce")
    user = User(world)
    responder.invoke(world.event(EXFILTRATION, user))
    assert user.is_denied()
    world.alerts()
    location = door.report(user="alice")
    world.deliveries()
    [alert] = world.alerts()
    assert "nothing is left to be done" in alert["Subject"] and "NOT CLEAR" not in alert["Subject"]
    assert door.state(location).startswith("Nothing left to be done")


def test_in_observe_mode_the_page_says_that_it_was_passed_on(world):
    door, _ = form(world, mode="observe")
    User(world)
    location = door.report(user="alice")
    world.deliveries()
    assert door.state(location).startswith("Passed on")


def test_the_page_does_not_say_that_nothing_was_changed_of_whom_is_denied_everything(world):
    door, responder = form(world, mode="approve", StrikeWhileWaiting="true")
    user = User(world)
    ask(world, responder, user)
    location = door.report(access_key=user.keys[0]["AccessKeyId"])
    world.deliveries()
    page = door.send("GET", location)[2]
    assert user.is_denied() and "nothing was changed" not in page.lower() and "Something was done already" in page


def test_the_page_does_not_say_that_it_was_tried_where_it_was_not(world):
    door, responder = form(world, mode="approve")
    User(world)
    location = door.report(user="alice")
    world.deliveries()
    request = item(world, request_of(location))
    Table(world).change(request, "SET plan_words = :other", other={"L": [{"S": "something else"}]})
    command(responder, "approve", request_of(location), by="Eve")
    page = door.send("GET", location)[2]
    assert "Not carried out at" in page and "It was tried" not in page


def test_five_reports_do_not_take_the_incident_of_a_critical_finding(world):
    world.deploy(Mode="approve", response_plan=True)
    responder = world.responder()
    for n in range(5):
        decoy = User(world, name=f"decoy-{n}", groups=(), policies=())
        responder.invoke(wake_up(world, report(world, request=numbered(n), user=decoy.name)))
    before = len(world.incidents())
    world.alerts()
    event = about(world, EXFILTRATION, User(world))
    event["detail"]["severity"] = 9
    responder.invoke(event)
    [alert] = world.alerts()
    assert "alice" in alert["Message"] and len(world.incidents()) > before
    # A sixth report is one of a list.
    User(world, name="sixth", groups=(), policies=())
    responder.invoke(wake_up(world, report(world, request="z" * 26, user="sixth")))
    assert world.alerts() == [] and item(world, "z" * 26)["is_beyond"]["BOOL"]


def test_a_report_goes_on_after_a_crash_between_its_two_items(world):
    """The request is there, and the report is still unread."""
    forms, clicks = FormDoor(world), SlackDoor(world)
    world.deploy(Mode="approve", **forms.parameters, **clicks.parameters)
    responder, user = world.responder(), User(world)
    request = report(world, user="alice")
    world.fault("dynamodb:UpdateItem", "AccessDeniedException", status=400, times=1, text="unread_bucket")
    responder.invoke(wake_up(world, request))
    assert "unread_bucket" in Table(world).item("report#") and "plan_hash" not in item(world, request)
    again(world, responder, request)
    [alert] = world.alerts()
    assert request in alert["Message"] and "unread_bucket" not in Table(world).item("report#") and user.key_works()


def test_the_command_lists_more_requests_than_one_page(world):
    responder = deploy(world)
    request = ask(world, responder, User(world))
    kept = item(world, request)
    table = Table(world)
    for n in range(120):
        copy = {**kept, "id": {"S": "request#" + f"{n:026d}".translate(str.maketrans("0189", "abcd"))}}
        table.client.put_item(TableName=table.name, Item=copy)
    answer = responder.invoke({"command": "requests"})
    assert "requests" in answer, str(answer)[:500]
    assert len(answer["requests"]) == 121 and "requests_not_shown" not in answer
    # An answer of Lambda's holds 6 MB.
    words = {"L": [{"S": "x" * 1000}] * 60}
    for it in table.items("request#"):
        table.change(it, "SET plan_words = :words", words=words)
    answer = responder.invoke({"command": "requests"})
    assert "requests" in answer, str(answer)[:500]
    assert len(json.dumps(answer)) < 6_000_000 and len(answer["requests"]) + answer["requests_not_shown"] == 121


def test_that_a_report_can_not_be_looked_up_is_told_though_the_topic_failed_once(world):
    responder = deploy(world)
    User(world)
    world.fault("iam:GetUser", "AccessDenied", status=403)
    request = report(world, user="alice")
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    responder.invoke(wake_up(world, request))
    assert world.alerts() == []
    for _ in range(2):
        Table(world).pass_time()
        Table(world).change(item(world, request), "SET due_at = :zero", zero={"N": "0"})
        responder.invoke(DUE)
    assert len(world.alerts()) == 1


def test_what_a_reporter_says_is_kept_beside_twenty_findings_and_told_beside_twenty_reports(world):
    responder = deploy(world)
    request = ask(world, responder, User(world))
    kept = item(world, request)
    finding = json.loads(kept["finding"]["S"])
    for source, letter in ((finding["source"], "c"), ("report", "d")):
        others = [{"S": json.dumps({**finding, "id": f"other-{n}", "source": source})} for n in range(20)]
        Table(world).change(kept, "SET other_findings = :others", others={"L": others})
        world.alerts()
        mine = report(world, letter * 26, user="alice", text=f"somebody deletes bucket {letter}")
        responder.invoke(wake_up(world, mine))
        assert "joined" in item(world, mine)
        assert any(f"deletes bucket {letter}" in it["Message"] for it in world.alerts())
        is_kept = any(f"deletes bucket {letter}" in it["S"] for it in item(world, request)["other_findings"]["L"])
        assert is_kept == (letter == "c")


def test_a_report_always_waits_for_a_person(world):
    world.deploy(Mode="enforce", StrikeWhileWaiting="true")
    responder, user = world.responder(), User(world)
    request = report(world, user="alice", access_key=user.keys[0]["AccessKeyId"])
    [answer] = responder.invoke(wake_up(world, request))["reports"]
    assert (answer["verdict"], answer["source"], answer["request"]) == ("Waiting", "report", request)
    assert user.key_works() and iam_writes(world) == []
    [alert] = world.alerts()
    assert "I pushed my key" in alert["Message"] and "Asked by: the report form" in alert["Message"]
    assert "192.0.2.0/24 as dana" in alert["Message"]
    assert command(responder, "approve", request, by="Eve")["reports"][0]["verdict"] == "Contained"
    assert not user.key_works() and word(world, request) == "done"


def test_a_report_whose_key_is_anothers_is_told_and_not_guessed(world):
    responder = deploy(world)
    alice, bob = User(world), User(world, name="bob", groups=())
    request = report(world, user="bob", access_key=alice.keys[0]["AccessKeyId"])
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert "does not belong to user `bob`" in alert["Message"] and "dana" in alert["Message"]
    assert word(world, request) == "failed" and "plan_hash" not in item(world, request)
    assert alice.key_works() and bob.key_works()


def test_a_report_joins_what_is_asked_already(world):
    responder = deploy(world)
    user = User(world)
    asked = ask(world, responder, user)
    request = report(world, access_key=user.keys[0]["AccessKeyId"])
    responder.invoke(wake_up(world, request))
    assert item(world, request)["joined"]["S"] == asked
    [first, more] = world.alerts()
    assert asked in first["Message"] and "REPORTED AGAIN" in more["Subject"] and "I pushed my key" in more["Message"]
    assert "Joined" in command(responder, "approve", request)["errorMessage"]


def test_no_report_passes_for_something_that_was_approved(world):
    """What is kept with a report is no state, no finding and no decision."""
    responder = deploy(world)
    user = User(world)
    request = report(world, user="alice")
    table = Table(world)
    table.change(table.item(f"report#{request}"), "SET decision = :approve, #s = :waiting", {"#s": "state"}, approve={"S": "approve"}, waiting={"S": "waiting"})
    [answer] = responder.invoke(DUE)["reports"]
    assert answer["verdict"] == "Waiting"
    for _ in range(2):
        table.change(item(world, request), "SET due_at = :zero", zero={"N": "0"})
        responder.invoke(DUE)
    assert user.key_works() and word(world, request) == "waiting"


def test_a_report_in_observe_mode_is_told(world):
    world.deploy(Mode="observe")
    user = User(world)
    request = report(world, user="alice")
    world.responder().invoke(wake_up(world, request))
    [alert] = world.alerts()
    assert "I pushed my key" in alert["Message"] and "observe" in alert["Message"]
    assert word(world, request) == "failed" and user.key_works() and iam_writes(world) == []
