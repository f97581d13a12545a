"""One response measured from outside: what went over the wire and when, and what the process took."""

import collections
import copy
import os
import pathlib
import re
import time

from tests.harness.victims import User
from tests.harness.world import World

from .proxy import depths

EVENT = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
# The boundary is the deny where ten policies leave no room for another.
DENIES, KEY = ("AttachUserPolicy", "PutUserPermissionsBoundary"), "UpdateAccessKey"


def stage(url, users=100):
    """Two accounts with what the templates deploy, and so many users, who are listed by the thousand as IAM does: the
    users to contain, of whom there are more and more, are on the same page. Everybody does the same: no incident, no
    rotation, no report on what the identity did, and nobody waits to see whether it held."""
    world = World(url).deploy(OpsItems="false", MaxContainmentsPerHour="100000,100000")
    world.control("crowd", {"account": world.member, "users": users})
    return world


class Events:
    """Findings about users made for them: none is ever contained twice."""

    def __init__(self, world):
        self.world, self.count = world, 0

    def user(self, **options):
        self.count += 1
        return User(self.world, name=f"user-{self.count:05}", **options)

    def about(self, users, padding=0):
        """One event with a finding for each, known to Security Hub, larger by so many bytes."""
        event = self.world.event(EVENT)
        [sample] = event["detail"]["findings"]
        findings = []
        for user in users:
            finding = copy.deepcopy(sample)
            finding["Id"] += f"-{user.name}"
            [resource] = finding["Resources"]
            resource["Id"] = f"AWS::IAM::AccessKey:{user.keys[0]['AccessKeyId']}"
            resource["Details"]["AwsIamAccessKey"] |= {"PrincipalId": user.id, "PrincipalName": user.name}
            findings.append(finding)
        event["detail"]["findings"] = findings
        for number in range(len(findings)):
            self.world.finding(event, number)
        findings[0]["ProductFields"] |= {f"padding/{n:04}": "x" * 1_000 for n in range(padding // 1_020)}
        return event

    def ignored(self):
        """A finding that was archived: nobody is to do anything about it."""
        event = self.world.event(EVENT)
        event["detail"]["findings"][0]["RecordState"] = "ARCHIVED"
        return event


def respond(proxy, emulator, event):
    """The figures of one response, in milliseconds since the event was sent."""
    proxy.begin()
    sent = time.time()
    answer = emulator.invoke(event)
    ended = time.time()
    found = depths([it for it in proxy.requests if it.action != "HEAD"])
    figures = {"answer": answer, "end": ms(ended - sent), "calls": len(found), "connections": proxy.connections}
    figures["trips_end"] = max((depth for _, depth in found), default=0)
    figures["sent"] = [collections.Counter(it.action for it, at in found if at == depth) for depth in range(1, figures["trips_end"] + 1)]
    users = {it.user for it, _ in found if it.action in DENIES}
    denies = first_of_each(found, DENIES, users)
    keys = [(it, depth) for it, depth in found if it.action == KEY and it.status == 200]
    for name, those in (("deny", denies[:1]), ("last_deny", denies[-1:]), ("first_key", keys[:1]), ("all_keys", keys[-1:])):
        for it, depth in those:
            figures[name] = ms(it.ended - sent)
            figures[f"trips_{name}"] = depth
            figures[f"calls_{name}"] = sum(other.began <= it.began for other, _ in found)
    figures["denied"], figures["keys"] = len(denies), len(keys)
    return figures


def is_denied(user):
    state = user.state()
    return "AWSDenyAll" in (*state["policies"], (state["boundary"] or "").split("/")[-1])


def first_of_each(found, actions, users):
    firsts = {}
    for it, depth in sorted(found, key=lambda each: each[0].ended):
        if it.action in actions and it.status == 200 and it.user in users:
            firsts.setdefault(it.user, (it, depth))
    return list(firsts.values())


def ms(seconds):
    return round(seconds * 1000, 1)


def initialisation(emulator):
    """From the start of the process until it asks for its first event, as the runtime emulator says; its line comes
    a moment after the answer."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        found = re.search(r"INIT REPORT\(durationMs: ([\d.]+)\)", emulator.output())
        if found:
            return round(float(found.group(1)), 1)
        time.sleep(0.02)
    raise RuntimeError(f"the emulator did not say how long initialisation took:\n{emulator.output()}")


class Process:
    """The function's own process, a child of the emulator."""

    def __init__(self, emulator):
        [self.pid] = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent(pid) == emulator.process.pid]

    def cpu(self):
        """Seconds of all its threads, also of those that ended: the process's clock (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def peak(self):
        """The most that was ever resident, in MB."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return round(int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024 / 1e6, 1)

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def parent(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
