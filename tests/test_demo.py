"""The demo, as a newcomer runs it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from .harness.processes import ROOT

EVENTS = ROOT / "events"


def demo(*arguments, module="tests.demo"):
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def test_it_shows_the_victim_before_and_after():
    output, _ = demo("events/guardduty-exfiltration-iam-user-anomalous-behavior.json").communicate(timeout=60)
    assert "compromised-credential: Contained" in output
    [line] = [line for line in output.splitlines() if "may call iam:ListUsers" in line]
    assert line.split()[-2:] == ["yes", "no"]


def test_it_shows_a_restore():
    output, _ = demo("events/command-restore-user.json").communicate(timeout=60)
    assert "restore: Restored" in output and "stays inactive" in output
    [line] = [line for line in output.splitlines() if "SecurityIncident AutomatedSecurityQuarantine" in line]
    assert line.split()[-1] == "-"


@pytest.mark.seconds(19)
def test_an_intruder_is_answered():
    output, _ = demo(module="tests.attack").communicate(timeout=90)
    assert [line.split()[-2:] for line in output.splitlines() if "may call iam:ListUsers  " in line] == [["yes", "no"]]
    assert "AWSDenyAll" in output and "alert " in output and "administrator" in output


def test_an_unreadable_event_says_so():
    process = demo("events/none.json")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "can't be read" in output and "Traceback" not in output


def test_ctrl_c_leaves_nothing_behind():
    process = demo()
    while "Deployed" not in process.stdout.readline():
        assert process.poll() is None
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    assert children
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    end = time.monotonic() + 5
    while left := [pid for pid in children if os.path.exists(f"/proc/{pid}")]:
        assert time.monotonic() < end, left
        time.sleep(0.02)
