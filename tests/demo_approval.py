"""Approve mode before your eyes: a finding, a question, a click as Slack signs it, a containment.

    make demo-approval [SETTLE=3]
"""

from .harness import terminal

terminal.ends_quietly()

import argparse  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

from .demo import seconds, tell_people  # noqa: E402
from .harness.people import DANA, SlackDoor, generated  # noqa: E402
from .harness.plant import MEMBER, SECURITY, Planted  # noqa: E402
from .harness.processes import simulated_aws  # noqa: E402
from .harness.requests import EXFILTRATION, item  # noqa: E402
from .harness.terminal import cut, paint, say, step, table  # noqa: E402
from .harness.victims import User, user_state  # noqa: E402
from .harness.world import World  # noqa: E402


def main():
    terminal.unwinds()
    parser = argparse.ArgumentParser(prog="make demo-approval")
    parser.add_argument("--settle", type=seconds, default="3", help="seconds that containment must be seen to hold")
    arguments = parser.parse_args()
    say(paint("A person decides: approve mode, and a click as Slack signs it, against a simulated AWS.", "bold"))
    with simulated_aws() as url:
        world = World(url, member=MEMBER, security=SECURITY)
        try:
            play(world, arguments.settle)
        finally:
            world.close()


def play(world, settle):
    slack = SlackDoor(world)
    world.deploy(Mode="approve", SettleSeconds=settle, **slack.parameters)
    user = User(world, name="alice", id="AIDACKCEVSQ6C2EXAMPLE", key="AKIAIOSFODNN7EXAMPLE")
    responder = world.connected()
    slack.open()
    planted = Planted("user alice", user.session(), lambda: user_state(world.iam, "alice"))
    before = planted.rows()
    step(1, f"Deployed template.yaml ({SECURITY}) and member-role.yaml ({MEMBER}), and made user alice.")

    [report] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    request = report["request"]
    step(2, f"GuardDuty says that her key is used by somebody else: {report['verdict']}, and nothing was changed.")
    step(3, f"People are asked, as request {request}. What would be done:")
    for line in item(world, request)["plan_words"]["L"]:
        say(cut(f"     {line['S']}"))
    works = "yes" if user.key_works() else "no"
    step(4, f"Meanwhile alice's key works: {works}.")

    for who, changes in (
        ("somebody who can't sign for Slack", {"secret": generated()}),
        ("an approver's click of six minutes ago", {"at": time.time() - 360}),
        ("somebody who is no approver", {"user": "U0MALLORY"}),
        ("about another plan than was shown", {"plan_hash": "0" * 64}),
    ):
        say(f"     {slack.click(request, **changes)}  {who}")
    began = time.time()
    status = slack.click(request)
    step(5, f"Dana ({DANA}) approves: {status}, answered after {time.time() - began:.1f} s (a debug build).")
    world.deliveries()
    denied = [it["ended"] for it in world.journal() if it["action"] == "iam:AttachUserPolicy"]
    if not denied:
        sys.exit("The deny is not there.")
    step(6, f"The deny was in place {denied[0] - began:.1f} s after the click. Alice's key works: {'yes' if user.key_works() else 'no'}.")
    say(f"     {slack.click(request, 'decline')}  a second click, on Decline, changes nothing: {item(world, request)['decided_by']['S']} decided")
    tell_people(world, [], verbose=False)
    table(planted.title, before, planted.rows())


if __name__ == "__main__":
    main()
