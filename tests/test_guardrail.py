"""The service control policy that makes the quarantine irremovable, in an account that has it."""

import dataclasses
import json

import pytest

from .aws.policy import evaluate
from .harness import doors
from .harness.doors import DENY_ALL, GUARDED, SHUT, Administrator, attempt
from .harness.processes import ROOT
from .harness.victims import LONG_AGO, Role, User, allowed
from .harness.world import POLICIES, RUNBOOK

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
SCP = (ROOT / "guardrail-scp.json").read_text()
# Ten policies, the most that can be attached: the deny becomes a boundary.
FULL = [*POLICIES, "ReadOnlyAccess", "PowerUserAccess", *(f"Amazon{service}FullAccess" for service in ("EC2", "RDS", "SNS", "SQS", "VPC"))]


def guard(world, document=SCP):
    world.control("control-policies", {"account": world.member, "documents": [document] if document else []})


def contain(world, responder=None, **fields):
    command = {"command": "contain", "account": world.member, "reason": "a key in a paste", **fields}
    answer = (responder or world.responder()).invoke(command)
    assert "reports" in answer, answer
    [report] = answer["reports"]
    assert report["verdict"] == "Contained", report


@dataclasses.dataclass
class Contained:
    """One user under the deny, one under the boundary, and a role whose sessions were revoked."""

    denied: User
    bounded: User
    role: Role
    session: object

    def alive(self):
        """Which of them can do anything again, by using them."""
        uses = {"denied": self.denied.session().list_users, "bounded": self.bounded.session().list_users, "role": self.session.list_users}
        return sorted(name for name, use in uses.items() if allowed(use))


def contained(world, scp=SCP):
    world.deploy()
    iam = world.iam
    # As StackSets made them, before the guardrail was attached.
    trusts_stack_sets = Administrator.trust({"AWS": f"arn:aws:iam::{world.security}:root"})
    iam.create_role(RoleName=doors.STACK_SETS_ROLE, AssumeRolePolicyDocument=trusts_stack_sets)
    here = {"AWS": f"arn:aws:iam::{world.member}:root", "Service": "cloudformation.amazonaws.com"}
    iam.create_role(RoleName=doors.SELF_MANAGED_ROLE, AssumeRolePolicyDocument=Administrator.trust(here))
    for role in (doors.STACK_SETS_ROLE, doors.SELF_MANAGED_ROLE):
        iam.attach_role_policy(RoleName=role, PolicyArn=doors.ADMINISTRATOR)
        world.identify(role=role, created=LONG_AGO)
    role_arn = iam.get_role(RoleName=doors.SELF_MANAGED_ROLE)["Role"]["Arn"]
    world.client("cloudformation").create_stack(StackName=doors.STACK, TemplateBody=doors.EMPTY_TEMPLATE, RoleARN=role_arn)
    guard(world, scp)
    denied = User(world, name="alice", groups=())
    bounded = User(world, name="bob", groups=(), policies=FULL)
    role = Role(world)
    session = role.session()
    victims = Contained(denied, bounded, role, session)
    assert victims.alive() == ["bounded", "denied", "role"]
    responder = world.responder()
    for fields in ({"user": "alice"}, {"user": "bob"}, {"role": "app"}):
        contain(world, responder, **fields)
    assert bounded.state()["boundary"] == DENY_ALL
    assert victims.alive() == []
    return victims, Administrator(world, (denied, bounded), (role,))


def test_it_leaves_room_for_the_operators_own_policies_and_only_denies():
    """https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"""
    policy = json.loads(SCP)
    assert len(json.dumps(policy, separators=(",", ":"))) <= 3_500
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Deny"}


@pytest.mark.parametrize("name", GUARDED)
def test_a_door_of_an_administrator_is_shut(world, name):
    """And open without the guardrail, which shows that the door was really tried."""
    victims, administrator = contained(world)
    GUARDED[name](administrator)
    assert victims.alive() == []
    guard(world, None)
    GUARDED[name](administrator)
    assert victims.alive() != []


@pytest.mark.parametrize("name", SHUT)
def test_a_door_that_aws_keeps_shut_itself_is_shut_with_the_guardrail_too(world, name):
    victims, administrator = contained(world)
    SHUT[name](administrator)
    assert victims.alive() == []


STATEMENTS = {
    "OnlyARestoreLiftsTheDeny": "strip directly",
    "WhatBearsTheMarkStays": "put something else in place",
    "TheMarkStays": "remove the mark, spelt otherwise",
    "OnlyStackSetsMakeOrChangeWhoIsExempt": "open the restore role",
    "NobodyInTheAccountBecomesStackSets": "become the role of self-managed StackSets",
    "NorChangesWhatTheyMade": "update the stack of the StackSet",
    "NorTakesTheAccountOut": "leave the organisation",
}


def without(sid):
    policy = json.loads(SCP)
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Sid"] != sid]
    return json.dumps(policy)


@pytest.mark.parametrize("sid", STATEMENTS)
def test_each_statement_shuts_a_door_that_the_others_leave_open(world, sid):
    victims, administrator = contained(world, without(sid))
    GUARDED[STATEMENTS[sid]](administrator)
    assert victims.alive() != []


def test_a_boundary_that_could_not_be_marked_is_not_removed_either(world):
    """Fifty tags, the most there can be, leave no room for the mark."""
    for scp, opens in ((SCP, False), (without("NorTheBoundary"), True)):
        world = type(world)(world.url)
        world.deploy()
        guard(world, scp)
        user = User(world, groups=(), policies=FULL)
        world.iam.tag_user(UserName="alice", Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(50)])
        world.responder().invoke(world.event(EXFILTRATION, user))
        assert user.state()["boundary"] == DENY_ALL and "SecurityIncident" not in user.state()["tags"]
        doors.strip_directly(Administrator(world, [user]))
        assert user.key_works() == opens
        world.close()


def test_whoever_is_exempt_can_be_made_by_nobody_in_the_account():
    """The very patterns that are exempt are those that nobody but StackSets may create, change or pass."""
    policy = {statement["Sid"]: statement for statement in json.loads(SCP)["Statement"]}
    guarded = policy["OnlyStackSetsMakeOrChangeWhoIsExempt"]["Resource"]
    for statement in policy.values():
        exempt = statement.get("Condition", {}).get("ArnNotLike", {}).get("aws:PrincipalArn", [])
        for pattern in [exempt] if isinstance(exempt, str) else exempt:
            assert pattern in guarded, pattern


def test_a_stack_set_still_updates_the_member_stack(world):
    """With the calls that CloudFormation makes for what is in the stack, as StackSets' own role."""
    _, administrator = contained(world)
    sts, role = world.client("sts", account=world.security), administrator.arn(doors.STACK_SETS_ROLE)
    session = sts.assume_role(RoleArn=role, RoleSessionName="update")["Credentials"]
    assert refused(lambda service: world.client(service, **doors.client_keys(session))) == []
    assert len(refused(administrator.user.session)) == 13


@pytest.mark.parametrize("action", ["UpdateStack", "UpdateTerminationProtection", "CancelUpdateStack"])
def test_no_administrator_stops_an_update_of_the_stack_set(action):
    """Cancelled, it rolls back to the member roles of before."""
    stack = "arn:aws:cloudformation:us-east-1:111122223333:stack/StackSet-iam-responder-member-0f/1"

    def decision(principal):
        facts = {"aws:principalarn": f"arn:aws:iam::111122223333:{principal}", "aws:principalaccount": "111122223333"}
        return evaluate([SCP], f"cloudformation:{action}", [stack], facts)

    assert decision("user/insider") == "deny" != decision(f"role/{doors.STACK_SETS_ROLE}")


def refused(client):
    """Which calls of an update, and of a replacement, a principal with these clients is not allowed."""
    iam, events, formation = map(client, ("iam", "events", "cloudformation"))
    name, rule = "SecurityRemediationRole", "iam-responder-forward-create-user"
    trust, policy = Administrator.trust({"Service": "events.amazonaws.com"}), doors.ALLOW_ALL
    calls = [
        (iam.update_assume_role_policy, {"RoleName": name, "PolicyDocument": trust}),
        (iam.update_role, {"RoleName": name, "MaxSessionDuration": 3600}),
        (iam.update_role_description, {"RoleName": name, "Description": "new"}),
        (iam.put_role_policy, {"RoleName": name, "PolicyName": "remediation", "PolicyDocument": policy}),
        (iam.tag_role, {"RoleName": name, "Tags": [{"Key": "team", "Value": "security"}]}),
        (iam.untag_role, {"RoleName": name, "TagKeys": ["team"]}),
        (iam.delete_role_policy, {"RoleName": name, "PolicyName": "remediation"}),
        (iam.delete_role, {"RoleName": name}),
        (iam.create_role, {"RoleName": name, "AssumeRolePolicyDocument": trust}),
        (events.put_rule, {"Name": rule, "EventPattern": '{"source": ["aws.iam"]}'}),
        (events.disable_rule, {"Name": rule}),
        (formation.update_stack, {"StackName": doors.STACK, "TemplateBody": doors.EMPTY_TEMPLATE.replace("Nothing", "Something")}),
        (formation.delete_stack, {"StackName": doors.STACK}),
    ]
    return [call.__name__ for call, parameters in calls if not allowed(call, **parameters)]


def drill(world, scp, before=lambda: None):
    world.deploy(DrillAccount=world.member, SettleSeconds="2")
    world.connected()
    guard(world, scp)
    before()
    return world.responder(part="driller").invoke({"command": "drill"})


def test_a_drill_is_held_in_the_account_that_the_guardrail_names(world):
    assert drill(world, SCP.replace("000000000000", world.member))["drill"]["verdict"] == "Passed"


def test_the_role_for_drills_is_exempt_in_no_other_account(world):
    answer = drill(world, SCP)
    assert "drill" not in answer or answer["drill"]["verdict"] != "Passed", answer
    [user] = world.iam.list_users(PathPrefix="/iam-responder-drill/")["Users"]
    policies = world.iam.list_attached_user_policies(UserName=user["UserName"])["AttachedPolicies"]
    assert "AWSDenyAll" in [policy["PolicyName"] for policy in policies]


@pytest.mark.parametrize("shut", [True, False])
def test_no_contained_user_is_passed_off_as_one_of_a_drill(world, shut):
    """A drill removes what an earlier one left under its path: keys, then the deny, then the user, which
    has a password still. Without the statement it is free then, and somebody can log in."""

    def pass_off():
        user = User(world, groups=(), policies=())
        world.iam.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
        contain(world, user="alice")
        new = {"NewPath": "/iam-responder-drill/", "NewUserName": "drill-alice"}
        attempt(Administrator(world, [user]).iam.update_user, UserName="alice", **new)

    scp = SCP if shut else without("NobodyIsMovedToTheUsersOfDrills")
    drill(world, scp.replace("000000000000", world.member), pass_off)
    attached = world.iam.list_attached_user_policies(UserName="alice" if shut else "drill-alice")["AttachedPolicies"]
    assert ("AWSDenyAll" in [policy["PolicyName"] for policy in attached]) == shut


@pytest.mark.parametrize("kind", ["denied", "bounded", "role"])
def test_the_quarantine_can_still_be_taken_back(world, kind):
    world.deploy()
    guard(world)
    victim = Role(world) if kind == "role" else User(world, policies=FULL if kind == "bounded" else POLICIES)
    before = victim.state()
    identity = {"role": "app"} if kind == "role" else {"user": "alice"}
    contain(world, **identity)
    command = {"command": "restore", "account": world.member, "reason": "a false alarm", "by": "Dana", **identity}
    answer = world.responder(part="restorer").invoke(command)
    after = victim.state()
    if kind == "role":
        # The mark stays as long as the revocation that it protects.
        assert answer["restore"]["verdict"] == "Restored" and "stay revoked" in answer["restore"]["stays"][0], answer
        assert after["tags"] == {**before["tags"], "SecurityIncident": "AutomatedSecurityQuarantine"}
    else:
        assert answer["restore"]["verdict"] == "Restored", answer
        assert [after[part] for part in ("policies", "groups", "boundary", "tags")] == [before[part] for part in ("policies", "groups", "boundary", "tags")]


def test_a_second_response_to_what_is_contained_already_is_not_held_up(world):
    world.deploy()
    guard(world)
    user = User(world, policies=FULL)
    contain(world, user="alice")
    for key in user.keys:
        world.iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Active")
    contain(world, user="alice")
    assert not user.key_works()


def test_a_role_with_fifty_tags_keeps_its_revocation_under_the_guardrail(world):
    world.deploy()
    guard(world)
    role = Role(world)
    world.iam.tag_role(RoleName="app", Tags=[{"Key": f"t{n:02}", "Value": "x"} for n in range(50)])
    session = role.session()
    contain(world, role="app")
    doors.strip_directly(Administrator(world, roles=[role]))
    assert not allowed(session.list_users), "the stolen session works again"


def test_sessions_that_stay_revoked_after_a_restore_stay_so_under_the_guardrail(world):
    """The report says so, and until when; the mark that protects the revocation goes with the restore."""
    world.deploy()
    guard(world)
    role = Role(world)
    session = role.session()
    contain(world, role="app")
    command = {"command": "restore", "account": world.member, "reason": "a false alarm", "by": "Dana", "role": "app"}
    report = world.responder(part="restorer").invoke(command)["restore"]
    assert report["verdict"] == "Restored" and "stay revoked" in report["stays"][0] and not allowed(session.list_users)
    doors.strip_directly(Administrator(world, roles=[role]))
    assert not allowed(session.list_users), "the stolen session works again"


def test_a_boundary_that_was_there_is_not_all_that_holds_a_contained_user(world):
    """Fifty tags, and `AWSDenyAll` as the boundary beforehand: there is room to attach it, and only that can't be replaced."""
    world.deploy()
    guard(world)
    user = User(world, groups=())
    world.iam.tag_user(UserName="alice", Tags=[{"Key": f"t{n:02}", "Value": "x"} for n in range(50)])
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=DENY_ALL)
    contain(world, user="alice")
    administrator = Administrator(world, [user])
    doors.put_something_else_in_place(administrator)
    doors.strip_directly(administrator)
    assert not user.key_works(), user.state()["policies"]


def test_a_role_whose_name_only_ends_like_ours_can_be_contained_under_the_guardrail(world):
    """It was there before the guardrail, in an account without drills."""
    world.deploy()
    role = Role(world, name="TeamSecurityDrillRole")
    session = role.session()
    guard(world)
    contain(world, role=role.name)
    assert not allowed(session.list_users)


@pytest.mark.parametrize("action", ["organizations:AcceptHandshake", "organizations:LeaveOrganization"])
def test_no_administrator_takes_the_account_into_another_organisation(action):
    """A member account accepts an invitation, and the service control policies stop applying.
    https://docs.aws.amazon.com/organizations/latest/APIReference/API_AcceptHandshake.html"""
    facts = {"aws:principalarn": "arn:aws:iam::111122223333:user/insider", "aws:principalaccount": "111122223333"}
    assert evaluate([SCP], action, ["arn:aws:organizations::999988887777:handshake/o-elsewhere0/invite/h-0123456789"], facts) == "deny"


def test_no_administrator_rewrites_the_runbook_that_our_role_runs(world):
    world.deploy(rotation=True)
    ssm = Administrator(world).user.session("ssm")
    steps = [{"name": "x", "action": "aws:executeAwsApi", "inputs": {"Service": "iam", "Api": "ListUsers"}}]
    content = json.dumps({"schemaVersion": "0.3", "mainSteps": steps})
    update = {"Name": RUNBOOK, "Content": content, "DocumentVersion": "$LATEST", "DocumentFormat": "JSON"}
    for scp, is_refused in ((SCP, True), (None, False)):
        guard(world, scp)
        made = attempt(ssm.update_document, **update)
        assert (made is None) == is_refused
        version = made["DocumentDescription"]["DocumentVersion"] if made else "1"
        for change, fields in (
            (ssm.update_document_default_version, {"DocumentVersion": version}),
            (ssm.modify_document_permission, {"PermissionType": "Share", "AccountIdsToAdd": ["all"]}),
            (ssm.modify_document_permission, {"PermissionType": "Share", "AccountIdsToRemove": ["all"]}),
            (ssm.delete_document, {}),
        ):
            assert (attempt(change, Name=RUNBOOK, **fields) is None) == is_refused, change.__name__
