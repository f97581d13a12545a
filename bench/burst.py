"""Many at the same time, each in a process of its own as Lambda has it: containments in one account whose IAM answers
only so many calls, and thirty identities that are reported within one second."""

import concurrent.futures
import contextlib
import time

from . import measure
from .growth import DELAY
from .proxy import Proxy
from .subjects import Baseline, Custodian, Responder

# How many calls of each kind IAM answers in a second; how many it really does is not documented.
RATE = 5
# As many as the simulated AWS answers beside their own processes: of a hundred it keeps the ledgers waiting for longer
# than a deny waits for them.
MANY = 30
DEFAULT_LIMITS = "5,20"
RAISED_LIMITS = "100000,100000"


def measured(figures, url, binary, say):
    figures |= {"at_once": [], "reported": []}
    with staged(url) as (world, proxy, events):
        for subject in (Responder(world, binary), Baseline(world), Custodian(world)):
            for many in (1, 5, 20):
                figures["at_once"].append(at_once(proxy, subject, events, many))
                say(f"{many} at once are measured: {subject.words}")
    for limits in (RAISED_LIMITS, DEFAULT_LIMITS):
        with staged(url) as (world, proxy, events):
            subject = Responder(world, binary, MAX_CONTAINMENTS_PER_HOUR=limits)
            figures["reported"].append(reported(proxy, subject, events, limits))
        say(f"{MANY} reported in a second are measured, with the limits {limits}")


@contextlib.contextmanager
def staged(url):
    """A world whose hour's budget nobody has used."""
    world = measure.stage(url)
    proxy = Proxy(url)
    proxy.delay = DELAY
    try:
        yield world, proxy, measure.Events(world)
    finally:
        proxy.close()
        world.close()


@contextlib.contextmanager
def started(proxy, subject, events, many, event_of):
    """So many processes that had one event each: to start them all would be what two cores measure."""
    emulators = [subject.start(proxy.url) for _ in range(many)]
    try:
        firsts = [event_of(events) for _ in emulators]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda pair: pair[0].invoke(pair[1]), zip(emulators, firsts)))
        yield emulators
    finally:
        for emulator in emulators:
            emulator.close()


def sent(proxy, emulators, users, events, gap=0.0):
    """Each event to a process of its own, one every `gap` seconds: when each was sent, when it was denied, the answers."""
    asked = [events.about([user]) for user in users]
    proxy.begin()
    with concurrent.futures.ThreadPoolExecutor(len(emulators)) as pool:
        began, answers, start = [], [], time.time()
        for number, (emulator, event) in enumerate(zip(emulators, asked)):
            time.sleep(max(0.0, start + number * gap - time.time()))
            began.append(time.time())
            answers.append(pool.submit(emulator.invoke, event))
        answers = [it.result() for it in answers]
    ended = time.time()
    firsts = {}
    for it in sorted(proxy.requests, key=lambda it: it.ended):
        if it.action in measure.DENIES and it.status == 200:
            firsts.setdefault(it.user, it.ended)
    denies = [measure.ms(firsts[user.name] - at) for user, at in zip(users, began) if user.name in firsts]
    return denies, answers, measure.ms(ended - start)


def at_once(proxy, subject, events, many):
    # Custodian does not know an event that is none of its business.
    first = measure.Events.ignored if subject.updates_finding else lambda them: them.about([them.user()])
    with started(proxy, subject, events, many, first) as emulators:
        users = [events.user() for _ in emulators]
        account = {"account": events.world.member}
        events.world.control("throttle", {**account, "per_second": RATE})
        try:
            denies, answers, ended = sent(proxy, emulators, users, events)
        finally:
            events.world.control("throttle", {**account, "per_second": 100_000})
        iam = [it for it in proxy.requests if it.is_iam]
        found = {"denied": sum(measure.is_denied(it) for it in users), "active_keys": sum(list(it.state()["keys"].values()).count("Active") for it in users)}
        found |= {"last_deny": max(denies, default=None), "end": ended, "calls": len(proxy.requests), "refused": sum(it.status == 400 for it in iam)}
        return {"subject": subject.name, "many": many, **found, "errors": sum("errorType" in it for it in answers if isinstance(it, dict))}


def reported(proxy, subject, events, limits):
    """Reported evenly over one second."""
    with started(proxy, subject, events, MANY, measure.Events.ignored) as emulators:
        users = [events.user(policies=(), groups=()) for _ in emulators]
        denies, answers, _ = sent(proxy, emulators, users, events, 1 / MANY)
        processes = [measure.Process(it) for it in emulators]
        denied = {it.name for it in users if measure.is_denied(it)}
        told = {user.name for alert in every_alert(events.world) for user in users if user.name in alert["Message"]}
        return {
            "limits": limits,
            "denied": len(denied),
            "others": MANY - len(denied),
            "others_told": len(told - denied),
            "denies": denies,
            "errors": sum("errorType" in it for it in answers),
            "peak": max(it.peak() for it in processes),
            "files": max(it.files() for it in processes),
            "calls": len(proxy.requests),
        }


def every_alert(world):
    """The inbox gives ten at a time, and hides what it gave."""
    while some := world.alerts():
        yield from some
