"""The digests: one an hour, one a day, and nobody hidden in them."""

import json
import threading
import time

from .harness.victims import User

LOW = "guardduty-discovery-iam-user-anomalous-behavior-low"
POLICY = "guardduty-policy-s3-bucket-public-access-granted"
HOUR = 3_600_000


def writes_to_iam(world):
    return [action for action in world.writes() if action.startswith("iam:")]


def told(answer):
    return [(it["how"], it["outcome"]) for it in answer["told"]]


def age(world, item, attribute, millis):
    """As if what the ledger keeps there had happened earlier."""
    table = [name for name in world.client("dynamodb", world.security).list_tables()["TableNames"] if "Ledger" in name][0]
    world.client("dynamodb", world.security).update_item(
        TableName=table,
        Key={"id": {"S": item}},
        UpdateExpression="SET #it = :then",
        ExpressionAttributeNames={"#it": attribute},
        ExpressionAttributeValues={":then": {"N": str(int(time.time() * 1_000) - millis)}},
    )


def low(world, number, name="alice", severity=2.0):
    """A finding that goes to the hourly digest, about a user of its own."""
    event = json.loads(json.dumps(world.event(LOW)).replace('"alice"', f'"{name}"'))
    event["detail"]["resource"]["accessKeyDetails"] = {"userType": "IAMUser", "userName": name}
    event["detail"].update(severity=severity, arn=f"arn:aws:guardduty:us-east-1:{world.member}:detector/d/finding/{number:032x}")
    return event


def lines(alert):
    return [line for line in alert["Message"].splitlines() if line.startswith("- [")]


def test_the_digest_has_the_gravest_twenty_and_counts_the_rest(world):
    world.deploy()
    responder = world.responder()
    for number in range(23):
        assert told(responder.invoke(low(world, number, f"user{number}", 5 if number == 22 else 2))) == [("hourly-digest", "applied")]
    assert world.alerts() == []
    assert "errorType" not in responder.invoke({"command": "digest"})
    [alert] = world.alerts()
    lines = [line for line in alert["Message"].splitlines() if line.startswith("- [")]
    assert len(lines) == 20 and lines[0].startswith("- [MEDIUM]") and "and 3 more" in alert["Message"]
    assert alert["Subject"].startswith("Hourly digest: 23 findings")
    assert writes_to_iam(world) == []


def test_a_digest_is_one_an_hour_and_none_when_there_is_nothing(world):
    world.deploy()
    user, responder = User(world), world.responder()
    responder.invoke({"command": "digest"})
    assert world.alerts() == []
    event = world.event(LOW, user)
    responder.invoke(event)
    responder.invoke({"command": "digest"})
    event["detail"]["arn"] += "0"
    responder.invoke(event)
    responder.invoke({"command": "digest"})
    assert len(world.alerts()) == 1
    age(world, "digest#hourly", "sent_at", HOUR)
    responder.invoke({"command": "digest"})
    [second] = world.alerts()
    assert second["Subject"].startswith("Hourly digest: 1 finding")
    age(world, "digest#hourly", "sent_at", HOUR)
    responder.invoke({"command": "digest"})
    assert world.alerts() == []


def test_a_digest_that_could_not_be_sent_is_sent_the_next_time(world):
    world.deploy()
    user, responder = User(world), world.responder()
    responder.invoke(world.event(LOW, user))
    world.fault("sns:Publish", "InternalError", status=500, times=4)
    assert responder.invoke({"command": "digest"})["errorType"] == "ResponseIncomplete"
    age(world, "digest#hourly", "sending", 1_000)
    responder.invoke({"command": "digest"})
    assert len(world.alerts()) == 1


def test_configuration_is_in_the_daily_digest(world):
    world.deploy()
    user, responder = User(world), world.responder()
    assert told(responder.invoke(world.event(POLICY, user))) == [("daily-digest", "applied")]
    responder.invoke({"command": "digest"})
    assert world.alerts() == []
    age(world, "digest#daily", "since", 24 * HOUR)
    responder.invoke({"command": "digest"})
    [alert] = world.alerts()
    assert alert["Subject"].startswith("Daily digest: 1 finding")


def test_nobody_hides_in_the_digest_behind_a_decoys_noise(world):
    """One cheap key that does odd things in every region, and then the user that matters."""
    world.deploy()
    responder = world.responder()
    for number in range(20):
        responder.invoke(low(world, number, "decoy", 5))
    responder.invoke(low(world, 19, "decoy", 5))
    responder.invoke(low(world, 20, "payroll-admin", 4))
    responder.invoke(low(world, 21, "payroll-admin", 2))
    responder.invoke({"command": "digest"})
    [alert] = world.alerts()
    of_decoy, of_admin = sorted(lines(alert), key=lambda it: "payroll-admin" in it)
    assert "user decoy" in of_decoy and of_decoy.endswith("and 19 more about the same identity")
    assert of_admin.startswith("- [MEDIUM]") and of_admin.endswith("and 1 more about the same identity")
    assert alert["Subject"].startswith("Hourly digest: 22 findings")


def test_what_comes_while_a_digest_is_sent_is_in_the_next_one(world):
    """The flood fills the digest first, so that what comes is only counted."""
    world.deploy()
    responder, other = world.responder(), world.responder()
    for number in range(20):
        responder.invoke(low(world, number, f"user{number}"))
    other.invoke({"command": "due"})
    world.fault("sns:Publish", delay_ms=2_000, times=1)
    sending = threading.Thread(target=responder.invoke, args=({"command": "digest"},))
    sending.start()
    end = time.monotonic() + 20
    while time.monotonic() < end and not any(it.get("times") == 0 for it in world.faults()):
        time.sleep(0.02)
    for number in (3, 99):
        assert told(other.invoke(low(world, 100 + number, f"user{number}"))) == [("hourly-digest", "applied")]
    sending.join(60)
    [first] = world.alerts()
    assert first["Subject"].startswith("Hourly digest: 20 findings")
    age(world, "digest#hourly", "sent_at", HOUR)
    responder.invoke({"command": "digest"})
    [second] = world.alerts()
    assert second["Subject"].startswith("Hourly digest: 2 findings")
    assert all(f"user user{number} " in second["Message"] for number in (3, 99))
