"""The world of `make local`, by the commands that it prints."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from .harness.processes import ROOT, free_port
from .harness.victims import user_state
from .harness.world import World
from .harness import plant
from .harness.plant import MEMBER, SECURITY
from .test_event_path import eventually

EVENTS = ROOT / "events"
PUT_EVENTS = sorted((EVENTS / "put-events").glob("*.json"))


class Local:
    """A running `make local`, and a shell beside it that has read env.sh."""

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        command = [sys.executable, "-m", "tests.local", "--port", str(self.port), "--settle", "0", "--directory", str(directory)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            if "docs/rehearse.sh" in line:
                return
        raise AssertionError("".join(self.said))

    def shell(self, command):
        """What a person types into the second terminal."""
        ended = subprocess.run(["sh", "-ec", f". '{self.directory}/env.sh'\n{command}"], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def fails(self, command):
        ended = subprocess.run(["sh", "-ec", f". '{self.directory}/env.sh'\n{command}"], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert ended.returncode, command
        return ended.stderr

    def json(self, command):
        return json.loads(self.shell(command))

    def printed(self, *words):
        """The one printed command that has these words."""
        [command] = [line.strip() for line in self.said if all(word in line for word in words) and line.startswith("  ")]
        return command

    @property
    def world(self):
        return World(f"http://127.0.0.1:{self.port}", member=MEMBER, security=SECURITY)

    def user(self, name):
        return user_state(self.world.iam, name)

    def close(self):
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=20)
        assert "Traceback" not in rest, rest


@contextlib.contextmanager
def running():
    with tempfile.TemporaryDirectory() as directory:
        local = Local(Path(directory))
        try:
            yield local
        finally:
            local.close()


@pytest.fixture(scope="module")
def local():
    """For tests that each have an identity of their own in it."""
    with running() as local:
        yield local


# What the function answers about each sample of events/, in the order in which they are sent: the verdicts,
# or that it restores, tells what it knows, or fails.
ANSWERS = {
    "guardduty-exfiltration-iam-user-anomalous-behavior-gov-cloud": "errorType",
    "guardduty-impact-iam-user-anomalous-behavior-root": ["Refused"],
    "guardduty-attack-sequence-iam-compromised-credentials": ["Contained", "Contained"],
    "guardduty-discovery-iam-user-anomalous-behavior-low": "told",
    "guardduty-exfiltration-s3-anomalous-behavior-by-role": "told",
    "guardduty-policy-iam-user-root-credential-usage": "told",
    "guardduty-policy-s3-bucket-public-access-granted": "told",
    "guardduty-unauthorized-access-iam-user-tor-ip-caller-medium": "told",
    "security-hub-iam-4-root-access-key": ["Refused"],
    "security-hub-pci-iam-1-root-access-key": ["Refused"],
    "security-hub-two-findings": ["Contained", "Contained"],
    "cloudtrail-create-user": ["Contained"],
    "drill": ["Contained"],
    "command-approve": "decision",
    "command-decline": "decision",
    "command-requests": {"reports": [], "ignored": [], "requests": []},
    "command-status-user": "status",
    "front-request": {"reports": [], "ignored": []},
    "command-restore-user": "restore",
}


def what(answer):
    """The verdicts of an answer, or the one thing that it is about."""
    about = [name for name in ("errorType", "status", "restore", "told", "decision", "requests") if answer.get(name) not in (None, [])]
    return [report["verdict"] for report in answer.get("reports", [])] or (about or [answer])[0]


def test_every_event_is_answered():
    """In one world, so that most find done what an earlier one asked for."""
    with running() as local:
        assert wrong_answers(local) == {}


def wrong_answers(local):
    samples = sorted(EVENTS.glob("*.json"), key=lambda it: it.stem.startswith(("command-restore", "command-status")))
    functions = local.world.client("lambda", SECURITY)
    names = dict(line.split("=") for line in local.shell("env | grep -E '^(FUNCTION|RESTORER)='").split())
    wrong = {}
    for sample in samples:
        by_part = {"responder": names["FUNCTION"], "hygiene": f"{names['FUNCTION']}-hygiene", "restorer": names["RESTORER"]}
        asked = [by_part[part] for part in plant.parts(json.loads(sample.read_bytes()))]
        answer = plant.merged([json.load(functions.invoke(FunctionName=name, Payload=sample.read_bytes())["Payload"]) for name in asked])
        if what(answer) != ANSWERS.get(sample.stem, ["Contained"]):
            wrong[sample.stem] = what(answer)
    return wrong


def test_put_events_contains_and_counts_again_after_a_restore(local):
    """Each ready sample by the printed command, by the templates' own rules."""
    sends = {path.stem: local.printed("put-events", "compromised-user").replace("compromised-user", path.stem) for path in PUT_EVENTS}
    assert set(sends) == {"compromised-user", "compromised-role", "compromised-root"}
    contained = lambda: "AWSDenyAll" in local.user("alice")["policies"]  # noqa: E731
    asks = local.printed("list-users", "--profile alice")
    assert "alice" in local.json(asks)

    as_it_is = f"aws events put-events --entries file://{EVENTS}/put-events/compromised-user.json"
    assert local.json(as_it_is)["FailedEntryCount"] == 0
    assert eventually(lambda: contained() and set(local.user("alice")["keys"].values()) == {"Inactive"})
    assert "InvalidClientTokenId" in local.fails(asks)
    restore = local.printed("lambda invoke", "$RESTORER")
    assert eventually(lambda: '"Restored"' in local.shell(restore)) and not contained()
    # The file's time is from before the restore; the command's is not, from the next second on.
    local.shell(as_it_is)
    time.sleep(1)
    assert not contained()
    local.shell(sends["compromised-user"])
    assert eventually(contained)

    local.shell(sends["compromised-role"])
    roles = lambda: local.world.iam.list_role_policies(RoleName="app")["PolicyNames"]  # noqa: E731
    assert eventually(lambda: roles() == ["AWSRevokeOlderSessions"])
    local.shell(sends["compromised-root"])
    assert eventually(lambda: any("root" in it["title"].lower() for it in local.world.incidents()))


def test_the_rehearsal_of_an_imported_finding(local):
    """A title that says nothing to us, a generator that the settings name, no region, no workflow."""
    [finding] = json.loads((EVENTS / "batch-import-findings" / "iam-remediation-test-001.json").read_text())
    assert finding["GeneratorId"] == "automated-remediation-test" and "Region" not in finding
    said = local.shell("docs/rehearse.sh")
    assert "Remediated." in said and "AutoRemediated" in said and "policies none" in said and "keys     Inactive" in said
    assert "dangerous-test-user" not in {user["UserName"] for user in local.world.iam.list_users()["Users"]}


def test_a_user_made_by_somebody_is_quarantined(local):
    local.shell(local.printed("create-user"))
    assert eventually(lambda: "AWSDenyAll" in local.user("service-jmokoe")["policies"])
