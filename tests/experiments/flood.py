"""Does a flood at the report form delay a containment?

    python -m tests.experiments.flood [--requests N] [--containments N]

The built form function answers bad requests, five at a time, as many as it has executions of its own: no password, a
wrong one, a form of another page, a forged link. Meanwhile the responder contains one user after the other, as it did
before. What is compared is the time from the start of the invocation to the first deny, and to the verdict. All of it
shares one machine and one simulated AWS, as nothing does on AWS: what the flood takes of them is in the figures.
"""

import argparse
import collections
import concurrent.futures
import os
import statistics
import threading
import time

from ..harness.ledger import about
from ..harness.people import FormDoor, generated
from ..harness.processes import simulated_aws
from ..harness.victims import User
from ..harness.world import World

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
EXECUTIONS = 5


def bad(door, n):
    """One of four kinds of request that come to nothing; what it was answered."""
    kinds = [
        ("GET", "/", {}, b""),
        ("GET", "/", door.login(password=generated()), b""),
        ("POST", "/", {**door.login(password=generated()), "content-type": "application/x-www-form-urlencoded", "origin": "https://evil.example"}, b"token=x"),
        ("GET", f"/state/{'a' * 26}.9999999999.{'0' * 32}", {}, b""),
    ]
    return door.send(*kinds[n % len(kinds)])[0]


def contain(world, responder, n):
    user = User(world, name=f"user-{n}", groups=(), policies=())
    [report] = responder.invoke(about(world, EXFILTRATION, user))["reports"]
    assert report["verdict"] == "Contained", report
    return report["timings_ms"]["first_barrier"], report["timings_ms"]["verdict"]


def row(what, times):
    deny, verdict = ([it[n] for it in times] for n in (0, 1))
    return f"| {what} | {len(times)} | {statistics.median(deny):.0f} ms | {max(deny)} ms | {statistics.median(verdict) / 1000:.1f} s |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--containments", type=int, default=10)
    arguments = parser.parse_args()
    with simulated_aws() as url:
        world = World(url)
        try:
            measure(world, arguments)
        finally:
            world.close()


def measure(world, arguments):
    door = FormDoor(world)
    world.deploy(Mode="enforce", SettleSeconds="3", MaxContainmentsPerHour="1000,1000", **door.parameters)
    door.open(EXECUTIONS)
    responder = world.responder()
    contain(world, responder, "warm")
    quiet = [contain(world, responder, n) for n in range(arguments.containments)]
    answers, is_over, flooded = collections.Counter(), threading.Event(), []

    def flood():
        with concurrent.futures.ThreadPoolExecutor(EXECUTIONS) as pool:
            answers.update(pool.map(lambda n: bad(door, n), range(arguments.requests)))
        is_over.set()

    began, before = time.monotonic(), len(world.journal())
    threading.Thread(target=flood, daemon=True).start()
    while not is_over.is_set():
        contained = contain(world, responder, arguments.containments + len(flooded))
        # What ended after the flood was not all in it.
        if not is_over.is_set():
            flooded.append(contained)
    took = time.monotonic() - began
    calls = collections.Counter(it["action"] for it in world.journal()[before:] if "iam-responder-form" in str(it))
    print(f"{arguments.requests} bad requests in {took:.0f} s, answered {dict(sorted(answers.items()))}; calls of the form: {dict(calls)}")
    print(f"Load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| the form | containments | to the first deny, median | at most | to the verdict, median |\n| --- | --- | --- | --- | --- |")
    print(row("quiet", quiet))
    print(row("flooded", flooded))
    ratios = [statistics.median(it[n] for it in flooded) / statistics.median(it[n] for it in quiet) for n in (0, 1)]
    print(f"Ratio: {ratios[0]:.2f} to the first deny, {ratios[1]:.2f} to the verdict")


if __name__ == "__main__":
    main()
