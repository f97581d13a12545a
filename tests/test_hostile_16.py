"""Proofs of a hostile read of critical alerts: who silences one without a word."""

import concurrent.futures
import json
import time

import pytest

from .harness.ledger import DUE, Table
from .harness.people import DANA
from .harness.requests import EXFILTRATION, about, ask, command, item, wake_up
from .harness.victims import User
from .harness import shell
from . import test_documented_commands as documented
from .test_acknowledged import ROOT, SEQUENCE, click, stage
from .test_approvals_many import decoys
from .test_approvals_offer import actor
from .test_front_thieves import change, thief


def woken_for(world, alert):
    """As whoever has the role of Slack's endpoint puts it on the bus."""
    return {**wake_up(world, "x"), "detail": {"alert": alert}}


def test_a_thief_of_slacks_role_ends_the_repetition_of_a_question_only_with_a_word_to_people(world):
    """A decision that stands for the moment of one wake-up, and is taken away before anybody reads it."""
    escalation, _, _, responder = stage(world, Mode="approve")
    request = ask(world, responder, User(world))
    world.alerts()
    escalation.pass_time()
    stolen = thief(world, "slack")
    change(world, stolen, f"request#{request}", "SET decision = :d, decided_by = :b, decided_at = :a", d={"S": "decline"}, b={"S": "x"}, a={"N": "1"})
    responder.invoke(woken_for(world, escalation.alert()))
    change(world, stolen, f"request#{request}", "REMOVE decision, decided_by, decided_at")
    for _ in range(3):
        responder.invoke(DUE)
    pages, alerts = escalation.pages(), world.alerts()
    assert "ended_as" not in item(world, request)
    assert pages or alerts, f"nobody was told of anything, the question waits, and its alert is over: {escalation.items()[0].get('is_over')}"


@pytest.mark.seconds(30)
def test_that_an_approved_containment_did_not_hold_is_repeated_though_its_question_was_decided(world):
    escalation, _, _, responder = stage(world, Mode="approve", StrikeWhileWaiting="true", SettleSeconds="1")
    user = User(world)
    for action in ("iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary"):
        world.fault(action, "AccessDenied", status=403)
    responder.invoke(about(world, EXFILTRATION, user))
    report = responder.last_report()
    assert report["request"] and report["verdict"] == "NotContained", report
    [first] = escalation.items()
    world.alerts()
    command(responder, "approve", report["request"])
    after, told = responder.last_report(), world.alerts()
    assert after["verdict"] == "NotContained" and len(told) == 1, (after["verdict"], after["reason"], [it["Subject"] for it in told])
    escalation.pass_time()
    responder.invoke(DUE)
    assert escalation.pages(), (told[0]["Subject"], [{k: v for k, v in it.items() if k in ("subject", "is_over", "of_requests")} for it in escalation.items()])


def test_an_approver_who_was_renamed_back_before_the_alert_does_not_acknowledge_what_is_about_herself(world):
    """The finding has the name of then, and no unique ID."""
    identities = f"{DANA}=arn:aws:iam::{world.member}:user/alice"
    escalation, _, door, responder = stage(world, identities=identities, FindingResponses="AttackSequence=alert")
    user = User(world)
    world.iam.update_user(UserName="alice", NewUserName="alice-then")
    event = world.event(SEQUENCE, user)
    named = actor(world, user)
    named["user"].update(name="alice-then")
    del named["user"]["uid"]
    event["detail"]["service"]["detection"]["sequence"].update(actors=[named], resources=[])
    world.iam.update_user(UserName="alice-then", NewUserName="alice")
    responder.invoke(event)
    assert len(escalation.items()) == 1
    assert click(escalation, door, DANA) == 403, escalation.items()[0].get("barred")


def test_two_who_repeat_an_alert_at_once_leave_nothing_at_the_head_of_what_is_due(world):
    escalation, _, _, responder = stage(world)
    responder.invoke(world.event(ROOT))
    escalation.pass_time()
    other = world.responder()
    for it in (other, responder):
        it.invoke({"command": "requests"})
    world.fault("dynamodb:UpdateItem", text="holder = :me", times=1, delay_ms=1_000)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(other.invoke, woken_for(world, escalation.alert()))
        time.sleep(0.3)
        responder.invoke(woken_for(world, escalation.alert()))
        slow.result()
    [kept] = escalation.items()
    assert len(escalation.pages()) == 1 and "repeated_at" in kept
    assert int(kept["due_at"]["N"]) > int(time.time() * 1000), "it is listed first for a day, and nothing is done about it"


def test_fifty_that_were_repeated_by_two_at_once_hold_up_no_other(world):
    """What the test before leaves, fifty times."""
    escalation, _, _, responder = stage(world)
    responder.invoke(world.event(ROOT))
    escalation.pass_time()
    [kept] = escalation.items()
    table, now = Table(world), int(time.time() * 1000)
    for n in range(50):
        left = {"id": {"S": f"ack#{n:026d}".translate(str.maketrans("0189", "abcd"))}, "repeated_at": {"N": str(now - 1)}, "due_at": {"N": "-1"}}
        table.client.put_item(TableName=table.name, Item={**kept, **left})
    for _ in range(3):
        responder.invoke(DUE)
    assert len(escalation.pages()) == 1


WRONG = [
    "aws organizations attach-policy",
    "sam deploy --parameter-overrides Mode=aprove",
    "cargo test --manifest-path tests/blockkit/Cargo.toml --no-such-option",
    "jq -r .reprots[0].verdict answer.json",
    "make demo EVENT=event/no-such.json",
    "make mutants FILE=src/no/such.rs",
    "make demo EVENT=events/drill.json RUNS=5",
    ".venv/bin/python -m pytest --no-such-option tests/test_demo.py",
    "python3 -c 'no such thing'",
    "aws stepfunctions start-execution --state-machine-arn $SweepStateMachineArn --input '{\"relase\":{\"by\":\"Dana\"}}'",
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_in_a_document_is_seen(tmp_path, monkeypatch, wrong):
    """As `test_every_command_is_one_that_its_program_takes` goes over a document's `sh` blocks."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    [it] = shell.parse(wrong)
    assert documented.first_row(it) is not None
    with pytest.raises(AssertionError):
        documented.check_aws(it, None, tmp_path) if it.program == "aws" else documented.CHECKS.get(it.program, lambda _: None)(it)


@pytest.mark.parametrize("text", ["~~~sh\nmake no-such-verb\n~~~\n", "    make no-such-verb\n", "Run `python3 -m tests.no_such --all`.\n", "Run `tools/no-such --fix`.\n"])
def test_a_command_that_is_written_otherwise_is_looked_at(tmp_path, monkeypatch, text):
    (tmp_path / "x.md").write_text(text)
    monkeypatch.setattr(shell, "ROOT", tmp_path)
    assert shell.commands("x.md")


def test_a_thief_of_slacks_role_ends_the_repetition_of_a_list_only_with_a_word_to_people(world):
    escalation, _, _, responder = stage(world, Mode="approve")
    requests = [ask(world, responder, it) for it in decoys(world, 7)]
    responder.invoke(DUE)
    [listed] = [it for it in escalation.items() if len(it["of_requests"]["SS"]) == 2]
    for it in requests[:5]:
        command(responder, "decline", it)
    while world.alerts():
        pass
    escalation.pass_time()
    stolen = thief(world, "slack")
    for it in requests[5:]:
        change(world, stolen, f"request#{it}", "SET decision = :d, decided_by = :b, decided_at = :a", d={"S": "decline"}, b={"S": "x"}, a={"N": "1"})
    responder.invoke(woken_for(world, listed["id"]["S"].removeprefix("ack#")))
    for it in requests[5:]:
        change(world, stolen, f"request#{it}", "REMOVE decision, decided_by, decided_at")
    responder.invoke(DUE)
    assert escalation.pages() or world.alerts()


def test_what_somebody_silenced_after_a_failed_telling_holds_up_no_other_alert(world):
    """The acknowledgement is taken away before people could be told of it: fifty of these stand first for a day."""
    escalation, _, _, responder = stage(world)
    responder.invoke(world.event(ROOT))
    escalation.pass_time()
    responder.invoke(DUE)
    assert len(escalation.pages()) == 1
    stolen, alert = thief(world, "slack"), escalation.alert()
    change(world, stolen, f"acked#{alert}", "SET acknowledged_by = :by, acknowledged_at = :at", by={"S": "x"}, at={"N": "1"})
    world.fault("sns:Publish", "InternalError", status=500, text="Acknowledged")
    responder.invoke(woken_for(world, alert))
    change(world, stolen, f"acked#{alert}", "REMOVE acknowledged_by, acknowledged_at")
    [kept] = escalation.items()
    assert int(kept["due_at"]["N"]) > int(time.time() * 1000) + 3_600_000, "it is due within a minute, and stays on the list for a day"


def test_who_acknowledged_is_told_once_to_the_escalation_topic_though_the_other_topic_refuses(world):
    escalation, _, door, responder = stage(world)
    responder.invoke(world.event(ROOT))
    escalation.pass_time()
    responder.invoke(DUE)
    assert len(escalation.pages()) == 1
    [topic] = [it["TopicArn"] for it in world.client("sns", world.security).list_topics()["Topics"] if "lert" in it["TopicArn"]]
    world.fault("sns:Publish", "AuthorizationError", status=403, text=topic.rsplit(":", 1)[1])
    assert click(escalation, door) == 200
    world.deliveries()
    for _ in range(4):
        escalation.pass_time()
        responder.invoke(DUE)
    told = [it["Subject"][:13] for it in escalation.pages()]
    assert told == ["Acknowledged:"], told


def test_a_thief_of_slacks_role_acknowledges_in_nobody_elses_name(world):
    """The name is all by which people see that somebody silences alerts."""
    escalation, _, _, responder = stage(world)
    responder.invoke(world.event(ROOT))
    world.alerts()
    change(world, thief(world, "slack"), f"acked#{escalation.alert()}", "SET acknowledged_by = :by, acknowledged_at = :at", by={"S": "dana (Slack U0DANA)"}, at={"N": "1"})
    responder.invoke(woken_for(world, escalation.alert()))
    [told] = world.alerts()
    assert "Acknowledged by dana (Slack U0DANA) at" not in told["Message"], told["Message"].splitlines()[0]
