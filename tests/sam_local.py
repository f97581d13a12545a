"""`sam local`, for real, by the commands that `make local` prints: the nightly `make test-sam`.

Takes the Docker engine that there is. Without one, and as root on Debian, it starts Debian's own, docker.io,
in a network namespace of its own, where it disturbs nothing and reaches nothing: no image can be pulled there,
so that the base image is made of this machine's libraries. Says loudly when it could not run.
"""

from .harness import terminal

terminal.ends_quietly()

import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from .harness import containers, keeper  # noqa: E402
from .harness.processes import ROOT, stop  # noqa: E402
from .harness.terminal import paint, say  # noqa: E402
from .local import architecture  # noqa: E402

PACKAGES = ["docker.io", "containerd", "runc", "tini", "libdevmapper1.02.1"]
IMAGE = f"public.ecr.aws/lambda/provided:al2023-{architecture()}"
ENGINE = "--iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --userland-proxy=true --storage-driver overlay2"


class NotRun(Exception):
    """Why it could not be tried; the test did not fail."""


@contextlib.contextmanager
def engine(directory):
    """How to run a command where it finds a Docker engine: words before it, and its environment."""
    if containers.docker_runs():
        yield [], dict(os.environ), []
        return
    if os.geteuid() != 0:
        raise NotRun("there is no Docker engine, and only root can start one")
    path = debian_docker(directory)
    socket = f"unix://{directory}/docker.sock"
    data = f"--data-root {directory}/data --exec-root {directory}/exec -H {socket} --pidfile {directory}/dockerd.pid"
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "DOCKER_HOST": socket}
    with open(directory / "dockerd.log", "wb") as log:
        command = ["unshare", "-n", "sh", "-c", f"ip link set lo up; exec dockerd {data} {ENGINE}"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    keeper.watch(process.pid)
    try:
        within = ["nsenter", "-t", str(process.pid), "-n"]
        wait_for_engine(process, within, environment, directory)
        base_image(environment, directory)
        yield within, environment, ["--skip-pull-image"]
    finally:
        stop(process)


def debian_docker(directory):
    """The folder of dockerd; unpacked without installing anything where it is not installed."""
    installed = shutil.which("dockerd")
    if installed:
        return os.path.dirname(installed)
    if not shutil.which("apt-get"):
        raise NotRun("there is no Docker engine, and no apt-get to fetch Debian's docker.io with")
    say("Fetching Debian's docker.io ...")
    packages = directory / "packages"
    packages.mkdir(mode=0o777)
    fetched = subprocess.run(["apt-get", "download", *PACKAGES], cwd=packages, capture_output=True, text=True)
    if fetched.returncode:
        raise NotRun(f"Debian's docker.io could not be fetched: {fetched.stderr.strip().splitlines()[-1]}")
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, directory / "engine"], check=True)
    return f"{directory}/engine/usr/bin:{directory}/engine/usr/sbin"


def wait_for_engine(process, within, environment, directory):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if subprocess.run([*within, "docker", "info"], env=environment, capture_output=True).returncode == 0:
            return
        if process.poll() is not None:
            break
        time.sleep(0.5)
    last = (directory / "dockerd.log").read_text().strip().splitlines()[-3:]
    raise NotRun("dockerd did not start:\n  " + "\n  ".join(last))


def base_image(environment, directory):
    """What the function and SAM's own layer over it need: a C library, certificates, a shell, `mv` and `chmod`."""
    say(f"No image can be pulled: {IMAGE} is made of this machine's libraries.")
    root = directory / "image"
    programs = ["/bin/sh", "/bin/mv", "/bin/chmod"]
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True).stdout.split()
    files = {word for word in listed if word.startswith("/") and not word.endswith(":")} | set(programs)
    for name in ("libgcc_s.so.1", "libm.so.6", "libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"):
        files |= {str(it) for folder in ("/lib", "/usr/lib") for it in Path(folder).glob(f"*-linux-gnu/{name}")}
    files |= {it for it in ("/etc/ssl/certs/ca-certificates.crt",) if os.path.exists(it)}
    for file in files:
        target = root / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    for folder in ("tmp", "var/task", "var/runtime", "opt"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    archive = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
    changes = ["-c", "ENV LAMBDA_TASK_ROOT=/var/task", "-c", "WORKDIR /var/task"]
    subprocess.run(["docker", "import", *changes, "-", IMAGE], stdin=archive.stdout, env=environment, check=True, capture_output=True)


class Printed:
    """A `make local` in the same network as the engine, and the commands that it printed."""

    def __init__(self, within, environment, options):
        self.within, self.environment, self.options = within, environment, options
        command = [*within, sys.executable, "-m", "tests.local", "--settle", "2"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
        keeper.watch(self.process.pid)
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if "docs/rehearse.sh" in line:
                return
        raise AssertionError("\n".join(self.lines))

    def command(self, *words):
        [command] = [line for line in self.lines if all(word in line for word in words)]
        if command.startswith("sam local"):
            command = " ".join([command, *self.options])
        return command

    def shell(self, command, fails=False):
        """What it answered, typed into a second terminal; shown as it would be there."""
        say(paint(f"$ {command}", "bold"))
        full = [*self.within, "sh", "-ec", f". local/env.sh\n{command}"]
        ended = subprocess.run(full, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300)
        shown = (ended.stdout + (ended.stderr if fails or ended.returncode else "")).strip()
        say(shown[:1500] + (" …" if len(shown) > 1500 else ""))
        if bool(ended.returncode) != fails:
            raise AssertionError(f"it ended with {ended.returncode}:\n{ended.stderr}")
        return ended.stdout + ended.stderr


def check(local):
    """From a key that works to one that is refused, back, and the same by start-lambda."""
    asks = local.command("list-users", "--profile alice")
    assert "alice" in local.shell(asks)
    answer = local.shell(local.command("sam local invoke Responder"))
    assert '"verdict":"Contained"' in answer.replace(" ", ""), answer
    local.shell(local.command("list-access-keys"))
    assert "InvalidClientTokenId" in local.shell(asks, fails=True)
    answer = local.shell(local.command("sam local invoke Restorer"))
    assert '"verdict":"Restored"' in answer.replace(" ", ""), answer
    start = local.command("sam local start-lambda")
    say(paint(f"$ {start} &", "bold"))
    serving = subprocess.Popen(
        [*local.within, "sh", "-ec", f". local/env.sh\nexec {start}"], cwd=ROOT, env=local.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    keeper.watch(serving.pid)
    try:
        time.sleep(10)
        answer = local.shell(local.command("127.0.0.1:3001"))
        assert json.loads(answer[: answer.rindex("{")] if answer.count('"StatusCode"') else answer)["reports"], answer
    finally:
        stop(serving)


def main():
    terminal.unwinds(patience=30)
    directory = Path(tempfile.mkdtemp(prefix="iam-responder-sam-"))
    try:
        with engine(directory) as (within, environment, options):
            local = Printed(within, environment, options)
            try:
                check(local)
            finally:
                stop(local.process)
        say(paint("PASSED: sam local invoke and start-lambda, by the commands that `make local` prints.", "green"))
    except AssertionError as problem:
        say(paint(f"\n!!! FAILED: {problem}\n", "red"))
        sys.exit(1)
    except NotRun as reason:
        say(paint(f"\n!!! NOT RUN: sam local was not tested: {reason}.\n", "red"))
        sys.exit(1)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
