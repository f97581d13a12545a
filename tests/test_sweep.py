"""One account's sweep on the wire: the credential report in every state, who is confirmed, and what is remembered."""

import concurrent.futures
import datetime as dt
import json

import pytest

from .harness.sweeps import Account, day, rows, steps, summary, sweep
from .test_lease import killed

MFA = "missing-mfa"
NOW = dt.datetime.now(dt.timezone.utc)


def stage(world, **parameters):
    world.deploy(**parameters)
    return Account(world), world.responder(part="sweeper")


def test_a_person_sees_what_a_sweep_would_find_and_nothing_is_kept(world):
    account, sweeper = stage(world)
    account.user("alice")
    account.user("bob", mfa=True)
    account.user("robot", password=False, keys=2, key_age=400)
    account.user("idle", password=False, key_age=300)
    report = sweep(sweeper, account)
    assert (report["users"], report["is_baseline"], report["is_recorded"]) == (4, True, False)
    found = steps(report)
    assert found["alice", MFA] == "warned" and found["robot", "old-key"] == "listed" and found["robot", "two-active-keys"] == "listed"
    assert not {("bob", MFA), ("robot", MFA)} & set(found)
    assert rows(world) == {} and not [it for it in world.writes() if it != "iam:GenerateCredentialReport"]


def test_the_ladder_over_days(world):
    account, sweeper = stage(world)
    account.user("alice")
    told = {}
    for number in (0, 1, 4, 5, 7, 8):
        report = sweep(sweeper, account, number)
        assert report["is_recorded"], report
        told[number] = [(it["user"], it["step"], it.get("days_left", it.get("time"))) for it in summary(world, account)["told"]]
    # Nobody released day 7, so that it counts for no request.
    assert told == {0: [("alice", "warned", 7)], 1: [], 4: [("alice", "reminded", 3)], 5: [], 7: [("alice", "asked", 1)], 8: [("alice", "asked", 1)]}
    account.turn_mfa_on("alice")
    sweep(sweeper, account, 9)
    [left] = summary(world, account)["told"]
    assert (left["step"], left["reason"]) == ("left", "MFA is on")


def test_a_second_sweep_of_a_day_is_none(world):
    account, sweeper = stage(world)
    account.user("alice")
    sweep(sweeper, account, 0)
    before, calls = rows(world), len(account.calls())
    again = sweep(sweeper, account, 0)
    assert (again["outcome"], again["is_recorded"]) == ("swept already", False)
    assert rows(world) == before and len(account.calls()) == calls


def test_of_two_at_the_same_time_one_sweeps(world):
    account, sweeper = stage(world)
    account.user("alice")
    other = world.responder(part="sweeper")
    world.fault("iam:GetCredentialReport", hold=True, times=1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(sweep, sweeper, account, 0)
        while not any(it["action"] == "dynamodb:UpdateItem" for it in world.journal()):
            pass
        second = other.invoke({"command": "sweep", "account": account.id, "day": day(0)})
        world.release()
        assert first.result()["is_recorded"]
    assert second["errorType"] == "ResponseIncomplete" and "another invocation sweeps it" in second["errorMessage"]
    assert [it["step"] for it in summary(world, account)["told"]] == ["warned"]


def test_a_day_whose_answer_was_lost_is_kept_all_the_same(world):
    account, sweeper = stage(world)
    account.user("alice")
    # The lease, the memory, and which of it counts.
    world.fault("dynamodb:UpdateItem", reset="after", after=2, times=1)
    assert sweep(sweeper, account, 0)["is_recorded"]
    head = rows(world)[f"sweep#{account.id}"]
    assert head["version"] == {"N": "1"} and "failed" not in head


def test_who_was_killed_leaves_the_day_before(world):
    account, sweeper = stage(world)
    account.user("alice")
    sweep(sweeper, account, 0)
    before = rows(world)
    # The parts are written, which of them count is not; and nobody could be told why.
    world.fault("dynamodb:UpdateItem", "AccessDeniedException", after=2, times=2)
    answer = sweeper.invoke({"command": "sweep", "account": account.id, "day": day(4)})
    assert answer["errorType"] == "ResponseIncomplete"
    head = rows(world)[f"sweep#{account.id}"]
    assert (head["day"], head["version"]) == (before[f"sweep#{account.id}"]["day"], {"N": "1"})
    world.let_leases_run_out()
    sweep(sweeper, account, 4)
    assert [it["step"] for it in summary(world, account)["told"]] == ["reminded"]


@pytest.mark.seconds(4)
def test_who_is_killed_is_followed_when_its_lease_has_run_out(world):
    account, sweeper = stage(world)
    account.user("alice")
    command = {"command": "sweep", "account": account.id, "day": day(0)}
    world.fault("iam:GetCredentialReport", hold=True, times=1)
    killed(world, command, lambda: world.faults()[0]["times"] == 0, part="sweeper")
    world.release()
    answer = sweeper.invoke(command)
    assert answer["errorType"] == "ResponseIncomplete" and "another invocation sweeps it" in answer["errorMessage"]
    world.let_leases_run_out()
    assert sweep(sweeper, account, 0)["is_recorded"]
    assert [it["step"] for it in summary(world, account)["told"]] == ["warned"]


@pytest.mark.parametrize("name", ["a+b=c,d.e@f_g-h", "x" * 64])
def test_every_legal_name_is_swept(world, name):
    account, sweeper = stage(world)
    account.user(name, path="/team/red/")
    assert steps(sweep(sweeper, account))[name, MFA] == "warned"


@pytest.mark.seconds(4)
@pytest.mark.parametrize("state", ["absent", "in-progress", "expired", "fresh"])
def test_the_report_in_every_state(world, state):
    account, sweeper = stage(world)
    account.user("alice")
    if state != "absent":
        sweep(sweeper, account)
    if state == "in-progress":
        account.report(forget=True, waits=1)
    if state == "expired":
        account.report(age=5 * 3600)
    account.user("bob")
    # AWS gives the same report for four hours, whoever was created since; and the account's own count tells so.
    report = sweep(sweeper, account)
    stale = "the credential report has 1 users and the account 2: it is stale or cut short"
    assert (report["users"], report.get("unreadable")) == ((1, [stale]) if state == "fresh" else (2, None))


def test_who_is_not_in_a_report_that_was_cut_short_has_not_left(world):
    account, sweeper = stage(world)
    account.user("alice")
    account.user("bob")
    sweep(sweeper, account, 0)
    whole = account.iam.get_credential_report()["Content"].decode()
    account.report(forget=True, text="\n".join(it for it in whole.splitlines() if not it.startswith("bob,")))
    sweep(sweeper, account, 7)
    told = {it["user"]: it["step"] for it in summary(world, account)["told"]}
    assert told == {"alice": "asked", "bob": "unconfirmed"}
    assert summary(world, account)["unreadable"] == ["the credential report has 1 users and the account 2: it is stale or cut short"]


def test_an_account_that_counts_nothing_is_swept_all_the_same(world):
    account, sweeper = stage(world)
    account.user("alice")
    world.fault("iam:GetAccountSummary", "AccessDenied", status=403)
    report = sweep(sweeper, account, 0)
    assert report["is_recorded"] and "account summary" in summary(world, account)["unreadable"][0]


@pytest.mark.seconds(16)
def test_a_report_that_takes_long_is_asked_for_again_later(world):
    account, sweeper = stage(world)
    account.user("alice")
    account.report(waits=100)
    answer = sweeper.invoke({"command": "sweep", "account": account.id, "day": day(0)})
    assert answer["errorType"] == "ResponseIncomplete" and "still making the credential report" in answer["errorMessage"]
    assert len([it for it in account.calls() if it.startswith("iam:")]) <= 7
    account.report(waits=0)
    assert sweep(sweeper, account, 0)["is_recorded"]
    assert "failed" not in rows(world)[f"sweep#{account.id}"]


@pytest.mark.parametrize("text", ["", "user,arn\nalice,x", "<html>"])
def test_a_report_that_is_none_is_refused_by_name(world, text):
    account, sweeper = stage(world)
    account.report(text=text or "user")
    report = sweep(sweeper, account, 0)
    assert "the credential report has no column" in report["outcome"] and not report["is_recorded"]
    assert "no column" in rows(world)[f"sweep#{account.id}"]["failed"]["S"]


def test_an_account_without_the_role_is_no_error_and_not_silent(world):
    world.deploy()
    account, sweeper = Account(world, account="012345678901"), world.responder(part="sweeper")
    report = sweep(sweeper, account, 0)
    assert "not swept: " in report["outcome"] and "SecuritySweepRole" in report["outcome"]
    assert "can't assume" in rows(world)["sweep#012345678901"]["failed"]["S"]
    # A person who asks gets an error.
    assert sweeper.invoke({"command": "sweep", "account": account.id})["errorType"] == "ResponseIncomplete"


@pytest.mark.parametrize("unread", ["iam:ListMFADevices", "iam:GetLoginProfile", "iam:ListAccessKeys"])
def test_who_could_not_be_confirmed_is_neither_warned_nor_forgotten(world, unread):
    account, sweeper = stage(world)
    account.user("alice")
    for number in (0, 6):
        sweep(sweeper, account, number)
    world.fault(unread, "AccessDenied", status=403, times=1)
    sweep(sweeper, account, 7)
    [entry] = summary(world, account)["told"]
    assert entry["step"] == "unconfirmed" and "could not be read" in entry["reason"]
    sweep(sweeper, account, 8)
    assert [it["step"] for it in summary(world, account)["told"]] == ["asked"]


def test_who_turned_it_on_after_the_report_is_not_told_of(world):
    account, sweeper = stage(world)
    account.user("alice")
    sweep(sweeper, account)
    account.turn_mfa_on("alice")
    report = sweep(sweeper, account, 0)
    assert report["is_recorded"] and "kinds" not in report and summary(world, account)["told"] == []


@pytest.mark.seconds(6)
@pytest.mark.parametrize(
    "action",
    [
        "sts:AssumeRole",
        "iam:GenerateCredentialReport",
        "iam:GetAccountSummary",
        "iam:GetCredentialReport",
        "iam:GetLoginProfile",
        "iam:ListAccessKeys",
        "iam:ListMFADevices",
        "iam:ListServiceSpecificCredentials",
        "dynamodb:GetItem",
        "dynamodb:UpdateItem",
    ],
)
def test_throttling_is_waited_for(world, action):
    account, sweeper = stage(world)
    account.user("alice")
    is_ledgers = action.startswith("dynamodb:")
    # The SDK itself tries three times.
    world.fault(action, "ThrottlingException" if is_ledgers else "Throttling", times=2 if is_ledgers else 6)
    report = sweep(sweeper, account, 0)
    assert report["is_recorded"] and report.get("unreadable") is None, report
    assert [it["step"] for it in summary(world, account)["told"]] == ["warned"]


def test_credentials_that_the_report_does_not_have_are_counted(world):
    account, sweeper = stage(world)
    account.user("alice", mfa=True)
    account.iam.create_service_specific_credential(UserName="alice", ServiceName="bedrock.amazonaws.com")
    assert sweep(sweeper, account)["service_credentials"] == {"bedrock.amazonaws.com": 1}


def test_protected_and_exempt_users_are_listed_as_such(world):
    world.deploy(ProtectedPrincipals="arn:aws:iam::*:user/break-glass", Exempt="arn:aws:iam::*:user/kiosk=2027-01-31 shared screen")
    account, sweeper = Account(world), world.responder(part="sweeper")
    account.user("break-glass")
    account.user("kiosk")
    entries = {it["user"]: it for it in sweep(sweeper, account)["entries"]}
    assert (entries["break-glass"]["step"], entries["break-glass"]["reason"]) == ("spared", "protected")
    assert entries["kiosk"]["reason"] == "exempt until 2027-01-31: shared screen"


@pytest.mark.parametrize(
    "command",
    [
        {"command": "sweep"},
        {"command": "sweep", "account": "1"},
        {"command": "sweep", "account": "111122223333", "day": "tomorrow"},
        {"command": "sweep", "account": "111122223333", "mode": "enforce"},
        {"command": "contain", "account": "111122223333", "user": "alice"},
        {"source": "aws.guardduty"},
    ],
)
def test_it_takes_no_other_command(world, command):
    world.deploy_responder()
    answer = world.responder(part="sweeper").invoke(command)
    assert answer["errorType"] == "MalformedEvent", answer
    assert world.journal() == []


@pytest.mark.parametrize(("number", "is_taken"), [(-2, False), (-1, True), (0, True), (1, False)])
def test_it_counts_for_today_or_what_began_yesterday_and_for_no_day_that_somebody_names(world, number, is_taken):
    """As it is deployed: only in a simulated AWS days pass as they are told to."""
    world.deploy(SweepAccounts=world.member)
    account = Account(world)
    sweeper = world.responder(part="sweeper", ENDPOINT_URL="", AWS_ENDPOINT_URL=world.url)
    named = (dt.datetime.now(dt.timezone.utc).date() + dt.timedelta(days=number)).isoformat()
    for command in ({"command": "sweep", "account": account.id}, {"command": "sweep-accounts", "execution": "e"}):
        answer = sweeper.invoke({**command, "day": named})
        assert "sweep" in answer if is_taken else answer["errorType"] == "MalformedEvent" and "UTC" in answer["errorMessage"], answer
    assert bool(rows(world)) == is_taken


def test_its_role_reads_and_writes_nothing_but_its_rows(world):
    account, sweeper = stage(world)
    account.user("alice")
    sweep(sweeper, account, 0)
    keys = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY", "aws_session_token": "AWS_SESSION_TOKEN"}
    thief = {name: sweeper.credentials[variable] for name, variable in keys.items()}
    dynamodb = world.client("dynamodb", world.security, **thief)
    [table] = world.client("dynamodb", world.security).list_tables()["TableNames"]
    for item in ("record#x", "lock#x", "due#x", "request#x"):
        with pytest.raises(dynamodb.exceptions.ClientError, match="not authorized"):
            dynamodb.update_item(TableName=table, Key={"id": {"S": item}}, UpdateExpression="SET a = :a", ExpressionAttributeValues={":a": {"S": "x"}})
    [session] = world.sessions("SecuritySweepRole")
    actions = {action for it in session["policy"]["Statement"] for action in it["Action"]}
    assert all(it.startswith(("iam:Get", "iam:List", "iam:GenerateCredentialReport")) for it in actions)
    assert json.dumps(rows(world)).count("AKIA") == 0


def rewind(world, account, days):
    """As if the report of the last sweep was so old."""
    dynamodb = world.client("dynamodb", world.security)
    [table] = dynamodb.list_tables()["TableNames"]
    head = rows(world)[f"sweep#{account.id}"]
    old = json.loads(head["summary"]["S"]) | {"as_of": (NOW - dt.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    dynamodb.update_item(TableName=table, Key={"id": head["id"]}, UpdateExpression="SET summary = :s", ExpressionAttributeValues={":s": {"S": json.dumps(old)}})
    account.report(forget=True)


def key_event(world, user, name, at, key, **request):
    """As CloudTrail tells of it."""
    event = json.loads(json.dumps(world.event("cloudtrail-create-access-key", folder="tests/inputs/ignored")).replace("backdoor", user))
    event["detail"]["eventName"] = name
    is_made = name == "CreateAccessKey"
    event["detail"]["requestParameters"] = {"userName": user, **({} if is_made else {"accessKeyId": key}), **request}
    event["detail"]["responseElements"] = {"accessKey": {"accessKeyId": key, "userName": user}} if is_made else None
    event["detail"]["eventTime"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return event


def test_a_key_that_no_event_told_of_is_named_also_when_it_was_only_activated(world):
    world.deploy()
    account, sweeper, hygiene = Account(world), world.responder(part="sweeper"), world.responder(part="hygiene")
    made, resting = ["made-told", "made-twice", "made-untold"], ["activated-told", "activated-untold"]
    for name in made + resting:
        account.user(name, mfa=True, keys=0 if name in made else 1)
    keys = {it: account.iam.list_access_keys(UserName=it)["AccessKeyMetadata"][0]["AccessKeyId"] for it in resting}
    for name, key in keys.items():
        account.iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")
    assert "kinds" not in sweep(sweeper, account, 0)
    rewind(world, account, 2)
    yesterday = NOW - dt.timedelta(days=1)
    for name in made:
        key = account.iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        world.control("credential", {"account": account.id, "user": name, "key": key, "created": yesterday.isoformat()})
        keys[name] = key
    # A second key of the same minute, and no event tells of it.
    second = account.iam.create_access_key(UserName="made-twice")["AccessKey"]["AccessKeyId"]
    world.control("credential", {"account": account.id, "user": "made-twice", "key": second, "created": (yesterday + dt.timedelta(seconds=30)).isoformat()})
    for name in resting:
        account.iam.update_access_key(UserName=name, AccessKeyId=keys[name], Status="Active")
    for name, called, status in (
        ("made-told", "CreateAccessKey", {}),
        ("made-twice", "CreateAccessKey", {}),
        # It tells of no creation.
        ("made-untold", "UpdateAccessKey", {"status": "Active"}),
        ("activated-told", "UpdateAccessKey", {"status": "Active"}),
        ("activated-untold", "UpdateAccessKey", {"status": "Inactive"}),
        # It tells of no activation, on whichever day.
        ("activated-untold", "CreateAccessKey", {}),
    ):
        event = key_event(world, name, called, yesterday, keys[name], **status)
        answer = hygiene.invoke(event)
        assert answer["reports"] == [] and answer["ignored"], answer
    for number in (1, 2):
        assert sweep(sweeper, account, number)["kinds"]["unseen-key"]["now"] == 3
        named = {(it["user"], it["kind"], it["step"]) for it in summary(world, account)["told"]}
        assert named == {(it, "unseen-key", "listed") for it in ("made-twice", "made-untold", "activated-untold")}
    assert "AKIA" not in json.dumps(rows(world))


def test_a_user_of_whose_creation_no_event_told_is_named_and_a_first_sweep_names_nobody(world):
    """CloudTrail delivers its events as well as it can."""
    world.deploy(TrustedCreators=f"arn:aws:iam::{world.member}:role/Admin")
    account, sweeper = Account(world), world.responder(part="sweeper")
    account.user("old", mfa=True)
    assert "kinds" not in sweep(sweeper, account, 0)
    # The report of the day before is two days old, and these came yesterday.
    dynamodb = world.client("dynamodb", world.security)
    [table] = dynamodb.list_tables()["TableNames"]
    head = rows(world)[f"sweep#{account.id}"]
    old = json.loads(head["summary"]["S"]) | {"as_of": (NOW - dt.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    dynamodb.update_item(TableName=table, Key={"id": head["id"]}, UpdateExpression="SET summary = :s", ExpressionAttributeValues={":s": {"S": json.dumps(old)}})
    yesterday = NOW - dt.timedelta(days=1)
    for name in ("told", "untold"):
        account.user(name, mfa=True)
        world.identify(user=name, created=yesterday.isoformat())
    event = world.event("cloudtrail-create-user")
    text = json.dumps(event).replace(event["detail"]["responseElements"]["user"]["userName"], "told")
    event = json.loads(text)
    event["detail"]["eventTime"] = yesterday.strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = world.responder(part="hygiene").invoke(event)
    assert answer["reports"] == [] and answer["ignored"], answer
    account.report(forget=True)
    for number in (1, 2):
        assert sweep(sweeper, account, number)["kinds"] == {"unseen-user": {"now": 1, "new": 2 - number, "left": 0}}
        assert [(it["user"], it["step"]) for it in summary(world, account)["told"]] == [("untold", "listed")]
