"""Between a sweep and its end: what is answered, joined, released or told of meanwhile."""

import datetime as dt
import json

from .harness.ledger import DUE, Table
from .harness.requests import command, item, word
from .harness.slack import Slack
from .harness.sweeps import Organisation, day, rows, told
from .test_sweep import rewind
from .test_sweep_requests import MFA_CONTROL, subjects

NOW = dt.datetime.now(dt.timezone.utc)


def unseen(world, **parameters):
    organisation = Organisation(world, SweepActsOn="unseen-user", Mode="approve", SweepMaxShare="100", **parameters)
    account = organisation.account
    account.user("old", mfa=True)
    organisation.day(0)
    dynamodb = world.client("dynamodb", world.security)
    [table] = dynamodb.list_tables()["TableNames"]
    head = rows(world)[f"sweep#{account.id}"]
    old = json.loads(head["summary"]["S"]) | {"as_of": (NOW - dt.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    dynamodb.update_item(TableName=table, Key={"id": head["id"]}, UpdateExpression="SET summary = :s", ExpressionAttributeValues={":s": {"S": json.dumps(old)}})
    yesterday = NOW - dt.timedelta(days=1)
    account.user("untold", mfa=True)
    world.identify(user="untold", created=yesterday.isoformat())
    account.report(forget=True)
    user = account.iam.get_user(UserName="untold")["User"]
    event = world.event("cloudtrail-create-user")
    made = event["detail"]["responseElements"]["user"]
    text = json.dumps(event).replace(made["userName"], "untold").replace(made["userId"], user["UserId"])
    event = json.loads(text)
    event["detail"]["eventTime"] = yesterday.strftime("%Y-%m-%dT%H:%M:%SZ")
    return organisation, event


def test_a_decline_between_the_sweep_and_the_question_asks_nobody(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    [first] = organisation.up_to(7)
    [message] = organisation.sweep(8)
    assert command(organisation.responder, "decline", first)["decision"]["outcome"] == "declined"
    reports = organisation.act(message)
    assert [it for it in reports if it["verdict"] == "Waiting"] == []


def test_a_decline_between_the_sweep_and_the_question_is_told_by_the_next_sweep(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    [first] = organisation.up_to(7)
    [message] = organisation.sweep(8)
    command(organisation.responder, "decline", first)
    organisation.act(message)
    assert told(organisation.day(9)[1]) == {"alice": ("ended", "declined")}


def test_a_release_of_a_day_that_was_not_stopped_asks_nobody_anew(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    [first] = organisation.up_to(7)
    command(organisation.responder, "decline", first)
    run = {"day": day(7), "execution": "by-a-person"}
    answer = organisation.hygiene.invoke({"command": "sweep-release", **run, "release": {"by": "x", "reason": "y"}})
    again = [report for it in organisation.messages(7, answer["sweep"]["accounts"]) for report in organisation.act(it)]
    assert [it for it in again if it["verdict"] == "Waiting"] == []


def test_another_execution_takes_over_a_day_that_failed_and_asks_nobody_twice(world):
    organisation = Organisation(world, SweepMaxShare="100")
    for name in ("alice", "bob"):
        organisation.account.user(name)
    organisation.day(0)
    first, _ = organisation.sweep(7)
    [asked] = organisation.act(first)
    world.alerts()
    organisation.tell(7, unsent=True)
    organisation.tell(7, unsent=True)
    assert [it.split(": ")[1].split(",")[0] for it in subjects(world)] == ["NOT EVERYBODY WAS ASKED"]
    organisation.execution = "another"
    assert organisation.begin(7) == [organisation.account.id]
    reports = [organisation.act(it)[0] for it in organisation.release(7)]
    assert {it["verdict"] for it in reports} == {"Waiting"} and asked["request"] in {it["request"] for it in reports}
    waiting = [it for it in subjects(world) if "WAITING" in it]
    assert len(waiting) == 1 and "bob" in waiting[0]
    organisation.execution = None
    organisation.tell(7)
    assert subjects(world) == []
    organisation.execution = "another"
    organisation.tell(7)
    assert ["2 to decide" in it for it in subjects(world)] == [True]
    # The day has come to its end.
    organisation.execution = "a third"
    assert organisation.begin(7) == []


def test_a_day_that_is_taken_over_and_then_stopped_says_that_what_was_sent_goes_on(world):
    organisation = Organisation(world, SweepMaxShare="100")
    for name in ("alice", "bob"):
        organisation.account.user(name)
    organisation.day(0)
    first, _ = organisation.sweep(7)
    [asked] = organisation.act(first)
    organisation.tell(7, unsent=True)
    world.alerts()
    organisation.execution = "another"
    assert organisation.begin(7) == [organisation.account.id]
    organisation.hygiene = world.responder(part="hygiene", SWEEP_MAX_ACTIONS="1")
    for _ in range(2):  # Lambda may call twice.
        assert organisation.release(7) == []
    organisation.tell(7)
    [text] = [it["Message"] for it in world.alerts() if "STOPPED" in it["Subject"]]
    assert "Nobody more is asked" in text and "at least 2 had been released" in text and "Nobody is asked" not in text
    assert asked["request"] in {it["request"] for it in organisation.responder.invoke({"command": "requests"})["requests"]}


def test_an_event_that_joined_a_sweeps_question_is_told_of_when_that_runs_out(world):
    organisation, event = unseen(world)
    [report] = organisation.day(1)[0]
    request = report["request"]
    [late] = organisation.hygiene.invoke(event)["reports"]
    world.alerts()
    organisation.account.report(forget=True)
    reports, digest = organisation.day(2)
    [text] = [it["Message"] for it in world.alerts() if "sweep" in it["Subject"]]
    assert "an event told of it since" in text and "NO PROBLEM ANY MORE" not in text
    Table(world).change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})
    organisation.responder.invoke(DUE)
    after = subjects(world)
    assert [it for it in after if "EXPIRED" in it]


def test_whoever_was_struck_by_a_late_event_is_told_of_when_the_question_runs_out(world):
    organisation, event = unseen(world, StrikeWhileWaiting="true")
    [report] = organisation.day(1)[0]
    request = report["request"]
    [late] = organisation.hygiene.invoke(event)["reports"]
    world.alerts()
    Table(world).change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})
    organisation.responder.invoke(DUE)
    after = subjects(world)
    assert [it for it in after if "EXPIRED" in it]


def test_an_unseen_key_of_a_protected_or_exempt_user_is_named(world):
    organisation = Organisation(world, ProtectedPrincipals=f"arn:aws:iam::{world.member}:user/break-glass", Exempt=f"arn:aws:iam::*:user/kiosk=2099-01-31 lobby")
    account = organisation.account
    for name in ("break-glass", "kiosk"):
        account.user(name, mfa=True, keys=0)
    organisation.day(0)
    rewind(world, account, 2)
    yesterday = NOW - dt.timedelta(days=1)
    for name in ("break-glass", "kiosk"):
        key = account.iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        world.control("credential", {"account": account.id, "user": name, "key": key, "created": yesterday.isoformat()})
    account.report(forget=True)
    world.alerts()
    _, digest = organisation.day(1)
    assert {"break-glass", "kiosk"} <= set(told(digest))


def test_an_owner_is_told_what_comes_where_nobody_is_asked(world):
    slack = Slack(world)
    owner = slack.person()
    organisation = Organisation(world, OwnerTag="SecurityOwner", PlaybookModes="missing-mfa=enforce", **slack.parameters)
    organisation.account.user("alice")
    organisation.account.iam.tag_user(UserName="alice", Tags=[{"Key": "securityowner", "Value": owner}])
    organisation.day(0)
    slack.due(Table(world))
    organisation.responder.invoke(DUE)
    [message] = slack.told(owner)
    assert "a person is asked" not in json.dumps(message)


def test_the_digest_of_a_bad_day_fits_into_a_message_in_any_script(world):
    organisation = Organisation(world)
    organisation.sweeper.invoke({"command": "sweep-accounts", **organisation.of_day(8)})
    dynamodb = world.client("dynamodb", world.security)
    [table] = dynamodb.list_tables()["TableNames"]
    facts = "signed in on 2026-11-28; a key of 2024-01-01 used on 2026-11-28, a key of 2024-02-01 used on 2026-11-28"
    why = "Запрос отклонён: " * 8 + "AccessDenied: User: arn:aws:sts::111122223333:assumed-role/SecurityRemediationRole/iam-responder-hygiene-0123456789 is not authorized to perform: iam:UpdateAccessKey on resource: user somebody with an explicit deny in a service control policy: arn:aws:organizations::111122223333:policy/o-a1b2c3d4e5/service_control"[:300]

    def of(n, **step):
        return {"kind": "missing-mfa", "id": f"missing-mfa/firstname.lastname-{n:05}@1577836800", "user": f"firstname.lastname-{n:05}@department.example.com", "arn": "x", "created": "2020-01-01", "facts": facts, "first": day(0), **step}

    kinds = {it: {"now": 12, "new": 3, "left": 2} for it in ("missing-mfa", "unseen-user", "unseen-key", "unused-user", "unused-key", "unused-password", "old-key", "two-active-keys", "root-access-key", "root-without-mfa")}
    accounts = [f"{n:012}" for n in range(1, 301)]
    for n, account in enumerate(accounts):
        told = []
        if n < 3:
            told = [of(i, step="asked", time=2, last={"how": "failed", "reason": why}) for i in range(50)]
        elif n < 6:
            told = [of(i, step="unconfirmed", reason="could not be read: console password: " + why[:160]) for i in range(50)]
        elif n < 9:
            told = [of(i, step="warned", days_left=7) for i in range(50)]
        one = {"as_of": "2026-11-29T00:00:00Z", "is_baseline": False, "users": 500, "kinds": kinds, "asked": sum(it["step"] == "asked" for it in told), "told": told, "unreadable": ["account summary: " + why]}
        dynamodb.put_item(TableName=table, Item={"id": {"S": f"sweep#{account}"}, "day": {"S": day(8)}, "summary": {"S": json.dumps(one)}})
    skipped = [{"account": f"{n:012} (some-account-name-{n})", "reason": "its state is SUSPENDED"} for n in range(500, 700)]
    dynamodb.update_item(TableName=table, Key={"id": {"S": f"sweep#run#{day(8)}"}}, UpdateExpression="SET accounts = :a, skipped = :s", ExpressionAttributeValues={":a": {"S": ",".join(accounts)}, ":s": {"S": json.dumps(skipped)}})
    answer = organisation.sweeper.invoke({"command": "sweep-digest", **organisation.of_day(8)})
    sizes = [len(it["Message"].encode()) for it in world.alerts()]
    assert sizes and max(sizes) < 262_144


def control(world, account, user):
    """Security Hub's finding about the same user."""
    event = json.loads(json.dumps(world.event(MFA_CONTROL)))
    resource = event["detail"]["findings"][0]["Resources"][0]
    user = account.iam.get_user(UserName=user)["User"]
    resource["Id"] = user["Arn"]
    resource["Details"] = {"AwsIamUser": {"UserName": user["UserName"], "UserId": user["UserId"]}}
    return event


def test_a_security_hub_finding_that_joined_keeps_the_question_open_and_is_updated(world):
    organisation = Organisation(world)
    account = organisation.account
    account.user("alice")
    [first] = organisation.up_to(7)
    event = control(world, account, "alice")
    now = world.finding(event)
    [joined] = organisation.hygiene.invoke(event)["reports"]
    assert joined["request"] == first
    reports, digest = organisation.day(8)
    assert reports == [] and word(world, first) == "waiting" and told(digest)["alice"][0] == "asked"
    report, *_ = command(organisation.responder, "approve", first)["reports"]
    assert report["verdict"] == "Contained" and now()["Note"]
    assert told(organisation.day(9)[1]) == {"alice": ("ended", "done")}


def test_a_question_that_joined_another_findings_follows_that_one(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    organisation.day(0)
    event = control(world, organisation.account, "alice")
    world.finding(event)
    [asked] = organisation.hygiene.invoke(event)["reports"]
    [joined] = organisation.day(7)[0]
    assert joined["request"] == asked["request"]
    [message] = organisation.sweep(8)
    command(organisation.responder, "decline", asked["request"])
    assert organisation.act(message) == []
    assert told(organisation.day(9)[1]) == {"alice": ("ended", "declined")}
