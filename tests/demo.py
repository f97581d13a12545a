"""Contains whoever an event names in a simulated AWS, before your eyes.

    make demo [EVENT=mine.json] [ATTACKER=1] [SETTLE=3] [VERBOSE=1]
    make invoke [EVENT=mine.json]

Starts the simulated AWS, deploys both templates into it, makes the identities that the event names, sends the
event unchanged to the real binary under the real Lambda runtime emulator, and shows what changed. With
ATTACKER=1 somebody with the victim's key undoes all the while what the responder does.
"""

from .harness import terminal

terminal.ends_quietly()

import argparse  # noqa: E402
import contextlib  # noqa: E402
import http.client  # noqa: E402
import json  # noqa: E402
import pathlib  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from botocore.exceptions import ClientError, ParamValidationError  # noqa: E402

from .harness import plant  # noqa: E402
from .harness.fight import Fight, Watch  # noqa: E402
from .harness.processes import ROOT, simulated_aws  # noqa: E402
from .harness.terminal import cut, paint, say, step, table  # noqa: E402

EXFILTRATION = "events/guardduty-exfiltration-iam-user-anomalous-behavior.json"
# As IAM's: the change is visible at once, and enforced between two and six seconds later.
LAG = (2, 6)


def main():
    terminal.unwinds()
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("event", nargs="?", default=EXFILTRATION)
    parser.add_argument("--plain", action="store_true", help="print the function's answer and nothing else")
    parser.add_argument("--attacker", action="store_true", help="somebody with the victim's key fights back")
    parser.add_argument("--settle", type=seconds, help="seconds that containment must be seen to hold")
    parser.add_argument("--verbose", action="store_true", help="the whole alert too")
    arguments = parser.parse_args()
    path = pathlib.Path(arguments.event)
    try:
        payload = json.loads((path if path.is_absolute() else ROOT / path).read_text())
    except (OSError, ValueError, RecursionError) as problem:
        sys.exit(f"{arguments.event} can't be read as an event: {problem}\nTry one of events/*.json.")
    event = plant.as_event(payload)
    with simulated_aws() as url:
        stage = plant.Stage(url, event)
        try:
            plain(stage) if arguments.plain else show(stage, path.name, arguments)
        finally:
            stage.world.close()


def seconds(text):
    """As the template takes them."""
    try:
        is_fit = 0 <= float(text) <= 40
    except ValueError:
        is_fit = False
    if not is_fit:
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 0 to 40, not {text!r}")
    return text


def prepare(stage, settle):
    """The function for the event, and the identities it names."""
    stage.deploy(SettleSeconds=settle)
    world, event = stage.world, stage.event
    planted, said = stage.plant()
    findings = []
    for number in plant.findings(event):
        try:
            findings.append(world.finding(event, number))
        except (AssertionError, ClientError, ParamValidationError) as problem:
            said.append(f"Security Hub takes no finding like this, so that there is none to update: {str(problem).splitlines()[0]}")
    responder = plant.Functions([world.responder(part=part) for part in plant.parts(event)])
    if planted and plant.command(event) in ("restore", "status"):
        about = {key: event[key] for key in ("account", "user", "role") if key in event}
        world.responder().invoke({**about, "command": "contain", "reason": "so that there is something to restore"})
        world.alerts()
    return responder, planted, said, findings


def plain(stage):
    responder, _, _, _ = prepare(stage, "0")
    say(json.dumps(responder.invoke(stage.event), indent=2))


def show(stage, name, arguments):
    settle = arguments.settle or ("12" if arguments.attacker else "3")
    say(paint("The real Lambda binary against a simulated AWS; no AWS account, no Docker.", "bold"))
    responder, planted, said, findings = prepare(stage, settle)
    world, event = stage.world, stage.event
    step(1, f"Deployed template.yaml ({world.security}) and member-role.yaml ({', '.join([world.member, *stage.others])}).")
    was_contained = ", and contained them" if plant.command(event) in ("restore", "status") else ""
    if planted:
        step(2, f"Made {', '.join(victim.title for victim in planted)}, as the event names them{was_contained}.")
    for sentence in said or ([] if planted else ["The event names no identity to make."]):
        step(2, sentence)
    fight = None
    if arguments.attacker:
        victims = [victim.user for victim in planted if victim.user]
        if not victims:
            sys.exit("ATTACKER=1 needs an event that names a user: the attacker fights with the user's key.")
        fight = Fight(world, victims[0], LAG)
        say("   An attacker has the user's keys, and undoes what is done twice a second.")
    before = [victim.rows() for victim in planted]
    step(3, f"Sending {name} ...")
    answer, seconds = watched(world, responder, event, fight, settle)
    reports = reports_of(responder, answer)
    step(4, f"It answered after {seconds:.1f} s (a debug build, its cold start included).")
    tell_people(world, findings, arguments.verbose)
    tell(answer, reports)
    for victim, rows in zip(planted, before):
        table(victim.title, rows, victim.rows())
    if fight:
        fight.over.set()


def watched(world, responder, event, fight, settle):
    """The answer, and how long it took; meanwhile what happens is shown."""
    answered = []

    def invoke():
        # Where the demo is ended meanwhile, so is the function.
        with contextlib.suppress(OSError, http.client.HTTPException):
            answered.append(responder.invoke(event))

    call = threading.Thread(target=invoke, daemon=True)
    watch = Watch(world, float(settle), told=fight is not None)
    if fight:
        fight.start()
    call.start()
    while call.is_alive():
        call.join(0.1)
        watch.look()
    watch.look()
    watch.last_word()
    if not answered:
        sys.exit(f"The function's process ended without an answer:\n{responder.output()}")
    return answered[0], time.time() - watch.began


def reports_of(responder, answer):
    """Those of the answer; where it is an error, those that were logged before."""
    if "errorType" not in answer:
        return answer.get("reports", [])
    time.sleep(0.3)
    return [json.loads(line["report"]) for line in responder.log_lines() if "report" in line]


def tell(answer, reports):
    if "status" in answer:
        say(json.dumps(answer["status"], indent=2))
    if "restore" in answer:
        tell_verdict("restore", answer["restore"], "Restored")
        for line in [*answer["restore"]["drift"], *answer["restore"]["stays"], *answer["restore"]["notes"]]:
            say(paint(cut(f"     {line}"), "grey"))
    for ignored in answer.get("ignored", []):
        say(f"   ignored: {ignored['reason']}")
    for told in answer.get("told", []):
        say(f"   told, not contained ({told['how']}, {told['outcome']}): {told['kind']} - {told['detail']}")
    for report in reports:
        tell_verdict(report["playbook"], report, "Contained")
        for line in [*report["open"], *report["notes"]]:
            say(paint(cut(f"     {line}"), "grey"))
    if "errorType" in answer:
        say(paint(f"   {answer['errorType']}: {answer['errorMessage']}", "red"))


def tell_verdict(what, report, good):
    done = [f"{it['action']} {it['target'].rsplit('/', 1)[-1]}" for it in report["actions"] if it["outcome"] == "applied"]
    if done:
        say(cut(f"     applied: {', '.join(done)}"))
    for it in report["actions"]:
        if it["outcome"] != "applied":
            say(f"     {it['outcome']}: {it['action']} {it['target']}")
    say(paint(f"   {what}: {report['verdict']}", "green" if report["verdict"] == good else "red"))
    say(f"     {report['reason']}")


def tell_people(world, findings, verbose):
    for incident in world.incidents():
        say(cut(f"   incident      {incident['title']}"))
    for rotation in world.rotations():
        say(f"   rotation      {rotation['DocumentName']} {rotation['AutomationExecutionStatus']}")
    for finding in findings:
        say(cut(f"   Security Hub  workflow {finding()['Workflow']['Status']}: {finding()['Id']}"))
    for alert in world.alerts():
        say(cut(f"   alert         {alert['Subject']}" + ("" if verbose else "  (VERBOSE=1: all of it)")))
        if verbose:
            say("\n".join(f"   | {line}" for line in alert["Message"].splitlines()))


if __name__ == "__main__":
    main()
