"""python -m bench: iam-responder, the same by hand in Python, and Cloud Custodian, side by side on this machine.

    --runs N          cold and warm responses for each delay and subject (20)
    --delays MS …     what the proxy adds to each request (0 20 50 100)
    --binary PATH     the function; target/release/iam-responder unless told otherwise
    --json PATH       where the figures are kept (target/compare.json)
    --report          writes docs/performance.md and its chart from that file, and measures nothing
"""

import argparse
import datetime as dt
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

from tests.harness.processes import ROOT, simulated_aws

from . import burst, growth, measure, report
from .proxy import Proxy
from .subjects import RELEASE, Baseline, Custodian, Responder

FIGURES = ROOT / "target" / "compare.json"


def once(proxy, subject, events, delay):
    """A cold response, and a warm one of the same process."""
    proxy.delay = delay / 1000
    users = [events.user(), events.user()]
    both = [events.about([user]) for user in users]
    emulator = subject.start(proxy.url)
    try:
        run = {"subject": subject.name, "delay": delay}
        for kind, event, user in zip(("cold", "warm"), both, users):
            figures = measure.respond(proxy, emulator, event)
            judged(subject, figures.pop("answer"), user)
            run[kind] = figures
        run |= {"init": measure.initialisation(emulator), "peak": measure.Process(emulator).peak()}
        return run
    finally:
        emulator.close()


def idle(proxy, subject, events, delay=50, seconds=5):
    """A response of a process that had one, and then nothing to do for a while: connections are given up meanwhile."""
    proxy.delay = delay / 1000
    emulator = subject.start(proxy.url)
    try:
        measure.respond(proxy, emulator, events.about([events.user()]))
        time.sleep(seconds)
        user = events.user()
        figures = measure.respond(proxy, emulator, events.about([user]))
        judged(subject, figures.pop("answer"), user)
        return {"subject": subject.name, **{it: figures[it] for it in ("deny", "all_keys", "end", "trips_deny", "connections")}}
    finally:
        emulator.close()


def judged(subject, answer, user):
    """A figure counts only where the user was contained."""
    state = user.state()
    if "AWSDenyAll" not in state["policies"] or set(state["keys"].values()) != {"Inactive"}:
        raise RuntimeError(f"{subject.name} left {user.name} with {state}, and answered {answer}")


def work(proxy, subject, events, acted=10, ignored=200):
    """CPU seconds of a warm process for one event."""
    proxy.delay = 0
    emulator = subject.start(proxy.url)
    try:
        measure.respond(proxy, emulator, events.about([events.user()]))
        process, used = measure.Process(emulator), {"subject": subject.name, "acted_n": acted, "ignored_n": ignored}
        several = [events.about([events.user()]) for _ in range(acted)]
        for name, sent in (("acted", several), ("ignored", [events.ignored()] * ignored)):
            if name == "ignored" and not subject.updates_finding:
                continue  # Custodian has no say in that: the rule that calls it has.
            before = process.cpu()
            for event in sent:
                emulator.invoke(event)
            used[name] = round((process.cpu() - before) / len(sent), 5)
        return used
    finally:
        emulator.close()


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1))
    return {
        "cores": os.cpu_count(),
        "processor": re.sub(r"\s+", " ", model.group(1)) if model else platform.machine(),
        "memory_gb": round(memory * 1024 / 1e9),
        "system": platform.system() + " " + platform.machine(),
        "python": platform.python_version(),
        "boto3": version(Baseline, "boto3"),
        "c7n": version(Custodian, "c7n"),
    }


def version(subject, package):
    interpreter = {Baseline: "bench/.venv", Custodian: "bench/custodian/.venv"}[subject] + "/bin/python"
    code = f"from importlib.metadata import version; print(version('{package}'))"
    return subprocess.run([ROOT / interpreter, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def say(text):
    print(f"{dt.datetime.now():%H:%M:%S} load {os.getloadavg()[0]:.1f}: {text}", file=sys.stderr, flush=True)


def first():
    """On a machine that others use, what is measured goes before them, where that is allowed."""
    try:
        os.nice(-10)
    except PermissionError:
        say("the machine's other work is as important as this: as root, what is measured would go first")


def now():
    return f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M}"


def measured(figures, arguments):
    first()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    figures |= {"began": now(), "commit": commit, "machine": machine(), "load": [], "nice": os.nice(0), "build": arguments.binary.parent.name}
    with simulated_aws() as url:
        world = measure.stage(url)
        proxy, events = Proxy(url), measure.Events(world)
        subjects = [Responder(world, arguments.binary), Baseline(world), Custodian(world)]
        try:
            figures |= {"package": {it.name: it.package() for it in subjects}, "runs": [], "cpu": []}
            for number in range(arguments.runs):
                # Whoever is first after a pause of the machine is somebody else each time.
                for delay in arguments.delays:
                    for subject in subjects[number % 3 :] + subjects[: number % 3]:
                        figures["runs"].append({"number": number, **once(proxy, subject, events, delay)})
                figures["load"].append(round(os.getloadavg()[0], 1))
                say(f"run {number + 1} of {arguments.runs}")
            for subject in subjects * 2:
                figures["cpu"].append(work(proxy, subject, events))
            say("the work of an event is measured")
            figures["idle"] = [{"number": number, **idle(proxy, subject, events)} for number in range(5) for subject in subjects]
            say("what comes after a pause is measured")
        finally:
            proxy.close()
            world.close()
        growth.measured(figures, url, arguments.binary, arguments.growth_runs, say)
        burst.measured(figures, url, arguments.binary, say)


def main():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--growth-runs", type=int, default=3)
    parser.add_argument("--delays", type=int, nargs="+", default=[0, 20, 50, 100])
    parser.add_argument("--binary", type=pathlib.Path, default=RELEASE)
    parser.add_argument("--json", type=pathlib.Path, default=FIGURES)
    parser.add_argument("--report", action="store_true")
    arguments = parser.parse_args()
    if not arguments.report:
        figures = {}
        try:
            measured(figures, arguments)
        finally:
            # What was measured is kept, whatever came after it.
            figures |= {"ended": now(), "load": [*figures.get("load", []), round(os.getloadavg()[0], 1)]}
            arguments.json.write_text(json.dumps(figures, indent=1))
            say(f"the figures are in {arguments.json}")
    report.write(json.loads(arguments.json.read_text()))


if __name__ == "__main__":
    main()
