"""The simulated AWS and the Lambda runtime emulator, as processes that end with their owner."""

import contextlib
import functools
import importlib.util
import itertools
import json
import os
import pathlib
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from . import keeper

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "target" / "debug" / "iam-responder"


@functools.cache
def _ports():
    """Ports that are this process's alone, as long as it holds the first of them: one that was free a moment
    ago would sometimes be another test's emulator by the time it is used. They lie below those that the
    system gives to connections."""
    for first in range(12_000, 32_000, 500):
        claim = socket.socket()
        with contextlib.suppress(OSError):
            claim.bind(("127.0.0.1", first))
            _claims.append(claim)
            return itertools.cycle(range(first + 1, first + 500))
        claim.close()
    raise RuntimeError("no ports are left between 12000 and 32000")


_claims = []


def free_port():
    for port in _ports():
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def simulated_aws(port=0, listen=()):
    """The URL of a simulated AWS of its own; `listen` are addresses beside the loopback's."""
    options = [*(f"--port={it}" for it in [port] if it), *(f"--listen={address}" for address in listen)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.aws", *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
        keeper.watch(process.pid)
        try:
            first = process.stdout.readline()
            if "http://" not in first:
                log.seek(0)
                raise RuntimeError(f"the simulated AWS did not start:\n{log.read().decode()}")
            yield first.split()[-1]
        finally:
            stop(process)


def stop(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    keeper.forget(process.pid)


def emulator_path():
    """AWS's own Lambda runtime emulator comes inside the SAM CLI's package."""
    package = pathlib.Path(importlib.util.find_spec("samcli").origin).parent
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    source = package / "local" / "rapid" / f"aws-lambda-rie-{machine}"
    if not os.access(source, os.X_OK):
        source.chmod(0o755)
    return source


class Answer(dict):
    """What a function answered; who looks for what is not there sees all of it."""

    def __missing__(self, field):
        raise AssertionError(f"no {field!r} in {dict(self)}")


class Emulator:
    """The real binary under the real runtime emulator. It takes one invocation at a time."""

    def __init__(self, environment, timeout, binary=BINARY, arguments=(), cwd=None, level="error"):
        """`arguments` and `cwd` are for a binary that needs them, as Python does; `level` is the emulator's log's."""
        if not binary.exists():
            raise RuntimeError(f"{binary} is missing: run `make debug` first")
        port, api = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        # What is appended stays in its place, wherever a reader of the same file is.
        self.log = tempfile.TemporaryFile("a+b")
        settings = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_NAME": "iam-responder",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            **environment,
        }
        addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{api}"]
        command = [str(emulator_path()), "--log-level", level, *addresses, str(binary), *arguments]
        self.process = subprocess.Popen(command, cwd=cwd, env=settings, stdout=self.log, stderr=self.log, start_new_session=True)
        keeper.watch(self.process.pid)
        self.answered = 0
        wait_for(port, self.process)

    def invoke(self, payload):
        """What the function answered: its response, or Lambda's error object."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        request = urllib.request.Request(self.url, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                body = answer.read().decode()
        except urllib.error.HTTPError as error:
            body = error.read().decode()
        self.answered += 1
        try:
            return json.loads(body, object_hook=Answer)
        except ValueError:
            return Answer(errorType="NotJson", errorMessage=body)

    def output(self):
        """Everything that was logged so far."""
        self.log.flush()
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def log_lines(self):
        """The JSON lines of the function's own log."""
        lines = []
        for line in self.output().splitlines():
            with contextlib.suppress(ValueError):
                parsed = json.loads(line)
                if isinstance(parsed, dict):
                    lines.append(parsed)
        return lines

    def reports(self):
        """Every report that was logged."""
        return [json.loads(line["report"]) for line in self.log_lines() if "report" in line]

    def last_report(self):
        """The report that was logged last: also of an invocation that ended in an error. Lines reach
        the log through the emulator, sometimes after the answer."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            reports = self.reports()
            if len(reports) >= self.answered:
                return reports[-1]
            time.sleep(0.02)
        raise AssertionError(f"no report was logged:\n{self.output()}")

    def close(self):
        stop(self.process)
        self.log.close()


def wait_for(port, process):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError("the runtime emulator ended at once")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("the runtime emulator did not listen")
