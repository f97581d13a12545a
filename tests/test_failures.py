"""What goes wrong with AWS: everything else is still done, nothing is called better than it is, and
the invocation ends in an error, so that it is tried again."""

import time

import pytest

from .harness.victims import User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


@pytest.mark.parametrize(
    ("action", "code", "status"),
    [
        ("sts:AssumeRole", "Throttling", 400),
        ("iam:GetUser", "ServiceFailure", 500),
        ("iam:AttachUserPolicy", "Throttling", 400),
        ("iam:AttachUserPolicy", "ConcurrentModification", 409),
        ("iam:UpdateAccessKey", "EntityTemporarilyUnmodifiable", 409),
        ("iam:TagUser", "ConcurrentModification", 409),
        ("iam:ListAccessKeys", "ServiceFailure", 500),
        ("ssm-incidents:StartIncident", "ThrottlingException", 429),
        ("sns:Publish", "InternalError", 500),
    ],
)
def test_passing_faults_are_tried_again(world, action, code, status):
    world.deploy(response_plan=True, rotation=True)
    user = User(world)
    world.fault(action, code, status=status, times=2)
    [it] = world.responder().invoke(world.event(EXFILTRATION, user))["reports"]
    assert it["verdict"] == "Contained" and not user.key_works()
    assert len(world.incidents()) == 1 and len(world.alerts()) == 1


@pytest.mark.parametrize(
    ("action", "code", "status", "verdict"),
    [
        ("iam:AttachUserPolicy", "AccessDenied", 403, "NotContained"),
        ("iam:UpdateAccessKey", "AccessDenied", 403, "NotContained"),
        ("iam:TagUser", "AccessDenied", 403, "Contained"),
        ("iam:ListGroupsForUser", "AccessDenied", 403, "Unverified"),
        ("iam:ListAccessKeys", "AccessDenied", 403, "Unverified"),
        ("iam:ListAttachedUserPolicies", "AccessDenied", 403, "Unverified"),
        ("iam:GetUser", "AccessDenied", 403, "NotContained"),
        ("ssm:StartAutomationExecution", "AutomationDefinitionNotFoundException", 400, "Contained"),
        ("ssm-incidents:StartIncident", "AccessDeniedException", 403, "Contained"),
        ("sns:Publish", "AuthorizationError", 403, "Contained"),
    ],
)
def test_a_lasting_fault_of_one_call_stops_no_other(world, action, code, status, verdict):
    world.deploy(response_plan=True, rotation=True)
    user = User(world)
    world.fault(action, code, status=status)
    responder = world.responder()
    answer = responder.invoke(world.event(EXFILTRATION, user))
    assert answer["errorType"] == "ResponseIncomplete" and code in answer["errorMessage"], answer
    assert responder.last_report()["verdict"] == verdict
    if action not in ("iam:AttachUserPolicy", "iam:GetUser"):
        assert "AWSDenyAll" in user.state()["policies"]
    if action not in ("iam:UpdateAccessKey", "iam:ListAccessKeys", "iam:GetUser"):
        assert set(user.state()["keys"].values()) == {"Inactive"}
    if not action.startswith("ssm-incidents"):
        assert len(world.incidents()) == 1
    if action != "sns:Publish":
        [alert] = world.alerts()
        assert code in alert["Message"]
    # A runbook that makes new keys must not serve an attacker.
    assert len(world.rotations()) == (1 if verdict == "Contained" and not action.startswith("ssm:") else 0)


def test_the_retry_does_what_was_missing(world):
    world.deploy(response_plan=True)
    user = User(world)
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403, times=4)
    responder, event = world.responder(), world.event(EXFILTRATION, user)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    assert "Active" in user.state()["keys"].values()
    [it] = responder.invoke(event)["reports"]
    assert it["verdict"] == "Contained" and set(user.state()["keys"].values()) == {"Inactive"}
    assert len(world.incidents()) == 1


def test_a_finding_keeps_its_status_after_a_failure(world):
    world.deploy()
    user = User(world)
    event = world.event("security-hub-iam-8-unused-credentials", user)
    finding = world.finding(event)
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403)
    assert world.responder(part="hygiene").invoke(event)["errorType"] == "ResponseIncomplete"
    assert finding()["Workflow"]["Status"] == "NEW"
    assert "NOT CONTAINED" in finding()["Note"]["Text"] and len(finding()["Note"]["Text"]) <= 512


def test_an_unprocessed_finding_is_a_failure(world):
    """Security Hub answers 200 for a finding that it doesn't know."""
    world.deploy()
    user = User(world)
    responder = world.responder(part="hygiene")
    answer = responder.invoke(world.event("security-hub-iam-8-unused-credentials", user))
    assert "FindingNotFound" in answer["errorMessage"]
    assert responder.last_report()["verdict"] == "Contained"


def test_a_slow_aws_does_not_outlast_the_function(world):
    """The report comes before Lambda ends the function, and says what was not reached."""
    world.deploy()
    user = User(world)
    world.fault("iam:List*", delay_ms=15_000)
    responder, began = world.responder(timeout=14), time.monotonic()
    answer = responder.invoke(world.event(EXFILTRATION, user))
    assert time.monotonic() - began < 13
    assert answer["errorType"] == "ResponseIncomplete", answer
    assert responder.last_report()["verdict"] in ("NotContained", "Unverified")
    assert len(world.alerts()) == 1


@pytest.mark.seconds(10)
def test_slow_lists_do_not_hold_up_the_deny(world):
    """Only the identity itself is waited for."""
    world.deploy()
    user = User(world)
    world.fault("iam:ListGroupsForUser", delay_ms=15_000)
    world.responder(timeout=20).invoke(world.event(EXFILTRATION, user))
    assert "AWSDenyAll" in user.state()["policies"] and "Active" not in (user.state()["keys"][user.keys[0]["AccessKeyId"]],)
