"""The whole way of an event: from a client, by the deployed rules, to the function and its effect. The
client is AWS's own CLI where a person would use it."""

import json
import os
import subprocess
import sys
import time

import pytest

from .harness import templates
from .harness.processes import ROOT
from .harness.victims import User, allowed

SIMULATION = "simulation-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-simulation-administrator-access"


def cli(world, account, *arguments):
    """AWS's CLI, as it comes from PyPI."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": f"SIMADMIN{account}",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_ENDPOINT_URL": world.url,
        "AWS_DEFAULT_REGION": world.region,
    }
    ended = subprocess.run([sys.executable, "-m", "awscli", *arguments], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def eventually(true, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.1)
    return False


def put_events(world, event, tmp_path, source=None):
    entry = {"Source": source or event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
    (tmp_path / "entries.json").write_text(json.dumps([entry]))
    return cli(world, world.security, "events", "put-events", "--entries", f"file://{tmp_path}/entries.json")


def test_put_events_contains(world, tmp_path):
    world.deploy(Simulation="true")
    user = User(world)
    world.connected()
    answer = put_events(world, world.event(SIMULATION, user), tmp_path)
    assert answer["FailedEntryCount"] == 0 and answer["Entries"][0]["EventId"]
    assert eventually(lambda: not user.key_works() and "AWSDenyAll" in user.state()["policies"])
    assert eventually(lambda: len(world.alerts()) == 1)
    assert len(world.deliveries()) == 1


def test_the_rule_of_the_simulation_is_off_by_default(world, tmp_path):
    world.deploy()
    user = User(world)
    responder = world.connected()
    put_events(world, world.event(SIMULATION, user), tmp_path)
    assert world.deliveries() == []
    assert user.key_works() and responder.log_lines() == []


def test_nobody_can_pass_for_guardduty(world, tmp_path):
    world.deploy(Simulation="true")
    user = User(world)
    world.connected()
    [entry] = put_events(world, world.event(SIMULATION, user), tmp_path, source="aws.guardduty")["Entries"]
    assert entry["ErrorCode"] == "NotAuthorizedForSourceException"
    assert world.deliveries() == []
    assert user.key_works()


def test_an_imported_finding_contains(world, tmp_path):
    world.deploy(TrustedProducts="product/aws/*,product/*/default")
    user = User(world)
    world.connected()
    [finding] = world.event(HUB, user)["detail"]["findings"]
    (tmp_path / "findings.json").write_text(json.dumps([finding]))
    answer = cli(world, world.security, "securityhub", "batch-import-findings", "--findings", f"file://{tmp_path}/findings.json")
    assert answer["SuccessCount"] == 1
    assert eventually(lambda: user.state()["policies"] == [] and user.state()["groups"] == [])
    hub = world.client("securityhub", world.security)
    status = lambda: hub.get_findings(Filters={"Id": [{"Value": finding["Id"], "Comparison": "EQUALS"}]})["Findings"][0]["Workflow"]["Status"]  # noqa: E731
    assert eventually(lambda: status() == "NOTIFIED")


def test_a_backdoor_user_is_quarantined_by_way_of_the_forwarding_rule(world):
    world.deploy()
    intruder = User(world, name="intruder", groups=()).session()
    hygiene = world.connected(part="hygiene")
    intruder.create_user(UserName="backdoor")
    key = intruder.create_access_key(UserName="backdoor")["AccessKey"]
    intruder.attach_user_policy(UserName="backdoor", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    backdoor = world.client("iam", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert eventually(lambda: not allowed(backdoor.list_users)), hygiene.output()
    assert eventually(lambda: "iam:TagUser" in world.writes())
    assert world.iam.list_user_tags(UserName="backdoor")["Tags"]
    assert len(world.deliveries()) == 1


def health_speaks(world, user, region):
    """AWS Health tells the account itself, and nobody else."""
    detail = {**world.event("health-risk-credentials-exposed", user)["detail"], "eventRegion": "us-east-1"}
    event = {"account": world.member, "region": region, "source": "aws.health", "detail_type": "AWS Health Event", "detail": detail}
    world.control("event", event)


def member_stack(world, region):
    """What the member account's stack makes in another region, with the parameters of the first."""
    first = world.client("cloudformation").describe_stacks(StackName="iam-responder")["Stacks"][0]["Parameters"]
    parameters = [{name: it[name] for name in ("ParameterKey", "ParameterValue")} for it in first]
    formation = world.client("cloudformation", region=region)
    formation.create_stack(StackName="iam-responder", TemplateBody=templates.member(), Parameters=parameters, Capabilities=["CAPABILITY_NAMED_IAM"])
    made = formation.describe_stack_resources(StackName="iam-responder")["StackResources"]
    # moto makes no alarms.
    return sorted(it["LogicalResourceId"] for it in made if "LogicalResourceId" in it)


def test_what_health_tells_a_member_account_contains(world):
    world.deploy()
    user = User(world)
    responder = world.connected()
    health_speaks(world, user, "us-east-1")
    assert eventually(lambda: not user.key_works()), responder.output()


def test_what_health_tells_in_its_backup_region_contains(world):
    world.deploy()
    made = member_stack(world, "us-west-2")
    assert made == ["ForwardHealth", "ForwarderRole", "NotForwarded", "NotForwardedPolicy"]
    user = User(world)
    responder = world.connected()
    health_speaks(world, user, "us-west-2")
    assert eventually(lambda: not user.key_works()), responder.output()


def test_nothing_is_forwarded_from_elsewhere(world):
    world.deploy()
    assert member_stack(world, "eu-west-1") == []


def test_what_could_not_be_forwarded_is_kept_with_its_event(world):
    """As if the bus were not the organisation's: what it refuses is in the member's queue."""
    world.deploy(OrganizationId="o-another000")
    user = User(world)
    world.connected()
    health_speaks(world, user, "us-east-1")
    sqs = world.client("sqs")
    [queue] = [url for url in sqs.list_queues()["QueueUrls"] if "NotForwarded" in url]
    kept = []
    assert eventually(lambda: kept.extend(sqs.receive_message(QueueUrl=queue).get("Messages", [])) or kept)
    event = json.loads(kept[0]["Body"])
    assert (event["source"], event["account"]) == ("aws.health", world.member)
    assert user.key_works()


def test_another_organisation_can_not_forward(world):
    """As if the members were of another organisation than the responder's."""
    world.deploy(OrganizationId="o-another000")
    intruder = User(world, name="intruder", groups=()).session()
    hygiene = world.connected(part="hygiene")
    intruder.create_user(UserName="backdoor")
    assert world.deliveries() == [] and world.control(f"waiting?function={hygiene.arn}") == 0
    assert hygiene.log_lines() == []


@pytest.mark.seconds(10)
def test_a_dead_letter_of_the_queue_for_hygiene_is_the_event_and_its_function_answers_it(world):
    """As docs/operations.md has it, Dead letters: there is no `requestPayload` around it, and it is sent to `$FUNCTION-hygiene`."""
    world.deploy()
    hygiene = world.connected(part="hygiene")
    assert hygiene.name == f"{world.function()[0]['FunctionName']}-hygiene" and "to `$FUNCTION-hygiene`" in (ROOT / "docs/operations.md").read_text()
    sqs = world.client("sqs", world.security)
    queue, dead = (next(url for url in sqs.list_queues()["QueueUrls"] if it in url) for it in ("HygieneQueue", "DeadLetter"))
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
    user = User(world, name="backdoor", groups=())
    event = world.event("cloudtrail-create-user", user)
    world.fault("sts:AssumeRole", "AccessDenied", status=403, times=3)
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(event))
    kept = []
    assert eventually(lambda: kept.extend(sqs.receive_message(QueueUrl=dead).get("Messages", [])) or kept, 40), hygiene.output()
    letter = json.loads(kept[0]["Body"])
    assert letter == event
    answer = hygiene.invoke(letter)
    assert answer["reports"] and set(user.state()["keys"].values()) == {"Inactive"}, answer


def test_what_fails_for_good_is_kept_with_its_event(world, tmp_path):
    world.deploy(Simulation="true")
    user = User(world)
    world.connected()
    event = world.event(SIMULATION, user)
    event["detail"]["accountId"] = "no account"
    put_events(world, event, tmp_path)
    sqs = world.client("sqs", world.security)
    [queue] = [url for url in sqs.list_queues()["QueueUrls"] if "DeadLetter" in url]
    kept = []
    assert eventually(lambda: kept.extend(sqs.receive_message(QueueUrl=queue).get("Messages", [])) or kept)
    record = json.loads(kept[0]["Body"])
    assert record["requestPayload"]["detail"] == event["detail"]
    assert "accountId" in record["responsePayload"]["errorMessage"]
