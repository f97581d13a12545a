"""What people are told, whatever an attacker wrote."""

import json
import shlex
import subprocess

from .harness.victims import INLINE, User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
HOSTILE = "Re: \r\nSubject: all clear\u202e <script>alert(1)</script> <!channel> *ok* " + "\U0001f4a3" * 20_000


def test_hostile_text_stays_text(world):
    world.deploy(response_plan=True)
    user = User(world, name="a+=,.@_-" + "x" * 56)
    event = world.event("security-hub-guardduty-exfiltration-iam-user-anomalous-behavior", user)
    [resource] = event["detail"]["findings"][0]["Resources"]
    resource["Details"]["AwsIamAccessKey"]["PrincipalName"] = user.name
    finding = world.finding(event)
    event["detail"]["findings"][0]["Title"] = HOSTILE
    [it] = world.responder().invoke(event)["reports"]
    assert it["verdict"] == "Contained"
    [alert] = world.alerts()
    assert len(alert["Subject"]) <= 99 and alert["Subject"].isascii() and alert["Subject"].isprintable()
    said = next(line for line in alert["Message"].splitlines() if line.startswith("Said: "))
    assert said.startswith("Said: Re: ??Subject: all clear? <script>") and len(said) <= 310
    [incident] = world.incidents()
    assert len(incident["title"]) <= 200
    assert len(finding()["Note"]["Text"]) <= 512


def test_every_attribute_can_be_filtered_by(world):
    world.deploy()
    world.responder().invoke(world.event(EXFILTRATION, User(world)))
    [alert] = world.alerts()
    values = {name: it["Value"] for name, it in alert["MessageAttributes"].items()}
    assert values == {"severity": "HIGH", "playbook": "compromised-credential", "account": world.member, "verdict": "Contained"}


def test_one_ops_item_for_a_principal_as_long_as_it_is_open(world):
    """The ledger knows of it; where the ledger can't be read, OpsCenter's deduplication does."""
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    responder.invoke(event)
    event["detail"]["service"]["eventLastSeen"] = "2026-11-20T19:12:48.000Z"
    [it] = responder.invoke(event)["reports"]
    assert ("OpenOpsItem", "skipped") in {(a["action"], a["outcome"]) for a in it["actions"]}
    world.fault("dynamodb:*", "AccessDenied", status=400)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    it = responder.last_report()
    assert ("OpenOpsItem", "already-done") in {(a["action"], a["outcome"]) for a in it["actions"]}
    [item] = world.ops_items()
    assert user.id in json.dumps(item) and item["Severity"] == "2"


def test_one_incident_in_a_quarter_of_an_hour_whichever_source(world):
    world.deploy(response_plan=True)
    user, responder = User(world), world.responder()
    hub = world.event("security-hub-guardduty-exfiltration-iam-user-anomalous-behavior", user)
    world.finding(hub)
    responder.invoke(world.event(EXFILTRATION, user))
    responder.invoke(hub)
    responder.invoke(world.event("health-risk-credentials-exposed", user))
    assert len(world.incidents()) == 1


def test_the_contact_of_a_response_plan_is_engaged_once(world):
    """By the plan: the responder may start incidents, and nothing of contacts."""
    contact = f"arn:aws:ssm-contacts:{world.region}:{world.security}:contact/on-duty"
    world.deploy(response_plan=True, engaged=[contact])
    user, responder = User(world), world.responder()
    for name in (EXFILTRATION, "health-risk-credentials-exposed"):
        responder.invoke(world.event(name, user))
    [incident] = world.incidents()
    [engaged] = world.client("ssm-contacts", world.security).list_engagements(IncidentId=incident["arn"])["Engagements"]
    assert engaged["ContactArn"] == contact


def test_no_notice_is_needed(world):
    """Every part is optional by configuration."""
    world.deploy(OpsItems="false")
    user = User(world)
    [it] = world.responder(ALERT_TOPIC_ARN="").invoke(world.event(EXFILTRATION, user))["reports"]
    assert {a["action"] for a in it["actions"]} == {"AttachDenyAll", "DeactivateAccessKey", "Tag"}
    assert it["verdict"] == "Contained"


def test_logs_are_json_lines_without_secrets_or_payloads(world):
    world.deploy(response_plan=True, rotation=True)
    user = User(world)
    event = world.event(EXFILTRATION, user)
    event["detail"]["description"] = "payload-marker"
    responder = world.responder()
    [report] = responder.invoke(event)["reports"]
    assert responder.last_report() == report
    output = responder.output()
    for secret in ("an-external-id-of-the-tests", user.keys[0]["SecretAccessKey"], "payload-marker"):
        assert secret not in output
    lines = [line for line in responder.log_lines() if "step" in line]
    assert {line["step"] for line in lines} == {it["action"] for it in report["actions"]}
    for line in lines:
        fields = {key: value for span in line["spans"] for key, value in span.items()}
        assert fields["requestId"] and fields["finding"] == report["finding_id"]
        assert fields["account"] == world.member and fields["principal"] == "user/alice"
        assert line["outcome"] == "applied" and line["timestamp"]


BY_HAND, UNDO = "What to do by hand, in the account:", "How to undo, in the account, or with `restore` all at once:"


def commands(world):
    """Of the one alert: the commands for a shell, by the section in which they stand."""
    [alert] = world.alerts()
    found, section = {}, ""
    for line in alert["Message"].splitlines():
        if line.endswith(":") and not line.startswith("-"):
            section = line
        if line.startswith("- aws iam "):
            found.setdefault(section, []).append(line.removeprefix("- "))
    return found


def test_an_alert_about_who_was_not_contained_has_the_commands_to_do_it_by_hand(world):
    """And none that lifts what was done."""
    world.deploy()
    user = User(world)
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403)
    responder = world.responder()
    responder.invoke(world.event(EXFILTRATION, user))
    assert responder.last_report()["verdict"] == "NotContained" and user.is_denied()
    deactivate = "aws iam update-access-key --user-name alice --access-key-id {} --status Inactive"
    assert commands(world) == {BY_HAND: [deactivate.format(it["AccessKeyId"]) for it in user.keys]}


def test_where_nothing_could_be_read_back_the_alert_has_the_commands_that_failed(world):
    world.deploy()
    user = User(world)
    for action in ("iam:AttachUserPolicy", "iam:ListAttachedUserPolicies"):
        world.fault(action, "AccessDenied", status=403)
    responder = world.responder()
    responder.invoke(world.event(EXFILTRATION, user))
    assert responder.last_report()["verdict"] == "Unverified"
    deny = "aws iam attach-user-policy --user-name alice --policy-arn arn:aws:iam::aws:policy/AWSDenyAll"
    assert commands(world) == {BY_HAND: [deny]}


def test_an_alert_about_who_was_contained_ends_with_a_command_for_each_change(world):
    """Tags too; and a boundary of the user's own comes back by what it is called."""
    world.deploy()
    user = User(world)
    made = [world.iam.create_policy(PolicyName=f"filler-{n}", Path="/team=a/", PolicyDocument=INLINE)["Policy"]["Arn"] for n in range(7)]
    for it in made:
        world.iam.attach_user_policy(UserName="alice", PolicyArn=it)
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=made[0])
    [report] = world.responder().invoke(world.event(EXFILTRATION, user))["reports"]
    assert report["verdict"] == "Contained"
    [undo] = commands(world).items()
    assert undo[0] == UNDO and [shlex.split(it)[2:] for it in undo[1]] == [
        ["put-user-permissions-boundary", "--user-name", "alice", "--permissions-boundary", made[0]],
        ["untag-user", "--user-name", "alice", "--tag-keys", "SecurityIncident", "RemediationDate", "FindingId"],
    ]
    for it in undo[1]:
        words = subprocess.run(["bash", "-c", f"printf '%s\\n' {it}"], capture_output=True, text=True, check=True).stdout
        assert words.splitlines() == shlex.split(it)
