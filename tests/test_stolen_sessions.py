"""What a thief can do with a session of one of the member roles, taken from a response or with the role of a
function: everything is tried, and what AWS lets pass is compared with what SECURITY.md says."""

import json

import pytest
from botocore.exceptions import ClientError

from .harness.doors import ALLOW_ALL, STACK_SETS_ROLE, Administrator, client_keys
from .harness.ledger import Table
from .harness.victims import INLINE, Role, User, allowed
from .harness.world import EXTERNAL_ID, RUNBOOK

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
AWS_QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
DENY_INLINE = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
OURS = ("SecurityRemediationRole", "SecurityRestoreRole", "iam-responder-forwarder-us-east-1", STACK_SETS_ROLE)
TRUST = Administrator.trust({"AWS": "*"})


def tags(**values):
    return [{"Key": key, "Value": value} for key, value in values.items()]


def stage(world):
    """`alice` is contained, so is the role `app`; `bob` and the role `other` are nobody's business."""
    world.deploy(rotation=True)
    world.iam.create_role(RoleName=STACK_SETS_ROLE, AssumeRolePolicyDocument=TRUST)
    alice, bob = User(world, groups=("guarded",)), User(world, name="bob", groups=("watched",))
    app, other = Role(world), Role(world, name="other")
    world.iam.put_group_policy(GroupName="watched", PolicyName="deny", PolicyDocument=DENY_INLINE)
    world.iam.attach_user_policy(UserName="bob", PolicyArn=AWS_QUARANTINE)
    world.iam.create_login_profile(UserName="bob", Password="correct-Horse-7-battery")
    world.iam.put_role_policy(RoleName="app", PolicyName="work", PolicyDocument=INLINE)
    world.identify(role=STACK_SETS_ROLE, created="2020-01-01T00:00:00")
    responder = world.responder()
    for identity in ({"user": "alice"}, {"role": "app"}):
        responder.invoke({"command": "contain", "account": world.member, "reason": "a key in a paste", **identity})
    assert alice.state()["tags"]["SecurityIncident"] == app.state()["tags"]["SecurityIncident"] == "AutomatedSecurityQuarantine"
    assert "AWSDenyAll" in alice.state()["policies"]
    return alice, bob, app, other


def stolen(world, role, function):
    """The session that the function itself would get, without a policy of its own."""
    sts, arn = of_function(world, function, "sts"), f"arn:aws:iam::{world.member}:role/{role}"
    session = sts.assume_role(RoleArn=arn, RoleSessionName="thief", ExternalId=EXTERNAL_ID)["Credentials"]
    return lambda service: world.client(service, **client_keys(session))


def of_function(world, function, service):
    """A client with the role of a function, as Lambda gives it to the function."""
    asked = {"role_arn": f"arn:aws:iam::{world.security}:role/{function}", "region": world.region}
    given = world.control("role-credentials", asked)
    return world.client(service, **{name.lower(): value for name, value in given.items()})


def attempts(world, session, alice, bob):
    """Every way in which a thief would use it, by what it would give. What takes away comes last."""
    iam, sts = session("iam"), session("sts")
    for who, user, role in (("contained", "alice", "app"), ("other", "bob", "other")):
        key = (alice if user == "alice" else bob).keys[1]["AccessKeyId"]
        yield f"attach a policy to {who} user", iam.attach_user_policy, {"UserName": user, "PolicyArn": ADMINISTRATOR}
        yield f"attach a policy to {who} role", iam.attach_role_policy, {"RoleName": role, "PolicyArn": ADMINISTRATOR}
        yield f"set a boundary of {who} user", iam.put_user_permissions_boundary, {"UserName": user, "PermissionsBoundary": ADMINISTRATOR}
        yield f"write a policy of {who} user", iam.put_user_policy, {"UserName": user, "PolicyName": "p", "PolicyDocument": ALLOW_ALL}
        yield f"write a policy of {who} role", iam.put_role_policy, {"RoleName": role, "PolicyName": "p", "PolicyDocument": ALLOW_ALL}
        yield f"change whom {who} role trusts", iam.update_assume_role_policy, {"RoleName": role, "PolicyDocument": TRUST}
        yield f"assume {who} role", sts.assume_role, {"RoleArn": f"arn:aws:iam::{world.member}:role/{role}", "RoleSessionName": "thief"}
        yield f"make a key for {who} user", iam.create_access_key, {"UserName": user}
        yield f"activate a key of {who} user", iam.update_access_key, {"UserName": user, "AccessKeyId": key, "Status": "Active"}
        yield f"put {who} user into a group", iam.add_user_to_group, {"UserName": user, "GroupName": "guarded"}
        yield f"take {who} user out of a group that denies", iam.remove_user_from_group, {"UserName": user, "GroupName": "watched"}
        yield f"lift the deny of {who} user", iam.detach_user_policy, {"UserName": user, "PolicyArn": DENY_ALL}
        yield f"lift the deny of {who} role", iam.detach_role_policy, {"RoleName": role, "PolicyArn": DENY_ALL}
        yield f"lift AWS's quarantine of {who} user", iam.detach_user_policy, {"UserName": user, "PolicyArn": AWS_QUARANTINE}
        yield f"take a policy from {who} user", iam.detach_user_policy, {"UserName": user, "PolicyArn": ADMINISTRATOR}
        yield f"remove the boundary of {who} user", iam.delete_user_permissions_boundary, {"UserName": user}
        yield f"delete a policy of {who} role", iam.delete_role_policy, {"RoleName": role, "PolicyName": "work"}
        yield f"deny {who} user everything", iam.attach_user_policy, {"UserName": user, "PolicyArn": DENY_ALL}
        yield f"deny {who} role everything", iam.attach_role_policy, {"RoleName": role, "PolicyArn": DENY_ALL}
        yield f"deny {who} user everything by its boundary", iam.put_user_permissions_boundary, {"UserName": user, "PermissionsBoundary": DENY_ALL}
        hold = f"arn:aws:iam::{world.member}:policy/SecurityRequireMfa"
        yield f"hold the console of {who} user back", iam.attach_user_policy, {"UserName": user, "PolicyArn": hold}
        yield f"delete the password of {who} user", iam.delete_login_profile, {"UserName": user}
    rotation = {"DocumentName": RUNBOOK, "Parameters": {"UserName": ["bob"], "UserId": [bob.id], "CreateNewKey": ["true"]}}
    yield "start the rotation", session("ssm").start_automation_execution, rotation
    # Last: who is no longer marked is out of the restore role's reach.
    for who, user, role in (("contained", "alice", "app"), ("other", "bob", "other")):
        yield f"tag {who} user otherwise", iam.tag_user, {"UserName": user, "Tags": tags(team="red")}
        yield f"change the mark of {who} user", iam.tag_user, {"UserName": user, "Tags": tags(SecurityIncident="none")}
        yield f"change the mark of {who} user, spelt otherwise", iam.tag_user, {"UserName": user, "Tags": tags(securityincident="AutoRemediated")}
        yield f"remove the mark of {who} role", iam.untag_role, {"RoleName": role, "TagKeys": ["SecurityIncident"]}
    yield "set the mark on a user", iam.tag_user, {"UserName": "bob", "Tags": tags(SecurityIncident="AutomatedSecurityQuarantine")}
    yield "set the mark on contained role", iam.tag_role, {"RoleName": "app", "Tags": tags(SecurityIncident="AutoRemediated")}
    yield "set the mark on a role", iam.tag_role, {"RoleName": "other", "Tags": tags(SecurityIncident="AutoRemediated")}
    yield "make a user", iam.create_user, {"UserName": "mallory"}
    yield "make a role", iam.create_role, {"RoleName": "mallory", "AssumeRolePolicyDocument": TRUST}
    yield "make a policy", iam.create_policy, {"PolicyName": "mallory", "PolicyDocument": ALLOW_ALL}
    for role in OURS:
        yield f"write a policy of {role}", iam.put_role_policy, {"RoleName": role, "PolicyName": "p", "PolicyDocument": ALLOW_ALL}
        yield f"deny {role} everything", iam.attach_role_policy, {"RoleName": role, "PolicyArn": DENY_ALL}
        yield f"change whom {role} trusts", iam.update_assume_role_policy, {"RoleName": role, "PolicyDocument": TRUST}


# Of IAM's condition keys none is about a key's status, a policy's text, or the user who leaves or joins
# a group: these can't be narrowed further.
REMEDIATION = {
    *(f"{change} {who} user" for who in ("contained", "other") for change in ("activate a key of", "take a policy from", "delete the password of")),
    *(f"{change} {who} role" for who in ("contained", "other") for change in ("write a policy of",)),
    *(f"take {who} user out of a group that denies" for who in ("contained", "other")),
    *(f"deny {who} {kind} everything" for who in ("contained", "other") for kind in ("user", "role")),
    *(f"deny {who} user everything by its boundary" for who in ("contained", "other")),
    *(f"hold the console of {who} user back" for who in ("contained", "other")),
    "set the mark on a user",
    "set the mark on contained role",
    "set the mark on a role",
    "start the rotation",
}
# From a response about a user, and from one about the role `app`.
USERS = {it for it in REMEDIATION if "role" not in it and it != "start the rotation"}
ROLE = {"write a policy of contained role", "deny contained role everything", "set the mark on contained role"}
RESTORE = {
    "attach a policy to contained user",
    "set a boundary of contained user",
    "lift the deny of contained user",
    "lift the deny of contained role",
    "remove the boundary of contained user",
    "delete a policy of contained role",
    "deny contained user everything",
    "deny contained user everything by its boundary",
    "hold the console of contained user back",
    "put contained user into a group",
    "put other user into a group",
    "change the mark of contained user",
    "remove the mark of contained role",
}


def let_pass(world, steal):
    alice, bob, *_ = stage(world)
    tried = list(attempts(world, steal(), alice, bob))
    assert len(tried) == 71  # As SECURITY.md says.
    return {name for name, call, parameters in tried if let(call, parameters)}


def let(call, parameters):
    """Whether it was authorised; that the thing is not there is an answer too."""
    try:
        return allowed(call, **parameters)
    except AssertionError as code:
        assert str(code).startswith("NoSuchEntity"), code
        return True


@pytest.mark.parametrize(
    ("role", "function", "can"),
    [("SecurityRemediationRole", "iam-responder", REMEDIATION), ("SecurityRestoreRole", "iam-responder-restorer", RESTORE)],
)
def test_a_stolen_session_can_do_this_and_nothing_else(world, role, function, can):
    assert let_pass(world, lambda: stolen(world, role, function)) == can


def from_memory(world, role, action=None):
    """The last session that a function took of the role, with all that AWS gave for it: one that may do the action, or
    one that changes nothing."""
    [*_, found] = [it for it in world.sessions(role) if action in actions(it) or action is None and not writes(it)]
    return lambda service: world.client(service, **client_keys(found))


def actions(session):
    return {action for statement in session["policy"]["Statement"] for action in statement["Action"]}


def writes(session):
    return {it for it in actions(session) if not it.startswith(("iam:Get", "iam:List"))}


def from_a_restore(world, action):
    """A restore of alice, who then is contained again: whoever is not marked is out of the restore role's reach."""
    restored = world.responder(part="restorer").invoke({**about_alice(world), "command": "restore", "by": "Dana"})
    assert restored["restore"]["verdict"] == "Restored", restored
    world.responder().invoke({**about_alice(world), "command": "contain"})
    return from_memory(world, "SecurityRestoreRole", action)


def about_alice(world):
    return {"account": world.member, "user": "alice", "reason": "a key in a paste"}


@pytest.mark.parametrize(("steal", "can"), [
    pytest.param(lambda world: from_memory(world, "SecurityRemediationRole", "iam:AttachUserPolicy"), USERS, id="of a response about a user"),
    pytest.param(lambda world: from_memory(world, "SecurityRemediationRole", "iam:PutRolePolicy"), ROLE, id="of a response about a role"),
    pytest.param(lambda world: from_a_restore(world, "iam:DetachUserPolicy"), {"lift the deny of contained user"}, id="of a restore"),
    pytest.param(lambda world: from_a_restore(world, None), set(), id="with which a restore reads"),
])
def test_a_session_stolen_from_a_function_can_do_what_it_was_taken_for(world, steal, can):
    assert let_pass(world, lambda: steal(world)) == can


def test_a_session_stolen_from_a_restore_gives_back_what_is_listed_to_whom_it_is_about(world):
    world.deploy(TrustedProducts="product/aws/*,product/*/default")
    alice, bob = User(world, groups=("developers",)), User(world, name="bob", groups=("watched",))
    event = world.event("security-hub-simulation-administrator-access", alice)
    world.finding(event)
    assert world.responder().invoke(event)["reports"][0]["verdict"] == "Contained"
    world.responder(part="restorer").invoke({**about_alice(world), "command": "restore", "by": "Dana"})
    # The restore has ended: the mark is set again, as it was while the session was needed.
    for user in ("alice", "bob"):
        world.iam.tag_user(UserName=user, Tags=tags(SecurityIncident="AutoRemediated"))
        for policy in alice.state()["policies"]:
            world.iam.detach_user_policy(UserName=user, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    world.iam.remove_user_from_group(UserName="alice", GroupName="developers")
    iam = from_memory(world, "SecurityRestoreRole", "iam:AttachUserPolicy")("iam")
    attach = iam.attach_user_policy
    assert allowed(attach, UserName="alice", PolicyArn=ADMINISTRATOR)
    assert not allowed(attach, UserName="alice", PolicyArn="arn:aws:iam::aws:policy/PowerUserAccess")
    assert not allowed(attach, UserName="bob", PolicyArn=ADMINISTRATOR)
    assert not allowed(iam.detach_user_policy, UserName="alice", PolicyArn=ADMINISTRATOR)
    assert not allowed(iam.add_user_to_group, UserName="alice", GroupName="developers")
    # IAM checks this against the group alone: the session that may do it can do nothing else, and not for long.
    [*_, session] = [it for it in world.sessions("SecurityRestoreRole") if "iam:AddUserToGroup" in actions(it)]
    assert actions(session) == {"iam:AddUserToGroup"}
    iam = from_memory(world, "SecurityRestoreRole", "iam:AddUserToGroup")("iam")
    join = iam.add_user_to_group
    assert allowed(join, UserName="alice", GroupName="developers") and allowed(join, UserName="bob", GroupName="developers")
    assert not allowed(join, UserName="alice", GroupName="watched")
    assert not allowed(iam.attach_user_policy, UserName="alice", PolicyArn=ADMINISTRATOR)


def test_a_session_stolen_from_a_drill_makes_no_other_user(world):
    world.deploy(DrillAccount=world.member)
    world.responder(part="driller", timeout=15).invoke({"command": "drill"})
    iam = from_memory(world, "SecurityDrillRole", "iam:CreateUser")("iam")
    path = "/iam-responder-drill/"
    assert not allowed(iam.create_user, UserName="mallory", Path=path)
    world.iam.create_user(UserName="drill-of-another", Path=path)
    assert not allowed(iam.create_access_key, UserName="drill-of-another")
    assert allowed(iam.delete_user, UserName="drill-of-another")
    world.iam.create_user(UserName="hidden", Path=path)
    assert not allowed(iam.delete_user, UserName="hidden")
    # By the role of the function, which passes no policy, all three.
    iam = stolen(world, "SecurityDrillRole", "iam-responder-driller")("iam")
    assert allowed(iam.create_user, UserName="mallory", Path=path)
    assert allowed(iam.create_access_key, UserName="mallory")


@pytest.mark.parametrize(("function", "role", "not_this"), [
    ("iam-responder", "SecurityRemediationRole", "SecurityRestoreRole"),
    ("iam-responder-restorer", "SecurityRestoreRole", "SecurityRemediationRole"),
    ("iam-responder-investigator", "SecurityInvestigatorRole", "SecurityRemediationRole"),
])
def test_a_stolen_role_of_a_function_gets_its_own_member_role_and_nothing_of_iam_at_home(world, function, role, not_this):
    world.deploy()
    at_home = world.client("iam", account=world.security)
    at_home.create_user(UserName="carol")
    with pytest.raises(ClientError, match="AccessDenied"):
        stolen(world, not_this, function)
    assert allowed(stolen(world, role, function)("iam").list_users)
    iam = of_function(world, function, "iam")
    assert not allowed(iam.list_users)
    assert not allowed(iam.attach_user_policy, UserName="carol", PolicyArn=DENY_ALL)
    assert not allowed(iam.put_role_policy, RoleName=function, PolicyName="p", PolicyDocument=ALLOW_ALL)


def test_a_stolen_role_of_the_driller_can_write_nothing_that_a_restore_gives_back(world):
    world.deploy(DrillAccount=world.member)
    user = User(world, policies=["ReadOnlyAccess"], groups=())
    command = {"account": world.member, "user": "alice", "reason": "a drill"}
    [report] = world.responder().invoke({"command": "contain", **command})["reports"]
    assert report["verdict"] == "Contained", report
    table = Table(world)
    record = table.item("record#")
    [name], [planned] = ([it for it in record if it.startswith(f"{kind} ")] for kind in ("snapshot", "planned"))
    snapshot = json.loads(record[name]["S"])
    snapshot["before"]["attached_policies"].append(ADMINISTRATOR)
    dynamodb = of_function(world, "iam-responder-driller", "dynamodb")
    assert not allowed(
        dynamodb.update_item, TableName=table.name, Key={"id": record["id"]}, UpdateExpression="SET #s = :s ADD #p :p",
        ExpressionAttributeNames={"#s": name, "#p": planned},
        ExpressionAttributeValues={":s": {"S": json.dumps(snapshot)}, ":p": {"SS": [f"DetachPolicy {ADMINISTRATOR}"]}},
    )
    assert world.responder(part="restorer").invoke({"command": "restore", "by": "Dana", **command})["restore"]["verdict"] == "Restored"
    assert user.state()["policies"] == ["ReadOnlyAccess"]


@pytest.mark.parametrize(("function", "reads", "writes"), [
    ("iam-responder-driller", ["drill#last", "drill#created", "record#{account}#X"], ["drill#last", "drill#created", "slack#drill"]),
    ("iam-responder-restorer", ["lock#1#x", "record#1#x", "suspects#1#x"], ["due#x", "lock#1#x", "record#1#x", "slack#target#1#X"]),
    ("iam-responder-investigator", ["lock#1#x", "record#1#x", "record#{account}#X", "suspects#1#x"], ["suspects#1#x", "slack#target#1#X"]),
])
def test_a_function_reaches_only_the_items_of_the_ledger_that_it_needs(world, function, reads, writes):
    """Not in the responder's own roles: what they keep is all of it."""
    world.deploy(DrillAccount=world.member)
    dynamodb, table = of_function(world, function, "dynamodb"), Table(world).name
    reads = [it.format(account=world.member) for it in reads]
    every = ["ack#x", "acked#x", "breaker#x", "due#x", "drill#last", "drill#created", "evidence#1#x", "lock#1#x", "record#1#x", f"record#{world.member}#X", "suspects#1#x"]
    every += ["slack#digest", "slack#drill", "slack#target#1#X"]
    key = {it: {"TableName": table, "Key": {"id": {"S": it}}} for it in every}
    may = {"lock#", "record#"} if function.endswith("restorer") else set()
    is_of = lambda it, these: it in these or any(it.startswith(prefix) for prefix in may)
    assert [it for it in every if allowed(dynamodb.get_item, **key[it])] == [it for it in every if is_of(it, reads)]
    update = {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"N": "1"}}}
    assert [it for it in every if allowed(dynamodb.update_item, **key[it], **update)] == [it for it in every if is_of(it, writes)]


def test_a_thief_of_the_investigators_role_puts_nothing_on_a_list(world):
    """Of a report it can write what was found, and when it is due again."""
    world.deploy()
    dynamodb, table = of_function(world, "iam-responder-investigator", "dynamodb"), Table(world).name
    key = {"TableName": table, "Key": {"id": {"S": "evidence#1#x"}}}
    one = {":x": {"N": "1"}}
    assert allowed(dynamodb.update_item, **key, UpdateExpression="SET due_at = :x, revision = :x", ExpressionAttributeValues=one)
    for attribute in ("due_bucket", "command", "finding"):
        assert not allowed(dynamodb.update_item, **key, UpdateExpression=f"SET {attribute} = :x", ExpressionAttributeValues=one)
