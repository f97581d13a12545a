"""What a response reads of an identity, and how often: IAM throttles by account."""

import collections

from .harness.ledger import Table
from .harness.victims import User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"

# The state of a user but for what each look reads, and what its policies and groups say.
STATE = ("GetLoginProfile", "ListGroupsForUser", "ListMFADevices", "ListServiceSpecificCredentials")
STATE += ("ListSSHPublicKeys", "ListSigningCertificates", "ListUserPolicies")
SAYS = {"GetUserPolicy": 1, "ListAttachedGroupPolicies": 2, "ListGroupPolicies": 2}


def reads(world, responder, event):
    seen = len(world.journal())
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    return collections.Counter(it["action"].removeprefix("iam:") for it in world.journal()[seen:] if it["is_ours"])


def test_a_quiet_response_reads_the_whole_state_twice_and_what_policies_say_once(world):
    world.deploy(SettleSeconds="2")
    responder, event = world.responder(), world.event(EXFILTRATION, User(world))
    found = reads(world, responder, event)
    assert {name: found[name] for name in STATE} == dict.fromkeys(STATE, 2)
    assert {name: found[name] for name in SAYS} == SAYS
    # Who it is, the full read beside the strike, the last one, and between these a look every half second at most.
    assert found["GetUser"] == found["ListAccessKeys"] == found["ListAttachedUserPolicies"] <= 3 + 4
    # The same again: what its policies say is kept, and the state as it is now is enough.
    again = reads(world, responder, event)
    assert {name: again[name] for name in STATE} == dict.fromkeys(STATE, 1)
    assert not set(SAYS) & set(again), again


def test_what_policies_say_is_kept_with_each_response(world):
    """Also of one that begins where another has it."""
    world.deploy()
    user = User(world)
    unused = world.event("security-hub-iam-8-unused-credentials", user)
    world.finding(unused)
    reads(world, world.responder(part="hygiene"), unused)
    reads(world, world.responder(), world.event(EXFILTRATION, user))
    record = Table(world).item("record#")
    kept = {kind: {name.split()[1] for name in record if name.startswith(f"{kind} ")} for kind in ("snapshot", "contents")}
    assert len(kept["snapshot"]) == 2 and kept["contents"] == kept["snapshot"], kept
