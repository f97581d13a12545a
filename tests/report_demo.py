"""`make demo-report`: an intruder's session against a simulated AWS, and the report about it.

    python -m tests.report_demo [--docs]      --docs: keep it as docs/example-report.{md,html,json,png}

Somebody with a user's key makes a backdoor user, a role that lets another account in and a password, assumes two
roles one from the other, and stops a trail. The finding follows, the user is contained, and the report is made.
"""

from .harness import terminal

terminal.ends_quietly()

import argparse  # noqa: E402
import datetime as dt  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402

from .harness.intrusion import intrude, make_trail, prepare  # noqa: E402
from .harness.plant import MEMBER, SECURITY  # noqa: E402
from .harness.processes import ROOT, simulated_aws  # noqa: E402
from .harness.terminal import paint, say, step  # noqa: E402
from .harness.victims import User  # noqa: E402
from .harness.world import World  # noqa: E402

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
EARLIER = 7_200


def main():
    parser = argparse.ArgumentParser(prog="make demo-report")
    parser.add_argument("--docs", action="store_true", help="keep it in docs/")
    arguments = parser.parse_args()
    terminal.unwinds()
    say(paint("An intruder's session in a simulated AWS, and the report about it.", "bold"))
    with simulated_aws() as url:
        world = World(url, member=MEMBER, security=SECURITY)
        try:
            evidence = play(world)
        finally:
            world.close()
    folder, name = (ROOT / "docs", "example-report") if arguments.docs else (ROOT / "target" / "report", "report")
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"html": evidence["html"], "md": evidence["markdown"], "json": json.dumps(evidence["report"], indent=2, ensure_ascii=False) + "\n"}
    for ending, text in texts.items():
        (folder / f"{name}.{ending}").write_text(text)
    if arguments.docs:
        photograph(folder / f"{name}.html", folder / f"{name}.png")
    say("")
    for line in evidence["report"]["summary"]:
        say(f"   {line}")
    say(f"\n   SHA-256 of its JSON: {evidence['sha256']}")
    for ending in texts:
        say(f"   {(folder / f'{name}.{ending}').as_uri() if ending == 'html' else folder / f'{name}.{ending}'}")


def play(world):
    world.deploy(SettleSeconds="0")
    user, trail = User(world), make_trail(world)
    prepare(world)
    user.session().list_users()
    user.session().list_roles()
    world.control("history", {"account": world.member, "older_by": EARLIER})
    step(1, f"Deployed template.yaml ({SECURITY}) and member-role.yaml ({MEMBER}); alice worked as on any day.")
    began = now()
    intrude(world, user, trail)
    step(2, "Somebody with alice's key made a backdoor user, let another account in, set a password and stopped the trail.")
    event, detected = world.event(EXFILTRATION, user), now()
    [contained] = world.responder().invoke(event)["reports"]
    step(3, f"GuardDuty's finding came: {contained['verdict']}.")
    command = {"command": "report", "account": world.member, "user": "alice", "since": began, "detected": detected}
    answer = world.responder(part="investigator").invoke(command)
    if "evidence" not in answer:
        sys.exit(f"There is no report: {answer}")
    step(4, "The investigator read CloudTrail and IAM, and made the report.")
    return answer["evidence"]


def now():
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def photograph(page, picture):
    """Its beginning, as on a phone."""
    from .harness.browser import PHONE, running

    with running() as browser:
        shown = browser.new_page(viewport=PHONE, device_scale_factor=2)
        shown.goto(page.as_uri())
        shown.screenshot(path=picture)


if __name__ == "__main__":
    main()
