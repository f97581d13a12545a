"""What must change nothing, and say why."""

import json

import pytest

from .harness.processes import ROOT
from .harness.victims import Role, User, allowed, user_state

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def inputs(kind):
    return sorted(path.stem for path in (ROOT / "tests" / "inputs" / kind).glob("*.json"))


def iam_writes(world):
    return [action for action in world.writes() if action.startswith("iam:")]


def refused(world, event, because, **settings):
    """The event changes no identity and is answered with the reason; a person is told."""
    answer = world.responder(**settings).invoke(event)
    [it] = answer["reports"]
    assert it["verdict"] == "Refused" and because in it["reason"], it
    assert iam_writes(world) == []
    alerts = world.alerts()
    assert len(alerts) == 1 and "refused" in alerts[0]["Subject"]
    return it


def test_protected_user(world):
    world.deploy(ProtectedPrincipals="arn:aws:iam::*:user/alice")
    user = User(world)
    refused(world, world.event(EXFILTRATION, user), "PROTECTED_PRINCIPALS")
    assert user.key_works()


def test_protected_by_unique_id(world):
    world.deploy()
    user = User(world)
    refused(world, world.event(EXFILTRATION, user), "PROTECTED_PRINCIPALS", PROTECTED_PRINCIPALS=user.id)


def test_the_responders_own_role(world):
    world.deploy()
    event = {"command": "contain", "account": world.member, "role": "SecurityRemediationRole"}
    refused(world, event, "own roles")


@pytest.mark.parametrize(
    ("path", "name", "because"),
    [
        ("/aws-service-role/x.amazonaws.com/", "AWSServiceRoleForX", "service-linked"),
        ("/aws-reserved/sso.amazonaws.com/", "AWSReservedSSO_Admin_0123456789abcdef", "Identity Center"),
    ],
)
def test_roles_that_iam_can_not_edit(world, path, name, because):
    world.deploy()
    Role(world, name=name, path=path)
    refused(world, {"command": "contain", "account": world.member, "role": name}, because)


def test_namesake_with_another_unique_id(world):
    world.deploy()
    user = User(world)
    event = world.event(EXFILTRATION, user)
    event["detail"]["resource"]["accessKeyDetails"]["principalId"] = "AIDAOTHEROTHEROTHER00"
    refused(world, event, "namesake")
    assert user.key_works()


def test_namesake_that_is_younger_than_the_finding(world):
    """The finding has no unique ID, and the user who bears the name was created later."""
    world.deploy()
    user = User(world)
    user.identify(created="2030-01-01T00:00:00")
    event = world.event(EXFILTRATION, user)
    del event["detail"]["resource"]["accessKeyDetails"]["principalId"]
    refused(world, event, "created at")


def test_key_of_another_user(world):
    world.deploy()
    alice, bob = User(world), User(world, name="bob", groups=())
    event = world.event(EXFILTRATION, alice)
    details = event["detail"]["resource"]["accessKeyDetails"]
    del details["principalId"]
    details["accessKeyId"] = bob.keys[0]["AccessKeyId"]
    refused(world, event, "does not belong to user `alice`")
    assert alice.key_works() and bob.key_works()


def test_user_that_is_gone(world):
    world.deploy()
    user = User(world, groups=())
    event = world.event(EXFILTRATION, user)
    world.iam.update_user(UserName="alice", NewUserName="other")
    del event["detail"]["resource"]["accessKeyDetails"]["principalId"]
    refused(world, event, "there is no user `alice`")


def test_account_outside_the_list(world):
    world.deploy(MemberAccounts="444455556666")
    user = User(world)
    refused(world, world.event(EXFILTRATION, user), "MEMBER_ACCOUNTS")
    assert not [e for e in world.journal() if e["action"] == "sts:AssumeRole"]


@pytest.mark.parametrize("name", inputs("refused"))
def test_contradictions_and_what_is_no_iam_identity(world, name):
    world.deploy(TrustedProducts="product/aws/*,product/prowler/prowler")
    user = User(world)
    before = user.state()
    event = world.event(name, user, folder="tests/inputs/refused")
    if event["detail-type"].startswith("Security Hub Findings"):
        world.finding(event)
    answer = world.responder().invoke(event)
    if not answer["reports"]:  # What can wait has a function of its own.
        answer = world.responder(part="hygiene").invoke(event)
    assert {it["verdict"] for it in answer["reports"]} == {"Refused"}, answer
    assert iam_writes(world) == [] and user.state() == before
    assert len(world.alerts()) == len(answer["reports"])


def test_what_is_not_ours_changes_nothing(world):
    world.deploy(TrustedCreators="arn:aws:iam::*:role/Terraform")
    user = User(world)
    before, responder = user.state(), world.responder()
    for name in inputs("ignored"):
        answer = responder.invoke(world.event(name, user, folder="tests/inputs/ignored"))
        assert answer["reports"] == [] and answer["ignored"][0]["reason"], name
    assert world.writes() == [] and user.state() == before


def test_what_is_malformed_changes_nothing_and_is_an_error(world):
    """An error is what makes Lambda try again and keep the event in the dead-letter queue."""
    world.deploy()
    user = User(world)
    before, responder = user.state(), world.responder()
    for name in inputs("malformed"):
        answer = responder.invoke(world.event(name, user, folder="tests/inputs/malformed"))
        assert answer["errorType"] == "MalformedEvent", (name, answer)
        assert "`: expected" in answer["errorMessage"], answer
    assert iam_writes(world) == [] and user.state() == before
    # Most of the inputs are one event in many states, and people are told of an event once.
    alerts = world.alerts()
    told = {line for alert in alerts for line in alert["Message"].splitlines() if line.startswith("Event: ")}
    assert 0 < len(told) == len(alerts) and all("Unreadable event" in alert["Subject"] for alert in alerts)


@pytest.mark.parametrize(
    "payload",
    [b"[" * 100_000, b"{" * 1000, b'{"source":' + b'"x' * 10, b"", b"\xff\xfe", b'{"source":"' + b"a" * 1_000_000 + b'"}'],
    ids=["deep", "open", "broken", "empty", "not-utf8", "large"],
)
def test_no_payload_brings_the_function_down(world, payload):
    world.deploy()
    responder = world.responder()
    assert "errorType" in responder.invoke(payload)
    assert "reports" in responder.invoke(world.event("schedule-event", folder="tests/inputs/ignored"))
    assert "panic" not in responder.output()


def test_one_malformed_finding_does_not_stop_the_others(world):
    world.deploy()
    user = User(world)
    event = world.event("security-hub-two-findings", user)
    event["detail"]["findings"][1]["Resources"][0]["Id"] = "bob"
    world.finding(event)
    answer = world.responder().invoke(event)
    assert answer["errorType"] == "ResponseIncomplete"
    assert "detail.findings[1].Resources[0].Id" in answer["errorMessage"]
    assert "AWSDenyAll" in user.state()["policies"]


def test_wrong_external_id(world):
    world.deploy(member_external_id="another-external-id-entirely")
    user = User(world)
    before = user.state()
    answer = world.responder().invoke(world.event(EXFILTRATION, user))
    assert answer["errorType"] == "ResponseIncomplete" and "can't assume" in answer["errorMessage"]
    assert user.state() == before and user.key_works()
    [alert] = world.alerts()
    assert "NOT CONTAINED" in alert["Subject"] and "external" not in json.dumps(alert).lower()


def test_unknown_account(world):
    world.deploy()
    answer = world.responder().invoke({"command": "contain", "account": "444455556666", "user": "alice"})
    assert answer["errorType"] == "ResponseIncomplete"
    assert "arn:aws:iam::444455556666:role/SecurityRemediationRole" in answer["errorMessage"]


def test_simulation_when_it_is_off(world):
    world.deploy()
    user = User(world)
    event = world.event("simulation-exfiltration-iam-user-anomalous-behavior", user)
    assert "SIMULATION" in world.responder().invoke(event)["ignored"][0]["reason"]
    assert user_state(world.iam, "alice")["tags"] == {}


def test_all_problems_of_the_configuration_are_told_until_they_are_mended(world):
    world.deploy()
    responder = world.responder(EXTERNAL_ID="", MODE="dry-run", MIN_SEVERITY="high")
    for _ in range(2):
        answer = responder.invoke(world.event(EXFILTRATION))
        assert answer["errorType"] == "InvalidConfiguration"
        for name in ("EXTERNAL_ID: not set", "MODE: ", "MIN_SEVERITY: "):
            assert name in answer["errorMessage"]


def test_a_role_that_only_bears_the_name_of_identity_centers_is_contained(world):
    """Its path is `/`: Identity Center's are under `/aws-reserved/sso.amazonaws.com/`, where nobody else makes one."""
    world.deploy()
    role = Role(world, name="AWSReservedSSO_AdministratorAccess_0123456789abcdef")
    session = role.session()
    command = {"command": "contain", "account": world.member, "reason": "a key in a paste", "role": role.name}
    [report] = world.responder().invoke(command)["reports"]
    assert report["verdict"] == "Contained" and not allowed(session.list_users), report


def renamed_after_the_finding(world, protected, name, new):
    """A user whom the finding names, and who is called otherwise by the time that it arrives."""
    world.deploy(ProtectedPrincipals=f"arn:aws:iam::*:user/{protected}")
    user = User(world, name=name)
    event = json.loads(json.dumps(world.event("guardduty-exfiltration-iam-user-anomalous-behavior", user)).replace('"alice"', f'"{name}"'))
    world.iam.update_user(UserName=name, NewUserName=new)
    user.name = new
    [report] = world.responder().invoke(event)["reports"]
    return user, report


def test_a_user_that_took_a_protected_name_afterwards_is_contained(world):
    """`breakglass` is protected in every account; in this one there is none until the intruder renames its own."""
    user, report = renamed_after_the_finding(world, "breakglass", "alice", "breakglass")
    assert report["verdict"] == "Contained" and not user.key_works(), report


def test_a_protected_user_that_somebody_renamed_is_left_and_told(world):
    user, report = renamed_after_the_finding(world, "breakglass", "breakglass", "alice")
    assert report["verdict"] == "Refused" and "called `alice` now" in report["reason"], report
    assert user.key_works() and world.alerts()
