"""How each grows: with what the user has, with the findings of an event, its size, the users of the account; and what
a response that waits until containment has held asks of IAM."""

import collections
import time

from . import measure
from .proxy import Proxy
from .subjects import Baseline, Custodian, Responder

DELAY = 0.02
POLICIES = ["AdministratorAccess", "AmazonS3FullAccess", "IAMFullAccess", "AmazonEC2FullAccess", "AmazonRDSFullAccess"]
POLICIES += ["AmazonSQSFullAccess", "AmazonSNSFullAccess", "AmazonVPCFullAccess", "PowerUserAccess", "ReadOnlyAccess"]
KEPT = ("deny", "last_deny", "all_keys", "end", "calls", "trips_deny", "trips_end", "denied", "connections")


def measured(figures, url, binary, runs, say):
    figures |= {"growth": [], "quiet": []}
    for users in (100, 5_000):
        world = measure.stage(url, users - 1)
        proxy, events = Proxy(url), measure.Events(world)
        proxy.delay = DELAY
        subjects = [Responder(world, binary), Baseline(world), Custodian(world)]
        try:
            for _ in range(runs):
                for subject in subjects:
                    figures["growth"].append(one(proxy, subject, events, "account", users, 1))
                if users == 100:
                    figures["growth"] += the_rest(proxy, subjects, events)
            say(f"growth in an account of {users:,} users is measured")
            if users == 100:
                figures["quiet"] = quiet(proxy, Responder(world, binary, SETTLE_SECONDS="12"), events)
                say("a response that waits is measured")
        finally:
            proxy.close()
            world.close()


def the_rest(proxy, subjects, events):
    for subject in subjects:
        # A user has ten groups at most, and ten managed policies unless its account asked for more: with ten there is
        # no room for the deny.
        for many in (1, 9, 10):
            yield one(proxy, subject, events, "rights", many, 1, policies=POLICIES[:many], groups=[f"group-{n}" for n in range(many)])
        for findings in (1, 10, 100):
            yield one(proxy, subject, events, "findings", findings, findings, policies=(), groups=())
        for size in (1, 100, 1_000):
            yield one(proxy, subject, events, "size", size, 1, padding=size * 1_000 - 3_000 if size > 1 else 0)


def one(proxy, subject, events, what, size, findings, padding=0, **options):
    """One cold response, with the memory that it took."""
    users = [events.user(**options) for _ in range(findings)]
    event = events.about(users, padding)
    emulator = subject.start(proxy.url)
    try:
        figures = measure.respond(proxy, emulator, event)
        process = measure.Process(emulator)
        missed = sum(not measure.is_denied(it) for it in users)
        kept = {name: figures[name] for name in KEPT if name in figures}
        problem = figures["answer"] if isinstance(figures["answer"], dict) and "errorType" in figures["answer"] else None
        kept |= {"peak": process.peak(), "cpu": round(process.cpu(), 3), "missed": missed, "error": problem and str(problem)[:200]}
        return {"what": what, "size": size, "subject": subject.name, **kept}
    finally:
        emulator.close()


def quiet(proxy, subject, events):
    """A response that nobody fights, and the same finding again."""
    proxy.delay = DELAY
    event = events.about([events.user()])
    emulator = subject.start(proxy.url)
    try:
        found = []
        for kind in ("first", "again"):
            began = time.time()
            figures = measure.respond(proxy, emulator, event)
            iam = [it.began for it in proxy.requests if it.is_iam]
            seconds = collections.Counter(int(it - began) for it in iam)
            found.append({"kind": kind, "calls": figures["calls"], "iam": len(iam), "most_in_a_second": max(seconds.values(), default=0), "end": figures["end"]})
        return found
    finally:
        emulator.close()
