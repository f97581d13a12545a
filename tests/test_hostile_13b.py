"""Proofs of a hostile read of what was mended last of reports and of acknowledgements. Each says what is promised, and fails
where it is not kept."""

import concurrent.futures
import json
import time

import pytest

from .harness.doors import ALLOW_ALL
from .harness.ledger import DUE, Table, until
from .harness.people import DANA, EVE
from .harness.requests import about, ask, command
from .harness.victims import User
from .test_acknowledged import ROOT, SEQUENCE, click, stage, woken_for
from .test_approvals_offer import actor
from .test_front_thieves import change, thief
from .test_missing_mfa import ENFORCED, console_user, respond
from .test_report import EXFILTRATION
from .test_suspects import suspect

HOUR = 3_600_000


# What it could do, as it was before containment.


def ago(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - seconds))


def test_what_came_after_the_first_sighting_is_not_from_before_what_is_suspected_began(world):
    """GuardDuty saw it an hour ago first and ten minutes ago last; half an hour ago it made a user from a new address."""
    world.deploy(Evidence="true")
    user = User(world)
    user.session().list_users()
    world.control("history", {"account": world.member, "older_by": 7_200})
    user.session().create_user(UserName="mallory")
    world.control("history", {"account": world.member, "older_by": 1_800})
    event = world.event(EXFILTRATION, user)
    event["detail"]["service"].update(eventFirstSeen=ago(3_600), eventLastSeen=ago(600))
    world.responder().invoke(event)
    [asked] = Table(world).items("evidence#")
    made = world.responder(part="investigator").invoke(json.loads(asked["command"]["S"]))["evidence"]["report"]
    [left] = [it for it in made["left"] if it["object"] == "mallory"]
    assert not left["is_of_before"], (made["times"], [it for it in made["open_points"] if "everyday work" in it])
    assert made["times"]["seconds_to_detect"] >= 3_600


# Acknowledgements.


@pytest.mark.parametrize("known_by", ["the ARN", "the unique ID"])
def test_an_approver_does_not_acknowledge_what_names_her_user_without_a_unique_id(world, known_by):
    """`nor any user of the account where the finding has no unique ID`; SECURITY.md tells to write the unique ID."""
    user = User(world)
    own = user.arn if known_by == "the ARN" else user.id
    escalation, _, door, responder = stage(world, identities=f"{DANA}={own},{EVE}=arn:aws:iam::{world.security}:user/eve", FindingResponses="AttackSequence=alert")
    event = world.event(SEQUENCE, user)
    named = actor(world, user)
    del named["user"]["uid"]
    event["detail"]["service"]["detection"]["sequence"].update(actors=[named], resources=[])
    responder.invoke(event)
    assert click(escalation, door, DANA) == 403
    assert click(escalation, door, EVE) == 200


@pytest.mark.parametrize("known_by", ["the ARN", "the unique ID"])
def test_an_approver_does_not_acknowledge_the_refusal_to_contain_her_where_nobody_could_look(world, known_by):
    user = User(world)
    own = user.arn if known_by == "the ARN" else user.id
    escalation, _, door, responder = stage(world, identities=f"{DANA}={own},{EVE}=arn:aws:iam::{world.security}:user/eve", ProtectedPrincipals="arn:aws:iam::*:user/alice")
    world.fault("sts:AssumeRole", "AccessDenied", status=403)
    responder.invoke(about(world, "health-risk-credentials-exposed", user))
    assert click(escalation, door, DANA) == 403 and click(escalation, door, EVE) == 200


@pytest.mark.parametrize("by", ["command", "click"])
def test_what_nobody_acknowledged_for_a_day_is_acknowledged_by_nobody_later_without_a_word(world, by):
    """"Can be given for a day after that too", and "everybody who got the alert is told who made it"."""
    escalation, slack, door, responder = stage(world)
    responder.invoke(world.event(ROOT))
    escalation.pass_time()
    responder.invoke(DUE)
    escalation.pass_time(minutes=24 * 60 + 1)
    responder.invoke(DUE)
    [kept] = escalation.items()
    assert "due_at" not in kept and kept["is_over"]["BOOL"]
    world.alerts(), escalation.pages()
    if by == "command":
        answer = responder.invoke({"command": "ack", "alert": escalation.alert(), "by": "Eve"})
        is_taken = answer.get("acknowledgement", {}).get("answer") == "acknowledged"
    else:
        is_taken = click(escalation, door) == 200
        world.deliveries()
    responder.invoke(DUE)
    assert not is_taken or world.alerts(), "it was taken, and nobody was told"


def test_an_acknowledgement_of_a_question_that_was_decided_is_told_or_refused(world):
    escalation, _, _, responder = stage(world, Mode="approve")
    request = ask(world, responder, User(world))
    command(responder, "decline", request)
    escalation.pass_time()
    responder.invoke(DUE)
    world.alerts()
    answer = responder.invoke({"command": "ack", "alert": escalation.alert(), "by": "Eve"})
    is_taken = answer.get("acknowledgement", {}).get("answer") == "acknowledged"
    responder.invoke(DUE)
    assert not is_taken or world.alerts(), "it was taken, and nobody was told"


def an_hour_later(world, escalation):
    for item in escalation.items():
        moved = ", ".join(f"{it} = {it} - :hour" for it in ("due_at", "repeats_at", "repeated_at") if it in item)
        Table(world).change(item, f"SET {moved}", hour={"N": str(HOUR)})


def test_a_click_after_the_repetition_that_woke_nobody_is_told_within_the_hour(world):
    """Before the repetition it is found within a quarter of an hour; after it everybody who was called comes for a day."""
    escalation, _, door, responder = stage(world)
    responder.invoke(world.event(ROOT))
    escalation.pass_time()
    responder.invoke(DUE)
    assert len(escalation.pages()) == 1
    world.alerts()
    world.fault("events:PutEvents", "AuthorizationError", status=403)
    assert click(escalation, door) == 200
    an_hour_later(world, escalation)
    responder.invoke(DUE)
    assert [it["Subject"][:13] for it in world.alerts()] == ["Acknowledged:"]


def test_an_acknowledgement_that_a_thief_writes_anew_is_told_once_to_each_while_one_refuses(world):
    """"Is told … once each": of another time all are told anew, and the day begins anew."""
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


def test_a_hold_that_was_edited_since_is_called_no_containment_by_the_next_response(world):
    """It is attached already, so that its text is not read: "only what is done in the console without MFA is denied"."""
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    first, _ = respond(world, user)
    assert first["verdict"] == "Contained" and "SecurityRequireMfa" in user.state()["policies"]
    world.iam.create_policy_version(PolicyArn=f"arn:aws:iam::{world.member}:policy/SecurityRequireMfa", PolicyDocument=ALLOW_ALL, SetAsDefault=True)
    world.alerts()
    event = world.event("security-hub-iam-5-console-user-without-mfa", user)
    event["detail"]["findings"][0]["Id"] += "-later"
    world.finding(event)
    responder = world.responder(part="hygiene")
    responder.invoke(event)
    again = responder.last_report()
    assert again["verdict"] != "Contained", (again["verdict"], again["reason"], again["notes"], [it["Message"][:200] for it in world.alerts()])


def test_an_alert_that_names_a_suspect_whom_nobody_saw_is_not_told_as_acknowledged(world):
    """The same finding again, with somebody new in it: whoever acknowledged the first saw one suspect less."""
    escalation, _, _, responder = stage(world)
    user = User(world)
    suspect(world)
    [first] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert first["verdict"] == "SuspectsOpen"
    assert responder.invoke({"command": "ack", "alert": escalation.alert(), "by": "Dana"})["acknowledgement"]["answer"] == "acknowledged"
    world.alerts()
    suspect(world, name="svc-second", hours=0)
    [again] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert any("svc-second" in it for it in again["open"]), again
    [alert] = [it for it in world.alerts() if "svc-second" in it["Message"]]
    escalation.pass_time()
    responder.invoke(DUE)
    line = [it for it in alert["Message"].splitlines() if it.startswith("Acknowledged: ")]
    assert not line and escalation.pages(), line
