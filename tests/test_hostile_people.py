"""A hostile read of people in the loop: each test says what ought to be, and fails where it is not so."""

import json
import time

import botocore.exceptions

from .harness.ledger import DUE, Table, about
from .harness.people import request_of
from .harness.requests import EXFILTRATION, ask, command, iam_writes, item, wake_up, word
from .harness.victims import Role, User
from .test_approvals import deploy, report, struck, written
from .test_front import form
from .test_stolen_sessions import of_function

UNUSED = "security-hub-iam-8-unused-credentials"
LIFT = {"command": "lift-declined"}


def expire(world, request):
    Table(world).change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})


# A report first, then a finding that strikes.


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


# What was done by somebody else while it waited.


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


# A decline that takes back what somebody else did.


def test_a_decline_does_not_lift_what_was_approved_of_a_role(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    role = Role(world, name="app")
    contain = {"command": "contain", "account": world.member, "role": "app", "reason": "stolen, I am sure"}
    assert responder.invoke(contain)["reports"][0]["verdict"] in ("Contained", "SuspectsOpen")
    before = world.iam.list_role_policies(RoleName="app")["PolicyNames"]
    assert before
    time.sleep(1.1)
    event = world.event("guardduty-exfiltration-role", role=role) if False else None
    answer = report_of_role(world, responder)
    assert answer is not None
    command(responder, "decline", answer)
    lifted = world.responder(part="restorer").invoke(LIFT)
    assert world.iam.list_role_policies(RoleName="app")["PolicyNames"] == before, lifted


def report_of_role(world, responder):
    event = world.event("guardduty-exfiltration-assumed-role-inside-aws", role=Role.__new__(Role)) if False else None
    return event


def test_a_decline_does_not_lift_a_persons_containment_of_a_user_without_keys(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    user = User(world)
    for key in user.keys:
        world.iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "stolen, I am sure"}
    assert responder.invoke(contain)["reports"][0]["verdict"] == "Contained" and user.is_denied()
    # The intruder makes a key, and is seen: people are asked about the rest.
    user.keys[0] = None
    world.iam.delete_access_key(UserName="alice", AccessKeyId=world.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["AccessKeyId"])
    user.keys[0] = world.iam.create_access_key(UserName="alice")["AccessKey"]
    request = ask(world, responder, user)
    command(responder, "decline", request)
    lifted = world.responder(part="restorer").invoke(LIFT)
    assert user.is_denied(), (lifted, item(world, request).get("lifted"))


# Reports that get lost.


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
    responder.invoke(DUE)
    alerts = world.alerts()
    assert request_of(second) != request_of(first), door.state(second)
    assert any("STILL used" in it["Message"] for it in alerts)


# Floods.


def test_a_report_about_an_account_that_is_none_of_ours_is_told_once(world):
    responder = deploy(world)
    request = report(world, account="123456789012", user="alice")
    table = Table(world)
    for _ in range(4):
        table.pass_time()
        table.change(item(world, request), "SET due_at = :zero", zero={"N": "0"})
        responder.invoke(DUE)
    alerts = world.alerts()
    assert len(alerts) <= 1, [it["Subject"] for it in alerts]


def junk(world, client, name, count):
    for n in range(count):
        client.update_item(
            TableName=name, Key={"id": {"S": f"request#{n:026d}".replace("0", "a").replace("1", "b").replace("8", "c").replace("9", "d")}},
            UpdateExpression="SET due_bucket = :b, due_at = :z, report_of = :x, reported = :x",
            ExpressionAttributeValues={":b": {"S": "request"}, ":z": {"N": "0"}, ":x": {"S": "x"}},
        )


def test_what_a_thief_of_the_forms_role_writes_does_not_bury_a_decision_for_ever(world):
    door, responder = form(world, mode="approve")
    user = User(world)
    request = ask(world, responder, user)
    junk(world, of_function(world, "iam-responder-form", "dynamodb"), Table(world).name, 520)
    written(world, request, due_at={"N": "1"})
    for _ in range(2):
        responder.invoke(DUE)
    assert not user.key_works()


def test_a_thief_of_the_forms_role_reads_not_whom_a_request_is_about(world):
    _, responder = form(world, mode="approve")
    request = ask(world, responder, User(world))
    stolen, seen = of_function(world, "iam-responder-form", "dynamodb"), {}
    try:
        stolen.update_item(
            TableName=Table(world).name, Key={"id": {"S": f"request#{request}"}}, UpdateExpression="SET due_at = :x",
            ConditionExpression="attribute_not_exists(id)", ExpressionAttributeValues={":x": {"N": "0"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except botocore.exceptions.ClientError as error:
        seen = error.response.get("Item", {})
    assert not {"target_name", "target_arn", "plan_words", "finding", "plan_hash"} & set(seen), sorted(seen)


# The breaker, and who is not asked.


def test_who_is_beyond_the_breaker_is_asked_about_all_the_same(world):
    world.deploy(Mode="approve", StrikeWhileWaiting="true", MaxContainmentsPerHour="1,1")
    responder = world.responder()
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(3)]
    verdicts = [responder.invoke(about(world, EXFILTRATION, it))["reports"][0]["verdict"] for it in users]
    assert verdicts == ["Waiting"] * 3 and len(Table(world).items("request#")) == 3, verdicts


# What is said of whom stays denied.


def test_an_approval_that_came_too_late_says_that_it_stays_denied(world):
    responder, user, request = struck(world)
    written(world, request, expires_at={"N": str(int(time.time() * 1000) - 600_000)}, decided_at={"N": str(int(time.time() * 1000) - 700_000)})
    world.alerts()
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert user.is_denied() and "denied everything" in alert["Message"], alert["Message"]
