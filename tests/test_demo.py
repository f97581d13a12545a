"""The demo, as a newcomer runs it."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from .harness import plant
from .harness.keeper import descendants
from .harness.processes import ROOT
from .harness.world import random_account

EVENTS = ROOT / "events"
# Of a request that nobody asked there is nothing to show, and no account to show it in.
ABOUT_REQUESTS = ("command-approve", "command-decline", "command-requests", "front-request")
SAMPLES = sorted(it for it in [*EVENTS.glob("*.json"), *EVENTS.glob("*/*.json")] if it.stem not in ABOUT_REQUESTS)


def demo(*arguments, module="tests.demo", **environment):
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env={**os.environ, **environment}
    )


def test_it_shows_the_victim_before_and_after_and_how_long_it_held():
    output, _ = demo("events/guardduty-exfiltration-iam-user-anomalous-behavior.json").communicate(timeout=60)
    assert "compromised-credential: Contained" in output and "has held for 3 s" in output
    [line] = [line for line in output.splitlines() if "may list users" in line]
    assert line.split()[-2:] == ["yes", "no"]


def test_an_attacker_is_undone_or_said_not_to_be():
    output, _ = demo("--attacker", "--settle", "2").communicate(timeout=120)
    [times] = re.findall(r"undone (\d+) times, attacker refused (\d+) times", output)
    assert int(times[0]) > 0 and int(times[1]) > 0
    assert len(re.findall(r"attacker .*; put back [\d.]+ s later", output)) <= int(times[0])
    contained = "compromised-credential: Contained" in output
    assert contained or "compromised-credential: NotContained" in output
    [line] = [line for line in output.splitlines() if "may list users" in line]
    assert not contained or line.split()[-1] == "no"


def test_a_persons_click_contains_and_no_other_does():
    output, _ = demo("--settle", "0", module="tests.demo_approval").communicate(timeout=90)
    [line] = [line for line in output.splitlines() if "may list users" in line]
    assert line.split()[-2:] == ["yes", "no"]
    for said in ("401  somebody who can't sign", "403  somebody who is no approver", "403  about another plan", "alice's key works: yes", "dana (Slack U0DANA) decided"):
        assert said in output, output


def test_the_form_is_served_until_it_is_ended():
    process = demo(module="tests.form")
    try:
        line = next(it for it in iter(process.stdout.readline, "") if "password: " in it)
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(line.split()[0])
        assert answer.value.code == 401
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130


def test_an_attacker_without_a_key_is_said():
    process = demo("--attacker", "events/command-contain-role.json")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "ATTACKER=1 needs an event that names a user" in output


def test_it_shows_a_restore():
    output, _ = demo("--settle", "0", "events/command-restore-user.json").communicate(timeout=60)
    assert "restore: Restored" in output and "stays inactive" in output
    [line] = [line for line in output.splitlines() if "SecurityIncident AutomatedSecurityQuarantine" in line]
    assert line.split()[-1] == "-"


@pytest.mark.seconds(19)
def test_an_intruder_is_answered():
    output, _ = demo(module="tests.attack").communicate(timeout=90)
    assert "service-jmokoe" in output
    assert [line.split()[-2:] for line in output.splitlines() if "may list users  " in line] == [["yes", "no"]]
    assert "AWSDenyAll" in output and "alert " in output and "report-lambda" in output


@pytest.fixture
def staged(world):
    """The demo's way with an event, in accounts of the test's own."""

    def stage(payload):
        security = random_account()
        text = json.dumps(payload).replace("111122223333", world.member).replace("999988887777", security)
        # An access key has one owner on all of AWS.
        key = "AKIA" + "".join(random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
        text = text.replace("AKIAIOSFODNN7EXAMPLE", key)
        stage = plant.Stage(world.url, plant.as_event(json.loads(text)), security)
        world.emulators = stage.world.emulators
        return stage

    return stage


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda it: it.stem)
def test_it_shows_something_sensible_of_every_sample(staged, sample):
    from .demo import prepare

    stage = staged(json.loads(sample.read_text()))
    responder, planted, said, _ = prepare(stage, "0")
    before = [victim.rows() for victim in planted]
    assert all(rows["may list users"] == "yes" for rows in before) or plant.command(stage.event)
    answer = responder.invoke(stage.event)
    assert "errorType" not in answer, answer
    verdicts = {report["verdict"] for report in answer.get("reports", [])}
    if planted and not plant.command(stage.event) in ("restore", "status"):
        assert verdicts == {"Contained"}
        assert all(victim.rows() != rows for victim, rows in zip(planted, before))
    elif said:
        assert verdicts == {"Refused"} and "root user" in said[0] or answer["told"] and "told to people" in said[0]


def guardduty(account, **details):
    event = json.loads((EVENTS / "guardduty-exfiltration-iam-user-anomalous-behavior.json").read_text())
    event["detail"] |= {"accountId": account}
    event["detail"]["resource"]["accessKeyDetails"] = details
    return event


@pytest.mark.parametrize(
    "details, title",
    [
        ({"userName": "zoe+tag@example.com", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "user zoe+tag@example.com"),
        ({"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "user alice"),
        ({"userName": "deploy", "userType": "AssumedRole", "accessKeyId": "ASIAI44QH8DHBEXAMPLE"}, "role deploy"),
        ({"userName": "carol", "userType": "IAMUser", "principalId": "AIDAZZZZZZZZZZEXAMPLE"}, "user carol"),
    ],
    ids=["user", "key-only", "role", "id"],
)
def test_whoever_an_event_of_ones_own_names_is_made_and_contained(staged, details, title):
    from .demo import prepare

    stage = staged(guardduty(random_account(), **details))
    responder, [victim], _, _ = prepare(stage, "0")
    assert victim.title == title and victim.rows()["may list users"] == "yes"
    [report] = responder.invoke(stage.event)["reports"]
    assert report["verdict"] == "Contained" and victim.rows()["may list users"] == "no"


@pytest.mark.parametrize("payload", ["[]", '"x"', '{"detail":null}'])
def test_what_is_no_event_gets_the_functions_own_error(tmp_path, payload):
    (tmp_path / "mine.json").write_text(payload)
    output, _ = demo("--settle", "0", str(tmp_path / "mine.json")).communicate(timeout=60)
    assert "MalformedEvent: malformed" in output and "Traceback" not in output


def test_an_unreadable_event_says_so():
    process = demo("events/none.json")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "can't be read" in output and "Traceback" not in output


def test_invoke_prints_json_and_nothing_else():
    ended = subprocess.run([sys.executable, "-m", "tests.demo", "--plain"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert json.loads(ended.stdout)["reports"][0]["verdict"] == "Contained"


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL], ids=lambda it: it.name)
def test_nothing_stays_behind_however_it_ends(ended_by):
    process = demo("--settle", "30")
    while "Sending" not in process.stdout.readline():
        assert process.poll() is None
    started = []
    end = time.monotonic() + 10
    # The keeper, the simulated AWS, the emulator and, once it was invoked, the function.
    while len(started) < 5 and time.monotonic() < end:
        started = descendants([process.pid])
        time.sleep(0.1)
    assert len(started) >= 5
    process.send_signal(ended_by)
    output, _ = process.communicate(timeout=20)
    assert "Traceback" not in output
    end = time.monotonic() + 10
    while time.monotonic() < end and any(map(runs, started)):
        time.sleep(0.1)
    assert [pid for pid in started if runs(pid)] == []


def runs(pid):
    """Whether it runs; one that ended and was not waited for does not."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(listed) and not listed.startswith("Z")


def test_ctrl_c_in_the_first_seconds_is_quiet():
    """As the Makefile starts it."""
    [start] = [line.split(":= ")[1] for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("SHOW :=")]
    command = start.replace("$(PYTHON)", sys.executable) + " tests.demo --settle 30"
    for seconds in (0, 0.1, 0.4, random.uniform(0.4, 2)):
        process = subprocess.Popen(["sh", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        end = time.monotonic() + 20
        # In the first moment of all it may be lost, and who sees that presses again.
        while process.poll() is None and time.monotonic() < end:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            seconds = max(seconds, 0.5)
        output, _ = process.communicate(timeout=20)
        assert process.returncode in (130, -signal.SIGINT) and "Traceback" not in output, (seconds, output)
