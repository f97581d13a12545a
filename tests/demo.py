"""Contains a victim in a simulated AWS, before your eyes.

    python -m tests.demo [--plain] [events/….json]

Starts the simulated AWS, deploys both templates into it, makes the identities that the event names,
sends the event unchanged to the real binary under the real Lambda runtime emulator, and shows what
changed. Cleans up after itself, also on Ctrl-C.
"""

import argparse
import json
import pathlib
import signal
import sys
import time

from .harness.processes import ROOT, simulated_aws
from .harness.victims import Role, User, allowed
from .harness.world import World

SECURITY, MEMBER = "999988887777", "111122223333"
USER_ID, ROLE_ID, BOB_ID = "AIDACKCEVSQ6C2EXAMPLE", "AROADBQP57FF2AEXAMPLE", "AIDABOBBOBBOBBOBBOB22"
KEY = "AKIAIOSFODNN7EXAMPLE"
COLOURS = {"bold": "1", "red": "31", "green": "32", "grey": "90"}


def paint(text, colour):
    return f"\033[{COLOURS[colour]}m{text}\033[0m" if sys.stdout.isatty() else text


def step(number, text):
    print(f"{paint(number, 'grey')}  {text}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("event", nargs="?", default="events/guardduty-exfiltration-iam-user-anomalous-behavior.json")
    parser.add_argument("--plain", action="store_true", help="print the function's answer and nothing else")
    arguments = parser.parse_args()
    path = pathlib.Path(arguments.event)
    try:
        text = (path if path.is_absolute() else ROOT / path).read_text()
        event = json.loads(text)
    except (OSError, ValueError) as problem:
        sys.exit(f"{arguments.event} can't be read as an event: {problem}\nTry one of events/*.json.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(path.name, event, text, arguments.plain)
    except KeyboardInterrupt:
        sys.exit(130)


def run(name, event, text, plain):
    if not plain:
        print(paint("iam-responder: the real Lambda binary against a simulated AWS; no AWS account, no Docker.\n", "bold"))
    with simulated_aws() as url:
        world = World(url, region="us-gov-west-1" if "us-gov" in text else "us-east-1", member=MEMBER, security=SECURITY)
        try:
            show(world, name, event, text, plain)
        finally:
            world.close()


def show(world, name, event, text, plain):
    world.deploy(
        response_plan=True,
        rotation=True,
        Simulation="true",
        TrustedProducts="product/aws/*,product/prowler/prowler,product/*/default",
    )
    victims = plant(world, text)
    findings = import_findings(world, event)
    responder = world.responder(part="restorer" if event.get("command") == "restore" else "responder")
    if event.get("command") in ("restore", "status"):
        world.responder().invoke({key: event[key] for key in ("account", "user", "role") if key in event} | {"command": "contain"})
        world.alerts()
    if plain:
        print(json.dumps(responder.invoke(event), indent=2))
        return
    step(1, f"Deployed template.yaml into account {SECURITY} and member-role.yaml into account {MEMBER}.")
    was_contained = ", and contained it" if event.get("command") in ("restore", "status") else ""
    step(2, f"Made {', '.join(victim.title for victim in victims)}, as the event names them{was_contained}.")
    before = [victim.rows() for victim in victims]
    step(3, f"Sending {name} to the function ...")
    began = time.monotonic()
    answer = responder.invoke(event)
    step(4, f"It answered after {time.monotonic() - began:.2f} s (a debug build, its cold start included):\n")
    tell(answer)
    for victim, rows in zip(victims, before):
        table(victim.title, rows, victim.rows())
    tell_people(world, findings)


class Planted:
    """An identity, with the session or key that a thief would use."""

    def __init__(self, title, use, state):
        self.title, self.use, self.state = title, use, state

    def rows(self):
        rows = {"may call iam:ListUsers": "yes" if allowed(self.use.list_users) else "no"}
        for what, value in self.state().items():
            if isinstance(value, dict):
                shown = [f"{key} {inner}" if isinstance(inner, str) else key for key, inner in value.items()]
            else:
                shown = value if isinstance(value, list) else [value or "-"]
            rows[what] = "\n".join(shown) or "-"
        return rows


def plant(world, text):
    victims = []
    name = "backdoor" if '"backdoor"' in text else "alice"
    if f'"{name}"' in text or f"/{name}" in text or KEY in text:
        user = User(world, name=name, id=USER_ID, key=KEY)
        victims.append(Planted(f"user {name}", user.session(), user.state))
    if BOB_ID in text:
        bob = User(world, name="bob", id=BOB_ID, groups=())
        victims.append(Planted("user bob", bob.session(), bob.state))
    if '"app"' in text:
        role = Role(world, name="app", id=ROLE_ID)
        victims.append(Planted("role app", role.session(), role.state))
    return victims


def import_findings(world, event):
    count = len(event.get("detail", {}).get("findings", [])) if "Imported V2" not in event.get("detail-type", "") else 0
    return [world.finding(event, n) for n in range(count)]


def tell(answer):
    if "errorType" in answer:
        print(paint(f"   {answer['errorType']}: {answer['errorMessage']}\n", "red"))
        return
    if "status" in answer:
        print(json.dumps(answer["status"], indent=2))
    if "restore" in answer:
        tell_restore(answer["restore"])
    for ignored in answer["ignored"]:
        print(f"   ignored: {ignored['reason']}\n")
    for told in answer.get("told", []):
        print(f"   told, not contained ({told['how']}, {told['outcome']}): {told['kind']} - {told['detail']}\n")
    for report in answer["reports"]:
        good = report["verdict"] == "Contained"
        print(paint(f"   {report['playbook']}: {report['verdict']}", "green" if good else "red") + f" - {report['reason']}")
        for action in report["actions"]:
            print(f"     [{action['outcome']}] {action['action']} {action['target']}")
        for note in report["notes"]:
            print(paint(f"     note: {note}", "grey"))
        trips = report["round_trips"]
        first = f"{trips['first_barrier']} round trips to the first barrier, " if "first_barrier" in trips else ""
        print(paint(f"     {first}{trips['total']} to the end, {trips['calls']} calls\n", "grey"))


def tell_restore(report):
    good = report["verdict"] == "Restored"
    print(paint(f"   restore: {report['verdict']}", "green" if good else "red") + f" - {report['reason']}")
    for action in report["actions"]:
        print(f"     [{action['outcome']}] {action['action']} {action['target']}")
    for line in [*report["drift"], *report["stays"], *report["notes"]]:
        print(paint(f"     {line}", "grey"))
    print()


def table(title, before, after):
    names = list(dict.fromkeys([*before, *after]))
    cells = [(name, before.get(name, "-").split("\n"), after.get(name, "-").split("\n")) for name in names]
    left = max(len(name) for name in names)
    middle = max(len(line) for _, lines, _ in cells for line in [*lines, "before"])
    print(paint(f"   {title:<{left}}  {'before':<{middle}}  after", "bold"))
    for name, old, new in cells:
        changed = old != new
        for n in range(max(len(old), len(new))):
            was, now = (lines[n] if n < len(lines) else "" for lines in (old, new))
            line = f"   {name if n == 0 else '':<{left}}  {was:<{middle}}  "
            print(line + (paint(now, "green") if changed else paint(now, "grey")))
    print()


def tell_people(world, findings):
    for incident in world.incidents():
        print(f"   incident      {incident['title']}")
    for rotation in world.rotations():
        print(f"   rotation      {rotation['DocumentName']} {rotation['AutomationExecutionStatus']}")
    for finding in findings:
        print(f"   Security Hub  workflow {finding()['Workflow']['Status']}: {finding()['Id']}")
    for alert in world.alerts():
        print(f"   alert         {alert['Subject']}\n")
        print("\n".join(f"   | {line}" for line in alert["Message"].splitlines()))
    print()


if __name__ == "__main__":
    main()
