"""Does containment hold against an attacker who fights back?

    python -m tests.experiments.attacker [--runs N] [--json FILE]

The simulated AWS enforces IAM changes `lag` seconds late. An attacker with the victim's real key
strips the deny and the boundary, activates and creates keys, and mints an accomplice with a key of
its own, polling all the while. In some settings an administrator of the account, whom nobody contained,
tries every door of tests/harness/doors.py for it. In others the same finding comes again and again, by its own
bus and by Security Hub's, or a person restores while something new is reported. The responder is the real binary. Time is
scaled: one second here is `scale` seconds there, except the responder's own pace, which is not, to its disadvantage. The
settings that the model in virtual time plays too (tests/model/fight.rs) are not scaled.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import itertools
import json
import random
import sys
import threading
import time

from botocore.exceptions import ClientError

from ..harness.doors import GUARDED, Administrator, restore_role_where_there_is_none
from ..harness.processes import ROOT, simulated_aws
from ..harness.victims import User, allowed
from ..harness.world import World

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@dataclasses.dataclass(frozen=True)
class Setting:
    """How one experiment differs from another; seconds as they would be on AWS."""

    loop: bool = True
    scp: bool = False
    poll: float = 0.5
    lag: tuple = (4.0, 4.0)
    accomplice: bool = True
    administrator: bool = False
    # How often the finding comes again after the first response to it.
    deliveries: int = 0
    # Whether a person restores after it, and something new is reported meanwhile.
    restore: bool = False
    # How many calls a second IAM answers of the account, all kinds together; without, as many as are made.
    bucket: int | None = None
    # Seconds there for one second here.
    scale: float = 4


# All but the one that the test itself must open.
DOORS = [door for door in GUARDED.values() if door is not restore_role_where_there_is_none]
ATTACKERS = ((0.5, (4.0, 4.0)), (0.5, (2.0, 6.0)), (0.05, (4.0, 4.0)))
SETTINGS = [
    Setting(loop=loop, scp=scp, poll=poll, lag=lag, accomplice=accomplice)
    for loop, scp, accomplice in ((False, False, False), (True, False, False), (True, True, False), (True, False, True), (True, True, True))
    for poll, lag in ATTACKERS
] + [
    Setting(scp=scp, poll=poll, lag=lag, accomplice=False, administrator=True)
    for scp in (False, True)
    for poll, lag in ATTACKERS
]
# Ten deliveries for each run: RUNS=25 makes a thousand of them.
AGAIN = [
    Setting(scp=scp, accomplice=accomplice, lag=(2.0, 6.0), deliveries=10)
    for scp, accomplice in ((False, False), (True, False), (False, True), (True, True))
]
RESTORED = [Setting(scp=scp, accomplice=False, lag=(2.0, 6.0), restore=True) for scp in (False, True)]
# As in the model.
FIGHTS = [
    Setting(accomplice=False, poll=poll, lag=lag, bucket=50, scale=1)
    for poll in (0.5, 0.2, 0.05)
    for lag in ((4.0, 4.0), (2.0, 6.0))
]
PARTS = {"fights": FIGHTS, "administrator": [it for it in SETTINGS if it.administrator], "deliveries": AGAIN, "restore": RESTORED}


class Attacker(threading.Thread):
    """Uses whatever still works: the victim's keys, those it made, the accomplice's."""

    def __init__(self, world, user, setting):
        super().__init__(daemon=True)
        self.world, self.user, self.setting = world, user, setting
        self.keys = {key["AccessKeyId"]: user.session(key=n) for n, key in enumerate(user.keys)}
        self.accomplice = None
        self.over = threading.Event()
        self.polls = 0

    def run(self):
        while not self.over.wait(self.setting.poll * random.uniform(0.97, 1.03) / self.setting.scale):
            self.polls += 1
            sessions = [*self.keys.values(), *([self.accomplice] if self.accomplice else [])]
            any(self.strike_back(session) for session in sessions)

    def strike_back(self, iam):
        """Whether this session could do anything."""
        name = self.user.name
        worked = [self.attempt(iam.detach_user_policy, UserName=name, PolicyArn=DENY_ALL)]
        worked.append(self.attempt(iam.delete_user_permissions_boundary, UserName=name))
        for key in list(self.keys):
            worked.append(self.attempt(iam.update_access_key, UserName=name, AccessKeyId=key, Status="Active"))
        if self.setting.accomplice and self.accomplice is None and self.attempt(iam.create_user, UserName="svc-backup"):
            self.attempt(iam.attach_user_policy, UserName="svc-backup", PolicyArn=ADMINISTRATOR)
            self.adopt(iam)
        return any(worked)

    def adopt(self, iam):
        try:
            key = iam.create_access_key(UserName="svc-backup")["AccessKey"]
        except ClientError:
            return
        credentials = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
        self.accomplice = self.world.client("iam", **credentials)

    @staticmethod
    def attempt(call, **parameters):
        try:
            call(**parameters)
            return True
        except ClientError as error:
            # An answer about the thing itself means that the caller was let through.
            return error.response["Error"]["Code"] == "NoSuchEntity"


class Insider(threading.Thread):
    """An administrator of the account: tries one door after the other, and begins anew."""

    def __init__(self, world, user, setting):
        super().__init__(daemon=True)
        self.administrator, self.setting = Administrator(world, [user]), setting
        self.over = threading.Event()
        self.tried = 0

    def run(self):
        for door in itertools.cycle(DOORS):
            if self.over.wait(self.setting.poll / self.setting.scale):
                return
            door(self.administrator)
            self.tried += 1


def one_run(url, setting):
    world = World(url)
    try:
        world.deploy(OpsItems="false")
        if setting.scp:
            document = (ROOT / "guardrail-scp.json").read_text()
            world.control("control-policies", {"account": world.member, "documents": [document]})
        user = User(world)
        low, high = setting.lag
        world.control("lag", {"account": world.member, "low": low / setting.scale, "high": high / setting.scale})
        settle = 12 / setting.scale if setting.loop else 0
        if setting.bucket:
            world.control("throttle", {"account": world.member, "per_second": setting.bucket, "together": True})
        # Fifty seconds for the containment there, and the ten that are kept back, which are not scaled.
        responder = world.responder(timeout=round(50 / setting.scale) + 10, SETTLE_SECONDS=str(settle), ALERT_TOPIC_ARN="")
        attacker = Attacker(world, user, setting)
        insider = Insider(world, user, setting) if setting.administrator else None
        attacker.start()
        if insider:
            insider.start()
        began = time.monotonic()
        time.sleep(1 / setting.scale)
        responder.invoke(world.event(EXFILTRATION, user))
        report = responder.last_report()
        verdict_at = time.time()
        reports = [report, *deliver_again(world, user, responder, setting.deliveries)]
        if setting.restore:
            reports.append(respond_while_a_person_restores(world, user, responder))
        time.sleep(3 * high / setting.scale)
        if insider:
            go_through_every_door(insider)
        contained = is_contained(world, user)
        attacker.over.set()
        attacker.join()
        polled_every = (time.monotonic() - began) * setting.scale / max(attacker.polls, 1)
        return {
            "verdict": report["verdict"],
            "contained": contained,
            "false": any(is_false(it, contained, attacker) for it in reports),
            "later": [it["verdict"] for it in reports[1:]],
            "reversals": len(report["reversals"]),
            "fight": report.get("fight", {}),
            "polled_every": polled_every,
            "attacker_writes": attacker_writes(world, user, verdict_at),
            "doors_tried": insider.tried if insider else 0,
        }
    finally:
        world.close()


def is_false(report, contained, attacker):
    """`Contained` while the identity is not, or while an administrator whom it made is at large."""
    return report["verdict"] == "Contained" and (not contained or attacker.accomplice is not None)


def deliver_again(world, user, responder, times):
    """What was said of the same finding, told by GuardDuty and by Security Hub in turn."""
    copy = world.event(HUB, user)
    if times:
        world.finding(copy)
    for number in range(times):
        responder.invoke(copy if number % 2 == 0 else world.event(EXFILTRATION, user))
        yield responder.last_report()


def respond_while_a_person_restores(world, user, responder):
    """What was said of a finding that came while the restore of its user was under way."""
    newer = world.event(EXFILTRATION, user)
    newer["detail"]["service"]["eventLastSeen"] = "2099-01-01T00:00:00.000Z"
    command = {"command": "restore", "account": world.member, "user": user.name, "reason": "an experiment", "by": "Dana"}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        restore = pool.submit(world.responder(part="restorer").invoke, command)
        time.sleep(random.uniform(0, 1))
        responder.invoke(newer)
        restore.result()
    return responder.last_report()


def go_through_every_door(insider, seconds=120):
    """Lets it try each at least once, then ends it."""
    end = time.monotonic() + seconds
    while insider.tried < len(DOORS) and insider.is_alive() and time.monotonic() < end:
        time.sleep(0.1)
    assert insider.is_alive() and insider.tried >= len(DOORS), f"{insider.tried} doors were tried"
    insider.over.set()
    insider.join()


def is_contained(world, user):
    """No key of the identity can do anything, by using them."""
    return not any(allowed(user.session(key=n).list_users) for n in range(len(user.keys)))


def attacker_writes(world, user, until):
    """What the identity itself still changed between the strike and the verdict."""
    journal = world.journal()
    struck = min((e["ended"] for e in journal if e["action"] == "iam:AttachUserPolicy" and "Remediation" in e["principal"]), default=0)
    mine = (e for e in journal if e["principal"] == user.arn and struck < e["began"] < until)
    return sum(1 for e in mine if e["status"] == 200 and not e["action"].startswith(("iam:Get", "iam:List")))


def experiment(url, setting, runs, parallel):
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        results = list(pool.map(lambda _: one_run(url, setting), range(runs)))
    fought = [result["fight"] for result in results]
    verdicts = collections.Counter(it for result in results for it in [result["verdict"], *result["later"]])
    return {
        "setting": dataclasses.asdict(setting),
        "runs": runs,
        "identity_contained": sum(result["contained"] for result in results),
        "false_verdicts": sum(result["false"] for result in results),
        "verdicts": dict(verdicts),
        "polled_every_mean": round(sum(result["polled_every"] for result in results) / runs, 2),
        **{f"{name}_mean": round(sum(it.get(name, 0) for it in fought) / runs, 1) for name in ("seconds", "writes", "throttled")},
        "doors_tried_least": min(result["doors_tried"] for result in results),
        "attacker_writes_mean": round(sum(result["attacker_writes"] for result in results) / runs, 1),
    }


def row(result):
    setting = result["setting"]
    low, high = setting["lag"]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(result["verdicts"].items()))
    cells = [
        "yes" if setting["scp"] else "no",
        "loop" if setting["loop"] else "one shot",
        "an administrator" if setting["administrator"] else "yes" if setting["accomplice"] else "no",
        "a restore, then a newer one" if setting["restore"] else f"the same {setting['deliveries']} times" if setting["deliveries"] else "-",
        f"{setting['poll']} s ({result['polled_every_mean']} s)",
        f"{low:g} s" if low == high else f"{low:g}-{high:g} s",
        f"{result['identity_contained']} / {result['runs']}",
        str(result["false_verdicts"]),
        str(result["attacker_writes_mean"]),
        f"{result['writes_mean']} ({result['throttled_mean']}) in {result['seconds_mean']} s",
        verdicts,
    ]
    return f"| {' | '.join(cells)} |"


HEADER = """| guardrail SCP | responder | accomplice | after the first finding | attacker polls every (achieved) | enforcement lag | identity contained | false verdicts | attacker's writes after the strike | rewrites (throttled) | verdicts |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--parallel", type=int, default=10)
    parser.add_argument("--json")
    parser.add_argument("--only", choices=PARTS, help="these settings alone")
    parser.add_argument("--poll", type=float, help="of these, those of that attacker")
    arguments = parser.parse_args()
    settings = PARTS[arguments.only] if arguments.only else [*SETTINGS, *AGAIN, *RESTORED, *FIGHTS]
    settings = [it for it in settings if arguments.poll in (None, it.poll)]
    results = []
    print(HEADER, flush=True)
    with simulated_aws() as url:
        for setting in settings:
            results.append(experiment(url, setting, arguments.runs, arguments.parallel))
            print(row(results[-1]), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)
    sys.exit(1 if any(r["false_verdicts"] for r in results if r["setting"]["loop"]) else 0)


if __name__ == "__main__":
    main()
