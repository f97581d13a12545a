"""The simulated AWS that the tests share, each with accounts of its own in it, and which tests start first."""

import collections
import concurrent.futures
import contextlib
import fcntl
import json
import os
import urllib.request

import pytest
from samtranslator.yaml_helper import yaml_parse

from .aws.queues import POLLING
from .harness import browser, templates
from .harness.operators import Organisation
from .harness.processes import simulated_aws
from .harness.world import World

_running = contextlib.ExitStack()


def pytest_configure(config):
    config.addinivalue_line("markers", "seconds(n): about how long the test waits for time to pass; the longest start first")
    config.addinivalue_line("markers", "heavy: it keeps both cores busy by itself, starts before all others, and runs alone")
    if hasattr(config, "workerinput"):
        return
    if getattr(config.option, "maxschedchunk", 0) is None:
        config.option.maxschedchunk = 1  # Whoever is free takes the next test, so that no process is left with the last ten.
    # A process of Python keeps one core busy.
    count = min(os.cpu_count(), getattr(config.option, "numprocesses", None) or 1)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        config.simulated_aws = list(pool.map(lambda _: _running.enter_context(simulated_aws()), range(count)))


def pytest_configure_node(node):
    """The tests run in several processes; they share what the first started."""
    every = node.config.simulated_aws
    node.workerinput["simulated_aws"] = every[int(node.gateway.id.removeprefix("gw")) % len(every)]


def pytest_collection_modifyitems(items):
    """What waits long starts first: the others fill the time, and nothing is waited for at the end."""
    items.sort(key=lambda it: (is_heavy(it), seconds(it)), reverse=True)


def is_heavy(item):
    return item.get_closest_marker("heavy") is not None


def seconds(item):
    marker = item.get_closest_marker("seconds")
    return marker.args[0] if marker else 0


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        _running.close()


# So many may have had to wait for a busy machine; more are a change that fails every now and then.
MOST_RERUN = 30


def pytest_terminal_summary(terminalreporter):
    """Nothing is left out without a word."""
    left_out = [it for it in terminalreporter.stats.get("skipped", []) if browser.MISSING in str(it.longrepr)]
    if left_out:
        terminalreporter.write_line(f"Left out: {len(left_out)} tests of the report form's pages, because {browser.MISSING}.")


# moto answers S3 itself, so that no role is judged there; `test_report_kept.py` has the objects.
NOT_SEEN = {"s3:PutObject"}
# What Lambda does with the function's role, and the tests' thieves with a stolen session.
PLATFORM = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage", *POLLING}


def pytest_sessionfinish(session, exitstatus):
    """Over the whole suite, the roles did everything that the templates let them, and nothing else:
    what nothing needs should not be allowed, and an untested permission is an untested call."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    rerun = config.pluginmanager.get_plugin("terminalreporter").stats.get("rerun", [])
    if len(rerun) > MOST_RERUN:
        print(f"\n{len(rerun)} tests passed only when they were run again, alone: more than {MOST_RERUN}.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    is_part = config.args != ["tests"] or config.option.keyword or config.option.deselect
    if exitstatus or is_part:
        return
    done = collections.defaultdict(set)
    for url in config.simulated_aws:
        with urllib.request.urlopen(f"{url}/_sim/actions") as answer:
            for role, actions in json.load(answer).items():
                done[role].update(actions)
    wrong = []
    for role, template, name in (
        ("iam-responder", templates.translated(), "ResponderRole"),
        ("iam-responder-hygiene", templates.translated(), "HygieneRole"),
        ("iam-responder-sweeper", templates.translated(), "SweeperRole"),
        ("SecuritySweepRole", yaml_parse(templates.member()), "SecuritySweepRole"),
        ("iam-responder-driller", templates.translated(), "DrillerRole"),
        ("SecurityDrillRole", yaml_parse(templates.member()), "SecurityDrillRole"),
        ("iam-responder-investigator", templates.translated(), "InvestigatorRole"),
        ("SecurityInvestigatorRole", yaml_parse(templates.member()), "SecurityInvestigatorRole"),
        ("iam-responder-restorer", templates.translated(), "RestorerRole"),
        ("iam-responder-form", templates.translated(), "FormRole"),
        ("iam-responder-slack", templates.translated(), "SlackEndpointRole"),
        ("SecurityRestoreRole", yaml_parse(templates.member()), "SecurityRestoreRole"),
        ("SecurityRemediationRole", yaml_parse(templates.member()), "SecurityRemediationRole"),
        ("SecurityGuardrailRole", yaml_parse(templates.guardrail()), "SecurityGuardrailRole"),
    ):
        allowed = allowed_actions(template["Resources"][name]) - PLATFORM - NOT_SEEN
        made = done[role]
        wrong += [f"{role} was never seen to need {action}" for action in sorted(allowed - made)]
        wrong += [f"{role} did {action} unseen by the template" for action in sorted(made - allowed)]
    wrong += too_wide(config)
    if wrong:
        print("\n" + "\n".join(wrong))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def too_wide(config):
    """No session may do what its role may: each scope did everything that its policy lets it."""
    kinds = {"users": (set(), set()), "a role": (set(), set())}
    wrong = []
    for url in config.simulated_aws:
        with urllib.request.urlopen(f"{url}/_sim/sessions") as answer:
            for session in json.load(answer):
                if session["policy"] is None:
                    wrong.append(f"a session of {session['role']} was taken without a policy")
                    continue
                actions = {action for it in session["policy"]["Statement"] for action in it["Action"]}
                kind = "users" if "iam:UpdateAccessKey" in actions else "a role" if "iam:PutRolePolicy" in actions else None
                if kind:
                    kinds[kind][0].update(actions)
                    kinds[kind][1].update(session["actions"])
    for kind, (allowed, done) in kinds.items():
        wrong += [f"a session for {kind} was never seen to need {action}" for action in sorted(allowed - done)]
    return wrong


def allowed_actions(role):
    statements = [s for p in role["Properties"]["Policies"] for s in p["PolicyDocument"]["Statement"]]
    statements = [s["Fn::If"][1] if "Fn::If" in s else s for s in statements]
    actions = [s["Action"] for s in statements if s["Effect"] == "Allow"]
    return {action for each in actions for action in (each if isinstance(each, list) else [each])}


@pytest.fixture(autouse=True)
def room(request, tmp_path_factory):
    """All to itself for a heavy test, and for what failed and is run again: its real time limits are the binary's, and
    a busy machine keeps it waiting. The others share the room, and stand behind one that wants it for itself at the gate."""
    folder = tmp_path_factory.getbasetemp().parent
    alone = is_heavy(request.node) or getattr(request.node, "execution_count", 1) > 1
    with open(folder / "gate.lock", "w") as gate, open(folder / "room.lock", "w") as room:
        fcntl.flock(gate, fcntl.LOCK_EX)
        if alone:
            fcntl.flock(room, fcntl.LOCK_EX)
        else:
            fcntl.flock(room, fcntl.LOCK_SH)
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.fixture
def world(request):
    config = request.config
    url = config.workerinput["simulated_aws"] if hasattr(config, "workerinput") else config.simulated_aws[0]
    world = World(url)
    yield world
    world.close()


@pytest.fixture(scope="module")
def organisation(request):
    """What an operator has: made once for the tests of a file, each of which leaves it as it was."""
    config = request.config
    built = Organisation(config.workerinput["simulated_aws"] if hasattr(config, "workerinput") else config.simulated_aws[0])
    yield built
    built.world.close()
