"""The demo of an event that nobody foresaw: the function's own word, and no traceback."""

import json
import subprocess
import sys

import pytest

from .harness.processes import ROOT


def demo(*arguments):
    command = [sys.executable, "-m", "tests.demo", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def sample(name):
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def of_a_role(name):
    event = sample("guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws")
    event["detail"]["resource"]["accessKeyDetails"]["userName"] = name
    return event


def of_actors(*changes):
    event = sample("guardduty-attack-sequence-iam-compromised-credentials")
    actors = event["detail"]["service"]["detection"]["sequence"]["actors"]
    actors[:] = [{**actors[0], "user": {**actors[0]["user"], **change}} for change in changes]
    return event


def hub_finding(change):
    event = sample("security-hub-iam-8-unused-credentials")
    change(event["detail"]["findings"][0])
    return event


def with_two_keys():
    event = sample("health-risk-credentials-exposed")
    event["detail"]["affectedEntities"].append({"entityValue": "AKIAI44QH8DHBEXAMPLE"})
    return event


OWN = "it is one of this responder's own roles"
OTHER_ID = {"uid": "AIDAZZZZZZZZZZEXAMPLE", "credentialUid": None}


@pytest.mark.parametrize(
    "event, words",
    [
        pytest.param(of_a_role("SecurityRemediationRole"), [OWN, "no other one is made"], id="the-responders-own-role"),
        pytest.param({"command": "contain", "account": "111122223333", "role": "SecurityRemediationRole"}, [OWN], id="a-command-about-it"),
        pytest.param(of_actors({}, OTHER_ID), ["Contained", "is a namesake", "no other one is made"], id="a-name-and-two-ids"),
        pytest.param(of_actors({}, {**OTHER_ID, "name": None}), ["user alice-2", "Contained"], id="a-name-and-an-id"),
        pytest.param(hub_finding(lambda it: it.pop("Description")), ["unused-user: ", "Security Hub takes no finding like this"], id="no-description"),
        pytest.param(hub_finding(lambda it: it.pop("SchemaVersion")), ["unused-user: "], id="no-schema-version"),
        pytest.param(hub_finding(lambda it: it.update(Mine="")), ["unused-user: "], id="a-field-of-ones-own"),
        pytest.param(with_two_keys(), ["user alice", "user alice-2", "Contained"], id="two-exposed-keys"),
        pytest.param(hub_finding(lambda it: it.update(Id="")), ["MalformedEvent", "detail.findings[0].Id"], id="no-id"),
    ],
)
def test_it_ends_with_the_functions_word(tmp_path, event, words):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(event))
    ended = demo("--settle", "0", path)
    assert ended.stderr == "" and all(it in ended.stdout for it in words), ended


@pytest.mark.parametrize(
    "text, settle, word",
    [("[" * 3_000 + "]" * 3_000, "0", "can't be read as an event"), ("{}", "soon", "expected a number of seconds"), ("{}", "nan", "expected a number of seconds")],
    ids=["deep", "no-settle-time", "no-number"],
)
def test_what_it_can_not_be_asked_is_said(tmp_path, text, settle, word):
    path = tmp_path / "mine.json"
    path.write_text(text)
    ended = demo("--settle", settle, path)
    assert ended.returncode and word in ended.stderr and "Traceback" not in ended.stderr, ended


def test_a_reader_of_the_answer_who_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m tests.demo --plain | true"
    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.stderr == ""
