"""What a thief of the form's role, or of that of Slack's endpoint, can do to what people are asked: by doing it."""

import json
import time

import pytest

from .harness.ledger import DUE, Table
from .harness.people import DANA, EVE, TEAM
from .harness.requests import ask, command, iam_writes, item, report, wake_up, word, written
from .harness.victims import User
from .test_front import form, refused, slack
from .test_stolen_sessions import of_function


def thief(world, role):
    """The ledger, with a function's role."""
    return of_function(world, f"iam-responder-{role}", "dynamodb")


def change(world, client, item_id, expression, names=None, **values):
    values = {f":{name}": value for name, value in values.items()}
    options = {"ExpressionAttributeValues": values} if values else {}
    options |= {"ExpressionAttributeNames": names} if names else {}
    client.update_item(TableName=Table(world).name, Key={"id": {"S": item_id}}, UpdateExpression=expression, **options)


def plant(world, client, request, kept, since="0", **more):
    """A report as a thief writes one."""
    item = {"id": {"S": f"report#{request}"}, "reported": {"S": kept}, "unread_bucket": {"S": "report"}, "unread_since": {"N": since}}
    client.put_item(TableName=Table(world).name, Item={**item, **more})


def numbered(n):
    """An ID of a request."""
    return f"{n:026d}".translate(str.maketrans("0189", "abcd"))


def claim(world, **fields):
    fields = {"account": world.member, "text": "x", "by": "report", "network": "192.0.2.0/24", "at": int(time.time() * 1000), **fields}
    return json.dumps(fields)


def expire(world, request):
    Table(world).change(item(world, request), "SET expires_at = :past", past={"N": "1"})


# The form's role.


def test_a_thief_of_the_forms_role_writes_and_reads_no_request(world):
    _, responder = form(world, mode="approve")
    user = User(world)
    request = ask(world, responder, user)
    stolen, name = thief(world, "form"), Table(world).name
    before = item(world, request)
    for expression in ("SET due_at = :x", "REMOVE due_bucket, due_at", "SET reported = :x", "SET expires = :x"):
        values = {"x": {"N": "0"}} if ":x" in expression else {}
        refused(change, world, stolen, f"request#{request}", expression, **values)
    # What a write whose condition fails would give back.
    refused(
        stolen.update_item, TableName=name, Key={"id": {"S": f"request#{request}"}}, UpdateExpression="SET reported = :x",
        ConditionExpression="attribute_not_exists(id)", ExpressionAttributeValues={":x": {"S": "x"}}, ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    for key in (f"request#{request}", f"request#of#{world.member}#user/alice", "asked#list", "due#x", "lock#x", "lockout#x"):
        refused(stolen.put_item, TableName=name, Item={"id": {"S": key}})
    assert item(world, request) == before
    assert command(responder, "approve", request)["reports"][0]["verdict"] == "Contained" and not user.key_works()


def test_what_is_kept_as_a_report_stands_in_no_list_but_its_own(world):
    form(world, mode="approve")
    stolen = thief(world, "form")
    for attribute, value in (("due_bucket", {"S": "due"}), ("due_at", {"N": "0"}), ("expires", {"N": "1"}), ("state", {"S": "waiting"})):
        refused(plant, world, stolen, "a" * 26, claim(world), **{attribute: value})
    assert Table(world).items("report#") == []


def test_a_report_under_the_id_of_a_request_changes_nothing_of_it(world):
    _, responder = form(world, mode="approve")
    user = User(world)
    request = ask(world, responder, user)
    before = item(world, request)
    plant(world, thief(world, "form"), request, claim(world, user="bob"))
    world.alerts()
    responder.invoke(wake_up(world, request))
    responder.invoke(DUE)
    assert item(world, request) == before and world.alerts() == []
    # And it is read no more.
    assert "unread_bucket" not in Table(world).item("report#")
    command(responder, "approve", request)
    assert not user.key_works()


def test_junk_is_closed_told_once_and_delays_no_decision(world):
    _, responder = form(world, mode="approve")
    user = User(world)
    request = ask(world, responder, user)
    stolen = thief(world, "form")
    for n in range(60):
        plant(world, stolen, numbered(n), "x" if n % 2 else "{}")
    # And one whose key is no request's.
    plant(world, stolen, "x", claim(world, user="alice"))
    world.alerts()
    written(world, request, due_at={"N": str(int(time.time() * 1000) + 3_600_000)})
    responder.invoke(DUE)
    assert not user.key_works()
    [unreadable] = [it for it in world.alerts() if "UNREADABLE" in it["Subject"]]
    assert unreadable["Subject"].startswith("61 ")
    assert not any("unread_bucket" in it for it in Table(world).items("report#"))
    # Written again, it is counted, and no alert a minute.
    plant(world, stolen, numbered(1), "x")
    responder.invoke(DUE)
    responder.invoke(wake_up(world, numbered(3)))
    assert world.alerts() == [] and "hourly" in Table(world).item("digest#")["id"]["S"]


def test_a_report_that_a_thief_writes_anew_is_read_once(world):
    door, responder = form(world, mode="approve")
    User(world)
    location = door.report(user="alice")
    world.deliveries()
    [reported] = Table(world).items("report#")
    plant(world, thief(world, "form"), reported["id"]["S"].removeprefix("report#"), claim(world, user="bob"))
    world.alerts()
    responder.invoke(DUE)
    assert world.alerts() == [] and door.state(location).startswith("Waiting for approval")


def test_a_thief_of_the_forms_role_bars_no_approver(world):
    """`by` names who is logged in, and nobody else; whoever approves is nobody's to name."""
    door, responder = slack(world)
    user = User(world)
    request = report(world, user="alice", by=f"slack:{TEAM}/{DANA}")
    responder.invoke(wake_up(world, request))
    assert door.click(request, user=DANA) == 200
    world.deliveries()
    assert not user.key_works()


def test_a_thief_of_the_forms_role_swallows_no_report(world):
    door, responder = form(world, mode="approve")
    alice, bob = User(world), User(world, name="bob", groups=())
    done = ask(world, responder, bob)
    command(responder, "approve", done, by="Eve")
    world.alerts()
    refused(change, world, thief(world, "form"), f"asked#{world.member}#{alice.id}", "SET request_id = :id", id={"S": done})
    location = door.report(user="alice")
    world.deliveries()
    assert world.alerts() and door.state(location).startswith("Waiting for approval")


def test_more_reports_than_are_looked_up_at_once_come_after_what_was_decided(world):
    _, responder = form(world, mode="approve")
    user = User(world)
    request = ask(world, responder, user)
    stolen = thief(world, "form")
    for n in range(24):
        plant(world, stolen, numbered(n), claim(world, user=f"nobody-{n}"))
    written(world, request)
    world.alerts()
    responder.invoke(DUE)
    assert not user.key_works()
    assert len([it for it in Table(world).items("report#") if "unread_bucket" in it]) == 4
    # Each of them is a matter, and no alert each.
    assert len([it for it in world.alerts() if "REPORT NOT CLEAR" in it["Subject"]]) == 5


# The role of Slack's endpoint.


def test_a_thief_of_slacks_role_ends_no_request_without_a_word(world):
    _, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    stolen, mine = thief(world, "slack"), f"request#{request}"
    world.alerts()
    change(world, stolen, mine, "SET #s = :done", {"#s": "state"}, done={"S": "done"})
    responder.invoke(DUE)
    # It waits: what ended, the responder wrote.
    [listed] = responder.invoke({"command": "requests"})["requests"]
    assert listed["state"] == "waiting" and world.alerts() == []
    for attribute in ("ended_as", "ended_at", "verdict", "due_bucket", "sealed"):
        refused(change, world, stolen, mine, f"SET {attribute} = :x", x={"N": "1"})
        refused(change, world, stolen, mine, f"REMOVE {attribute}")
    # Wherever it stands in the list.
    change(world, stolen, mine, "SET expires_at = :past, due_at = :later", past={"N": "1"}, later={"N": "9999999999999"})
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert "EXPIRED" in alert["Subject"] and word(world, request) == "expired" and user.key_works()


def test_a_thief_of_slacks_role_takes_no_request_away(world):
    """Every attribute that it may write, removed."""
    _, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    removed = "#s, expires_at, plan_hash, requester, target_arn, target_name, still_needed, votes, approvers, decision, decided_at, decided_by"
    change(world, thief(world, "slack"), f"request#{request}", f"REMOVE {removed}", {"#s": "state"})
    world.alerts()
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert "EXPIRED" in alert["Subject"] and user.id in alert["Message"] and user.key_works()


def test_what_a_thief_of_slacks_role_writes_outlasts_no_expiry(world):
    _, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    table, later = Table(world), {"N": "9999999999999"}
    sealed = json.loads(item(world, request)["sealed"]["S"])
    # An hour later.
    table.change(item(world, request), "SET sealed = :sealed", sealed={"S": json.dumps({**sealed, "expires_at": 1})})
    change(world, thief(world, "slack"), f"request#{request}", "SET expires_at = :later, decision = :x, decided_by = :x, decided_at = :now", later=later, x={"S": "approve"}, now={"N": str(int(time.time() * 1000))})
    responder.invoke(DUE)
    assert user.key_works() and iam_writes(world) == [] and word(world, request) == "failed"
    assert "NOT CARRIED OUT" in world.alerts()[-1]["Subject"]


def test_a_thief_of_slacks_role_makes_nobody_else_of_the_target(world):
    identities = f"{DANA}=arn:aws:iam::{world.member}:user/alice"
    _, responder = slack(world, identities=identities)
    user, other = User(world), User(world, name="bob", groups=())
    request = ask(world, responder, user)
    arn = f"arn:aws:iam::{world.member}:user/bob"
    expression = "SET decision = :x, decided_by = :by, decided_at = :at, approvers = :them, target_name = :bob, target_arn = :arn, requester = :by"
    change(
        world, thief(world, "slack"), f"request#{request}", expression,
        x={"S": "approve"}, by={"S": "nobody"}, at={"N": str(int(time.time() * 1000))}, bob={"S": "bob"}, arn={"S": arn}, them={"SS": [f"slack:{TEAM}/{DANA}"]},
    )
    responder.invoke(wake_up(world, request))
    assert other.key_works() and user.key_works() and word(world, request) == "failed"
    alert = world.alerts()[-1]
    assert "alice" in alert["Message"] and "bob" not in alert["Message"]


def test_a_last_word_alone_is_no_second_approval(world):
    door, responder = slack(world, ApprovalsRequired="compromised-credential=2")
    user = User(world)
    request = ask(world, responder, user)
    assert door.click(request, user=EVE) == 200
    world.deliveries()
    written(world, request)
    responder.invoke(DUE)
    assert user.key_works() and word(world, request) == "failed"


def test_a_thief_of_slacks_role_makes_no_request(world):
    _, responder = slack(world)
    User(world)
    values = {"x": {"S": "approve"}, "now": {"N": str(int(time.time() * 1000))}}
    change(world, thief(world, "slack"), f"request#{'a' * 26}", "SET decision = :x, decided_at = :now, #s = :x", {"#s": "state"}, **values)
    refused(change, world, thief(world, "slack"), f"report#{'a' * 26}", "SET reported = :x", x={"S": "{}"})
    refused(change, world, thief(world, "slack"), "lockout#all#1", "SET expires = :x", x={"N": "1"})
    responder.invoke(wake_up(world, "a" * 26))
    responder.invoke(DUE)
    assert responder.invoke({"command": "requests"})["requests"] == [] and world.alerts() == [] and iam_writes(world) == []


def test_a_thief_of_slacks_role_puts_off_nothing_that_was_approved(world):
    _, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403, times=4)
    command(responder, "approve", request)
    stolen, mine, later = thief(world, "slack"), f"request#{request}", {"N": "9999999999999"}
    refused(change, world, stolen, mine, "SET again_at = :l", l=later)
    for _ in range(4):
        if word(world, request) == "waiting":
            change(world, stolen, mine, "SET due_at = :l", l=later)
        Table(world).pass_time()
        responder.invoke(DUE)
    assert word(world, request) == "done" and set(user.state()["keys"].values()) == {"Inactive"}


def test_a_thief_of_slacks_role_puts_off_no_report(world):
    """One that could not be looked up."""
    _, responder = slack(world)
    User(world)
    world.fault("iam:GetUser", "AccessDenied", status=403, times=20)
    request = report(world, user="alice")
    responder.invoke(wake_up(world, request))
    change(world, thief(world, "slack"), f"request#{request}", "SET due_at = :l", l={"N": "9999999999999"})
    kept = json.loads(item(world, request)["reported"]["S"])
    Table(world).change(item(world, request), "SET reported = :r", r={"S": json.dumps({**kept, "at": 1})})
    Table(world).pass_time()
    responder.invoke(DUE)
    assert "ended_as" in item(world, request)


def test_what_a_thief_of_slacks_role_writes_stops_nothing_that_has_begun(world):
    _, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403, times=4)
    command(responder, "approve", request, by="Eve")
    assert user.is_denied()
    stolen, mine = thief(world, "slack"), f"request#{request}"
    refused(change, world, stolen, mine, "REMOVE begun")
    change(
        world, stolen, mine, "SET decision = :d, decided_by = :by, decided_at = :at REMOVE approvers, votes",
        d={"S": "decline"}, by={"S": "nobody"}, at={"N": "9999999999999"},
    )
    world.alerts()
    for _ in range(4):
        Table(world).pass_time()
        responder.invoke(DUE)
    told = [it["Message"] for it in world.alerts()]
    assert word(world, request) == "done" and set(user.state()["keys"].values()) == {"Inactive"}, told
    assert not any("Nothing was done" in it for it in told) and any("Eve" in it for it in told)


@pytest.mark.parametrize("approvers", [{}, {"approvers": {"SS": ["dana"]}}])
def test_a_word_without_an_approver_approves_nothing(world, approvers):
    identities = f"{DANA}=arn:aws:iam::{world.member}:user/alice"
    _, responder = slack(world, identities=identities)
    user = User(world)
    request = ask(world, responder, user)
    values = {"decision": {"S": "approve"}, "decided_by": {"S": f"dana (Slack {DANA})"}, "decided_at": {"N": str(int(time.time() * 1000))}, **approvers}
    expression = "SET " + ", ".join(f"{it} = :{it}" for it in values)
    change(world, thief(world, "slack"), f"request#{request}", expression, **values)
    responder.invoke(wake_up(world, request))
    assert user.key_works() and word(world, request) == "failed" and iam_writes(world) == []
    assert "NOT CARRIED OUT" in world.alerts()[-1]["Subject"]
