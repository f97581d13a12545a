"""Taking a containment back: what was there comes back, the deny goes last, and no credential works
again."""

import concurrent.futures
import json
import time

import pytest
from botocore.exceptions import ClientError

from .harness.ledger import Table
from .harness.victims import Role, User
from .harness.world import POLICIES

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"
OUTSIDE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
BOUNDARY = "arn:aws:iam::aws:policy/PowerUserAccess"
# As many as can be attached.
TEN = [
    *POLICIES, "ReadOnlyAccess", "PowerUserAccess", "AmazonEC2FullAccess", "AmazonVPCFullAccess", "AmazonSQSFullAccess",
    "AmazonSNSFullAccess", "AmazonRDSFullAccess",
]


def command(world, name="alice", kind="user", **fields):
    return {"command": "restore", "account": world.member, kind: name, "reason": "a drill", "by": "Dana", **fields}


def contained(world, name=EXFILTRATION, user=None, **parameters):
    """A user that was contained, and how it was before."""
    world.deploy(TrustedProducts="product/aws/*,product/*/default", **parameters)
    user = user() if user else User(world)
    before, event = user.state(), world.event(name, user)
    if "findings" in event["detail"]:
        world.finding(event)
    [report] = world.responder().invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    world.alerts()
    return user, before, event


def restored(world, **fields):
    answer = world.responder(part="restorer").invoke(command(world, **fields))
    assert "restore" in answer, answer
    return answer["restore"]


def as_before(user, before):
    """Everything but what must never work again."""
    state = user.state()
    assert set(state.pop("keys").values()) <= {"Inactive"}
    return state == {field: value for field, value in before.items() if field != "keys"}


@pytest.mark.parametrize("name", [EXFILTRATION, OVERPRIVILEGED])
def test_everything_but_credentials_comes_back(world, name):
    user, before, _ = contained(world, name)
    report = restored(world)
    assert report["verdict"] == "Restored", report
    assert as_before(user, before) and not user.key_works()
    assert [line for line in report["stays"] if user.keys[0]["AccessKeyId"] in line and "create-access-key" in line]
    [alert] = world.alerts()
    assert "restored" in alert["Subject"] and "By: Dana" in alert["Message"] and "Why: a drill" in alert["Message"]


def test_a_restore_outlasts_two_throttles_of_a_read(world):
    user, before, _ = contained(world)
    world.fault("iam:ListGroupsForUser", "Throttling", status=400, times=2)
    report = restored(world)
    assert report["verdict"] == "Restored" and as_before(user, before), report


def test_the_deny_goes_after_everything_came_back_and_before_the_mark(world):
    user, _, _ = contained(world, OVERPRIVILEGED)
    world.responder().invoke(world.event(EXFILTRATION, user))
    for _ in range(2):
        assert restored(world)["verdict"] == "Restored"
    writes = [call["action"] for call in world.journal() if call["principal"].split("/")[1] == "SecurityRestoreRole" and call["decision"] == "allow"]
    writes = [it for it in writes if not it.startswith(("iam:Get", "iam:List"))]
    lifted = ["iam:DetachUserPolicy", "iam:TagUser"]
    assert writes[:2] == lifted and writes[-1] == "iam:UntagUser"
    assert set(writes[2:-1]) == {"iam:AttachUserPolicy", "iam:AddUserToGroup"}


def test_observe_shows_the_plan_and_changes_nothing(world):
    user, _, _ = contained(world, OVERPRIVILEGED)
    before = user.state()
    answer = world.responder(part="restorer", MODE="observe").invoke(command(world))["restore"]
    assert answer["verdict"] == "Observed" and user.state() == before
    planned = {action["action"] for action in answer["actions"] if action["outcome"] == "planned"}
    assert planned == {"AttachPolicy", "JoinGroup", "Untag"}
    assert not world.alerts()


def test_a_boundary_comes_back(world):
    def stuffed():
        user = User(world, policies=TEN)
        world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=BOUNDARY)
        return user

    user, before, _ = contained(world, user=stuffed)
    assert user.state()["boundary"] == DENY_ALL
    assert restored(world)["verdict"] == "Restored"
    assert as_before(user, before) and before["boundary"] == BOUNDARY


def test_where_there_was_no_boundary_there_is_none_again(world):
    user, before, _ = contained(world, user=lambda: User(world, policies=TEN))
    assert user.state()["boundary"] == DENY_ALL
    assert restored(world)["verdict"] == "Restored"
    assert as_before(user, before) and before["boundary"] is None


def test_a_policy_whose_slot_the_deny_took_comes_back(world):
    user, before, _ = contained(world, OVERPRIVILEGED, user=lambda: User(world, policies=TEN))
    world.responder().invoke(world.event(EXFILTRATION, user))
    assert user.state()["policies"] == ["AWSDenyAll"]
    assert restored(world)["verdict"] == restored(world)["verdict"] == "Restored"
    assert as_before(user, before)


def test_what_could_not_come_back_yet_keeps_its_mark(world):
    """Without it the restore role could not try again."""
    user, before, _ = contained(world, OVERPRIVILEGED, user=lambda: User(world, policies=TEN))
    world.fault("iam:AttachUserPolicy", "LimitExceeded", status=409, times=len(TEN))
    answer = world.responder(part="restorer").invoke(command(world))
    assert answer["errorType"] == "ResponseIncomplete" and "SecurityIncident" in user.state()["tags"]
    assert restored(world)["verdict"] == "Restored"
    assert as_before(user, before)


def test_tags_that_we_wrote_over_come_back(world):
    def tagged():
        user = User(world)
        world.iam.tag_user(UserName="alice", Tags=[{"Key": "SecurityIncident", "Value": "of 2019"}, {"Key": "team", "Value": "red"}])
        return user

    user, before, _ = contained(world, user=tagged)
    assert user.state()["tags"]["SecurityIncident"] == "AutomatedSecurityQuarantine"
    assert restored(world)["verdict"] == "Restored"
    assert as_before(user, before)


def test_a_quarantined_role_comes_back_and_stolen_sessions_do_not(world):
    world.deploy(QuarantineRoles="true")
    role = Role(world)
    world.iam.tag_role(RoleName="app", Tags=[{"Key": "FindingId", "Value": "of 2019"}])
    before, session = role.state(), role.session()
    world.responder().invoke(world.event(OUTSIDE, role=role))
    report = restored(world, name=role.id, kind="role")
    assert report["verdict"] == "Restored", report
    assert list(role.state()["inline"]) == ["AWSRevokeOlderSessions"]
    assert role.state()["tags"] == {**before["tags"], "SecurityIncident": "AutomatedSecurityQuarantine"}
    assert any("stay revoked" in line for line in report["stays"])
    with pytest.raises(ClientError):
        session.list_users()
    attached = world.iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]
    assert [it["PolicyName"] for it in attached] == ["AdministratorAccess"]


REVOCATION = "AWSRevokeOlderSessions"


def grow_old(world):
    """The revocation of the role, as if it had been written long ago."""
    document = world.iam.get_role_policy(RoleName="app", PolicyName=REVOCATION)["PolicyDocument"]
    document["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"] = "2026-01-01T00:00:00Z"
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=json.dumps(document))


def test_an_old_revocation_goes(world):
    world.deploy()
    role = Role(world)
    before = role.state()
    world.responder().invoke(world.event(OUTSIDE, role=role))
    grow_old(world)
    table = Table(world)
    [record] = table.items("record#")
    for name in [it for it in record if it.startswith("planned ")]:
        lines = ["RevokeSessions role/app 2026-01-01T00:00:00Z" if it.startswith("RevokeSessions") else it for it in record[name]["SS"]]
        table.change(record, "SET #planned = :lines", {"#planned": name}, lines={"SS": lines})
    assert restored(world, name="app", kind="role")["verdict"] == "Restored"
    assert role.state() == before


def test_the_same_restore_sent_again_takes_away_what_an_earlier_one_left_of_a_role(world):
    """The revocation and the mark, as soon as none of the revoked sessions can be alive."""
    world.deploy()
    role = Role(world)
    before = role.state()
    world.responder().invoke(world.event(OUTSIDE, role=role))
    assert restored(world, name="app", kind="role")["verdict"] == "Restored"
    report = restored(world, name="app", kind="role")
    assert report["verdict"] == "NothingToDo" and "stay revoked" in report["stays"][0]
    assert role.state()["tags"] == {"SecurityIncident": "AutomatedSecurityQuarantine"} and REVOCATION in role.state()["inline"]
    grow_old(world)
    observing = world.responder(part="restorer", MODE="observe")
    assert observing.invoke(command(world, name="app", kind="role"))["restore"]["verdict"] == "Observed"
    assert REVOCATION in role.state()["inline"]
    assert restored(world, name="app", kind="role")["verdict"] == "Restored"
    assert role.state() == before
    assert restored(world, name="app", kind="role")["verdict"] == "NothingToDo"


def test_a_role_that_bears_the_mark_of_an_earlier_restore_is_contained_and_restored_like_another(world):
    world.deploy()
    role = Role(world)
    for _ in range(2):
        contain = {"command": "contain", "account": world.member, "role": "app", "reason": "again"}
        [report] = world.responder().invoke(contain)["reports"]
        assert report["verdict"] == "Contained", report
        report = restored(world, name="app", kind="role")
        assert report["verdict"] == "Restored" and "stay revoked" in " ".join(report["stays"]), report
        assert role.state()["tags"] == {"SecurityIncident": "AutomatedSecurityQuarantine"}


def test_what_changed_since_is_named_and_needs_force(world):
    user, before, _ = contained(world, OVERPRIVILEGED)
    iam = world.iam
    iam.attach_user_policy(UserName="alice", PolicyArn=BOUNDARY)
    iam.delete_user_policy(UserName="alice", PolicyName="bucket")
    iam.create_group(GroupName="night-watch")
    iam.add_user_to_group(GroupName="night-watch", UserName="alice")
    iam.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
    iam.create_login_profile(UserName="alice", Password="Correct-horse-battery-1")
    changed = user.state()
    report = restored(world)
    assert report["verdict"] == "Drifted" and user.state() == changed
    assert report["drift"] == [
        f"policy {BOUNDARY} was added since",
        "group night-watch was added since",
        "inline policy bucket was taken away since, and not by us",
        f"access key {user.keys[0]['AccessKeyId']} was activated since",
        "a console password was set since",
    ]
    assert restored(world, force=True)["verdict"] == "Restored"
    state = user.state()
    assert set(POLICIES) < set(state["policies"]) and {"developers", "operators"} < set(state["groups"])
    assert state["tags"] == before["tags"]


def test_what_is_gone_stays_denied_unless_forced(world):
    user, _, _ = contained(world, OVERPRIVILEGED)
    world.iam.delete_group(GroupName="operators")
    answer = world.responder(part="restorer").invoke(command(world))
    assert answer["errorType"] == "ResponseIncomplete" and "operators" in answer["errorMessage"]
    assert user.state()["tags"]["SecurityIncident"] == "AutoRemediated"
    report = restored(world, force=True)
    assert report["verdict"] == "Restored" and any("operators" in note for note in report["notes"])
    assert user.state()["groups"] == ["developers"]


def test_twice_is_nothing_to_do(world):
    user, before, _ = contained(world)
    assert restored(world)["verdict"] == "Restored"
    writes = len(world.writes())
    report = restored(world)
    assert report["verdict"] == "NothingToDo" and "by Dana" in report["reason"] and not report["actions"]
    assert as_before(user, before)
    assert [call for call in world.writes()[writes:] if call.startswith("iam:")] == []


def test_who_was_never_contained_is_left_alone(world):
    world.deploy()
    user = User(world)
    before = user.state()
    assert restored(world)["verdict"] == "NothingToDo" and user.state() == before


def test_a_namesake_is_not_given_what_another_had(world):
    contained(world, OVERPRIVILEGED)
    iam = world.iam
    for key in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="alice", PolicyName="bucket")
    iam.delete_user(UserName="alice")
    namesake = User(world, policies=(), groups=())
    before = namesake.state()
    assert restored(world)["verdict"] == "NothingToDo" and namesake.state() == before


def test_own_roles_are_refused(world):
    world.deploy()
    for role in ("SecurityRemediationRole", "SecurityRestoreRole"):
        assert restored(world, name=role, kind="role")["verdict"] == "Refused"


def test_a_renamed_user_comes_back_by_its_id(world):
    user, before, _ = contained(world, OVERPRIVILEGED)
    world.iam.update_user(UserName="alice", NewUserName="mallory")
    user.name = "mallory"
    report = restored(world, name=user.id)
    assert report["verdict"] == "Restored", report
    assert as_before(user, before)


def test_old_findings_do_not_contain_it_again_and_new_ones_do(world):
    user, before, event = contained(world)
    hub = world.event("security-hub-iam-8-unused-credentials", user)
    world.finding(hub)
    responder, hygiene = world.responder(), world.responder(part="hygiene")
    assert hygiene.invoke(hub)["reports"][0]["verdict"] == "Contained"
    assert restored(world)["verdict"] == "Restored"
    world.alerts()
    writes = len([call for call in world.writes() if call.startswith("iam:")])
    for function, again in ((responder, event), (hygiene, hub)):
        [report] = function.invoke(again)["reports"]
        assert report["verdict"] == "Refused" and "restored at" in report["reason"], report
    assert len([call for call in world.writes() if call.startswith("iam:")]) == writes and not world.alerts()
    assert as_before(user, before)
    event["detail"]["service"]["eventLastSeen"] = "2099-01-01T00:00:00.000Z"
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained"
    assert restored(world)["verdict"] == "Restored"
    assert as_before(user, before)


def test_a_person_can_contain_it_again_at_once(world):
    contained(world)
    restored(world)
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "after all"}
    assert world.responder().invoke(contain)["reports"][0]["verdict"] == "Contained"


def test_status_tells_what_is_known(world):
    contained(world)
    ask = {"command": "status", "account": world.member, "user": "alice"}
    status = world.responder().invoke(ask)["status"]
    assert status["is_contained_by_us"] and status["verdict"] == "Contained"
    assert "DeactivateAccessKey" in {entry["action"] for entry in status["applied"]}
    assert status["first_seen"].startswith("20") and len(status["before"]["attached_policies"]) == len(POLICIES)
    restored(world)
    for part in ("responder", "restorer"):
        status = world.responder(part=part).invoke(ask)["status"]
        assert not status["is_contained_by_us"] and status["restored"]["by"] == "Dana"
        assert "LiftDenyAll" in {entry["action"] for entry in status["applied"]}
    unknown = world.responder().invoke({**ask, "user": "nobody"})["status"]
    assert not unknown["is_contained_by_us"] and "no user" in unknown["principal"]["now"]


def test_a_deny_of_others_stays(world):
    def denied():
        user = User(world)
        world.iam.attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
        return user

    user, before, _ = contained(world, user=denied)
    assert restored(world)["verdict"] == "Restored"
    assert as_before(user, before) and "AWSDenyAll" in before["policies"]


@pytest.mark.seconds(12)
def test_while_it_is_being_contained_it_is_not_restored(world):
    world.deploy(SettleSeconds="10")
    user = User(world)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        containing = pool.submit(world.responder().invoke, world.event(EXFILTRATION, user))
        while "AWSDenyAll" not in user.state()["policies"]:
            time.sleep(0.05)
        assert restored(world)["verdict"] == "InProgress"
        assert containing.result()["reports"][0]["verdict"] == "Contained"
