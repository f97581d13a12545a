"""`make preflight`: what it says of a whole deployment, and with each thing missing.

One organisation for all of them: each breaks one thing and mends it.
"""

import contextlib
import json
import os
import re
import subprocess
import sys

import pytest

from tools.preflight import after

from .harness import templates
from .harness.operators import BACKUP, READ_ROLE, SERVICES, STACK_SET
from .harness.processes import ROOT
from .harness.world import EXTERNAL_ID, RUNBOOK


def test_a_whole_deployment_is_all_ok_and_nothing_is_changed(organisation):
    lines = organisation.preflight(code=0)
    assert {state for state, _, _ in lines} == {"ok"}
    said = {what: detail for _, what, detail in lines}
    for what in ("GuardDuty", "Security Hub", "member stacks", "SecurityRemediationRole", "SecurityRestoreRole", "SecuritySweepRole", "Health"):
        assert said[what] == "in 3 of 3 accounts", what
    assert said["SecurityDrillRole"] == "in 1 of 1 accounts" and said["runbook"] == "in 3 of 3 accounts"
    assert said["last drill"].startswith("passed 1.0 days ago") and said["mode"] == "enforce: it contains"
    assert said["Slack"].startswith("takes the token")
    called = {it["action"].split(":")[1] for it in organisation.world.journal() if it["principal"].endswith("user/operator")}
    assert called and all(it.startswith(("Describe", "Get", "List")) or it == "AssumeRole" for it in called)


def test_the_steps_of_the_deployment_name_lines_that_there_are(organisation):
    printed = {what for _, what, _ in organisation.preflight(code=0)}
    checks = [it for it in (ROOT / "docs/deploy.md").read_text().splitlines() if it.startswith("Check: `make preflight`")]
    named = {name for it in checks for name in re.findall(r"`([^`]+)`", it)} - {"make preflight"}
    assert len(named) > 6 and named <= printed, named - printed


def test_it_is_one_command(organisation):
    environment = {**os.environ, **organisation.environment(), "AWS_REGION": "us-east-1"}
    command = [sys.executable, "-m", "tools.preflight", "--read-role", READ_ROLE]
    ended = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.stderr == "" and {state for state, _, _ in organisation.read(ended.stdout, ended.returncode, 0)} == {"ok"}


def test_before_the_first_deployment_it_says_what_is_there_already(organisation):
    lines = organisation.preflight("--stack", "not-yet", "--accounts", ",".join(organisation.accounts), code=1)
    assert [it for it in lines if it[0] != "ok"] == [("missing", "stack", lines[-1][2])]
    assert "no stack `not-yet` in us-east-1: docs/deploy.md, step 3" in lines[-1][2]
    assert {"GuardDuty", "Security Hub", "aggregation", "trail", "Lambda's limit"} <= {what for _, what, _ in lines}


@contextlib.contextmanager
def seen_otherwise(organisation, otherwise, back):
    organisation.see(**otherwise)
    try:
        yield
    finally:
        organisation.see(**back)


# What an operator sees of the organisation: what is otherwise, how it is mended, and the one line that says so.
OVERVIEW = {
    "no organisation": ({"is_alone": True}, {"is_alone": False}, "organisation", "in none"),
    "no guardduty administrator": ({"administers": SERVICES[1:]}, {"administers": SERVICES}, "administrator", "not of GuardDuty: in the management account"),
    "no hub administrator": ({"administers": [SERVICES[0], SERVICES[2]]}, {"administers": SERVICES}, "administrator", "not of Security Hub"),
    "no stack set administrator": ({"administers": SERVICES[:2]}, {"administers": SERVICES}, "administrator", "not of StackSets"),
    "no aggregation": (
        {"aggregator": None},
        {"aggregator": {"region": "us-east-1", "mode": "ALL_REGIONS"}},
        "aggregation",
        "create-finding-aggregator",
    ),
    "aggregation elsewhere": (
        {"aggregator": {"region": "eu-west-1", "mode": "ALL_REGIONS"}},
        {"aggregator": {"region": "us-east-1", "mode": "ALL_REGIONS"}},
        "aggregation",
        "go to eu-west-1",
    ),
    "no button": ({"buttons": []}, {"buttons": ["ContainIdentity"]}, "button", "create-action-target --id ContainIdentity"),
    "no trail": ({"trails": []}, {"trails": [{"IsOrganizationTrail": True, "IsMultiRegionTrail": True}]}, "trail", "no `CreateUser` is told"),
    "trail of one account": (
        {"trails": [{"IsOrganizationTrail": False, "IsMultiRegionTrail": True}]},
        {"trails": [{"IsOrganizationTrail": True, "IsMultiRegionTrail": True}]},
        "trail",
        "no trail of the organisation",
    ),
    "trail switched off": (
        {"trails": [{"IsOrganizationTrail": True, "IsMultiRegionTrail": True, "IsLogging": False}]},
        {"trails": [{"IsOrganizationTrail": True, "IsMultiRegionTrail": True}]},
        "trail",
        "switched off: aws cloudtrail start-logging",
    ),
}


@pytest.mark.parametrize("case", OVERVIEW)
def test_what_is_missing_in_the_organisation_is_one_line(organisation, case):
    otherwise, back, what, words = OVERVIEW[case]
    with seen_otherwise(organisation, otherwise, back):
        [(state, named, detail)] = organisation.off("--accounts", ",".join(organisation.accounts), code=1)
    assert (state, named) == ("missing", what) and words in detail


@pytest.mark.parametrize("service, what", [("guardduty", "GuardDuty"), ("hub", "Security Hub")])
def test_an_account_that_a_service_leaves_out_is_named(organisation, service, what):
    others = organisation.accounts[:2]
    with seen_otherwise(organisation, {service: others[:1]}, {service: others}):
        [(state, named, detail)] = organisation.off(code=1)
    assert (state, named) == ("missing", what) and f"in 2 of 3 accounts, not in {others[1]} (account-" in detail


def test_a_small_limit_of_lambda_is_said_before_the_first_deployment(organisation):
    with seen_otherwise(organisation, {"executions": 10}, {"executions": 1000}):
        [limit, _] = organisation.off("--stack", "not-yet", "--accounts", organisation.third, code=1)
        assert limit[1] == "Lambda's limit" and "deploy with ReservedConcurrency=0" in limit[2]


@contextlib.contextmanager
def stack_set_with(organisation, instances=None, automatic=True, **parameters):
    found = [[account, region, "CURRENT"] for account in organisation.accounts for region in ("us-east-1", BACKUP)]
    given = {**organisation.parameters, "ExternalId": "****"}

    def see(parameters, instances, automatic):
        organisation.see(stack_sets={STACK_SET: {"parameters": parameters, "instances": instances, "automatic": automatic}})

    see(given | parameters, instances(found) if instances else found, automatic)
    try:
        yield
    finally:
        see(given, found, True)


def test_a_stack_set_with_other_values_than_the_stack_names_them(organisation):
    other = "arn:aws:iam::111122223333:role/somebody"
    with stack_set_with(organisation, HygieneRoleArn=other, RotationDocument="", ResponderRegion="eu-west-1"):
        [(state, what, detail)] = organisation.off(code=1)
    assert (state, what) == ("missing", "StackSet") and "HygieneRoleArn, RotationDocument, ResponderRegion" in detail


def test_a_stack_set_that_leaves_new_accounts_out_is_said(organisation):
    with stack_set_with(organisation, automatic=False):
        [(_, what, detail)] = organisation.off(code=1)
    assert what == "StackSet" and "leaves new accounts out" in detail


def test_an_account_without_a_member_stack_is_named(organisation):
    with stack_set_with(organisation, instances=lambda found: [it for it in found if it[:2] != [organisation.third, BACKUP]]):
        [(_, what, detail)] = organisation.off(code=1)
    assert what == "member stacks" and f"in 2 of 3 accounts, not in {organisation.third}" in detail


def test_a_member_stack_that_is_not_up_to_date_is_said(organisation):
    def outdated(found):
        return [[*it[:2], "OUTDATED"] if it[0] == organisation.third else it for it in found]

    with stack_set_with(organisation, instances=outdated):
        lines = organisation.off(code=1)
    assert any(f"2 are not up to date, such as {organisation.third} in us-east-1 (OUTDATED)" in detail for _, _, detail in lines)


def test_no_stack_set_at_all_is_said(organisation):
    [(state, what, detail)] = organisation.off("--stack-set", "other", code=1)
    assert (state, what) == ("missing", "StackSet") and "no StackSet `other`" in detail


@contextlib.contextmanager
def trusting(organisation, role, change):
    """A member role in the third account whose trust policy is another."""
    iam = organisation.world.client("iam", organisation.third)
    kept = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    other = json.loads(json.dumps(kept))
    change(other["Statement"][0])
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(other))
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(kept))


def set_external_id(statement):
    statement["Condition"]["StringEquals"]["sts:ExternalId"] = "another-external-id-of-the-tests"


def trust_nobody_of_ours(statement):
    statement["Principal"] = {"AWS": "arn:aws:iam::111122223333:root"}


def trust_somebody_too(statement):
    statement["Principal"]["AWS"] = ["arn:aws:iam::111122223333:root", *(it if isinstance(it := statement["Principal"]["AWS"], list) else [it])]


def trust_everybody(statement):
    statement["Principal"] = "*"


def trust_a_service_too(statement):
    statement["Principal"]["Service"] = "ec2.amazonaws.com"


def forget_the_organisation(statement):
    del statement["Condition"]["StringEquals"]["aws:PrincipalOrgID"]


@pytest.mark.parametrize(
    "role, change, words",
    [
        ("SecurityRemediationRole", set_external_id, "another external ID than the responder sends"),
        ("SecurityRestoreRole", set_external_id, "another external ID than the responder sends"),
        ("SecuritySweepRole", set_external_id, "another external ID than the responder sends"),
        ("SecurityRemediationRole", trust_nobody_of_ours, "does not trust arn:aws:iam::"),
        ("SecurityRestoreRole", trust_somebody_too, "trusts somebody else too"),
        ("SecurityRestoreRole", trust_everybody, "does not trust arn:aws:iam::"),
        ("SecuritySweepRole", trust_a_service_too, "trusts somebody else too"),
        ("SecuritySweepRole", forget_the_organisation, "another organisation"),
    ],
)
def test_a_role_that_can_not_be_reached_is_counted_and_says_why(organisation, role, change, words):
    with trusting(organisation, role, change):
        [(state, what, detail)] = organisation.off(code=1)
    assert (state, what) == ("missing", role) and words in detail
    assert f"in 2 of 3 accounts, not in {organisation.third}" in detail


def test_while_the_external_id_is_being_changed_both_are_right(organisation):
    def take_both(statement):
        statement["Condition"]["StringEquals"]["sts:ExternalId"] = ["another-external-id-of-the-tests", EXTERNAL_ID]

    with trusting(organisation, "SecuritySweepRole", take_both):
        assert organisation.off(code=0) == []


def test_a_role_that_is_not_there_is_counted(organisation):
    iam = organisation.world.client("iam", organisation.third)
    kept = iam.get_role(RoleName="SecuritySweepRole")["Role"]
    policy = iam.get_role_policy(RoleName="SecuritySweepRole", PolicyName="sweep")["PolicyDocument"]
    iam.delete_role_policy(RoleName="SecuritySweepRole", PolicyName="sweep")
    iam.delete_role(RoleName="SecuritySweepRole")
    try:
        [(_, what, detail)] = organisation.off(code=1)
    finally:
        iam.create_role(RoleName="SecuritySweepRole", AssumeRolePolicyDocument=json.dumps(kept["AssumeRolePolicyDocument"]))
        iam.put_role_policy(RoleName="SecuritySweepRole", PolicyName="sweep", PolicyDocument=json.dumps(policy))
    assert what == "SecuritySweepRole" and "the role is not there: deploy member-role.yaml" in detail


@pytest.mark.parametrize(
    "rule, region, what",
    [
        ("iam-responder-forward-create-user", "us-east-1", "CreateUser"),
        ("iam-responder-forward-health", "us-east-1", "Health"),
        ("iam-responder-forward-health", BACKUP, "Health"),
    ],
)
def test_a_forwarding_rule_that_is_off_is_counted(organisation, rule, region, what):
    events = organisation.world.client("events", organisation.third, region=region)
    events.disable_rule(Name=rule)
    try:
        [(state, named, detail)] = organisation.off(code=1)
    finally:
        events.enable_rule(Name=rule)
    assert (state, named) == ("missing", what) and f"{rule} in {region} is switched off" in detail
    assert f"not in {organisation.third}" in detail


def test_a_forwarding_rule_that_sends_elsewhere_is_counted(organisation):
    events = organisation.world.client("events", organisation.third)
    rule = "iam-responder-forward-create-user"
    [target] = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.put_targets(Rule=rule, Targets=[{**target, "Arn": target["Arn"].replace("-forwarded", "-other")}])
    try:
        [(_, what, detail)] = organisation.off(code=1)
    finally:
        events.put_targets(Rule=rule, Targets=[target])
    assert what == "CreateUser" and "sends elsewhere" in detail


def test_a_rule_of_the_stack_that_is_off_is_said_with_the_command(organisation):
    events = organisation.world.client("events", organisation.world.security)
    bus = next(it["Name"] for it in events.list_event_buses()["EventBuses"] if it["Name"] != "default")
    for place in ("default", bus):
        name = next(it["Name"] for it in events.list_rules(EventBusName=place)["Rules"] if "CreatedUsers" in it["Name"])
        events.disable_rule(Name=name, EventBusName=place)
        try:
            [(state, what, detail)] = organisation.off(code=1)
        finally:
            events.enable_rule(Name=name, EventBusName=place)
        assert (state, what) == ("missing", "rules") and f"aws events enable-rule --name {name} --event-bus-name {place}" in detail


def test_it_knows_every_rule_that_a_parameter_switches(organisation):
    resources = templates.translated()["Resources"]
    rules = {name: it["Properties"].get("State") for name, it in resources.items() if it["Type"] == "AWS::Events::Rule"}
    assert {name for name, state in rules.items() if isinstance(state, dict)} == set(after.OFF_UNLESS)


def test_a_topic_that_nobody_confirmed_is_said(organisation):
    sns = organisation.world.client("sns", organisation.world.security)
    kept = sns.list_subscriptions_by_topic(TopicArn=organisation.world.topic)["Subscriptions"]
    for it in kept:
        sns.unsubscribe(SubscriptionArn=it["SubscriptionArn"])
    try:
        [(state, what, detail)] = organisation.off(code=1)
    finally:
        for it in kept:
            sns.subscribe(TopicArn=organisation.world.topic, Protocol=it["Protocol"], Endpoint=it["Endpoint"])
    assert (state, what) == ("missing", "alert topic") and "aws sns subscribe" in detail


def test_a_token_that_slack_refuses_is_said_and_nowhere_shown(organisation):
    organisation.slack.control("team", revoked=True)
    try:
        [(state, what, detail)] = organisation.off(code=1)
    finally:
        organisation.slack.control("team", revoked=False)
    assert (state, what) == ("missing", "Slack") and "`token_revoked`" in detail


def test_slack_that_does_not_answer_is_not_called_missing(organisation):
    organisation.slack.fault(times=1, html=True, status=502)
    [(state, what, detail)] = organisation.off(code=2)
    assert (state, what) == ("can't be read", "Slack") and "HTTP 502" in detail


def test_a_parameter_without_a_token_is_said(organisation):
    ssm = organisation.world.client("ssm", organisation.world.security)
    name = organisation.slack.parameters["SlackTokenParameter"]
    ssm.delete_parameter(Name=name)
    try:
        [(state, what, detail)] = organisation.off(code=1)
    finally:
        organisation.slack.rotate()
    assert (state, what) == ("missing", "Slack") and f"no parameter {name}" in detail


@pytest.mark.parametrize("kind, line, days, words", [("last", "last drill", 9, "passed 9 days ago"), ("created", "last creation drill", None, "none has passed")])
def test_a_drill_that_is_too_long_ago_is_said(organisation, kind, line, days, words):
    if days is None:
        organisation.dynamodb().delete_item(TableName=organisation.table(), Key={"id": {"S": f"drill#{kind}"}})
    else:
        organisation.pass_drill(days_ago=days, kinds=(kind,))
    try:
        [(state, what, detail)] = organisation.off(code=1)
    finally:
        organisation.pass_drill(days_ago=1)
    assert (state, what) == ("missing", line) and words in detail


def test_what_failed_for_good_is_counted(organisation):
    sqs = organisation.world.client("sqs", organisation.world.security)
    url = next(it for it in sqs.list_queues()["QueueUrls"] if "DeadLetter" in it)
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    try:
        [(state, what, detail)] = organisation.off(code=1)
    finally:
        sqs.purge_queue(QueueUrl=url)
    assert (state, what) == ("missing", "dead letters") and detail.startswith("1 events failed for good")


def test_a_runbook_that_is_not_there_is_counted(organisation):
    ssm = organisation.world.client("ssm", organisation.third)
    kept = ssm.get_document(Name=RUNBOOK, DocumentFormat="JSON")["Content"]
    ssm.delete_document(Name=RUNBOOK)
    try:
        [(_, what, detail)] = organisation.off(code=1)
    finally:
        ssm.create_document(Name=RUNBOOK, Content=kept, DocumentType="Automation", DocumentFormat="JSON")
    assert what == "runbook" and f"not in {organisation.third}" in detail


def test_it_needs_boto3_alone_in_the_version_of_the_tests():
    pinned = (ROOT / "tools/requirements.txt").read_text().splitlines()
    assert {it.split("==")[0] for it in pinned} == {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}
    assert set(pinned) <= set((ROOT / "tests/requirements.txt").read_text().splitlines())
