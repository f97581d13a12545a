"""Many at once: of one event, from one account, and what is cheap for an attacker beside what is not."""

import concurrent.futures
import contextlib
import copy
import json
import os
import pathlib
import threading
import time

import pytest

from .harness.victims import User, stripped, user_state
from .harness.world import random_account
from .test_lease import while_running

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
CUSTOM_ACTION = "security-hub-custom-action-contain-identity"
SIMULATION = "simulation-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
CREATED = "cloudtrail-create-user"


def eventually(true, seconds=30, pause=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(pause)
    return False


def finding_of(event, name, number, type="TTPs/Credential Access/x"):
    """A Security Hub finding about the user of that name."""
    finding = copy.deepcopy(event["detail"]["findings"][0])
    finding["Id"] = f"{finding['Id']}-{number}"
    return finding


def files(responder):
    """How many files the function has open: it is the emulator's child."""
    children = pathlib.Path(f"/proc/{responder.process.pid}/task").glob("*/children")
    with contextlib.suppress(OSError):
        return max((len(os.listdir(f"/proc/{child}/fd")) for it in children for child in it.read_text().split()), default=0)
    return 0


@pytest.mark.seconds(10)
def test_several_findings_about_one_identity_are_one_response(world):
    world.deploy(SettleSeconds="1")
    user = User(world)
    event = world.event(CUSTOM_ACTION, user)
    [first] = event["detail"]["findings"]
    event["detail"]["findings"] = [finding_of(event, user.name, n) for n in range(6)]
    told = [world.finding(event, n) for n in range(6)]
    began = time.monotonic()
    answer = world.responder().invoke(event)
    assert time.monotonic() - began < 8
    assert [report["verdict"] for report in answer["reports"]] == ["Contained"] * 6, answer
    assert len({report["finding_id"] for report in answer["reports"]}) == 6
    calls = [call["action"] for call in world.journal()]
    assert calls.count("iam:AttachUserPolicy") == 1 and calls.count("sts:AssumeRole") == 1
    assert calls.count("sns:Publish") == 1
    for finding in told:
        assert finding()["Workflow"]["Status"] == "NOTIFIED"
        assert "iam-responder" in finding()["Note"]["Text"]


@pytest.mark.heavy
@pytest.mark.seconds(30)
def test_a_hundred_identities_of_one_event_are_all_struck_before_any_is_held(world):
    world.deploy(MaxContainmentsPerHour="1000,1000")
    names = [f"user-{n:03}" for n in range(100)]
    sample = User(world, name="sample", groups=(), policies=())
    hub = world.event("security-hub-guardduty-exfiltration-iam-user-anomalous-behavior", sample)
    text = json.dumps(hub["detail"]["findings"][0])
    findings = []
    for name in names:
        created = world.iam.create_user(UserName=name)["User"]
        world.identify(user=name, created="2020-01-01T00:00:00")
        key = world.iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        one = text.replace(sample.id, created["UserId"]).replace(sample.keys[0]["AccessKeyId"], key).replace("alice", name)
        findings.append({**json.loads(one), "Id": f"{hub['detail']['findings'][0]['Id']}-{name}"})
    hub["detail"]["findings"] = findings
    hub_client = world.client("securityhub", world.security, region=findings[0]["Region"])
    assert hub_client.batch_import_findings(Findings=findings)["FailedCount"] == 0
    responder = world.responder()
    most, over = [0], threading.Event()

    def watch():
        while not over.wait(0.05):
            most[0] = max(most[0], files(responder))

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer = responder.invoke(hub)
    over.set()
    watcher.join()
    assert "reports" in answer, answer
    assert [report["verdict"] for report in answer["reports"]] == ["Contained"] * 100, answer
    calls = world.journal()
    strikes = [call["began"] for call in calls if call["action"] == "iam:AttachUserPolicy"]
    assert len(strikes) == 100
    # The first look of a hold comes after the last strike: nothing reads groups before it.
    looks = [call["began"] for call in calls if call["action"] == "iam:ListGroupsForUser"]
    assert max(strikes) < min(looks)
    assert 0 < most[0] < 400, most


def handed_on(world):
    return [call for call in world.journal() if call["action"] == "lambda:InvokeFunction"]


@pytest.mark.seconds(25)
def test_a_fight_that_outlasts_an_invocation_goes_on_in_another(world):
    world.deploy(SettleSeconds="3", Simulation="true")
    user = User(world)
    # Ten of its seconds are kept for the notices: some seven for the fight.
    responder = world.connected(timeout=18)
    event = world.event(SIMULATION, user)
    with stripped(user, every=0.4):
        world.client("events", world.security).put_events(
            Entries=[{"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}]
        )
        assert eventually(lambda: len(handed_on(world)) >= 2), responder.output()
    assert eventually(lambda: len(world.alerts()) == 1), responder.output()
    assert eventually(lambda: responder.reports()[-1]["verdict"] != "InProgress"), responder.output()
    reports = responder.reports()
    assert {report["verdict"] for report in reports[:-1]} == {"InProgress"}, [(it["verdict"], it["reason"], it["open"]) for it in reports]
    assert reports[-1]["verdict"] == "Contained" and reports[-1]["reversals"]
    looks = sorted(call["began"] for call in world.journal() if call["action"] == "iam:ListAttachedUserPolicies")
    assert max(later - earlier for earlier, later in zip(looks, looks[1:])) < 3
    assert not user.key_works()
    # Nobody else began: it was one lease all the time.
    ledger = world.client("dynamodb", world.security)
    [table] = ledger.list_tables()["TableNames"]
    locks = [item for item in ledger.scan(TableName=table)["Items"] if item["id"]["S"].startswith("lock#")]
    assert [lock.get("lease_until") for lock in locks] == [None]


@pytest.mark.heavy
@pytest.mark.seconds(40)
def test_a_thousand_creations_do_not_stand_before_a_finding(world):
    world.deploy(Simulation="true", SettleSeconds="1", MaxContainmentsPerHour="100000,100000")
    victim = User(world, name="victim", groups=())
    created = world.event(CREATED)["detail"]
    hygiene = [world.responder(part="hygiene") for _ in range(2)]
    world.connected()
    world.listen(*hygiene)
    event = world.event(SIMULATION, victim)

    def create(number):
        detail = json.loads(json.dumps(created).replace(created["responseElements"]["user"]["userName"], f"decoy-{number}"))
        detail["responseElements"]["user"]["userId"] = f"AIDA{number:017}"
        body = {"account": world.security, "region": world.region, "source": "aws.iam", "detail": detail}
        world.control("event", {**body, "detail_type": "AWS API Call via CloudTrail"})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(1_000)))
    assert world.control(f"waiting?function={hygiene[0].arn}") > 900
    began = time.monotonic()
    world.client("events", world.security).put_events(
        Entries=[{"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}]
    )
    assert eventually(lambda: not victim.key_works(), 10, 0.02)
    assert time.monotonic() - began < 2
    assert world.control(f"waiting?function={hygiene[0].arn}") > 500


def test_the_queue_tries_again_and_keeps_what_fails_for_good(world):
    world.deploy()
    [hygiene] = [world.responder(part="hygiene")]
    world.listen(hygiene)
    sqs = world.client("sqs", world.security)
    urls = sqs.list_queues()["QueueUrls"]
    queue = next(url for url in urls if "HygieneQueue" in url)
    dead = next(url for url in urls if "DeadLetter" in url)
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=queue, MessageBody="no JSON")
    kept = []
    assert eventually(lambda: kept.extend(sqs.receive_message(QueueUrl=dead).get("Messages", [])) or kept), hygiene.output()
    assert kept[0]["Body"] == "no JSON"


def test_each_function_leaves_the_others_findings_alone(world):
    world.deploy()
    user = User(world)
    unused, exfiltration = world.event("security-hub-iam-8-unused-credentials", user), world.event(EXFILTRATION, user)
    responder, hygiene = world.responder(), world.responder(part="hygiene")
    assert responder.invoke(unused)["ignored"] == [{"reason": "the function for hygiene responds to it"}]
    assert hygiene.invoke(exfiltration)["ignored"] == [{"reason": "the responder's own function responds to it"}]
    assert world.writes() == []
    world.finding(unused)
    record = {"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": json.dumps(unused)}]}
    answer = hygiene.invoke(record)
    assert "reports" in answer, answer
    [report] = answer["reports"]
    assert report["verdict"] == "Contained" and set(user_state(world.iam, user.name)["keys"].values()) == {"Inactive"}


def test_the_creation_of_a_user_who_is_gone_is_answered_at_once(world):
    world.deploy()
    event = world.event(CREATED)
    event["detail"]["eventTime"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 30))
    hygiene = world.responder(part="hygiene")
    began = time.monotonic()
    [report] = hygiene.invoke(event)["reports"]
    assert time.monotonic() - began < 3
    assert report["verdict"] == "Refused" and "there is no user" in report["reason"]


@pytest.mark.heavy
@pytest.mark.seconds(60)
def test_a_throttled_account_is_contained_all_the_same(world):
    """Twenty responses at once, as twenty instances of the function, and five calls of a kind a second."""
    world.deploy(SettleSeconds="2", MaxContainmentsPerHour="1000,1000")
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(20)]
    events = [world.event(EXFILTRATION, user) for user in users]
    for user, event in zip(users, events):
        event["detail"]["resource"]["accessKeyDetails"]["userName"] = user.name
        event["detail"]["id"] = f"{event['detail']['id']}-{user.name}"
    responders = [world.responder(timeout=150) for _ in users]
    world.control("throttle", {"account": world.member, "per_second": 5})
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda pair: pair[0].invoke(pair[1]), zip(responders, events)))
    world.control("throttle", {"account": world.member, "per_second": 1_000})
    assert ["AWSDenyAll" in user.state()["policies"] for user in users] == [True] * 20
    verdicts = [answer["reports"][0]["verdict"] if "reports" in answer else "error" for answer in answers]
    assert verdicts.count("Contained") >= 18, [it if "errorType" in it else it["reports"][0]["reason"] for it in answers]
    notes = [note for answer in answers if "reports" in answer for note in answer["reports"][0]["notes"]]
    assert any("IAM throttled" in note for note in notes)


@pytest.mark.seconds(15)
def test_in_a_throttled_account_what_is_only_looked_at_leaves_the_calls_to_the_strike(world):
    world.deploy()
    user = User(world)
    world.fault("iam:AttachUserPolicy", "Throttling", status=400, times=8)
    world.fault("iam:ListGroupsForUser", "Throttling", status=400, times=6)
    [report] = world.responder().invoke(world.event(EXFILTRATION, user))["reports"]
    assert report["verdict"] == "Contained", report
    calls = world.journal()
    denied, looked = [min(it["began"] for it in calls if it["action"] == action) for action in ("iam:AttachUserPolicy", "iam:ListGroupsForUser")]
    # The one was refused oftener, and is through all the same.
    assert denied < looked


@pytest.mark.heavy
@pytest.mark.seconds(35)
def test_identities_of_a_throttled_account_leave_the_others_of_the_event_watched(world):
    """Their last full reads wait for IAM; somebody strips another again and again, in an account that answers."""
    calm = random_account()
    world.deploy(SettleSeconds="2", MaxContainmentsPerHour="1000,1000", members=(calm,))
    sample = User(world, name="sample", groups=(), policies=())
    hub = world.event(HUB, sample)
    text = json.dumps(hub["detail"]["findings"][0])
    findings, other = [], world.client("iam", calm)

    def add(iam, account, name):
        created = iam.create_user(UserName=name)["User"]
        world.control("identify", {"account": account, "partition": "aws", "user": name, "created": "2020-01-01T00:00:00"})
        key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        one = text.replace(sample.id, created["UserId"]).replace(sample.keys[0]["AccessKeyId"], key).replace("alice", name)
        one = json.loads(one if account == world.member else one.replace(world.member, account))
        findings.append({**one, "Id": f"{one['Id']}-{name}"})

    for n in range(16):
        add(world.iam, world.member, f"user-{n:02}")
    add(other, calm, "bystander")
    hub["detail"]["findings"] = findings
    deny = "arn:aws:iam::aws:policy/AWSDenyAll"

    def is_denied():
        attached = other.list_attached_user_policies(UserName="bystander")["AttachedPolicies"]
        return deny in [it["PolicyArn"] for it in attached]

    world.fault("iam:ListUsers", "Throttling", status=400, accounts=[world.member])
    longest, end = 0, time.monotonic() + 20
    with while_running(world.responder(timeout=55), hub, is_denied):
        while time.monotonic() < end:
            if is_denied():
                other.detach_user_policy(UserName="bystander", PolicyArn=deny)
                began = time.monotonic()
                eventually(is_denied, end - began, 0.1)
                longest = max(longest, time.monotonic() - began)
            time.sleep(0.3)
    assert 0 < longest < 10, longest


@pytest.mark.seconds(8)
def test_the_same_finding_again_is_one_full_read_and_a_later_one_a_full_hold(world):
    world.deploy(SettleSeconds="2")
    user = User(world)
    responder, event = world.responder(), world.event(EXFILTRATION, user)

    def again():
        before, began = len(world.journal()), time.monotonic()
        [report] = responder.invoke(event)["reports"]
        assert report["verdict"] == "Contained", report
        calls = [call["action"] for call in world.journal()[before:] if call["action"].startswith("iam:")]
        return time.monotonic() - began, calls

    again()
    took, calls = again()
    assert took < 1.5 and len(calls) <= 22, (took, calls)
    assert calls.count("iam:GetUser") == 2
    event["detail"]["service"]["eventLastSeen"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    took, _ = again()
    assert took >= 2


@pytest.mark.seconds(25)
def test_a_fight_about_a_created_user_that_outlasts_an_invocation_goes_on_in_another(world):
    """Otherwise nobody looks until the queue shows the message again, six minutes later."""
    world.deploy(SettleSeconds="3")
    user = User(world, name="backdoor", groups=())
    hygiene = world.connected(part="hygiene", timeout=15)
    event = world.event(CREATED, user)
    body = {"account": world.security, "region": world.region, "source": event["source"], "detail": event["detail"]}
    with stripped(user, every=0.4):
        world.control("event", {**body, "detail_type": event["detail-type"]})
        assert eventually(lambda: handed_on(world)), hygiene.output()
    handed = handed_on(world)
    assert {(it["decision"], tuple(it["resources"])) for it in handed} == {("allow", (hygiene.arn,))}, handed
    assert eventually(lambda: len(world.alerts()) == 1), hygiene.output()
    assert "AWSDenyAll" in user.state()["policies"]


def test_creations_of_users_that_are_gone_are_no_flood_of_alerts(world):
    """CreateUser and DeleteUser, as often as an intruder likes, with names as an intruder likes."""
    world.deploy()
    hygiene, event = world.responder(part="hygiene"), world.event(CREATED)
    event["detail"]["eventTime"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 30))
    name = event["detail"]["responseElements"]["user"]["userName"]
    for n in range(9):
        one = json.loads(json.dumps(event).replace(name, f"decoy-{n}"))
        one["detail"]["responseElements"]["user"]["userId"] = f"AIDA{n:017}"
        assert hygiene.invoke(one)["reports"][0]["verdict"] == "Refused"
    assert world.alerts() == []
    world.responder().invoke({"command": "digest"})
    [digest] = world.alerts()
    assert digest["Subject"].startswith("Hourly digest: 9 findings") and "decoy-8" in digest["Message"]
