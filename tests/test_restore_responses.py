"""One snapshot for each response: a restore takes back one of them, and leaves the others in force."""

import json
import threading

import pytest

from .harness.ledger import Table, until
from .harness.victims import Role, User
from .harness.world import POLICIES
from .test_lease import killed, wrote

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"
OUTSIDE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def deployed(world, **parameters):
    return world.deploy(TrustedProducts="product/aws/*,product/*/default", **parameters)


def respond(world, name, subject, **options):
    event = world.event(name, subject)
    if "findings" in event["detail"]:
        world.finding(event)
    [report] = world.responder(**options).invoke(event)["reports"]
    return report


def restored(world, name="alice", kind="user", part=None, **fields):
    command = {"command": "restore", "account": world.member, kind: name, "reason": "a drill", "by": "Dana", **fields}
    answer = (part or world.responder(part="restorer")).invoke(command)
    return answer.get("restore", answer)


def status(world, name="alice"):
    return world.responder().invoke({"command": "status", "account": world.member, "user": name})["status"]


def twice_contained(world):
    """Administrator access was taken for good; months later the user's key is stolen."""
    deployed(world)
    user = User(world)
    assert respond(world, OVERPRIVILEGED, user)["verdict"] == "Contained"
    before = user.state()
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    world.alerts()
    return user, before


def test_what_another_response_took_for_good_stays_taken(world):
    user, before = twice_contained(world)
    report = restored(world)
    assert report["verdict"] == "Restored" and report["response"].startswith("compromised-credential@")
    [other] = report["others"]
    assert other.startswith("overprivileged-user@")
    state = user.state()
    assert state["policies"] == [] and state["groups"] == []
    assert {**state, "tags": {k: v for k, v in state["tags"].items() if k != "RemediationDate"}} == {
        **before,
        "tags": {k: v for k, v in before["tags"].items() if k != "RemediationDate"},
    }
    [alert] = world.alerts()
    assert "stay in force" in alert["Message"] and other in alert["Message"]


def test_the_response_that_is_named_is_taken_back_and_the_deny_of_the_other_stays(world):
    user, _ = twice_contained(world)
    [first, last] = [it["id"] for it in status(world)["responses"]]
    report = restored(world, response=first)
    assert report["verdict"] == "Restored" and report["response"] == first and last in report["others"][0]
    state = user.state()
    assert set(state["policies"]) == {*POLICIES, "AWSDenyAll"} and state["groups"] == ["developers", "operators"]
    assert state["tags"]["SecurityIncident"] == "AutomatedSecurityQuarantine"
    report = restored(world)
    assert report["verdict"] == "Restored" and not report["drift"], report
    assert set(user.state()["policies"]) == set(POLICIES) and not user.state()["tags"]
    assert restored(world)["verdict"] == "NothingToDo"


def test_a_response_that_is_not_in_force_is_refused_by_name(world):
    user, _ = twice_contained(world)
    before = user.state()
    report = restored(world, response="overprivileged-user@2001-01-01T00:00:00Z")
    assert report["verdict"] == "Refused" and "compromised-credential@" in report["reason"]
    assert user.state() == before


def test_a_policy_that_is_taken_again_comes_back_without_what_was_taken_for_good(world):
    deployed(world)
    user = User(world)
    respond(world, OVERPRIVILEGED, user)
    world.iam.attach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    assert respond(world, OVERPRIVILEGED, user)["verdict"] == "Contained"
    assert user.state()["policies"] == []
    report = restored(world)
    assert report["verdict"] == "Restored" and user.state()["policies"] == ["AdministratorAccess"]
    assert user.state()["groups"] == []


def test_the_same_finding_twice_is_one_response(world):
    deployed(world)
    user = User(world)
    before = user.state()
    for _ in range(2):
        respond(world, EXFILTRATION, user)
    assert len(status(world)["responses"]) == 1
    report = restored(world)
    assert report["verdict"] == "Restored" and report["others"] == []
    assert user.state() == {**before, "keys": dict.fromkeys(before["keys"], "Inactive")}


def test_a_response_that_changes_nothing_is_none_of_its_own(world):
    """Or a restore of the last would take nothing back, and say that all is well."""
    deployed(world)
    user = User(world)
    respond(world, EXFILTRATION, user)
    assert respond(world, "security-hub-iam-8-unused-credentials", user, part="hygiene")["verdict"] == "Contained"
    assert user.state()["tags"]["SecurityIncident"] == "AutomatedSecurityQuarantine"
    assert restored(world)["verdict"] == "Restored" and user.state()["policies"] == sorted(POLICIES)


def test_force_leaves_what_the_alert_says_is_left(world):
    """A person detached a policy and took the user out of a group while it was quarantined."""
    deployed(world)
    user = User(world)
    respond(world, EXFILTRATION, user)
    world.iam.detach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    world.iam.remove_user_from_group(UserName="alice", GroupName="operators")
    assert restored(world)["verdict"] == "Drifted"
    world.alerts()
    report = restored(world, force=True)
    assert report["verdict"] == "Restored", report
    assert user.state()["policies"] == sorted(set(POLICIES) - {"AdministratorAccess"})
    assert user.state()["groups"] == ["developers"]
    [alert] = world.alerts()
    left = alert["Message"].split("left so:")[1].split("\n\n")[0]
    assert "AdministratorAccess" in left and "operators" in left


def test_a_deny_that_a_person_attached_stays(world):
    deployed(world)
    user = User(world)
    respond(world, OVERPRIVILEGED, user)
    world.iam.attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    report = restored(world)
    assert report["verdict"] == "Drifted" and report["drift"] == [f"policy {DENY_ALL} was added since"]
    assert restored(world, force=True)["verdict"] == "Restored"
    assert set(user.state()["policies"]) == {*POLICIES, "AWSDenyAll"}


def tags(world, count):
    world.iam.tag_user(UserName="alice", Tags=[{"Key": f"t{n:02}", "Value": "x"} for n in range(count)])


@pytest.mark.parametrize("count", [48, 49])
def test_where_there_is_room_for_one_tag_it_is_the_mark(world, count):
    deployed(world)
    user = User(world)
    tags(world, count)
    before = user.state()
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    assert user.state()["tags"]["SecurityIncident"] == "AutomatedSecurityQuarantine"
    assert restored(world)["verdict"] == "Restored"
    assert user.state() == {**before, "keys": dict.fromkeys(before["keys"], "Inactive")}


def test_a_role_bears_the_mark_alone_too(world):
    deployed(world)
    role = Role(world)
    world.iam.tag_role(RoleName="app", Tags=[{"Key": f"t{n:02}", "Value": "x"} for n in range(49)])
    before = role.state()
    [report] = world.responder().invoke(world.event(OUTSIDE, role=role))["reports"]
    assert report["verdict"] == "Contained" and role.state()["tags"]["SecurityIncident"] == "AutomatedSecurityQuarantine"
    assert restored(world, name="app", kind="role")["verdict"] == "Restored"
    # It stays as long as the revocation that it protects.
    assert role.state()["tags"] == {**before["tags"], "SecurityIncident": "AutomatedSecurityQuarantine"}


def test_with_fifty_tags_a_person_is_told_how_to_restore_and_that_works(world):
    deployed(world)
    user = User(world)
    tags(world, 50)
    report = respond(world, EXFILTRATION, user)
    assert report["verdict"] == "Contained" and any("bears no mark" in note for note in report["notes"])
    restorer = world.responder(part="restorer")
    answer = restored(world, part=restorer)
    assert answer["errorType"] == "ResponseIncomplete" and "untag-user" in answer["errorMessage"]
    report = restorer.last_report()
    assert report["verdict"] == "NotRestored" and "Key=SecurityIncident,Value=AutomatedSecurityQuarantine" in report["reason"]
    assert not [call for call in world.journal() if call["decision"] == "AccessDenied"]
    world.iam.untag_user(UserName="alice", TagKeys=["t00"])
    mark = [{"Key": "SecurityIncident", "Value": "AutomatedSecurityQuarantine"}]
    world.iam.tag_user(UserName="alice", Tags=mark)
    report = restored(world)
    assert (report["verdict"], report["drift"]) == ("Drifted", ["tags were removed since: 1"])
    assert restored(world, force=True)["verdict"] == "Restored"
    assert user.state()["policies"] == sorted(POLICIES) and "SecurityIncident" not in user.state()["tags"]


def test_with_fifty_tags_containing_again_sets_the_mark_once_there_is_room(world):
    deployed(world)
    user = User(world)
    tags(world, 50)
    respond(world, EXFILTRATION, user)
    world.iam.untag_user(UserName="alice", TagKeys=["t00"])
    world.responder().invoke({"command": "contain", "account": world.member, "user": "alice", "reason": "room for the mark"})
    assert restored(world, force=True)["verdict"] == "Restored" and "AWSDenyAll" not in user.state()["policies"]


def test_what_a_single_enforced_playbook_contained_can_be_restored(world):
    deployed(world, Mode="observe", PlaybookModes="compromised-credential=enforce")
    user = User(world)
    before = user.state()
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    report = restored(world)
    assert report["verdict"] == "Restored" and report["mode"] == "enforce"
    assert user.state() == {**before, "keys": dict.fromkeys(before["keys"], "Inactive")}
    assert len(world.alerts()) == 2


def test_where_the_playbook_only_observes_now_so_does_the_restore(world):
    deployed(world)
    user = User(world)
    respond(world, EXFILTRATION, user)
    before, writes = user.state(), len(world.writes())
    observing = world.responder(part="restorer", MODE="observe", PLAYBOOK_MODES="unused-user=enforce")
    report = restored(world, part=observing)
    assert report["verdict"] == "Observed" and report["mode"] == "observe"
    assert user.state() == before and len(world.writes()) == writes


def full(world):
    """A role whose inline policies leave no room for another."""
    role = Role(world)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::" + "x" * 10_080}
    world.iam.put_role_policy(RoleName="app", PolicyName="full", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return role


def attached(world):
    return [it["PolicyName"] for it in world.iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]]


def test_a_role_whose_inline_policies_are_full_is_denied_everything(world):
    deployed(world)
    role = full(world)
    session = role.session()
    [report] = world.responder().invoke(world.event(OUTSIDE, role=role))["reports"]
    assert report["verdict"] == "Contained", report
    assert sorted(attached(world)) == ["AWSDenyAll", "AdministratorAccess"]
    with pytest.raises(Exception, match="AccessDenied"):
        session.list_users()
    # Nothing else holds the stolen sessions back: lifting it is a person's word.
    report = restored(world, name="app", kind="role")
    assert report["verdict"] == "Drifted" and "they work again" in report["drift"][0] and "AWSDenyAll" in attached(world)
    assert restored(world, name="app", kind="role", force=True)["verdict"] == "Restored"
    assert attached(world) == ["AdministratorAccess"]


def test_a_full_role_without_a_free_policy_slot_is_not_said_to_be_contained(world):
    deployed(world)
    role = full(world)
    world.fault("iam:AttachRolePolicy", "LimitExceeded", status=409)
    responder = world.responder()
    assert responder.invoke(world.event(OUTSIDE, role=role))["errorType"] == "ResponseIncomplete"
    assert responder.last_report()["verdict"] == "NotContained"
    [alert] = world.alerts()
    assert "denied everything" not in alert["Message"], alert["Message"]
    assert f"- aws iam attach-role-policy --role-name app --policy-arn {DENY_ALL}" in alert["Message"]


def test_a_policy_that_a_person_took_where_the_response_could_not_stays_taken(world):
    """The report says `still to do: detach`, and a person does it."""
    deployed(world)
    user = User(world, groups=())
    world.fault("iam:DetachUserPolicy", "AccessDenied", status=403)
    responder, event = world.responder(), world.event(OVERPRIVILEGED, user)
    world.finding(event)
    responder.invoke(event)
    assert responder.last_report()["verdict"] == "NotContained"
    for policy in POLICIES:
        world.iam.detach_user_policy(UserName="alice", PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    report = restored(world)
    assert report["verdict"] == "Drifted" and user.state()["policies"] == [], report
    assert restored(world, force=True)["verdict"] == "Restored" and user.state()["policies"] == []


@pytest.mark.parametrize("retry", ["by the same finding", "by a person"])
def test_a_deny_that_a_person_had_attached_before_a_crash_stays(world, retry):
    """The user's key is reported; the response dies after the strike and is tried again."""
    world.deploy(SettleSeconds="0")
    user = User(world)
    world.iam.attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    event, table = world.event(EXFILTRATION, user), Table(world)
    world.fault("iam:ListGroupsForUser", delay_ms=3_000, times=1)
    killed(world, event, lambda: wrote(world, "iam:UpdateAccessKey")() and any("intent " in " ".join(it) for it in table.items("record#")))
    table.pass_time()
    by_hand = {"command": "contain", "account": world.member, "user": "alice", "reason": "again"}
    world.responder().invoke(event if retry == "by the same finding" else by_hand)
    restored(world)
    assert "AWSDenyAll" in user.state()["policies"]


def test_a_deny_that_may_have_been_there_before_is_lifted_only_by_force(world):
    """The read before the strike took too long: whose deny it is, nobody knows."""
    deployed(world)
    user = User(world)
    world.iam.attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    world.fault("iam:ListAttachedUserPolicies", delay_ms=3_000, times=1)
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    report = restored(world)
    assert report["verdict"] == "Drifted" and "was attached before" in report["drift"][0], report
    assert "AWSDenyAll" in user.state()["policies"]
    assert restored(world, force=True)["verdict"] == "Restored" and "AWSDenyAll" not in user.state()["policies"]


def test_a_deny_that_a_person_had_attached_to_a_role_stays(world):
    deployed(world)
    role = Role(world)
    world.iam.attach_role_policy(RoleName="app", PolicyArn=DENY_ALL)
    [report] = world.responder().invoke(world.event(OUTSIDE, role=role))["reports"]
    assert report["verdict"] == "Contained", report
    restored(world, name="app", kind="role", force=True)
    attached = world.iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]
    assert "AWSDenyAll" in [policy["PolicyName"] for policy in attached]


def test_what_is_planted_while_the_deny_is_lifted_is_read_before_anybody_is_told_that_all_is_as_before(world):
    deployed(world)
    user = User(world, policies=["ReadOnlyAccess"], groups=())
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    world.fault("iam:DetachUserPolicy", hold=True, times=1)
    restorer = world.responder(part="restorer")
    thread = threading.Thread(target=restored, args=(world,), kwargs={"part": restorer})
    thread.start()
    until(lambda: world.faults()[0]["times"] == 0)
    assert "AWSDenyAll" in user.state()["policies"]
    world.iam.attach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    world.release()
    thread.join()
    report = restorer.last_report()
    assert report["verdict"] == "NotRestored" and f"policy {ADMINISTRATOR} was added since" in report["drift"], report
    assert "it is free now" in report["reason"] and "SecurityIncident" in user.state()["tags"]
    assert any("NOT RESTORED" in alert["Subject"] for alert in world.alerts())


def test_the_alert_of_a_restore_that_could_not_be_sent_is_sent_by_the_next_try(world):
    deployed(world)
    assert respond(world, EXFILTRATION, User(world))["verdict"] == "Contained"
    world.alerts()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    restorer = world.responder(part="restorer")
    assert restored(world, part=restorer)["errorType"] == "ResponseIncomplete"
    assert world.alerts() == []
    assert restored(world)["verdict"] == "NothingToDo"
    [alert] = world.alerts()
    assert alert["Subject"].startswith("Restore") and "Dana" in alert["Message"]
    assert restored(world)["verdict"] == "NothingToDo" and world.alerts() == []
