"""How many calls had to wait for another before the attacker was stopped, from the simulated AWS's
own record. Each call is made to take long enough that those sent together overlap."""

from .harness.processes import ROOT
from .harness.victims import Role, User

COSTS = ROOT / "docs/costs.md"
EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
BARRIERS = ("iam:AttachUserPolicy", "iam:PutRolePolicy", "iam:UpdateAccessKey")


def depths(journal):
    """Of each call, one more than the deepest that had been answered before it came."""
    found = []
    for call in journal:
        earlier = [depth for other, depth in found if other["ended"] <= call["began"]]
        found.append((call, 1 + max(earlier, default=0)))
    return found


def measured(world, event):
    responder = world.responder()
    world.fault("*", delay_ms=120)
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    found = depths(world.journal())
    first = min(depth for call, depth in found if call["action"] in BARRIERS)
    total = max(depth for _, depth in found)
    assert report["round_trips"] == {"first_barrier": first, "total": total, "calls": len(found)}
    return first, total, found


def test_three_round_trips_to_the_deny_and_nine_to_the_end(world):
    """One of them is for the session in which the rotation runbook runs."""
    world.deploy(response_plan=True, rotation=True)
    first, total, found = measured(world, world.event(EXFILTRATION, User(world)))
    assert first == 3
    assert total <= 9
    struck = {call["action"] for call, depth in found if depth == 3}
    assert {"iam:AttachUserPolicy", "iam:UpdateAccessKey"} <= struck
    assert len(found) <= 50


def test_three_round_trips_to_the_revocation(world):
    world.deploy(response_plan=True)
    role = Role(world)
    name = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
    first, total, _ = measured(world, world.event(name, role=role))
    assert first == 3 and total <= 8


def test_four_round_trips_where_only_the_key_is_known(world):
    world.deploy()
    first, _, _ = measured(world, world.event("health-risk-credentials-exposed-key-only", User(world)))
    assert first == 4


def test_a_containment_writes_the_ledger_as_often_as_the_costs_say(world):
    world.deploy()
    world.responder().invoke(world.event(EXFILTRATION, User(world)))
    assert world.writes().count("dynamodb:UpdateItem") == 9 and "DynamoDB nine writes each" in COSTS.read_text()
