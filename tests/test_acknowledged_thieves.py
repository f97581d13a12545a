"""Whoever has the role of Slack's endpoint silences no critical alert without a word."""

import time

import pytest

from .harness.ledger import DUE
from .harness.requests import ask, command, item
from .harness.victims import User
from .test_acknowledged import ROOT, stage, woken_for
from .test_approvals_many import decoys
from .test_front_thieves import change, thief

DECIDED = {"d": {"S": "decline"}, "b": {"S": "x"}, "a": {"N": "1"}}


def decide(world, stolen, request):
    change(world, stolen, f"request#{request}", "SET decision = :d, decided_by = :b, decided_at = :a", **DECIDED)


def take_back(world, stolen, request):
    change(world, stolen, f"request#{request}", "REMOVE decision, decided_by, decided_at")


def test_a_decision_that_is_taken_back_ends_no_repetition_of_a_question(world):
    """It stands for the moment of one wake-up, and is taken away before the responder reads it."""
    escalation, _, _, responder = stage(world, Mode="approve")
    request = ask(world, responder, User(world))
    world.alerts()
    escalation.pass_time()
    stolen = thief(world, "slack")
    decide(world, stolen, request)
    responder.invoke(woken_for(world, escalation.alert()))
    take_back(world, stolen, request)
    # Put off, so that a decision that is somebody's is taken up first.
    assert escalation.pages() == [] and int(escalation.items()[0]["due_at"]["N"]) > int(time.time() * 1000)
    escalation.pass_time()
    responder.invoke(DUE)
    assert len(escalation.pages()) == 1 and "ended_as" not in item(world, request)


def test_a_decision_that_comes_and_goes_puts_a_repetition_off_for_minutes_alone(world):
    escalation, _, _, responder = stage(world, Mode="approve")
    request = ask(world, responder, User(world))
    escalation.pass_time(minutes=6)
    decide(world, thief(world, "slack"), request)
    responder.invoke(woken_for(world, escalation.alert()))
    assert len(escalation.pages()) == 1


def test_decisions_that_are_taken_back_end_no_repetition_of_a_list(world):
    escalation, _, _, responder = stage(world, Mode="approve")
    requests = [ask(world, responder, it) for it in decoys(world, 7)]
    responder.invoke(DUE)
    [listed] = [it for it in escalation.items() if len(it["of_requests"]["SS"]) == 2]
    for it in requests[:5]:
        command(responder, "decline", it)
    escalation.pass_time()
    stolen = thief(world, "slack")
    for it in requests[5:]:
        decide(world, stolen, it)
    responder.invoke(woken_for(world, listed["id"]["S"].removeprefix("ack#")))
    for it in requests[5:]:
        take_back(world, stolen, it)
    escalation.pass_time()
    responder.invoke(DUE)
    assert "more than are asked singly" in " ".join(it["Subject"] for it in escalation.pages())


@pytest.mark.parametrize("repeated", [True, False])
def test_an_acknowledgement_that_is_taken_back_after_a_failed_telling_holds_up_no_other_alert(world, repeated):
    escalation, _, _, responder = stage(world)
    responder.invoke(world.event(ROOT))
    if repeated:
        escalation.pass_time()
        responder.invoke(DUE)
    assert len(escalation.pages()) == repeated
    stolen, alert = thief(world, "slack"), escalation.alert()
    change(world, stolen, f"acked#{alert}", "SET acknowledged_by = :by, acknowledged_at = :at", by={"S": "x"}, at={"N": "1"})
    world.fault("sns:Publish", "InternalError", status=500, text="Acknowledged")
    responder.invoke(woken_for(world, alert))
    change(world, stolen, f"acked#{alert}", "REMOVE acknowledged_by, acknowledged_at")
    [kept] = escalation.items()
    escalation.fall_due()
    responder.invoke(DUE)
    [kept] = escalation.items()
    again, now = int(kept["due_at"]["N"]), int(time.time() * 1000)
    # After a repetition it is looked at every five minutes, for a click that woke nobody.
    assert now + 240_000 < again <= now + 300_000 if repeated else again == int(kept["repeats_at"]["N"]), "it stays at the head of the list"


def test_a_thief_of_slacks_role_acknowledges_as_slacks_endpoint_alone(world):
    """The name is all by which people see that somebody silences alerts."""
    escalation, _, _, responder = stage(world)
    responder.invoke(world.event(ROOT))
    world.alerts()
    stolen, later = thief(world, "slack"), str(int(time.time() * 1000) + 3_600_000)
    for_eve = {"by": {"S": "Eve (as stated with the command)"}, "at": {"N": later}}
    change(world, stolen, f"acked#{escalation.alert()}", "SET acknowledged_by = :by, acknowledged_at = :at", **for_eve)
    responder.invoke(woken_for(world, escalation.alert()))
    [told] = world.alerts()
    assert told["Message"].startswith("Acknowledged by Slack's endpoint in the name of Eve (as stated with the command) at")
    assert "which can't be: that is yet to come" in told["Message"].splitlines()[0]


def test_an_acknowledgement_that_a_thief_writes_anew_is_told_once_to_each_while_one_refuses(world):
    """Neither is anybody told anew by another name or time, nor does the day begin anew."""
    escalation, _, _, responder = stage(world)
    responder.invoke(world.event(ROOT))
    escalation.pass_time()
    responder.invoke(DUE)
    world.alerts()
    assert len(escalation.pages()) == 1
    [topic] = [it["TopicArn"] for it in world.client("sns", world.security).list_topics()["Topics"] if "lert" in it["TopicArn"]]
    world.fault("sns:Publish", "AuthorizationError", status=403, text=topic.rsplit(":", 1)[1])
    stolen, alert = thief(world, "slack"), escalation.alert()
    for n in range(4):
        change(world, stolen, f"acked#{alert}", "SET acknowledged_by = :by, acknowledged_at = :at", by={"S": "x"}, at={"N": str(n + 1)})
        responder.invoke(woken_for(world, alert))
    assert len(escalation.pages()) == 1
