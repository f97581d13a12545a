"""What people are told without a containment: alerts, digests, and events that could not be read."""

import json
import time

from .harness.victims import Role, User

TOR = "guardduty-unauthorized-access-iam-user-tor-ip-caller-medium"
LOW = "guardduty-discovery-iam-user-anomalous-behavior-low"
S3 = "guardduty-exfiltration-s3-anomalous-behavior-by-role"
ROOT = "guardduty-policy-iam-user-root-credential-usage"
POLICY = "guardduty-policy-s3-bucket-public-access-granted"
HOUR = 3_600_000


def writes_to_iam(world):
    return [action for action in world.writes() if action.startswith("iam:")]


def told(answer):
    return [(it["how"], it["outcome"]) for it in answer["told"]]


def age(world, item, attribute, millis):
    """As if what the ledger keeps there had happened earlier."""
    table = [name for name in world.client("dynamodb", world.security).list_tables()["TableNames"] if "Ledger" in name][0]
    world.client("dynamodb", world.security).update_item(
        TableName=table,
        Key={"id": {"S": item}},
        UpdateExpression="SET #it = :then",
        ExpressionAttributeNames={"#it": attribute},
        ExpressionAttributeValues={":then": {"N": str(int(time.time() * 1_000) - millis)}},
    )


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
    [command] = [line for line in alert["Message"].splitlines() if line.startswith("aws lambda invoke")]
    payload = json.loads(command.split("'")[1])
    [report] = responder.invoke(payload)["reports"]
    assert report["verdict"] == "Contained" and not user.key_works()


def test_a_role_that_copies_buckets_is_an_alert_and_contained_by_setting(world):
    world.deploy()
    role = Role(world)
    event = world.event(S3, role=role)
    responder = world.responder()
    assert told(responder.invoke(event)) == [("alert", "applied")]
    assert writes_to_iam(world) == []
    [alert] = world.alerts()
    [command] = [line for line in alert["Message"].splitlines() if line.startswith("aws lambda invoke")]
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
    # Lambda's retry has the same request ID; the emulator gives another, so that its lease must run out first.
    [item] = [it["id"]["S"] for it in ledger(world) if it["id"]["S"].startswith("told#")]
    age(world, item, "taken_at", 61_000)
    assert told(responder.invoke(event)) == [("alert", "applied")]
    assert len(world.alerts()) == 1


def ledger(world):
    table = [name for name in world.client("dynamodb", world.security).list_tables()["TableNames"] if "Ledger" in name][0]
    return world.client("dynamodb", world.security).scan(TableName=table)["Items"]


def test_the_digest_has_the_gravest_twenty_and_counts_the_rest(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(LOW, user)
    for number in range(23):
        event["detail"]["arn"] = f"arn:aws:guardduty:us-east-1:{world.member}:detector/d/finding/{number:03}"
        event["detail"]["severity"] = 5 if number == 22 else 2
        assert told(responder.invoke(event)) == [("hourly-digest", "applied")]
    assert world.alerts() == []
    assert "errorType" not in responder.invoke({"command": "digest"})
    [alert] = world.alerts()
    lines = [line for line in alert["Message"].splitlines() if line.startswith("- [")]
    assert len(lines) == 20 and lines[0].startswith("- [MEDIUM]") and "and 3 more" in alert["Message"]
    assert alert["Subject"].startswith("Hourly digest: 23 findings")
    assert writes_to_iam(world) == []


def test_a_digest_is_one_an_hour_and_none_when_there_is_nothing(world):
    world.deploy()
    user, responder = User(world), world.responder()
    responder.invoke({"command": "digest"})
    assert world.alerts() == []
    event = world.event(LOW, user)
    responder.invoke(event)
    responder.invoke({"command": "digest"})
    event["detail"]["arn"] += "0"
    responder.invoke(event)
    responder.invoke({"command": "digest"})
    assert len(world.alerts()) == 1
    age(world, "digest#hourly", "sent_at", HOUR)
    responder.invoke({"command": "digest"})
    [second] = world.alerts()
    assert second["Subject"].startswith("Hourly digest: 1 finding")
    age(world, "digest#hourly", "sent_at", HOUR)
    responder.invoke({"command": "digest"})
    assert world.alerts() == []


def test_a_digest_that_could_not_be_sent_is_sent_the_next_time(world):
    world.deploy()
    user, responder = User(world), world.responder()
    responder.invoke(world.event(LOW, user))
    world.fault("sns:Publish", "InternalError", status=500, times=4)
    assert responder.invoke({"command": "digest"})["errorType"] == "ResponseIncomplete"
    age(world, "digest#hourly", "sending", 1_000)
    responder.invoke({"command": "digest"})
    assert len(world.alerts()) == 1


def test_configuration_is_in_the_daily_digest(world):
    world.deploy()
    user, responder = User(world), world.responder()
    assert told(responder.invoke(world.event(POLICY, user))) == [("daily-digest", "applied")]
    responder.invoke({"command": "digest"})
    assert world.alerts() == []
    age(world, "digest#daily", "since", 24 * HOUR)
    responder.invoke({"command": "digest"})
    [alert] = world.alerts()
    assert alert["Subject"].startswith("Daily digest: 1 finding")


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
