"""What an event says of a credential is acted upon or told, whatever stands beside it."""

import json

import pytest

from .aws.eventbridge import matches
from .harness.victims import Role, User

SEQUENCE = "guardduty-attack-sequence-iam-compromised-credentials"
TOR = "guardduty-unauthorized-access-iam-user-tor-ip-caller-medium"
S3 = "guardduty-exfiltration-s3-anomalous-behavior-by-role"
HEALTH = "health-risk-credentials-exposed"
EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"


def told(answer):
    return [(it["how"], it["outcome"]) for it in answer.get("told", [])]


def verdicts(answer):
    return [it["verdict"] for it in answer.get("reports", [])]


def unreadable(world):
    return [it["Message"] for it in world.alerts() if it["Subject"].startswith("Unreadable")]


# Events of several parts.


def test_an_exposed_key_is_deactivated_though_the_event_lists_the_account_as_affected(world):
    world.deploy()
    user = User(world)
    event = world.event(HEALTH, user)
    event["detail"]["affectedEntities"] = [{"entityValue": world.member, "status": "IMPAIRED"}]
    assert verdicts(world.responder().invoke(event)) == ["Contained"]
    assert not user.key_works()


def test_of_two_exposed_keys_none_is_forgotten(world):
    world.deploy()
    alice, bob = User(world), User(world, name="bob")
    event = world.event(HEALTH, alice)
    event["detail"]["eventMetadata"] = {"publicKey": bob.keys[0]["AccessKeyId"], "accountId": world.member}
    assert verdicts(world.responder().invoke(event)) == ["Contained", "Contained"]
    assert not alice.key_works() and not bob.key_works()


def test_an_attack_sequence_with_an_empty_list_of_actors_contains_whom_its_key_names(world):
    world.deploy()
    user = User(world)
    event = world.event("guardduty-attack-sequence-iam-compromised-credentials-without-detection", user)
    event["detail"]["service"]["detection"] = {"sequence": {"actors": []}}
    assert verdicts(world.responder().invoke(event)) == ["Contained"]
    assert not user.key_works()


def pascal(value):
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: pascal(inner) for key, inner in value.items()}
    return [pascal(it) for it in value] if isinstance(value, list) else value


def test_every_actor_of_a_sequence_of_another_region_is_contained(world):
    """Security Hub's copy is all that there is of it: GuardDuty's own event stays in its region."""
    world.deploy()
    user, role = User(world), Role(world)
    event = world.event(HUB, user)
    [finding] = event["detail"]["findings"]
    finding["Types"] = ["TTPs/AttackSequence:IAM/CompromisedCredentials"]
    finding["Severity"] = {"Label": "CRITICAL"}
    for field in ("Id", "ProductArn", "Region"):
        finding[field] = finding[field].replace("us-east-1", "eu-west-1")
    finding["Detection"] = pascal(world.event(SEQUENCE, user, role)["detail"]["service"]["detection"])
    assert verdicts(world.responder().invoke(event)) == ["Contained", "Contained"]
    assert not user.key_works() and "AWSRevokeOlderSessions" in str(role.state())


def test_a_press_of_the_button_needs_no_severity(world):
    """What an action does not need can't make it malformed."""
    world.deploy()
    user = User(world)
    event = world.event("security-hub-custom-action-contain-identity", user)
    world.finding(event)
    event["detail"]["findings"][0]["Severity"] = {"Label": "UNTRIAGED"}
    assert verdicts(world.responder(CUSTOM_ACTION_ARN=event["resources"][0]).invoke(event)) == ["Contained"]
    assert not user.key_works()


def test_an_account_of_somebody_elses_key_spoils_no_actor(world):
    world.deploy()
    user = User(world)
    event = world.event(SEQUENCE, user)
    sequence = event["detail"]["service"]["detection"]["sequence"]
    sequence["actors"] = sequence["actors"][:1]
    other = {"resourceType": "ACCESS_KEY", "accountId": "unknown", "data": {"accessKey": {"principalId": "AIDAI44QH8DHBEXAMPLE1"}}}
    sequence["resources"].append(other)
    assert verdicts(world.responder().invoke(event)) == ["Contained"]
    assert not user.key_works()


@pytest.mark.parametrize("field, value", [("eventRegion", "worldwide"), ("eventArn", 7)])
def test_an_exposed_key_needs_neither_the_events_region_nor_its_arn(world, field, value):
    world.deploy()
    user = User(world)
    event = world.event(HEALTH, user)
    event["detail"][field] = value
    assert verdicts(world.responder().invoke(event)) == ["Contained"]
    assert not user.key_works()


# What can't be read.


def test_an_actor_that_can_not_be_read_is_told_beside_one_that_can(world):
    world.deploy()
    user = User(world)
    event = world.event(SEQUENCE, user)
    sequence = event["detail"]["service"]["detection"]["sequence"]
    sequence["actors"] = [sequence["actors"][0], "user:AssumedRole:AROADBQP57FF2AEXAMPLE:work"]
    assert world.responder().invoke(event)["errorType"] == "ResponseIncomplete"
    assert not user.key_works()
    [said] = unreadable(world)
    assert "detail.service.detection.sequence.actors[1]" in said


def test_a_resource_that_can_not_be_read_is_told_beside_one_that_can(world):
    world.deploy()
    user = User(world)
    event = world.event(HUB, user)
    world.finding(event)
    second = {"Type": "AwsIamAccessKey", "Id": "AWS::IAM::AccessKey:AKIAI44QH8DHBEXAMPL", "Partition": "aws", "Region": "us-east-1"}
    event["detail"]["findings"][0]["Resources"].append(second)
    assert world.responder().invoke(event)["errorType"] == "ResponseIncomplete"
    assert not user.key_works()
    [said] = unreadable(world)
    assert "detail.findings[0].Resources[1].Id" in said


def test_an_alert_names_the_finding_that_could_not_be_read_and_not_its_neighbour(world):
    world.deploy()
    event = world.event("security-hub-two-findings", User(world))
    first, second = event["detail"]["findings"]
    second["AwsAccountId"] = 7
    world.responder().invoke(event)
    [said] = unreadable(world)
    assert second["Id"] in said and first["Id"] not in said


@pytest.mark.parametrize("account", [" ", "\u200b", ""])
def test_an_unreadable_event_whose_account_is_blank_is_an_alert_too(world, account):
    """SNS refuses a message with an attribute that has no value."""
    world.deploy()
    event = world.event(TOR)
    event["detail"]["accountId"] = account
    assert world.responder().invoke(event)["errorType"] == "MalformedEvent"
    assert len(unreadable(world)) == 1


def test_an_unreadable_event_is_told_where_only_one_playbook_enforces(world):
    """The way of a careful operator: observe everything, enforce one playbook."""
    world.deploy(Mode="observe", PlaybookModes="compromised-credential=enforce")
    event = world.event(TOR)
    event["detail"]["accountId"] = 7
    assert world.responder().invoke(event)["errorType"] == "MalformedEvent"
    assert len(unreadable(world)) == 1


@pytest.mark.parametrize(
    "agent",
    [
        pytest.param('"cut in half \\ud83d"', id="half-of-a-pair"),
        pytest.param("1e400", id="a-number-beyond-a-float"),
        pytest.param("[" * 5_000 + "]" * 5_000, id="deep"),
        pytest.param('{"$serde_json::private::RawValue": "x"}', id="a-key-of-the-parsers"),
    ],
)
def test_an_odd_value_in_a_field_that_nothing_needs_leaves_nobody_free(world, agent):
    """A user agent that was cut in the middle of a pair; a number or a depth that JSON allows."""
    world.deploy()
    user = User(world)
    text = json.dumps(world.event(EXFILTRATION, user)).replace('"aws-cli/2.31.0"', agent)
    assert agent in text
    assert verdicts(world.responder().invoke(text.encode())) == ["Contained"]
    assert not user.key_works()


def test_an_odd_value_in_a_field_that_is_needed_is_told(world):
    world.deploy()
    text = json.dumps(world.event(EXFILTRATION)).replace('"severity": 8', '"severity": 1e400')
    assert "1e400" in text
    assert world.responder().invoke(text.encode())["errorType"] == "MalformedEvent"
    [said] = unreadable(world)
    assert "detail.severity" in said


# What the rules let through.


@pytest.mark.parametrize("kind", ["Exfiltration:DynamoDB/AnomalousBehavior", "CredentialAccess:SecretsManager/AnomalousBehavior", "Impact:Bedrock/CostHarvesting"])
def test_a_type_that_is_not_known_yet_reaches_the_function(world, kind):
    """docs/findings.md: types that are not known yet are an alert from HIGH on."""
    world.deploy()
    event = world.event(S3, role=Role(world))
    event["detail"]["type"] = kind
    world.connected()
    fields = {"account": world.security, "region": "us-east-1", "source": event["source"], "detail_type": event["detail-type"]}
    world.control("event", {**fields, "detail": event["detail"]})
    assert len(world.deliveries()) == 1
    [alert] = world.alerts()
    assert kind in alert["Message"]
    event["detail"]["type"] = "UnauthorizedAccess:EC2/SSHBruteForce"
    world.control("event", {**fields, "detail": event["detail"]})
    assert len(world.deliveries()) == 1


@pytest.mark.parametrize(
    "condition, matched, unmatched",
    [
        ({"anything-but": "a"}, ["b", 7, ["a", "b"]], ["a", ["a"], []]),
        ({"anything-but": ["a", "b"]}, ["c"], ["a", "b"]),
        ({"anything-but": {"prefix": "a"}}, ["ba", 7], ["ab", "a"]),
        ({"anything-but": {"prefix": ["a", "b"]}}, ["c"], ["ab", "ba"]),
        ({"anything-but": {"wildcard": ["*:A/*", "*:B/*"]}}, ["x:C/y", "A/y"], ["x:A/y", ":B/"]),
        ({"anything-but": {"suffix": "z"}}, ["y"], ["xz"]),
    ],
)
def test_the_simulated_rules_know_anything_but(condition, matched, unmatched):
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html"""
    for value in matched:
        assert matches({"field": [condition]}, {"field": value}), value
    for event in [{"field": value} for value in unmatched] + [{}]:
        assert not matches({"field": [condition]}, event), event


# What the operator sets.


@pytest.mark.parametrize("setting", ["IAM=digest", "IAM=count"])
def test_what_is_set_for_custom_rules_leaves_attack_sequences_alone(world, setting):
    """`IAM` is the family of custom detection rules; every AttackSequence is a credential in other hands."""
    world.deploy()
    user = User(world)
    event = world.event(SEQUENCE, user)
    sequence = event["detail"]["service"]["detection"]["sequence"]
    sequence["actors"] = sequence["actors"][:1]
    assert verdicts(world.responder(FINDING_RESPONSES=setting).invoke(event)) == ["Contained"]


@pytest.mark.parametrize(
    "setting, kind, resource",
    [
        ("EC2=alert", "UnauthorizedAccess:EC2/MetadataDNSRebind", {"resourceType": "Instance", "instanceDetails": {}}),
        ("RDS=alert", "CredentialAccess:RDS/AnomalousBehavior.SuccessfulBruteForce", {"resourceType": "RDSDBInstance"}),
        ("Kubernetes=alert", "CredentialAccess:Kubernetes/AnomalousBehavior.SecretsAccessed", {"resourceType": "EKSCluster", "kubernetesDetails": {}}),
    ],
)
def test_a_setting_that_is_accepted_does_what_it_says(world, setting, kind, resource):
    """Also for findings that name nobody, where the function gets them."""
    world.deploy()
    event = world.event(TOR)
    event["detail"].update(type=kind, resource=resource, severity=8)
    responder = world.responder(FINDING_RESPONSES=setting)
    assert told(responder.invoke(event)) == [("alert", "applied")]
    assert ("leaves out findings" in responder.output()) == (not setting.startswith("Kubernetes"))


@pytest.mark.parametrize("setting", ["IamUser=contain", "UnauthorizedAccess:IAMUser/TorIPCaler=contain", "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration=contain"])
def test_a_setting_that_fits_no_type_is_warned_of(world, setting):
    """No error: an upgrade must not stop what worked, and AWS adds types."""
    world.deploy()
    responder = world.responder(FINDING_RESPONSES=setting)
    assert told(responder.invoke(world.event(TOR, User(world)))) == [("alert", "applied")]
    [warning] = [line for line in responder.log_lines() if line["level"] == "WARN"]
    assert f"FINDING_RESPONSES: `{setting.split('=')[0]}`" in warning["message"]
