"""What people are told without a containment: alerts, digests, and events that could not be read."""

import json
import os
import subprocess
import time

from .harness.processes import ROOT as ROOT_FOLDER
from .harness.victims import Role, User

TOR = "guardduty-unauthorized-access-iam-user-tor-ip-caller-medium"
LOW = "guardduty-discovery-iam-user-anomalous-behavior-low"
S3 = "guardduty-exfiltration-s3-anomalous-behavior-by-role"
NAME_ONLY = "security-hub-v2-guardduty-exfiltration-iam-user-anomalous-behavior-name-without-type"
ROOT = "guardduty-policy-iam-user-root-credential-usage"


def writes_to_iam(world):
    return [action for action in world.writes() if action.startswith("iam:")]


def told(answer):
    return [(it["how"], it["outcome"]) for it in answer["told"]]


def test_clear_theft_below_the_threshold_is_an_alert_with_the_command_that_contains(world):
    world.deploy()
    user, responder = User(world), world.responder()
    answer = responder.invoke(world.event(TOR, user))
    assert told(answer) == [("alert", "applied")] and answer["reports"] == []
    assert writes_to_iam(world) == [] and user.key_works()
    [alert] = world.alerts()
    assert "not contained: user alice" in alert["Subject"]
    assert "severity 5 is below MIN_SEVERITY 7" in alert["Message"]
    assert not world.incidents()
    [command] = [line for line in alert["Message"].splitlines() if "| aws lambda invoke" in line]
    payload = json.loads(command.split("'")[1])
    [report] = responder.invoke(payload)["reports"]
    assert report["verdict"] == "Contained" and not user.key_works()


def test_the_command_of_an_alert_works_as_it_stands(world, tmp_path):
    """In the CLI that this project installs, the first version; the documents' own commands work in both."""
    world.deploy()
    user = User(world)
    world.connected().invoke(world.event(TOR, user))
    [alert] = world.alerts()
    [command] = [line for line in alert["Message"].splitlines() if "| aws lambda invoke" in line]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": f"SIMADMIN{world.security}", "AWS_SECRET_ACCESS_KEY": "any"}
    environment |= {"AWS_ENDPOINT_URL": world.url, "AWS_DEFAULT_REGION": world.region, "PATH": f"{ROOT_FOLDER}/.venv/bin:{os.environ['PATH']}"}
    ended = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert not user.key_works()


def test_a_role_that_copies_buckets_is_an_alert_and_contained_by_setting(world):
    world.deploy()
    role = Role(world)
    event = world.event(S3, role=role)
    responder = world.responder()
    assert told(responder.invoke(event)) == [("alert", "applied")]
    assert writes_to_iam(world) == []
    [alert] = world.alerts()
    [command] = [line for line in alert["Message"].splitlines() if "| aws lambda invoke" in line]
    assert json.loads(command.split("'")[1])["role"] == role.id
    responder.close()
    [report] = world.responder(FINDING_RESPONSES="S3=contain@7").invoke(event)["reports"]
    assert report["verdict"] == "Contained"


def test_one_matter_is_told_once_a_day_whatever_brings_it(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(TOR, user)
    responder.invoke(event)
    again = json.loads(json.dumps(event))
    again["id"] = "another-delivery"
    again["detail"]["arn"] = event["detail"]["arn"] + "0"
    assert told(responder.invoke(again)) == [("alert", "already-done")]
    assert len(world.alerts()) == 1


def test_the_root_user_is_told_of_once_a_day_for_each_account(world):
    world.deploy()
    responder = world.responder()
    event = world.event(ROOT)
    assert told(responder.invoke(event)) == [("daily-alert", "applied")]
    event["detail"]["title"] = "API CreateUser was invoked using root credentials."
    event["detail"]["arn"] += "0"
    assert told(responder.invoke(event)) == [("daily-alert", "already-done")]
    other = json.loads(json.dumps(event).replace(world.member, "444455556666"))
    assert told(responder.invoke(other)) == [("daily-alert", "applied")]
    assert len(world.alerts()) == 2 and not world.incidents() and not world.ops_items()


def test_an_alert_that_could_not_be_sent_is_sent_by_the_retry(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(TOR, user)
    world.fault("sns:Publish", "InternalError", status=500, times=4)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    assert world.alerts() == []
    assert told(responder.invoke(event)) == [("alert", "applied")]
    assert len(world.alerts()) == 1


def test_observe_mode_tells_nobody_and_writes_nothing(world):
    world.deploy(Mode="observe")
    user, responder = User(world), world.responder()
    assert told(responder.invoke(world.event(TOR, user))) == [("alert", "planned")]
    assert told(responder.invoke(world.event(LOW, user))) == [("hourly-digest", "planned")]
    assert world.writes() == [] and world.alerts() == []


def test_an_event_that_can_not_be_read_is_one_alert_whatever_the_retries(world):
    world.deploy()
    responder = world.responder()
    event = world.event("guardduty-exfiltration-iam-user-anomalous-behavior")
    event["detail"]["resource"]["accessKeyDetails"]["principalId"] = "<b>\u202eAIDA\n"
    event["detail"]["type"] = "Exfiltration:IAMUser/AnomalousBehavior"
    for _ in range(3):
        answer = responder.invoke(event)
        assert answer["errorType"] == "MalformedEvent" and "principalId" in answer["errorMessage"]
    [alert] = world.alerts()
    assert alert["Subject"] == f"Unreadable event about an IAM identity ({world.member})"
    for said in ("aws.guardduty", world.member, "Exfiltration:IAMUser/AnomalousBehavior", event["id"], event["detail"]["arn"]):
        assert said in alert["Message"]
    assert "detail.resource.accessKeyDetails.principalId" in alert["Message"]
    assert "\u202e" not in alert["Message"] and "<b>" not in alert["Message"]
    assert writes_to_iam(world) == []
    assert not [entry for entry in world.journal() if entry["action"] == "sts:AssumeRole"]


def test_an_unreadable_event_that_anybody_may_send_wakes_nobody(world):
    world.deploy(Simulation="true")
    event = world.event("simulation-exfiltration-iam-user-anomalous-behavior")
    event["detail"]["accountId"] = 7
    assert world.responder().invoke(event)["errorType"] == "MalformedEvent"
    assert world.alerts() == []


def test_a_member_role_that_creates_a_user_is_contained_like_anybody_elses_user(world):
    """Our remediation role never creates users: whoever does so in its name is no friend."""
    world.deploy()
    for role in ("SecurityRemediationRole", "SecurityDrillRole", "team/SecurityDrillRole"):
        user = User(world, name=f"backdoor{len(role)}", groups=())
        event = world.event("cloudtrail-create-user", user)
        text = json.dumps(event).replace("backdoor", user.name)
        event = json.loads(text)
        event["detail"]["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] = f"arn:aws:iam::{world.member}:role/{role}"
        [report] = world.responder().invoke(event)["reports"]
        assert report["verdict"] == "Contained", report


def test_a_user_of_a_drill_is_told_of_in_the_daily_digest(world):
    world.deploy(DrillAccount=world.member)
    user = User(world, name="backdoor", path="/iam-responder-drill/", groups=())
    event = world.event("cloudtrail-create-user", user)
    event["detail"]["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] = f"arn:aws:iam::{world.member}:role/SecurityDrillRole"
    event["detail"]["responseElements"]["user"]["arn"] = user.arn
    answer = world.responder(DRILL_ACCOUNT=world.member).invoke(event)
    assert told(answer) == [("daily-digest", "applied")] and writes_to_iam(world) == []


def test_every_stolen_credential_is_told_of_though_it_has_no_key_and_no_iam_name(world):
    """Two people of Identity Center, each with sessions in somebody else's hands."""
    world.deploy()
    responder = world.responder()
    for person in ("carol", "dave"):
        event = world.event(TOR)
        event["detail"]["arn"] += person
        event["detail"]["title"] = f"API GetObject was invoked by {person} from a Tor exit node."
        event["detail"]["resource"]["accessKeyDetails"] = {"userType": "IdentityCenterUser", "userName": person, "principalId": person}
        assert told(responder.invoke(event)) == [("alert", "applied")]
        assert told(responder.invoke(event)) == [("alert", "already-done")]
    carol, dave = world.alerts()
    assert "invoked by carol" in carol["Message"] and "invoked by dave" in dave["Message"]


def test_every_foreign_reader_of_buckets_is_told_of(world):
    """HIGH findings about anonymous callers or principals of other accounts: no key, no name of ours."""
    world.deploy()
    responder = world.responder()
    for bucket in ("payroll", "backups"):
        event = world.event(S3)
        event["detail"]["arn"] += bucket
        event["detail"]["title"] = f"bucket {bucket}"
        event["detail"]["resource"]["accessKeyDetails"] = {"userType": "AWSAccount", "userName": "ANONYMOUS_PRINCIPAL"}
        assert told(responder.invoke(event)) == [("alert", "applied")]
    assert ["payroll" in it["Message"] for it in world.alerts()] == [True, False]


def test_nobody_is_said_to_have_been_told_who_was_not(world):
    """A copy of the finding arrives while the first one's alert fails, or is about to be sent."""
    world.deploy()
    user, responder, other = User(world), world.responder(), world.responder()
    event = world.event(TOR, user)
    copied = {**event, "id": "the-copy"}
    world.fault("sns:Publish", "InternalError", status=500, times=8)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    assert other.invoke(copied)["errorType"] == "ResponseIncomplete"
    assert world.alerts() == []
    assert told(responder.invoke(event)) == [("alert", "applied")]
    world.alerts()
    # As another invocation leaves it that is about to send, or was killed before it did.
    amend(world, "SET taken_at = :at, holder = :another REMOVE told_at", **{":another": {"S": "another"}})
    answer = other.invoke(copied)
    assert answer["errorType"] == "ResponseIncomplete" and "is telling people of it" in answer["errorMessage"]
    assert world.alerts() == []
    amend(world, "SET taken_at = :at", millis=61_000)
    assert told(other.invoke(copied)) == [("alert", "applied")]
    assert told(responder.invoke(event)) == [("alert", "already-done")]


def amend(world, expression, millis=0, **values):
    """What the ledger keeps of what people are told."""
    client = world.client("dynamodb", world.security)
    table = [name for name in client.list_tables()["TableNames"] if "Ledger" in name][0]
    values[":at"] = {"N": str(int(time.time() * 1_000) - millis)}
    for item in client.scan(TableName=table)["Items"]:
        if item["id"]["S"].startswith("told#"):
            client.update_item(TableName=table, Key={"id": item["id"]}, UpdateExpression=expression, ExpressionAttributeValues=values)


def test_one_finding_is_one_alert_though_security_hubs_copy_says_less(world):
    """Security Hub's second format may have a name and no type; a copy of another region's finding has its own ID."""
    world.deploy()
    user, responder = User(world), world.responder()
    own = world.event(TOR, user)
    own["detail"]["resource"]["accessKeyDetails"]["accessKeyId"] = "ASIAIOSFODNN7EXAMPLE"
    copied = world.event(NAME_ONLY, user)
    [finding] = copied["detail"]["findings"]
    finding["severity_id"] = 3
    finding["finding_info"].update(types=["TTPs", own["detail"]["type"]], uid=own["detail"]["arn"])
    assert told(responder.invoke(own)) == [("alert", "applied")]
    assert told(responder.invoke(copied)) == [("alert", "already-done")]
    own["detail"]["arn"] += "0"
    finding["finding_info"]["uid"] += "0"
    assert told(responder.invoke(own)) == [("alert", "already-done")]
    assert told(responder.invoke(copied)) == [("alert", "already-done")]
    assert len(world.alerts()) == 1


def test_two_findings_of_one_event_about_one_matter_are_one_alert(world):
    world.deploy()
    event = world.event("security-hub-two-findings", User(world))
    first = event["detail"]["findings"][0]
    first["Types"], first["Severity"] = ["TTPs/Discovery/IAMUser-TorIPCaller"], {"Label": "MEDIUM"}
    event["detail"]["findings"] = [first, {**first, "Id": first["Id"] + "0"}]
    outcomes = [it["outcome"] for it in world.responder().invoke(event)["told"]]
    assert sorted(outcomes) == ["already-done", "applied"]
    assert len(world.alerts()) == 1
