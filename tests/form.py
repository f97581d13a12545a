"""The report form for a person with a browser, against a simulated AWS, until Ctrl-C.

    make form

What is reported waits for somebody to decide it: type `approve` or `decline` here, which sends a click as Slack
signs it. The page shows how far it has come.
"""

from .harness import terminal

terminal.ends_quietly()

import select  # noqa: E402
import sys  # noqa: E402

from .demo import tell_people  # noqa: E402
from .harness.ledger import Table  # noqa: E402
from .harness.people import FormDoor, SlackDoor  # noqa: E402
from .harness.plant import MEMBER, SECURITY  # noqa: E402
from .harness.processes import simulated_aws  # noqa: E402
from .harness.terminal import paint, say  # noqa: E402
from .harness.victims import Role, User  # noqa: E402
from .harness.world import World  # noqa: E402

KEY = "AKIAIOSFODNN7EXAMPLE"


def main():
    terminal.unwinds()
    with simulated_aws() as url:
        world = World(url, member=MEMBER, security=SECURITY)
        try:
            serve(world)
        finally:
            world.close()


def serve(world):
    form, slack = FormDoor(world), SlackDoor(world)
    world.deploy(SettleSeconds="5", Mode="approve", **form.parameters, **slack.parameters)
    User(world, name="alice", id="AIDACKCEVSQ6C2EXAMPLE", key=KEY)
    User(world, name="bob", groups=())
    Role(world, name="app")
    form.open()
    slack.open()
    world.connected()
    say(paint("The report form, of the real function against a simulated AWS, until Ctrl-C:", "bold"))
    say(f"  {form.front.url}    user: report    password: {form.password}")
    say(f"User alice with the key {KEY}, user bob and role app are in the account {world.member}.\n")
    told = set()
    while True:
        waiting = [it for it in Table(world).items("request#") if it.get("state", {}).get("S") == "waiting" and "decision" not in it and "plan_hash" in it]
        for request in waiting:
            if request["id"]["S"] not in told:
                told.add(request["id"]["S"])
                say(f"{request['target']['S']} waits for approval. Type approve or decline, and Enter:")
        if select.select([sys.stdin], [], [], 0.5)[0]:
            line = sys.stdin.readline()
            if not line:
                # Nobody types here.
                select.select([], [], [])
            decide(world, slack, waiting, line.strip())


def decide(world, slack, waiting, word):
    if word not in ("approve", "decline") or not waiting:
        return
    request = waiting[0]["id"]["S"].removeprefix("request#")
    say(f"  The click, as Dana's: {slack.click(request, word)}")
    world.deliveries()
    tell_people(world, [], verbose=False)


if __name__ == "__main__":
    main()
