"""An intruder makes a backdoor in a simulated AWS, and the responder answers, before your eyes.

    python -m tests.attack

The intruder has the session of a Lambda function that may do everything. It creates a user with every
permission and a key.
CloudTrail's event follows, as it does on AWS: by the forwarding rule of the member account and the
rule of the responder's stack to the real binary. Cleans up after itself, also on Ctrl-C.
"""

from .harness import terminal

terminal.ends_quietly()

import sys  # noqa: E402
import time  # noqa: E402

from .demo import tell_people  # noqa: E402
from .harness.plant import MEMBER, SECURITY, Planted  # noqa: E402
from .harness.processes import simulated_aws  # noqa: E402
from .harness.terminal import paint, say, step, table  # noqa: E402
from .harness.victims import Role, allowed, user_state  # noqa: E402
from .harness.world import World  # noqa: E402

BACKDOOR = "service-jmokoe"
LAMBDA = "report-lambda"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
CLOUDTRAIL_SECONDS = 3


def main():
    terminal.unwinds()
    say(paint("An intruder in a Lambda function that may do too much, against the real responder.", "bold"))
    with simulated_aws() as url:
        world = World(url, member=MEMBER, security=SECURITY)
        try:
            play(world)
        finally:
            world.close()


def play(world):
    world.deploy(SettleSeconds="12")
    world.control("cloudtrail", {"account": world.member, "seconds": CLOUDTRAIL_SECONDS})
    function = Role(world, name=LAMBDA)
    stolen = function.session()
    world.connected(part="hygiene")
    step(1, f"Deployed template.yaml ({SECURITY}) and member-role.yaml ({MEMBER}).")

    stolen.create_user(UserName=BACKDOOR)
    told_at = time.time() + CLOUDTRAIL_SECONDS
    stolen.attach_user_policy(UserName=BACKDOOR, PolicyArn=ADMINISTRATOR)
    key = stolen.create_access_key(UserName=BACKDOOR)["AccessKey"]
    step(2, f"By a session of the Lambda's role {LAMBDA} the intruder created user {BACKDOOR} with AdministratorAccess and a key.")
    backdoor = world.client("iam", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    planted = Planted(f"user {BACKDOOR}", backdoor, lambda: user_state(world.iam, BACKDOOR))
    before = planted.rows()

    step(3, f"CloudTrail tells of it after {CLOUDTRAIL_SECONDS} s here; on AWS seconds to minutes ...")
    denied_at = when(world, "iam:AttachUserPolicy") - told_at
    step(4, f"The deny was in place {denied_at:.1f} s after that (a debug build, its cold start included).")
    over_at = when(world, "sns:Publish") - told_at
    step(5, f"It had held for 12 s, and everyone was told, after {over_at:.1f} s.")
    tell_people(world, [], verbose=False)
    table(planted.title, before, planted.rows())
    still = "yes" if allowed(stolen.list_users) else "no"
    say(f"   The stolen session itself may still call iam:ListUsers: {still}. A CreateUser says")
    say("   nothing about who is behind it: the alert names the creator, and a person sends")
    say(f'   {{"command":"contain","account":"{MEMBER}","role":"{LAMBDA}","reason":"…"}}')


def when(world, action):
    """When one of our roles had done it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        ours = (call for call in world.journal() if "iam-responder" in call["principal"])
        done = [call["ended"] for call in ours if call["action"] == action]
        if done:
            return done[0]
        time.sleep(0.2)
    sys.exit(f"   The responder did not come to {action} within a minute.")


if __name__ == "__main__":
    main()
