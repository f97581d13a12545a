"""The world of `make local`, by the commands that it prints."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from .harness.processes import ROOT, free_port
from .harness.world import World
from .local import MEMBER, SECURITY
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

    def json(self, command):
        return json.loads(self.shell(command))

    def printed(self, *words):
        """The one printed command that has these words."""
        [command] = [line.strip() for line in self.said if all(word in line for word in words) and line.startswith("  ")]
        return command

    def user(self, name, profile="member"):
        keys = self.json(f"aws iam list-access-keys --profile {profile} --user-name {name}")["AccessKeyMetadata"]
        policies = self.json(f"aws iam list-attached-user-policies --profile {profile} --user-name {name}")["AttachedPolicies"]
        tags = self.json(f"aws iam list-user-tags --profile {profile} --user-name {name}")["Tags"]
        return {
            "keys": {key["Status"] for key in keys},
            "policies": {policy["PolicyName"] for policy in policies},
            "tags": {tag["Key"]: tag["Value"] for tag in tags},
        }

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


@pytest.fixture
def local():
    with running() as local:
        yield local


# What the function answers about each sample of events/, in the order in which they are sent: the verdicts,
# or that it restores, tells what it knows, or fails.
ANSWERS = {
    "guardduty-exfiltration-iam-user-anomalous-behavior-gov-cloud": "errorType",
    "guardduty-impact-iam-user-anomalous-behavior-root": ["Refused"],
    "guardduty-attack-sequence-iam-compromised-credentials": ["Contained", "Contained"],
    "security-hub-iam-4-root-access-key": ["Refused"],
    "security-hub-two-findings": ["Contained", "Contained"],
    "cloudtrail-create-user": ["Contained"],
    "drill": ["Contained"],
    "command-status-user": "status",
    "command-restore-user": "restore",
}


def what(answer):
    """The verdicts of an answer, or the one thing that it is about."""
    return [report["verdict"] for report in answer.get("reports", [])] or next(iter({"errorType", "status", "restore"} & set(answer)), answer)


def test_every_event_is_answered(local):
    """In one world, so that most find done what an earlier one asked for."""
    samples = sorted(EVENTS.glob("*.json"), key=lambda it: it.stem.startswith(("command-restore", "command-status")))
    functions = World(f"http://127.0.0.1:{local.port}", member=MEMBER, security=SECURITY).client("lambda", SECURITY)
    names = dict(line.split("=") for line in local.shell("env | grep -E '^(FUNCTION|RESTORER)='").split())
    wrong = {}
    for sample in samples:
        name = names["RESTORER" if sample.stem == "command-restore-user" else "FUNCTION"]
        answer = json.load(functions.invoke(FunctionName=name, Payload=sample.read_bytes())["Payload"])
        if what(answer) != ANSWERS.get(sample.stem, ["Contained"]):
            wrong[sample.stem] = answer
    assert not wrong, json.dumps(wrong, indent=1)
