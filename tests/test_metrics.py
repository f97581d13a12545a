"""What CloudWatch makes metrics of: lines of the function's log in the embedded metric format."""

import copy

from .harness.victims import User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def metrics(responder, count):
    lines = []
    for _ in range(100):
        lines = [line for line in responder.log_lines() if "_aws" in line]
        if len(lines) >= count:
            break
    assert len(lines) == count
    for line in lines:
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "IamResponder" and abs(line["_aws"]["Timestamp"] / 1000 - 1.7e9) < 1e9
        assert directive["Dimensions"] == [[], ["Playbook"], ["Playbook", "Account"]]
        named = {metric["Name"] for metric in directive["Metrics"]}
        assert all(isinstance(line[name], (int, float)) for name in named)
        assert set(line) == {"_aws", "Playbook", "Account", *named}
    return lines


def test_a_containment_is_measured(world):
    world.deploy(SettleSeconds="1")
    responder = world.responder()
    responder.invoke(world.event(EXFILTRATION, User(world)))
    [line] = metrics(responder, 1)
    assert (line["Playbook"], line["Account"]) == ("compromised-credential", world.member)
    assert line["Contained"] == 1 and line["Reversals"] == line["Failures"] == 0
    assert 0 < line["TimeToBarrier"] < 1_000 <= line["TimeToContain"] < 60_000
    assert line["BehaviourToEvent"] > 0


def test_what_did_not_succeed_is_counted(world):
    world.deploy(ProtectedPrincipals="arn:aws:iam::*:user/carol", MaxContainmentsPerHour="1,1")
    responder, alice = world.responder(), User(world)
    world.fault("iam:AttachUserPolicy", "AccessDenied", status=403)
    event = world.event(EXFILTRATION, alice)
    responder.invoke(event)
    for name in ("bob", "carol"):
        other = copy.deepcopy(event)
        user = User(world, name=name, groups=())
        details = other["detail"]["resource"]["accessKeyDetails"]
        details.update(userName=name, principalId=user.id, accessKeyId=user.keys[0]["AccessKeyId"])
        responder.invoke(other)
    failed, deferred, refused = metrics(responder, 3)
    assert failed["NotContained"] == 1 and failed["Failures"] >= 1 and "TimeToContain" not in failed
    assert deferred["Deferred"] == 1 and refused["Refused"] == 1


def test_observing_is_no_containment(world):
    world.deploy(Mode="observe")
    responder = world.responder()
    responder.invoke(world.event(EXFILTRATION, User(world)))
    assert metrics(responder, 0) == []
