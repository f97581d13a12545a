"""News is what was not delivered: an alert that was lost comes again, and nothing is called done that people
were not told of."""

import copy

from .harness.ledger import Table
from .harness.victims import User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
HUB = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"
CREATED = "cloudtrail-create-user"


def test_an_alert_that_was_lost_comes_with_the_next_try(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    assert world.alerts() == []
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained" and len(world.alerts()) == 1
    responder.invoke(event)
    assert world.alerts() == []


def test_an_alert_that_every_try_lost_is_due(world):
    world.deploy()
    user, responder = User(world), world.responder()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=2)
    assert responder.invoke(world.event(EXFILTRATION, user))["errorType"] == "ResponseIncomplete"
    table = Table(world)
    table.pass_time()
    responder.invoke({"command": "due"})
    assert world.alerts() == [] and len(table.due()) == 1
    table.pass_time()
    responder.invoke({"command": "due"})
    assert len(world.alerts()) == 1 and table.due() == []


def test_an_alert_about_nobody_that_was_lost_is_due_too(world):
    world.deploy()
    responder = world.responder()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    assert responder.invoke(world.event("security-hub-iam-4-root-access-key"))["errorType"] == "ResponseIncomplete"
    table = Table(world)
    [finding] = table.due()
    assert finding["principal"] == {"type": "root"}
    table.pass_time()
    finding = world.finding(world.event("security-hub-iam-4-root-access-key"))
    responder.invoke({"command": "due"})
    assert len(world.alerts()) == 1 and table.due() == []
    assert finding()["Workflow"]["Status"] == "NOTIFIED"


def test_a_refusal_is_told_once(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    event["detail"]["resource"]["accessKeyDetails"] |= {"principalId": "AIDAOTHEROTHEROTHER00"}
    for _ in range(2):
        assert responder.invoke(event)["reports"][0]["verdict"] == "Refused"
    assert len(world.alerts()) == 1
    event["detail"]["service"]["eventLastSeen"] = "2026-11-20T19:12:48.000Z"
    responder.invoke(event)
    assert len(world.alerts()) == 1


def test_a_rotation_that_was_lost_is_started_by_the_next_try(world):
    world.deploy(rotation=True)
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    world.fault("ssm:StartAutomationExecution", "AccessDeniedException", status=400, times=1)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    assert world.rotations() == []
    responder.invoke(event)
    assert len(world.rotations()) == 1 and len(world.alerts()) == 1
    event["detail"]["service"]["eventLastSeen"] = "2026-11-20T19:12:48.000Z"
    responder.invoke(event)
    assert len(world.rotations()) == 1


def test_a_digest_that_was_lost_comes_with_the_next_deferral(world):
    world.deploy(MaxContainmentsPerHour="1,20")
    users = [User(world, name=name, groups=()) for name in ("backdoor", "bob", "carol", "dave")]
    responder = world.responder()
    events = [world.event(CREATED, users[0])]
    for user in users[1:]:
        event = copy.deepcopy(events[0])
        event["detail"]["requestParameters"]["userName"] = user.name
        event["detail"]["responseElements"]["user"] |= {"userName": user.name, "userId": user.id, "arn": user.arn}
        event["detail"]["eventID"] = user.name
        events.append(event)
    assert responder.invoke(events[0])["reports"][0]["verdict"] in ("Contained", "SuspectsOpen")
    world.alerts()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    assert responder.invoke(events[1])["errorType"] == "ResponseIncomplete"
    assert responder.invoke(events[2])["reports"][0]["verdict"] == "Deferred"
    assert len(world.alerts()) == 1
    assert responder.invoke(events[3])["reports"][0]["verdict"] == "Deferred"
    assert world.alerts() == []


def test_a_finding_keeps_its_status_until_people_were_told(world):
    world.deploy(response_plan=True)
    event = world.event("security-hub-iam-4-root-access-key")
    finding, responder = world.finding(event), world.responder()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    world.fault("ssm-incidents:StartIncident", "AccessDeniedException", status=403, times=1)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    assert finding()["Workflow"]["Status"] == "NEW"
    responder.invoke(event)
    assert finding()["Workflow"]["Status"] == "NOTIFIED" and len(world.incidents()) == 1


def test_resolved_and_rotated_is_only_what_leaves_nobody_open(world):
    world.deploy(rotation=True, ResolvedOnSuccess="true")
    user, responder = User(world), world.responder()
    event = world.event(HUB, user)
    finding = world.finding(event)
    world.iam.create_user(UserName="svc-backup")
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "SuspectsOpen"
    assert finding()["Workflow"]["Status"] == "NOTIFIED" and world.rotations() == []
    close = {"command": "close-suspect", "account": world.member, "user": "alice", "by": "Dana", "reason": "ours"}
    responder.invoke({**close, "suspect": "all"})
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained"
    assert finding()["Workflow"]["Status"] == "RESOLVED" and len(world.rotations()) == 1


def test_our_note_counts_only_while_it_is_newer_than_the_findings_own_update(world):
    world.deploy()
    user, responder = User(world), world.responder(part="hygiene")
    event = world.event("security-hub-iam-8-unused-credentials", user)
    world.finding(event)
    [finding] = event["detail"]["findings"]
    finding["UpdatedAt"] = "2026-11-20T09:14:57.105Z"
    finding["Note"] = {"Text": "NOT CONTAINED", "UpdatedBy": "iam-responder", "UpdatedAt": "2026-11-20T09:15:01.000Z"}
    assert responder.invoke(event)["reports"] == []
    finding["UpdatedAt"] = "2026-11-20T15:14:57.105Z"
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained"
