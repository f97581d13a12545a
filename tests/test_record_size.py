"""An item of the ledger holds 400 KB, whatever an attacker makes us write into it."""

import copy
import json

import pytest

from .harness.ledger import Table
from .harness.victims import User
from .test_lease import while_running

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
LIMIT = 400_000


def size(item):
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
    return len(json.dumps(item))


def test_what_was_done_rolls_over_into_parts(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    responder.invoke(event)
    table = Table(world)
    [record] = table.items("record#")
    line = json.dumps({"at": "2026-01-01T00:00:00Z", "action": "DeactivateAccessKey", "target": "x" * 900})
    lines = {"L": [{"S": line}] * 380}
    table.change(record, "SET applied = :lines", lines=lines)
    assert size(table.item("record#")) > 0.9 * LIMIT
    for _ in range(2):
        world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
        [report] = responder.invoke(event)["reports"]
        assert report["verdict"] == "Contained", report
    record, part = sorted(table.items("record#"), key=lambda it: it["id"]["S"])
    assert part["id"]["S"] == record["id"]["S"] + "#part#0" and part["applied"] == lines
    applied = [json.loads(it["S"])["action"] for it in record["applied"]["L"]]
    assert applied.count("AttachDenyAll") == 2 and size(record) < LIMIT / 4
    assert record["parts"]["N"] == "1"


def test_what_rolls_over_takes_no_place_of_what_somebody_else_rolled_over(world):
    """Whoever was superseded, or died before the end, has written a part already."""
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    responder.invoke(event)
    table = Table(world)
    record = table.item("record#")
    lines = {"L": [{"S": "x" * 900}] * 50}
    table.change(record, "SET applied = :lines", lines=lines)
    theirs = {"id": {"S": record["id"]["S"] + "#part#0"}, "applied": {"L": [{"S": "theirs"}]}}
    table.client.put_item(TableName=table.name, Item=theirs)
    world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    assert responder.invoke(event)["reports"][0]["verdict"] == "Contained"
    record, first, second = sorted(table.items("record#"), key=lambda it: it["id"]["S"])
    assert first == theirs and second["applied"] == lines and record["parts"]["N"] == "2"


@pytest.mark.parametrize("lines", [10, 90])
def test_what_a_superseded_response_did_is_kept_whatever_the_record_has(world, lines):
    world.deploy()
    user, responder, table = User(world), world.responder(), Table(world)
    unused = world.event("security-hub-iam-8-unused-credentials", user)
    world.finding(unused)
    assert world.responder(part="hygiene").invoke(unused)["reports"][0]["verdict"] == "Contained"
    line = json.dumps({"at": "2026-01-01T00:00:00Z", "action": "DeactivateAccessKey", "target": "user/alice"})
    table.change(table.item("record#"), "SET applied = :lines", lines={"L": [{"S": line}] * lines})
    for key in user.keys:
        world.iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Active")
    again = copy.deepcopy(unused)
    again["detail"]["findings"][0]["Id"] += "-again"
    world.finding(again)
    done = lambda: world.writes().count("iam:UpdateAccessKey")  # noqa: E731
    before = done()
    hygiene = world.responder(part="hygiene", SETTLE_SECONDS="4")
    with while_running(hygiene, again, lambda: done() >= before + 2) as first:
        assert responder.invoke(world.event(EXFILTRATION, user))["reports"][0]["verdict"] == "Contained"
    assert first[0]["reports"][0]["verdict"] == "Contained", first
    kept = [it["S"] for item in table.items("record#") for it in item.get("applied", {"L": []})["L"] if it["S"] != line]
    assert all(any(key["AccessKeyId"] in it for it in kept) for key in user.keys), "what was done is nowhere"


def test_what_can_wait_rolls_over_too(world):
    world.deploy()
    user, hygiene = User(world), world.responder(part="hygiene")
    table = Table(world)
    for number in range(2):
        event = world.event("security-hub-iam-8-unused-credentials", user)
        event["detail"]["findings"][0]["Id"] += f"-{number}"
        world.finding(event)
        [report] = hygiene.invoke(event)["reports"]
        assert report["verdict"] == "Contained", report
        if number == 0:
            lines = {"L": [{"S": "x" * 900}] * 420}
            table.change(table.item("record#"), "SET applied = :lines", lines=lines)
            for key in user.keys:
                world.iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Active")
    _, part = sorted(table.items("record#"), key=lambda it: it["id"]["S"])
    assert part["applied"] == lines


def test_what_was_planned_and_seen_does_not_grow_without_bound(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    responder.invoke(event)
    table = Table(world)
    planned = [f"DeactivateAccessKey alice/AKIA{n:016}" for n in range(600)]
    [name] = [it for it in table.item("record#") if it.startswith("planned ")]
    table.change(table.item("record#"), "SET #planned = :planned", names={"#planned": name}, planned={"SS": planned})
    table.change(table.item("lock#"), "SET seen = :seen", seen={"SS": [f"{n:016x}" for n in range(2_000)]})
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"], Status="Active")
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    assert len(table.item("record#")[name]["SS"]) == 600
    assert len(table.item("lock#")["seen"]["SS"]) == 1


def test_a_finding_is_kept_without_the_length_that_its_writer_gave_it(world):
    world.deploy(MaxContainmentsPerHour="0,20")
    user = User(world)
    event = world.event(EXFILTRATION, user)
    event["detail"]["title"] = "x" * 100_000
    assert world.responder().invoke(event)["reports"][0]["verdict"] == "Deferred"
    assert all(size(it) < 8_000 for it in Table(world).items())


def test_at_most_150_wait_for_one_response(world):
    """The others are due one by one."""
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    responder.invoke(event)
    table = Table(world)
    now = "99999999999999"
    held = {"until": {"N": now}, "me": {"S": "another"}, "playbook": {"S": "compromised-credential"}, "id": {"S": user.id}}
    table.change(table.item("lock#"), "SET lease_until = :until, holder = :me, playbook = :playbook, struck_id = :id", **held)
    full = {"SS": [f"due#{n}" for n in range(150)]}
    values = {name: held[name] for name in ("until", "me", "playbook")} | {"full": full}
    table.change(table.item("record#"), "SET lease_until = :until, holder = :me, playbook = :playbook, waiting = :full", **values)
    assert responder.invoke(event)["reports"][0]["verdict"] == "InProgress"
    assert len(table.item("record#")["waiting"]["SS"]) == 150
    [item] = [it for it in table.items("due#") if "due_bucket" in it]
    assert int(item["due_at"]["N"]) < 2_000_000_000_000


def test_a_record_at_all_of_its_bounds_still_has_room_for_the_next_response(world):
    """Three playbooks more took what has the longest names that IAM allows, findings wait, and much was done."""
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    responder.invoke(event)
    table = Table(world)
    record = table.item("record#")
    [ours] = [it.removeprefix("planned ") for it in record if it.startswith("planned ")]
    before = json.loads(record[f"snapshot {ours}"]["S"])
    for playbook in ("overprivileged-user", "unused-user", "unauthorized-user"):
        name = f"{playbook}@2026-01-02T03:04:05Z"
        arns = [f"arn:aws:iam::{world.member}:policy/{'p' * 512}/{n:0>120}" for n in range(20)]
        snapshot = before | {"playbook": playbook, "before": before["before"] | {"attached_policies": arns}}
        planned = [f"DetachPolicy alice/{n:0>700}" for n in range(24_000 // 720)]
        written = {
            f"snapshot {name}": {"S": json.dumps(snapshot)},
            f"contents {name}": {"S": json.dumps({f"policy {arn}": "x" * 24 for arn in arns} | {"group": "x" * 8_000})},
            f"planned {name}": {"SS": planned},
            f"open {playbook}": {"S": name},
        }
        for attribute, value in written.items():
            table.change(record, "SET #a = :v", names={"#a": attribute}, v=value)
    waiting = {"SS": [f"due#{world.member}#{n:016x}" for n in range(150)]}
    table.change(record, "SET applied = :lines, waiting = :waiting", lines={"L": [{"S": "x" * 1_000}] * 80}, waiting=waiting)
    assert size(table.item("record#")) > 0.6 * LIMIT
    for n in range(4):
        key = world.iam.create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"] if n else user.keys[0]["AccessKeyId"]
        world.iam.update_access_key(UserName="alice", AccessKeyId=key, Status="Active")
        [report] = responder.invoke(event)["reports"]
        assert report["verdict"] == "Contained", report
        world.iam.delete_access_key(UserName="alice", AccessKeyId=key)
    assert size(table.items("record#")[0]) < LIMIT


def test_two_hundred_suspects_with_the_longest_names_have_an_item_of_their_own(world):
    world.deploy()
    user, responder = User(world), world.responder()
    for n in range(203):
        name = f"{n:0>64}"
        world.iam.create_user(UserName=name, Path=f"/{'p' * 510}/")
    event = world.event(EXFILTRATION, user)
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "SuspectsOpen" and len(report["open"]) == 201, len(report["open"])
    table = Table(world)
    assert size(table.item("record#")) < 20_000 and size(table.item("suspects#")) < LIMIT
    [again] = responder.invoke(event)["reports"]
    assert again["verdict"] == "SuspectsOpen" and again["open"] == report["open"]

