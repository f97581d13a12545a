"""News is what was not delivered: an alert that was lost comes again, and nothing is called done that people
were not told of."""

import copy
import json
import time

from .harness.ledger import DUE, Table
from .harness.victims import User
from .test_lease import while_running, wrote

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


def test_what_is_put_off_is_one_alert_though_its_incident_can_not_be_opened(world):
    """A service control policy forbids OpsItems, say. Nor does the schedule fail for it."""
    world.deploy(MaxContainmentsPerHour="0,20")
    user, responder = User(world), world.responder()
    world.fault("ssm:CreateOpsItem", "AccessDeniedException", status=400)
    assert "AccessDenied" in responder.invoke(world.event(EXFILTRATION, user))["errorMessage"]
    [alert] = world.alerts()
    assert "DEFERRED" in alert["Subject"] and "AccessDenied" in alert["Message"], alert["Message"]
    for _ in range(3):
        assert "errorType" not in responder.invoke(DUE)
    assert world.alerts() == []


def test_a_question_is_one_alert_though_its_incident_can_not_be_opened(world):
    world.deploy(Mode="approve")
    user, responder, table = User(world), world.responder(), Table(world)
    world.fault("ssm:CreateOpsItem", "AccessDeniedException", status=400)
    responder.invoke(world.event(EXFILTRATION, user))
    assert len(world.alerts()) == 1
    for _ in range(2):
        table.pass_time()
        table.change(table.item("request#"), "SET due_at = :zero", zero={"N": "0"})
        responder.invoke(DUE)
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


def test_a_finding_that_waited_is_marked_once_people_were_told(world):
    world.deploy(SettleSeconds="4")
    user, responder, second = User(world), world.responder(), world.responder()
    hub = world.event(HUB, user)
    hub["detail"]["findings"][0]["Id"] += "0"  # Another finding about the same.
    finding = world.finding(hub)
    event = world.event(EXFILTRATION, user)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    with while_running(responder, event, wrote(world, "iam:TagUser")) as first:
        assert second.invoke(hub)["reports"][0]["verdict"] == "InProgress"
    assert first[0]["errorType"] == "ResponseIncomplete"
    assert responder.invoke(event)["reports"][0]["verdict"] == "Contained"  # Lambda's second try.
    table = Table(world)
    # Two that are taken up side by side may be about one identity: then one of them waits for the next run.
    for _ in range(2):
        table.pass_time()
        responder.invoke({"command": "due"})
    assert finding()["Workflow"]["Status"] == "NOTIFIED" and table.due() == [] and len(world.alerts()) == 1


def test_an_alert_that_every_try_lost_is_not_forgotten_for_a_copy_that_waited(world):
    """The copy in Security Hub has the same ID: what waits and what is undelivered are one item."""
    world.deploy()
    user, responder, second = User(world), world.responder(), world.responder()
    event, hub = world.event(EXFILTRATION, user), world.event(HUB, user)
    event["detail"]["arn"] = hub["detail"]["findings"][0]["Id"]
    world.finding(hub)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=3)
    for _ in range(2):
        assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    world.fault("iam:ListRoles", delay_ms=3_000, times=1)
    struck = lambda: any("struck_id" in it for it in Table(world).items("lock#"))  # noqa: E731
    with while_running(responder, event, struck) as third:
        assert second.invoke(hub)["reports"][0]["verdict"] == "InProgress"
    assert third[0]["errorType"] == "ResponseIncomplete"
    table = Table(world)
    table.pass_time()
    responder.invoke({"command": "due"})
    assert len(world.alerts()) == 1


def test_every_finding_of_an_event_is_marked_once_people_were_told(world):
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event("security-hub-custom-action-contain-identity", user)
    [one] = event["detail"]["findings"]
    event["detail"]["findings"] = [{**one, "Id": f"{one['Id']}-{n}"} for n in range(2)]
    findings = [world.finding(event, n) for n in range(2)]
    world.fault("sns:Publish", "AuthorizationError", status=403, times=3)
    for _ in range(3):  # Lambda tries twice more.
        assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    table = Table(world)
    for _ in range(2):  # The second waits for the first's lease.
        table.pass_time()
        responder.invoke({"command": "due"})
    assert [it()["Workflow"]["Status"] for it in findings] == ["NOTIFIED"] * 2
    assert len(world.alerts()) == 1 and table.due() == []


def test_what_can_not_be_contained_is_told_once(world):
    world.deploy(response_plan=True)
    event = world.event("security-hub-iam-4-root-access-key")
    finding, responder = world.finding(event), world.responder()
    for _ in range(3):
        assert responder.invoke(event)["reports"][0]["verdict"] == "Refused"
    assert len(world.alerts()) == 1 and len(world.incidents()) == 1
    assert finding()["Workflow"]["Status"] == "NOTIFIED"


def test_what_a_source_updated_while_we_responded_is_acted_on(world):
    """GuardDuty and Security Hub take minutes; our note is from the end of the response."""
    world.deploy()
    user, responder = User(world), world.responder()
    ago = lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - seconds))  # noqa: E731
    event = world.event(HUB, user)
    [imported] = event["detail"]["findings"]
    imported |= {"UpdatedAt": ago(300), "LastObservedAt": ago(420)}
    finding = world.finding(event)
    world.fault("iam:AttachUserPolicy", "AccessDenied", status=403)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    assert "AWSDenyAll" not in user.state()["policies"]
    # The next import: GuardDuty saw more after the first one, and before our note.
    imported |= {"UpdatedAt": ago(60), "LastObservedAt": ago(90), "Note": json.loads(json.dumps(finding()["Note"], default=str))}
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"  # Nothing was ignored.
    # What the note answers is no news, whenever it comes again.
    imported["Note"] = json.loads(json.dumps(finding()["Note"], default=str))
    assert responder.invoke(event)["reports"] == []


def test_what_is_refused_before_anybody_is_looked_for_is_told_once(world):
    """GuardDuty repeats a finding, and each comes twice."""
    world.deploy(MemberAccounts="000000000000")
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    for _ in range(3):
        [report] = responder.invoke(event)["reports"]
        assert report["verdict"] == "Refused" and "MEMBER_ACCOUNTS" in report["reason"], report
    assert len(world.alerts()) == 1
