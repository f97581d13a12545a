"""One simulated AWS for all tests; each test has accounts of its own in it."""

import contextlib
import json
import urllib.request

import pytest
from samtranslator.yaml_helper import yaml_parse

from .harness import templates
from .harness.processes import simulated_aws
from .harness.world import World

_running = contextlib.ExitStack()


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.simulated_aws = _running.enter_context(simulated_aws())


def pytest_configure_node(node):
    """The tests run in several processes; they share the one that the first started."""
    node.workerinput["simulated_aws"] = node.config.simulated_aws


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        _running.close()


# What Lambda does with the function's role, and the tests' thieves with a stolen session.
PLATFORM = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}


def pytest_sessionfinish(session, exitstatus):
    """Over the whole suite, the roles did everything that the templates let them, and nothing else:
    what nothing needs should not be allowed, and an untested permission is an untested call."""
    config = session.config
    is_part = config.args != ["tests"] or config.option.keyword or config.option.deselect
    if hasattr(config, "workerinput") or exitstatus or is_part:
        return
    with urllib.request.urlopen(f"{config.simulated_aws}/_sim/actions") as answer:
        done = json.load(answer)
    wrong = []
    for role, template, name in (
        ("iam-responder", templates.translated(), "ResponderRole"),
        ("iam-responder-driller", templates.translated(), "DrillerRole"),
        ("SecurityDrillRole", yaml_parse(templates.member()), "SecurityDrillRole"),
        ("iam-responder-restorer", templates.translated(), "RestorerRole"),
        ("SecurityRestoreRole", yaml_parse(templates.member()), "SecurityRestoreRole"),
        ("SecurityRemediationRole", yaml_parse(templates.member()), "SecurityRemediationRole"),
    ):
        allowed = allowed_actions(template["Resources"][name]) - PLATFORM
        made = set(done.get(role, []))
        wrong += [f"{role} was never seen to need {action}" for action in sorted(allowed - made)]
        wrong += [f"{role} did {action} unseen by the template" for action in sorted(made - allowed)]
    if wrong:
        print("\n" + "\n".join(wrong))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def allowed_actions(role):
    statements = [s for p in role["Properties"]["Policies"] for s in p["PolicyDocument"]["Statement"]]
    statements = [s["Fn::If"][1] if "Fn::If" in s else s for s in statements]
    actions = [s["Action"] for s in statements if s["Effect"] == "Allow"]
    return {action for each in actions for action in (each if isinstance(each, list) else [each])}


@pytest.fixture
def world(request):
    config = request.config
    url = config.workerinput["simulated_aws"] if hasattr(config, "workerinput") else config.simulated_aws
    world = World(url)
    yield world
    world.close()
