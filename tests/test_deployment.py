"""What docs/deploy.md promises of the templates, and that its commands fit them."""

import collections
import json
import os
import re
import subprocess

import pytest
from samtranslator.yaml_helper import yaml_parse

from tools.preflight import members

from .harness import templates
from .harness.processes import ROOT
from .harness.victims import allowed
from .harness.world import EXTERNAL_ID

DEPLOY = (ROOT / "docs/deploy.md").read_text()
NEXT = "the-next-external-id-of-the-tests"
MEMBER = yaml_parse(templates.member())
ROLES = {
    "SecurityRemediationRole": ("iam-responder", "iam-responder-hygiene"),
    "SecurityRestoreRole": ("iam-responder-restorer",),
    "SecuritySweepRole": ("iam-responder-sweeper",),
    "SecurityInvestigatorRole": ("iam-responder-investigator",),
    "SecurityDrillRole": ("iam-responder-driller",),
}


def test_a_first_deployment_that_failed_leaves_no_log_group_whose_name_is_taken():
    groups = {name: it for name, it in templates.translated()["Resources"].items() if it["Type"] == "AWS::Logs::LogGroup"}
    assert groups and {it["DeletionPolicy"] for it in groups.values()} == {"RetainExceptOnCreate"}
    assert {it["UpdateReplacePolicy"] for it in groups.values()} == {"Retain"}


def test_the_output_names_the_driller(world):
    outputs = world.deploy_responder(DrillAccount=world.member)
    functions = world.client("lambda", world.security).list_functions()["Functions"]
    [driller] = [it["FunctionName"] for it in functions if it["Environment"]["Variables"]["PART"] == "driller"]
    assert outputs["DrillerFunctionName"] == driller


def roles_with_an_external_id():
    trusts = {name: json.dumps(it["Properties"].get("AssumeRolePolicyDocument"), default=str) for name, it in MEMBER["Resources"].items() if "Properties" in it}
    return {name for name, trust in trusts.items() if "sts:ExternalId" in trust}


def test_no_role_with_an_external_id_is_forgotten_when_it_is_changed():
    operations = (ROOT / "docs/operations.md").read_text()
    changing = operations.split("## Rotate the external ID")[1].split("\n## ")[0]
    assert roles_with_an_external_id() == set(ROLES)
    assert set(re.findall(r"`(Security\w+Role)`", changing)) == set(ROLES)


def test_preflight_looks_at_every_role_and_every_value_that_both_stacks_must_share():
    named = {it["Properties"]["RoleName"]["Ref"] for name, it in MEMBER["Resources"].items() if name in roles_with_an_external_id()}
    assert named == set(members.ROLES | members.DRILL_ROLE)
    responder = templates.translated()
    shared = set(MEMBER["Parameters"]) & (set(responder["Parameters"]) | set(responder["Outputs"]))
    assert set(members.SAME) == shared - {"ExternalId"}


@pytest.mark.parametrize("role", ROLES)
def test_while_the_external_id_is_being_changed_each_role_takes_both_and_no_third(world, role):
    given = world.deploy_responder(DrillAccount=world.member)
    wanted = {name: given[name] for name in MEMBER["Parameters"] if name in given}
    world.stack(world.member, templates.member(), wanted | {"NextExternalId": NEXT})
    arn = f"arn:aws:iam::{world.member}:role/{role}"
    for function in ROLES[role]:
        credentials = world.control("role-credentials", {"role_arn": f"arn:aws:iam::{world.security}:role/{function}", "region": world.region})
        sts = world.client("sts", **{name.lower(): value for name, value in credentials.items()})

        def takes(external_id, sts=sts):
            return allowed(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId=external_id))

        assert takes(EXTERNAL_ID) and takes(NEXT) and not takes("some-other-external-id-of-the-tests")


def test_without_a_change_of_the_external_id_only_the_one_is_taken(world):
    world.deploy()
    credentials = world.control("role-credentials", {"role_arn": world.responder_role, "region": world.region})
    sts = world.client("sts", **{name.lower(): value for name, value in credentials.items()})
    arn = f"arn:aws:iam::{world.member}:role/SecurityRemediationRole"
    assert allowed(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId=EXTERNAL_ID))
    assert not allowed(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId=NEXT))


def shell(text):
    """The commands of a document's blocks, with their continued lines."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [line for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]


def test_the_first_deployment_sets_what_would_otherwise_stay_silent():
    [command] = [it for it in shell(DEPLOY) if it.startswith("sam deploy --config-env observe")]
    given = dict(it.split("=", 1) for it in command.split("--parameter-overrides ")[1].split())
    assert given["Mode"] == "observe"
    assert {"ExternalId", "OrganizationId", "AlertEmail", "RotationDocument", "ReservedConcurrency"} <= set(given)
    assert set(given) <= set(templates.translated()["Parameters"])
    [stack_set] = [it for it in shell(DEPLOY) if "create-stack-set " in it]
    assert f"ParameterKey=RotationDocument,ParameterValue={given['RotationDocument']}" in stack_set
    for environment in ("observe", "enforce"):
        assert f"Mode={environment} RotationDocument={given['RotationDocument']}" in (ROOT / "samconfig.toml").read_text()


def test_the_stack_set_has_every_parameter_that_it_needs_and_an_update_forgets_none():
    commands = [it for it in shell(DEPLOY) if "-stack-set --stack-set-name" in it]
    created, updated = ({part.split("ParameterKey=")[1].split(",")[0] for part in it.split() if "ParameterKey=" in part} for it in commands)
    needed = {name for name, it in MEMBER["Parameters"].items() if "Default" not in it}
    assert needed <= created <= set(MEMBER["Parameters"]) and created == updated


def test_every_output_that_the_steps_use_is_there():
    outputs = set(templates.translated()["Outputs"])
    used = set(re.findall(r"\$\{?([A-Z][A-Za-z]*[a-z][A-Za-z]*)", "\n".join(shell(DEPLOY))))
    assert used and used <= outputs


def test_the_outputs_come_into_the_shell_each_under_its_name(world):
    """As docs/deploy.md has it, with the AWS CLI."""
    outputs = world.deploy_responder()
    block = next(it for it in re.findall(r"```sh\n(.*?)```", DEPLOY, re.S) if "describe-stacks" in it)
    shown = 'for NAME in FunctionName AlertTopicArn EventBusArn FUNCTION RESTORER SWEEPER; do echo "$NAME ${!NAME}"; done'
    environment = {
        **os.environ,
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": world.url,
        "AWS_ACCESS_KEY_ID": f"SIMADMIN{world.security}",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": world.region,
    }
    ended = subprocess.run(["bash", "-euc", block + shown], check=True, capture_output=True, text=True, env=environment)
    got = dict(line.split(" ", 1) for line in ended.stdout.splitlines())
    assert {name: outputs[name] for name in ("FunctionName", "AlertTopicArn", "EventBusArn")}.items() <= got.items()
    assert [got["FUNCTION"], got["RESTORER"], got["SWEEPER"]] == [outputs[f"{it}FunctionName"] for it in ("", "Restorer", "Sweeper")]


def test_the_guardrail_fits_into_a_policy_as_the_steps_make_it(tmp_path):
    [command] = [it for it in shell(DEPLOY) if "guardrail-scp.json" in it and "sed" in it]
    script = command.replace("guardrail-scp.json", str(ROOT / "guardrail-scp.json"))
    subprocess.run(["bash", "-euc", script], check=True, cwd=tmp_path, env={**os.environ, "DRILL_ACCOUNT": "111122223333"})
    made = (tmp_path / "scp.json").read_text().strip()
    assert "arn:*:iam::111122223333:role/SecurityDrillRole" in made and "000000000000" not in made
    assert json.loads(made)["Statement"] and f"{len(made):,} of the 5,120 characters" in DEPLOY


# How the documents call the functions.
FUNCTIONS = {"$FUNCTION": "Responder", "$RESTORER": "Restorer", "$SWEEPER": "Sweeper", "$DRILLER": "Driller", "$INVESTIGATOR": "Investigator"}


def test_no_documented_command_is_sent_twice_because_the_cli_does_not_wait():
    """Those for AWS; what is tried on this machine ends sooner."""
    resources, seen = templates.translated()["Resources"], set()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for command in re.findall(r"aws lambda invoke (?!`|--endpoint-url)[^\n`]*", path.read_text()):
            function = re.search(r"--function-name (\$\w+)", command)
            if function is None:
                continue
            seconds = re.search(r"--cli-read-timeout (\d+)", command)
            assert seconds and int(seconds.group(1)) > resources[FUNCTIONS[function.group(1)]]["Properties"]["Timeout"], f"{path.name}: {command}"
            seen.add(function.group(1))
    assert "$DRILLER" in seen and "$FUNCTION" in seen


def test_no_command_that_people_are_told_is_sent_twice_because_the_cli_does_not_wait():
    """Whichever function it is for."""
    resources = templates.translated()["Resources"].values()
    longest = max(it["Properties"]["Timeout"] for it in resources if it["Type"] == "AWS::Lambda::Function")
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    told = re.findall(r'aws lambda invoke [^"]*--function-name', sources)
    assert told
    for command in told:
        seconds = re.search(r"--cli-read-timeout (\d+)", command)
        assert seconds and int(seconds[1]) > longest, command


def test_the_costs_count_the_alarms_that_there_are():
    def alarms(template):
        of = yaml_parse((ROOT / template).read_text())["Resources"].values()
        return collections.Counter(it.get("Condition") for it in of if it["Type"] == "AWS::CloudWatch::Alarm")

    costs = (ROOT / "docs/costs.md").read_text()
    there = alarms("template.yaml")
    always = there.pop(None)
    assert f"{always} alarms × $0.10, " in costs and f"**${1 + always / 10 + 3:.2f}**" in costs
    assert there == {"HasSweepSchedule": 1, "HasDrill": 3, "HasForm": 1, "HasSlackEndpoint": 1}
    assert "With `SweepSchedule`, the form or clicks in Slack one alarm more for each" in costs and "With drills three alarms more" in costs
    # That condition holds in two regions of an account.
    assert alarms("member-role.yaml") == {"ForwardsHealth": 1} and "In each member account two alarms" in costs


def test_an_error_of_each_function_is_an_alarm():
    resources = templates.translated()["Resources"]
    alarms = [it["Properties"] for it in resources.values() if it["Type"] == "AWS::CloudWatch::Alarm" and it["Properties"].get("MetricName") == "Errors"]
    watched = {it["Dimensions"][0]["Value"]["Ref"] for it in alarms if it["Namespace"] == "AWS/Lambda" and it["Threshold"] == 1}
    # What the sweeper fails at is tried again by the state machine, which has alarms of its own.
    assert {name for name, it in resources.items() if it["Type"] == "AWS::Lambda::Function"} - watched == {"Sweeper"}


def operations_row(alarm):
    return next(it for it in (ROOT / "docs/operations.md").read_text().splitlines() if it.startswith(f"| `{alarm}`"))


def test_whoever_reads_what_was_not_forwarded_knows_of_each_event_that_is():
    forwarded = MEMBER["Resources"]["ForwardCreateUser"]["Properties"]["EventPattern"]["detail"]["eventName"]
    assert all(f"`{it}`" in operations_row("NotForwardedAlarm") for it in forwarded)


@pytest.mark.parametrize("alarm", ["DeadLettersAlarm", "NotForwardedAlarm"])
def test_whoever_mends_what_a_queue_keeps_is_told_to_delete_it(alarm):
    """It is about how many messages there are: one that stays hides those that come later."""
    template = MEMBER["Resources"] if alarm == "NotForwardedAlarm" else templates.translated()["Resources"]
    assert template[alarm]["Properties"]["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert "delete the message" in operations_row(alarm) and "raises no" in operations_row(alarm)


def test_the_member_role_attaches_what_the_documents_say():
    [policy] = MEMBER["Resources"]["SecurityRemediationRole"]["Properties"]["Policies"]
    attaching = [it for it in policy["PolicyDocument"]["Statement"] if it.get("Effect") == "Allow" and "iam:AttachUserPolicy" in it["Action"]]
    attached = {json.dumps(it["Condition"]["ArnEquals"]["iam:PolicyARN"]).rstrip('"}').rsplit("/", 1)[1] for it in attaching}
    assert attached == {"AWSDenyAll", "SecurityRequireMfa"}
    for document in ("README.md", "SPECIFICATION.md"):
        said = re.findall(r"attach nothing but ([^,.;]*)", (ROOT / document).read_text())
        assert [set(re.findall(r"`(\w+)`", it)) for it in said] == [attached], document


def test_the_template_has_what_the_application_repository_asks_for():
    """https://docs.aws.amazon.com/serverlessrepo/latest/devguide/serverlessrepo-publishing-applications-metadata-properties.html"""
    metadata = yaml_parse((ROOT / "template.yaml").read_text())["Metadata"]["AWS::ServerlessRepo::Application"]
    assert {"Name", "Description", "Author"} <= set(metadata) and len(metadata["Description"]) <= 256
    version = re.search(r'(?m)^version = "(.*)"', (ROOT / "Cargo.toml").read_text()).group(1)
    assert metadata["SemanticVersion"] == version
    assert metadata["SpdxLicenseId"] == "Apache-2.0" and all((ROOT / metadata[it]).exists() for it in ("LicenseUrl", "ReadmeUrl"))
    assert len(metadata["Labels"]) <= 10 and all(re.fullmatch(r"[a-zA-Z0-9+\-_:/@]{1,127}", it) for it in metadata["Labels"])
