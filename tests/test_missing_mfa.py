"""The playbook `missing-mfa` on the wire: who can sign in without MFA loses the keys, and nobody else anything."""

import pytest

from .harness.doors import ALLOW_ALL
from .harness.requests import command
from .harness.victims import User

ENFORCED = {"PlaybookModes": "missing-mfa=enforce"}


def console_user(world, name="alice"):
    user = User(world, name=name)
    world.iam.create_login_profile(UserName=name, Password="Correct-horse-9")
    return user


def respond(world, user, control="5-console-user"):
    event = world.event(f"security-hub-iam-{control}-without-mfa", user)
    finding = world.finding(event)
    [report] = world.responder(part="hygiene").invoke(event)["reports"]
    return report, finding()["Workflow"]["Status"]


@pytest.mark.parametrize("control", ["5-console-user", "19-user"])
def test_the_keys_go_and_the_console_is_said_to_stay(world, control):
    world.deploy(**ENFORCED)
    user = console_user(world)
    before = user.state()
    report, status = respond(world, user, control)
    assert (report["playbook"], report["verdict"], status) == ("missing-mfa", "Contained", "NOTIFIED")
    after = user.state()
    assert set(after["keys"].values()) == {"Inactive"} and after["tags"]["SecurityIncident"] == "AutoRemediated"
    assert (after["policies"], after["groups"], after["inline"]) == (before["policies"], before["groups"], before["inline"])
    [alert] = world.alerts()
    assert "the console stays open" in alert["Message"]


def test_who_turned_it_on_since_keeps_everything(world):
    world.deploy(**ENFORCED)
    user = console_user(world)
    world.iam.enable_mfa_device(
        UserName="alice",
        SerialNumber=f"arn:aws:iam::{world.member}:u2f/user/alice/key",
        AuthenticationCode1="123456",
        AuthenticationCode2="654321",
    )
    before = user.state()
    report, _ = respond(world, user)
    assert "MFA was turned on since: nothing is done" in report["notes"]
    assert user.state() == before and user.key_works()
    assert "MFA was turned on since" in world.alerts()[0]["Message"]


def test_a_program_is_left_alone(world):
    world.deploy(**ENFORCED)
    user = User(world, name="robot")
    event = world.event("security-hub-iam-19-user-without-mfa", user)
    event["detail"]["findings"][0]["Resources"][0]["Id"] = user.arn
    event["detail"]["findings"][0]["Resources"][0]["Details"]["AwsIamUser"]["UserName"] = "robot"
    world.finding(event)
    before = user.state()
    [report] = world.responder(part="hygiene").invoke(event)["reports"]
    assert any("no console password" in it for it in report["notes"]), report
    assert user.state() == before and user.key_works()


@pytest.mark.parametrize("unread", ["iam:ListMFADevices", "iam:GetLoginProfile"])
def test_nothing_is_done_for_what_could_not_be_read(world, unread):
    world.deploy(**ENFORCED)
    user = console_user(world)
    before = user.state()
    world.fault(unread, "AccessDenied", status=403)
    responder = world.responder(part="hygiene")
    answer = responder.invoke(world.event("security-hub-iam-5-console-user-without-mfa", user))
    assert answer["errorType"] == "ResponseIncomplete"
    assert responder.last_report()["verdict"] == "Unverified" and user.state() == before


@pytest.mark.parametrize(
    ("mode", "playbooks", "expected"),
    [("enforce", "", ("approve", "Waiting", "NEW")), ("observe", "missing-mfa=approve", ("approve", "Waiting", "NEW")), ("observe", "", ("observe", "Observed", "NEW"))],
)
def test_a_person_is_asked_also_where_all_is_enforced_and_nobody_where_all_is_observed(world, mode, playbooks, expected):
    world.deploy(Mode=mode, PlaybookModes=playbooks)
    user = console_user(world)
    before = user.state()
    report, status = respond(world, user)
    assert (report["mode"], report["verdict"], status) == expected
    assert bool(world.alerts()) == (expected[0] == "approve")
    assert user.state() == before


def test_what_a_person_approved_while_all_else_is_observed_can_be_taken_back(world):
    world.deploy(Mode="observe", PlaybookModes="missing-mfa=approve")
    user = console_user(world)
    report, _ = respond(world, user)
    command(world.responder(), "approve", report["request"])
    assert not user.key_works()
    restored = world.responder(part="restorer").invoke(world.restore_command())["restore"]
    assert restored["verdict"] == "Restored", restored


def test_who_is_exempt_is_left_alone_until_that_ends(world):
    world.deploy(**ENFORCED, Exempt="arn:aws:iam::*:user/alice=2099-01-31 shared screen")
    user = console_user(world)
    before = user.state()
    report, _ = respond(world, user)
    assert report["verdict"] == "Refused" and "exempt until 2099-01-31: shared screen" in report["reason"]
    assert user.state() == before


def attached(world):
    return [it["PolicyName"] for it in world.iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]]


def test_the_console_can_be_held_back_instead_and_a_restore_lifts_that(world):
    """By the reversible policy: the keys work on, and the restore takes nothing else away."""
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    before = user.state()
    policies = attached(world)
    report, status = respond(world, user)
    assert (report["verdict"], status) == ("Contained", "NOTIFIED") and user.key_works()
    assert set(attached(world)) - set(policies) == {"SecurityRequireMfa"}
    [alert] = world.alerts()
    assert "the access keys work on" in alert["Message"] and "detach-user-policy" in alert["Message"]
    restored = world.responder(part="restorer").invoke(world.restore_command())["restore"]
    assert restored["verdict"] == "Restored" and restored["drift"] == [], restored
    assert user.state() == before and attached(world) == policies


def test_a_policy_that_is_not_there_is_said_and_nothing_is_called_contained(world):
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    world.iam.delete_policy(PolicyArn=f"arn:aws:iam::{world.member}:policy/SecurityRequireMfa")
    responder = world.responder(part="hygiene")
    answer = responder.invoke(world.event("security-hub-iam-5-console-user-without-mfa", user))
    assert answer["errorType"] == "ResponseIncomplete" and responder.last_report()["verdict"] == "NotContained"


def test_the_responders_own_function_leaves_it_to_the_one_for_hygiene(world):
    world.deploy(**ENFORCED)
    user = console_user(world)
    answer = world.responder().invoke(world.event("security-hub-iam-5-console-user-without-mfa", user))
    assert answer["reports"] == [] and user.key_works()


def test_a_hold_that_somebody_edited_is_attached_to_nobody(world):
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    before = attached(world)
    hold = f"arn:aws:iam::{world.member}:policy/SecurityRequireMfa"
    world.iam.create_policy_version(PolicyArn=hold, PolicyDocument=ALLOW_ALL, SetAsDefault=True)
    responder = world.responder(part="hygiene")
    answer = responder.invoke(world.event("security-hub-iam-5-console-user-without-mfa", user))
    assert answer["errorType"] == "ResponseIncomplete" and responder.last_report()["verdict"] == "NotContained"
    assert attached(world) == before
    assert "SecurityRequireMfa was edited" in str(responder.last_report())
    assert "SecurityRequireMfa was edited" in world.alerts()[-1]["Message"]


def test_a_hold_that_was_edited_since_is_called_no_containment_by_the_next_response(world):
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
    assert again["verdict"] == "NotContained", again
    message = world.alerts()[-1]["Message"]
    assert "somebody edited it" in message and "only what is done in the console" not in message


def test_a_hold_that_can_not_be_read_is_called_no_containment_by_the_next_response(world):
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    respond(world, user)
    event = world.event("security-hub-iam-5-console-user-without-mfa", user)
    event["detail"]["findings"][0]["Id"] += "-later"
    world.finding(event)
    world.fault("iam:GetPolicy", "AccessDenied", status=403, text="SecurityRequireMfa")
    responder = world.responder(part="hygiene")
    responder.invoke(event)
    assert responder.last_report()["verdict"] == "Unverified", responder.last_report()
