"""The sweep of an organisation: the state machine as deployed, run by moto, its tasks over HTTP; and the digest."""

import json
import re
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest

from .harness import templates
from .harness.processes import ROOT
from .harness.requests import command
from .harness.sweeps import Account, day, digest, rows, run, sweep
from .harness.world import random_account


def listed(account, state="ACTIVE", unit="ou-root-prod0001", name="n"):
    paths = [f"o-simulated00/r-root/{unit}/{account}/"]
    return {"Id": account, "Name": name, "State": state, "Status": "ACTIVE", "Paths": paths}


class Organisation:
    """Three accounts with users; one that is suspended, one without the role, one that another unit holds."""

    def __init__(self, world, sweepers=2, **parameters):
        self.world = world
        others = [random_account(), random_account()]
        world.deploy(members=others, **parameters)
        self.accounts = [Account(world, it) for it in (world.member, *others)]
        self.suspended, self.roleless, self.elsewhere = random_account(), random_account(), random_account()
        self.list([listed(it.id) for it in self.accounts])
        world.listen(*[world.responder(part="sweeper") for _ in range(sweepers)])
        world.connected(part="hygiene")

    def list(self, accounts):
        more = [listed(self.suspended, "SUSPENDED", name="<old>"), listed(self.roleless), listed(self.elsewhere, unit="ou-root-test0001")]
        self.world.control("organization", {"account": self.world.security, "accounts": [*accounts, *more]})

    def digest(self, number):
        return digest(self.world, number)

    def swept(self):
        return [it for it in self.world.journal() if it["action"] == "iam:GetCredentialReport"]


@pytest.mark.seconds(15)
def test_every_account_is_swept_and_people_are_told(world):
    organisation = Organisation(world, SweepUnitsExcept="ou-root-test0001")
    first, second, third = organisation.accounts
    for name in ("alice", "bob"):
        first.user(name)
    second.user("carol", mfa=True)
    third.user("robot", password=False, keys=2, key_age=400)
    assert run(world, 0)["status"] == "SUCCEEDED"
    told = organisation.digest(0)
    assert (told["accounts"], told["users"]) == (3, 4)
    assert told["kinds"]["missing-mfa"] == {"now": 2, "new": 2, "left": 0}
    assert sorted(told["baselines"]) == sorted(it.id for it in organisation.accounts)
    reasons = {it["account"].split()[0]: it["reason"] for it in told["not_swept"]}
    assert reasons[organisation.suspended] == "its state is SUSPENDED" and "can't assume" in reasons[organisation.roleless]
    assert organisation.elsewhere not in reasons
    [alert] = world.alerts()
    assert alert["Subject"] == f"iam-responder sweep {day(0)}: 0 to decide, 2 warned, 2 accounts NOT swept"
    text = alert["Message"]
    assert f"- {first.id} alice, created 2020-01-01: can sign in to the console without MFA" in text and "7 days left" in text
    assert f"- {third.id}: 1 users; old-key 2 (+2 -0), two-active-keys 1 (+1 -0)" in text and second.id in text


@pytest.mark.seconds(25)
def test_the_whole_ladder_over_days(world):
    organisation = Organisation(world)
    account = organisation.accounts[0]
    for name in ("alice", "bob"):
        account.user(name)
    for number in (0, 4):
        assert run(world, number)["status"] == "SUCCEEDED"
    account.turn_mfa_on("bob")
    assert run(world, 7)["status"] == "SUCCEEDED"
    subjects = [it["Subject"].split(": ")[1] for it in world.alerts()]
    told = [it.split(", 3 acc")[0] for it in sorted(subjects) if "to decide" in it]
    assert told == ["0 to decide, 0 warned", "0 to decide, 2 warned", "1 to decide, 0 warned"]
    assert {(it["user"], it["step"]) for _, it in organisation.digest(7)["told"]} == {("alice", "asked"), ("bob", "left")}
    assert {(it["user"], it["step"]) for _, it in organisation.digest(4)["told"]} == {("alice", "reminded"), ("bob", "reminded")}
    # The sweeper reads, and nobody approved: nobody lost anything.
    assert not [it for it in world.writes() if it.startswith("iam:") and it != "iam:GenerateCredentialReport"]


@pytest.mark.seconds(15)
def test_a_start_that_comes_twice_is_one_sweep(world):
    organisation = Organisation(world)
    organisation.accounts[0].user("alice")
    assert run(world, 0, name="first")["status"] == "SUCCEEDED"
    before, reads = rows(world), len(organisation.swept())
    assert run(world, 0, name="second")["status"] == "SUCCEEDED"
    assert rows(world) == before and len(organisation.swept()) == reads and len(world.alerts()) == 1


@pytest.mark.seconds(15)
def test_too_much_to_ask_for_stops_before_the_first_action(world):
    organisation = Organisation(world, SweepMaxActions="1", SweepMaxShare="100")
    for name in ("alice", "bob"):
        organisation.accounts[0].user(name)
    for number in (0, 7):
        run(world, number)
    told = organisation.digest(7)
    assert "2 actions are asked for, and SWEEP_MAX_ACTIONS is 1" in told["release"]["stopped"]
    alerts = world.alerts()
    assert "STOPPED" in max(alerts, key=lambda it: "STOPPED" in it["Subject"])["Subject"]
    assert not [it for it in alerts if "WAITING" in it["Subject"]]
    # A person releases it by the state machine itself: nothing is swept anew.
    reads = len(organisation.swept())
    assert run(world, 7, release={"by": "Dana", "reason": "a migration"})["status"] == "SUCCEEDED"
    waiting = waited(world, 2)
    assert len(waiting) == 2 and len(organisation.swept()) == reads


def waited(world, number, seconds=20):
    """The alerts of requests, when there are so many."""
    end, found = time.monotonic() + seconds, []
    while len(found) < number and time.monotonic() < end:
        found += [it for it in world.alerts() if "WAITING" in it["Subject"]]
        time.sleep(0.1)
    return found


@pytest.mark.seconds(20)
def test_what_is_asked_for_comes_by_the_queue_for_hygiene_and_is_carried_out(world):
    organisation = Organisation(world)
    account = organisation.accounts[0]
    for name in ("alice", "bob", "carol", "dave", "erin"):
        account.user(name, mfa=name != "alice")
    for number in (0, 7):
        execution = run(world, number)
        assert execution["status"] == "SUCCEEDED", execution["last"]
    [alert] = waited(world, 1)
    [request] = re.findall(r"^Request: ([a-z2-7]{26})$", alert["Message"], re.MULTILINE)
    assert organisation.digest(7)["release"] == {"asked": 1, "enforced": 0}
    [report] = command(world.responder(), "approve", request)["reports"]
    assert report["verdict"] == "Contained"
    assert run(world, 8)["status"] == "SUCCEEDED"
    assert [(it["user"], it["step"]) for _, it in organisation.digest(8)["told"]] == [("alice", "ended")]


@pytest.mark.seconds(20)
@pytest.mark.parametrize("broken", ["count", "share", "queue"])
def test_where_asking_fails_the_digest_and_the_execution_say_so_and_another_takes_over(world, broken):
    organisation = Organisation(world)
    organisation.accounts[0].user("alice")
    run(world, 0)
    world.alerts()
    hygiene = world.responder(part="hygiene")
    if broken == "count":
        world.control("function", {"arn": hygiene.arn, "urls": []})
    elif broken == "share":
        world.fault("dynamodb:GetItem", "AccessDeniedException", text="released#", times=4)
    else:
        world.fault("sqs:SendMessage", "AccessDenied", status=403, times=5)
    execution = run(world, 7, seconds=90)
    assert execution["status"] == "FAILED" and "NotAllWereSent" in json.dumps(execution["last"], default=str), execution
    told, word = organisation.digest(7), "NOBODY WAS ASKED" if broken == "count" else "NOT EVERYBODY WAS ASKED"
    assert ("release" in told, told.get("is_partly_sent")) == (broken != "count", True)
    alerts = world.alerts()
    assert [it["Subject"] for it in alerts if word in it["Subject"]] and not [it for it in alerts if "WAITING" in it["Subject"]]
    world.listen(hygiene)
    assert run(world, 7)["status"] == "SUCCEEDED" and organisation.digest(7)["release"]["asked"] == 1
    assert len(waited(world, 1)) == 1


@pytest.mark.seconds(15)
def test_what_fails_for_a_while_is_tried_again_and_what_fails_for_good_is_named(world):
    organisation = Organisation(world)
    broken = organisation.accounts[1]
    organisation.accounts[0].user("alice")
    world.control("fault", {"action": "iam:GetCredentialReport", "code": "ServiceFailure", "status": 500, "times": 4, "accounts": [world.member]})
    world.control("fault", {"action": "iam:GetCredentialReport", "code": "ServiceFailure", "status": 500, "accounts": [broken.id]})
    execution = run(world, 0, seconds=110)
    assert execution["status"] == "SUCCEEDED", execution
    told = organisation.digest(0)
    reasons = {it["account"].split()[0]: it["reason"] for it in told["not_swept"]}
    assert "ServiceFailure" in reasons[broken.id] and world.member not in reasons and told["accounts"] == 2


def test_who_may_not_list_accounts_fails_loudly(world):
    world.deploy()
    world.listen(world.responder(part="sweeper"))
    execution = run(world, 0)
    assert execution["status"] == "FAILED" and world.alerts() == []


def test_a_list_of_accounts_needs_no_organisation(world):
    world.deploy(SweepAccounts=world.member)
    world.listen(world.responder(part="sweeper"))
    world.connected(part="hygiene")
    Account(world).user("alice")
    assert run(world, 0)["status"] == "SUCCEEDED"
    assert not [it for it in world.journal() if it["action"].startswith("organizations:")]
    assert "1 warned" in world.alerts()[0]["Subject"]


@pytest.mark.seconds(4)
def test_throttling_is_waited_for_from_the_list_of_accounts_to_the_digest(world):
    world.deploy()
    world.control("organization", {"account": world.security, "accounts": [listed(world.member)]})
    account, sweeper, hygiene = Account(world), world.responder(part="sweeper"), world.responder(part="hygiene")
    account.user("alice")
    for number in (0, 7, 8):
        run_of = {"day": day(number), "execution": "e"}
        if number == 8:
            # The SDK itself tries three times. At the eighth day the account's row asks what became of the question.
            for action, code in (("organizations:ListAccounts", "TooManyRequestsException"), ("dynamodb:BatchGetItem", "ThrottlingException"), ("sns:Publish", "Throttling")):
                world.fault(action, code, status=400, times=2)
        assert sweeper.invoke({"command": "sweep-accounts", **run_of})["sweep"]["accounts"] == [world.member]
        assert sweep(sweeper, account, number)["is_recorded"]
        if number == 8:
            assert [it["times"] for it in world.faults()][:2] == [0, 0]
            world.fault("dynamodb:BatchGetItem", "ThrottlingException", times=2)
        assert hygiene.invoke({"command": "sweep-release", **run_of, "release": {}})["sweep"]["is_recorded"]
        if number == 8:
            world.fault("dynamodb:BatchGetItem", "ThrottlingException", times=2)
        assert sweeper.invoke({"command": "sweep-digest", **run_of})["sweep"]["is_recorded"]
    assert [it["times"] for it in world.faults()] == [0] * 5
    assert len([it for it in world.alerts() if f"sweep {day(8)}" in it["Subject"]]) == 1


@pytest.mark.parametrize("end", ["Failed", "TimedOut", "Aborted"])
def test_an_alarm_is_raised_however_the_state_machine_ends_badly(end):
    """One value of that metric is enough, and of no other: a metric without any is not there for CloudWatch."""
    [alarm] = alarms_on(f"Executions{end}")
    assert "Metrics" not in alarm and alarm["Statistic"] == "Sum" and alarm["TreatMissingData"] == "notBreaching"
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold" and (alarm["Threshold"], alarm["EvaluationPeriods"]) == (1, 1)


def test_a_sweep_that_does_not_run_at_all_is_an_alarm():
    [alarm] = alarms_on("ExecutionsSucceeded")
    assert alarm["ComparisonOperator"] == "LessThanThreshold" and alarm["Threshold"] == 1 and alarm["TreatMissingData"] == "breaching"
    # A day's sweep may end an hour later than that of the day before.
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (86_400, 2)


def test_what_fails_in_a_child_of_a_map_is_told_though_no_alarm_counts_it():
    """Their metrics have the state machine's ARN with the map's label behind it.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-examine-map-run.html
    """
    definition = templates.translated()["Resources"]["Sweep"]["Properties"]["Definition"]
    maps = [it for it in definition["States"].values() if it["Type"] == "Map"]
    assert [it["Label"] for it in maps] == ["accounts", "shares"]
    for it in maps:
        states = it["ItemProcessor"]["States"].values()
        failing = [state for state in states if state["Type"] in ("Task", "Map")]
        assert failing and all(state["Catch"][-1]["ErrorEquals"] == ["States.ALL"] for state in failing)
    accounts, shares = maps
    # The digest names an account without a row of the day; a share that ended otherwise is one that was not sent.
    assert accounts["ToleratedFailurePercentage"] == 100 and "ToleratedFailurePercentage" not in shares
    assert shares["Catch"][0] == {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "NotEverybody"}


def alarms_on(metric):
    resources = templates.translated()["Resources"].values()
    found = [it["Properties"] for it in resources if it["Type"] == "AWS::CloudWatch::Alarm" and it["Properties"].get("MetricName") == metric]
    for alarm in found:
        assert alarm["Namespace"] == "AWS/States" and alarm["Dimensions"] == [{"Name": "StateMachineArn", "Value": {"Ref": "Sweep"}}]
        assert alarm["AlarmActions"] == [{"Ref": "AlertTopic"}]
    return found


def test_a_digest_that_could_not_be_sent_is_sent_by_the_next_try_and_once(world):
    world.deploy(SweepAccounts=world.member)
    sweeper = world.responder(part="sweeper")
    run_of = {"day": day(0), "execution": "e"}
    sweeper.invoke({"command": "sweep-accounts", **run_of})
    world.fault("sns:Publish", "InternalError", status=500, times=4)
    assert sweeper.invoke({"command": "sweep-digest", **run_of})["errorType"] == "ResponseIncomplete"
    for _ in range(2):
        assert "errorType" not in sweeper.invoke({"command": "sweep-digest", **run_of})
    [alert] = world.alerts()
    assert f"- {world.member}: nothing came of it; it was never swept" in alert["Message"]


def test_ten_thousand_accounts_are_listed_and_told_of(world):
    """By the two ends of the state machine; what its map may hold is in docs/sweep.md."""
    world.deploy()
    accounts = [f"{100_000_000_000 + number}" for number in range(10_000)]
    world.control("organization", {"account": world.security, "accounts": [listed(it) for it in accounts]})
    sweeper = world.responder(part="sweeper")
    run_of = {"day": day(0), "execution": "e"}
    answer = sweeper.invoke({"command": "sweep-accounts", **run_of})
    assert answer["sweep"]["accounts"] == accounts
    # The state that is handed on holds 256 KiB, and little beside this list.
    assert len(json.dumps(accounts, separators=(",", ":"))) < 200_000
    told = sweeper.invoke({"command": "sweep-digest", **run_of})
    assert "sweep" in told, told
    told = told["sweep"]
    assert "10000 accounts NOT swept" in told["outcome"]
    assert len(world.alerts()[0]["Message"]) < 256 * 1024


@pytest.mark.seconds(50)
def test_the_demo_shows_the_ladder_and_draws_it(tmp_path):
    picture = tmp_path / "sweep.svg"
    shown = subprocess.run([sys.executable, "-m", "tests.sweep_demo", "--picture", str(picture)], cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert shown.returncode == 0, shown.stderr
    for line in (
        "alice    missing-mfa: reminded, 3 days left",
        "bob      missing-mfa: no problem any more",
        "alice    missing-mfa: waits for a person, request 2",
        "carol    missing-mfa: declined",
        "missing-mfa of alice: Contained",
        "alice    missing-mfa: keys deactivated",
    ):
        assert line in shown.stdout, line
    assert "its state is SUSPENDED" in shown.stdout
    drawn = ElementTree.parse(picture)
    words = [it.text for it in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("warned") == 3 and "waits for a person" in words
