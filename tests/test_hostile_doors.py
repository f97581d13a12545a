"""The boundaries and the undo, held against somebody who reads the README too. Each is named after what should hold."""

# The findings with lines and fixes: see report-doors.md in the notes beside common.md

import json
import threading
import time

import pytest

from .harness import doors
from .harness.doors import ADMINISTRATOR, ALLOW_ALL, DENY_ALL, REVOCATION, Administrator, attempt
from .harness.ledger import Table
from .harness.processes import ROOT
from .harness.victims import Role, User, allowed
from .harness.world import POLICIES, RUNBOOK

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"
OUTSIDE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
SCP = (ROOT / "guardrail-scp.json").read_text()


def deployed(world, **parameters):
    return world.deploy(TrustedProducts="product/aws/*,product/*/default", **parameters)


def guard(world, *documents):
    world.control("control-policies", {"account": world.member, "documents": list(documents)})


def contain(world, responder=None, **fields):
    responder = responder or world.responder()
    responder.invoke({"command": "contain", "account": world.member, "reason": "a key in a paste", **fields})
    return responder.last_report()


def respond(world, name, subject=None, role=None, **options):
    event = world.event(name, subject, role=role)
    if "findings" in event["detail"]:
        world.finding(event)
    responder = world.responder(**options)
    responder.invoke(event)
    return responder.last_report()


def restore(world, name="alice", kind="user", **fields):
    command = {"command": "restore", "account": world.member, kind: name, "reason": "a false alarm", "by": "Dana", **fields}
    restorer = world.responder(part="restorer")
    restorer.invoke(command)
    return restorer.last_report()


def statement(**fields):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", **fields}]})


# Nobody is immune by name.


def test_a_role_that_only_bears_the_name_of_identity_centers_is_contained(world):
    """Its path is `/`: Identity Center's are under `/aws-reserved/sso.amazonaws.com/`, where nobody else makes one."""
    deployed(world)
    role = Role(world, name="AWSReservedSSO_AdministratorAccess_0123456789abcdef")
    session = role.session()
    report = contain(world, role=role.name)
    assert report["verdict"] == "Contained" and not allowed(session.list_users), report


# Contained is what was seen to hold.


@pytest.mark.parametrize("when", ["before", "after the first response"])
def test_a_revocation_that_can_never_apply_is_none(world, when):
    """Every key of a condition must match: `aws:CurrentTime` before 2020 never does."""
    deployed(world)
    role = Role(world)
    session = role.session()
    never = revocation("2090-01-01T00:00:00Z", **{"aws:CurrentTime": "2020-01-01T00:00:00Z"})
    if when != "before":
        assert respond(world, OUTSIDE, role=role)["verdict"] == "Contained"
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=never)
    assert allowed(session.list_users)
    report = contain(world, role="app")
    assert not (report["verdict"] == "Contained" and allowed(session.list_users)), (
        report["verdict"], report["reason"], [it["action"] for it in report["actions"]]
    )


# Drift.


def weakened(world):
    """The revocation as it is, and beside it everything is allowed."""
    document = world.iam.get_role_policy(RoleName="app", PolicyName=REVOCATION)["PolicyDocument"]
    return json.dumps({**document, "Statement": [*document["Statement"], json.loads(ALLOW_ALL)["Statement"][0]]})


def revocation(date, **more):
    denies = {"Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": {"DateLessThan": {"aws:TokenIssueTime": date, **more}}}
    return json.dumps({"Version": "2012-10-17", "Statement": [denies]})


@pytest.mark.parametrize("how", ["beside the revocation", "instead of it", "an older date"])
def test_what_an_intruder_writes_into_the_revocation_policy_is_drift(world, how):
    deployed(world)
    role = Role(world)
    session = role.session()
    assert respond(world, OUTSIDE, role=role)["verdict"] == "Contained" and not allowed(session.list_users)
    planted = {"beside the revocation": weakened(world), "instead of it": ALLOW_ALL, "an older date": revocation("2020-01-01T00:00:00Z")}[how]
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=planted)
    report = restore(world, "app", "role")
    assert report["verdict"] == "Drifted", (report["verdict"], report["drift"], f"stolen session works: {allowed(session.list_users)}")


def test_an_inline_policy_of_a_user_is_no_drift_by_its_name(world):
    """Nothing changed; the revocation is a role's."""
    deployed(world)
    user = User(world)
    world.iam.put_user_policy(UserName="alice", PolicyName=REVOCATION, PolicyDocument=statement(Action="s3:ListBucket"))
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    report = restore(world)
    assert report["verdict"] == "Restored", (report["verdict"], report["drift"])


def test_a_password_that_somebody_set_after_the_response_deleted_it_is_drift(world):
    deployed(world, RemoveLoginProfile="true")
    user = User(world)
    world.iam.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    assert attempt(world.iam.get_login_profile, UserName="alice") is None
    world.iam.create_login_profile(UserName="alice", Password="the-Intruders-0wn")
    report = restore(world)
    assert report["verdict"] == "Drifted", (report["verdict"], report["drift"], report["stays"])


@pytest.mark.parametrize("what", ["GetLoginProfile", "ListMFADevices"])
def test_what_could_not_be_read_before_needs_a_persons_word_for_passwords_and_devices_too(world, what):
    deployed(world)
    user = User(world)
    world.fault(f"iam:{what}", "AccessDenied", status=403, times=1)
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    if what == "GetLoginProfile":
        world.iam.create_login_profile(UserName="alice", Password="the-Intruders-0wn")
    else:
        device = world.iam.create_virtual_mfa_device(VirtualMFADeviceName="intruder")["VirtualMFADevice"]["SerialNumber"]
        world.iam.enable_mfa_device(UserName="alice", SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321")
    report = restore(world)
    assert report["verdict"] == "Drifted", (report["verdict"], report["drift"])


def test_a_deny_that_somebody_else_lifted_is_drift(world):
    """The containment did not last: whoever restores must know."""
    deployed(world)
    user = User(world)
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    world.iam.detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    report = restore(world)
    assert report["verdict"] == "Drifted", (report["verdict"], report["reason"], report["drift"], report["notes"])


def test_a_tag_that_policies_decide_by_is_drift(world):
    """Attribute-based access: whoever bears `team=security` may more."""
    deployed(world)
    user = User(world)
    world.iam.tag_user(UserName="alice", Tags=[{"Key": "team", "Value": "web"}])
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    world.iam.tag_user(UserName="alice", Tags=[{"Key": "team", "Value": "security"}])
    report = restore(world)
    assert report["verdict"] == "Drifted", (report["verdict"], report["drift"])


def test_what_came_between_two_responses_is_no_state_before_the_first(world):
    """An intruder makes a contained user an administrator; a second response takes that; both are taken back."""
    deployed(world)
    user = User(world, policies=["ReadOnlyAccess"], groups=())
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    world.iam.attach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    assert respond(world, OVERPRIVILEGED, user)["verdict"] == "Contained"
    first, second = restore(world), restore(world)
    assert first["response"].startswith("overprivileged-user@") and second["response"].startswith("compromised-credential@")
    assert second["verdict"] == "Drifted" and "AWSDenyAll" in user.state()["policies"], (
        second["verdict"], second["reason"], second["drift"], user.state()["policies"]
    )


# Restored is what was read.


def test_what_is_planted_during_a_restore_is_read_before_it_is_called_restored(world):
    deployed(world)
    user = User(world, policies=["ReadOnlyAccess"], groups=())
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    world.fault("iam:DetachUserPolicy", hold=True, times=1)
    restorer = world.responder(part="restorer")
    command = {"command": "restore", "account": world.member, "user": "alice", "reason": "a false alarm", "by": "Dana"}
    thread = threading.Thread(target=restorer.invoke, args=(command,))
    thread.start()
    end = time.monotonic() + 20
    while world.faults()[0]["times"] and time.monotonic() < end:
        time.sleep(0.05)
    assert world.faults()[0]["times"] == 0 and "AWSDenyAll" in user.state()["policies"]
    world.iam.attach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    world.release()
    thread.join()
    report = restorer.last_report()
    assert report["verdict"] != "Restored" or any("AdministratorAccess" in line for line in report["drift"] + report["notes"]), report


# Restore gives back what this response took, and lifts what it put.


def test_a_boundary_that_a_person_set_after_the_response_stays(world):
    """As an attached deny of a person's does."""
    deployed(world)
    user = User(world)
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained" and user.state()["boundary"] is None
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=DENY_ALL)
    report = restore(world)
    assert user.state()["boundary"] == DENY_ALL, (report["verdict"], report["drift"], report["actions"])


def test_a_policy_that_a_person_took_where_the_response_could_not_stays_taken(world):
    """The report says `still to do: detach`; a person does it."""
    deployed(world)
    user = User(world, groups=())
    world.fault("iam:DetachUserPolicy", "AccessDenied", status=403)
    report = respond(world, OVERPRIVILEGED, user)
    assert report["verdict"] == "NotContained"
    for policy in POLICIES:
        world.iam.detach_user_policy(UserName="alice", PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    report = restore(world)
    assert user.state()["policies"] == [], (report["verdict"], report["drift"], user.state()["policies"])


# The guardrail.


def test_a_role_with_fifty_tags_keeps_its_revocation_under_the_guardrail(world):
    deployed(world)
    guard(world, SCP)
    role = Role(world)
    world.iam.tag_role(RoleName="app", Tags=[{"Key": f"t{n:02}", "Value": "x"} for n in range(50)])
    session = role.session()
    report = respond(world, OUTSIDE, role=role)
    assert report["verdict"] == "Contained" and not allowed(session.list_users), report
    doors.strip_directly(Administrator(world, roles=[role]))
    assert not allowed(session.list_users), "the stolen session works again"


def test_sessions_that_stay_revoked_after_a_restore_stay_so_under_the_guardrail(world):
    """The report says so, and until when; the mark that protects the revocation goes with the restore."""
    deployed(world)
    guard(world, SCP)
    role = Role(world)
    session = role.session()
    assert respond(world, OUTSIDE, role=role)["verdict"] == "Contained"
    report = restore(world, "app", "role")
    assert report["verdict"] == "Restored" and "stay revoked" in report["stays"][0] and not allowed(session.list_users)
    doors.strip_directly(Administrator(world, roles=[role]))
    assert not allowed(session.list_users), "the stolen session works again"


def test_an_administrator_can_not_rewrite_the_runbook_that_our_role_runs(world):
    """Our remediation role starts it with its own permissions, which the guardrail exempts."""
    deployed(world, rotation=True)
    guard(world, SCP)
    ssm = Administrator(world).user.session("ssm")
    content = json.dumps({
        "schemaVersion": "0.3", "parameters": {"UserName": {"type": "String"}, "UserId": {"type": "String"}},
        "mainSteps": [{"name": "x", "action": "aws:executeAwsApi", "inputs": {
            "Service": "iam", "Api": "PutRolePolicy", "RoleName": "app", "PolicyName": REVOCATION, "PolicyDocument": ALLOW_ALL,
        }}],
    })
    done = attempt(ssm.update_document, Name=RUNBOOK, Content=content, DocumentVersion="$LATEST", DocumentFormat="JSON")
    assert done is None, "the rotation runbook is the administrator's now"


def test_no_runbook_of_an_administrators_runs_as_our_role_and_drops_a_revocation(world):
    import yaml

    from .harness.runbooks import Execution

    deployed(world, rotation=True)
    guard(world, SCP)
    role = Role(world)
    session = role.session()
    decoy = User(world, name="decoy", groups=(), policies=())
    admin = Administrator(world, roles=[role])
    assert contain(world, role="app")["verdict"] == "Contained"
    doors.put_something_else_in_place(admin)
    assert not allowed(session.list_users)
    steps = [{"name": "Drop", "action": "aws:executeAwsApi", "inputs": {
        "Service": "iam", "Api": "PutRolePolicy", "RoleName": "app", "PolicyName": REVOCATION, "PolicyDocument": ALLOW_ALL,
    }}]
    content = {"schemaVersion": "0.3", "parameters": {"UserName": {"type": "String"}, "UserId": {"type": "String"}}, "mainSteps": steps}
    ssm = admin.user.session("ssm")
    updated = attempt(ssm.update_document, Name=RUNBOOK, Content=json.dumps(content), DocumentVersion="$LATEST", DocumentFormat="JSON")
    if updated:
        attempt(ssm.update_document_default_version, Name=RUNBOOK, DocumentVersion=updated["DocumentDescription"]["DocumentVersion"])
    assert contain(world, user="decoy", access_key=decoy.keys[0]["AccessKeyId"])["verdict"] == "Contained"
    [started] = world.rotations()
    assert ":assumed-role/SecurityRemediationRole/" in started["ExecutedBy"]
    # Systems Manager runs it as whoever started it.
    document = world.client("ssm").get_document(Name=RUNBOOK)["Content"]
    from .test_stolen_sessions import stolen

    as_ours = stolen(world, "SecurityRemediationRole", "iam-responder")
    given = {name: value[0] for name, value in started["Parameters"].items() if name in ("UserName", "UserId")}
    Execution(yaml.safe_load(document), given, as_ours, {})
    assert not allowed(session.list_users), "the revoked session works again"


# overprivileged-user.


@pytest.mark.parametrize("how", [
    {"Action": "iam:?*"},
    {"Action": ["iam:Attach*", "iam:Put*", "iam:Create*"]}, {"Action": "iam:*", "Resource": ["arn:aws:iam::*:user/*", "arn:aws:iam::*:role/*"]},
], ids=str)
def test_administrator_access_that_is_written_otherwise_is_not_contained(world, how):
    deployed(world)
    user = User(world)
    world.iam.put_user_policy(UserName="alice", PolicyName="mine", PolicyDocument=statement(**how))
    report = respond(world, OVERPRIVILEGED, user)
    made = world.iam.create_access_key
    world.iam.delete_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"])
    user.keys[0] = made(UserName="alice")["AccessKey"]
    is_administrator = allowed(user.session().attach_user_policy, UserName="alice", PolicyArn=ADMINISTRATOR)
    assert not (report["verdict"] == "Contained" and is_administrator), (report["verdict"], report["open"], report["notes"])


# Stolen parts.


def test_a_stolen_role_of_the_driller_can_not_write_what_a_restore_gives_back(world):
    from .test_stolen_sessions import of_function

    deployed(world, DrillAccount=world.member)
    user = User(world, policies=["ReadOnlyAccess"], groups=())
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    table = Table(world)
    [record] = [it for it in table.items("record#") if it["id"]["S"].endswith(user.id)]
    [name] = [it for it in record if it.startswith("snapshot ")]
    [planned] = [it for it in record if it.startswith("planned ")]
    snapshot = json.loads(record[name]["S"])
    snapshot["before"]["attached_policies"].append(ADMINISTRATOR)
    dynamodb = of_function(world, "iam-responder-driller", "dynamodb")
    attempt(
        dynamodb.update_item, TableName=table.name, Key={"id": record["id"]}, UpdateExpression="SET #s = :s ADD #p :p",
        ExpressionAttributeNames={"#s": name, "#p": planned},
        ExpressionAttributeValues={":s": {"S": json.dumps(snapshot)}, ":p": {"SS": [f"DetachPolicy {ADMINISTRATOR}"]}},
    )
    report = restore(world)
    assert user.state()["policies"] == ["ReadOnlyAccess"], (report["verdict"], report["drift"], user.state()["policies"])


# Nobody is immune by name, where the operator's patterns leave the account open.


def test_a_user_that_took_a_protected_name_is_contained(world):
    """`breakglass` is protected in every account; in this one there is none until the intruder renames its own."""
    deployed(world, ProtectedPrincipals="arn:aws:iam::*:user/breakglass")
    user = User(world)
    event = world.event(EXFILTRATION, user)
    world.iam.update_user(UserName="alice", NewUserName="breakglass")
    user.name = "breakglass"
    responder = world.responder()
    responder.invoke(event)
    report = responder.last_report()
    assert not user.key_works(), (report["verdict"], report["reason"])


# A revocation from long ago revokes nothing of today.


def test_a_full_role_with_an_old_revocation_is_not_restored_without_a_word(world):
    """An old and short revocation was there, and no room for a longer one: the deny alone holds the stolen session."""
    deployed(world)
    role = Role(world)
    old = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}}}}'
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=old)
    room = 10_240 - len(old) - len(statement(Action="s3:GetObject", Resource="arn:aws:s3:::").replace(" ", ""))
    world.iam.put_role_policy(RoleName="app", PolicyName="full", PolicyDocument=statement(Action="s3:GetObject", Resource="arn:aws:s3:::" + "x" * (room - 3)))
    session = role.session()
    report = respond(world, OUTSIDE, role=role)
    assert report["verdict"] == "SuspectsOpen" and not allowed(session.list_users), report
    assert [it["PolicyName"] for it in world.iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]].count("AWSDenyAll") == 1
    report = restore(world, "app", "role")
    assert report["verdict"] == "Drifted" and not allowed(session.list_users), (
        report["verdict"], report["drift"], f"the stolen session works: {allowed(session.list_users)}"
    )


@pytest.mark.parametrize("retry", ["by the same finding", "after a crash of the strike"])
def test_a_deny_that_a_person_had_attached_before_a_crash_stays(world, retry):
    """A user denied by a person; its key is reported; the response dies after the strike and is tried again."""
    from .test_lease import killed, wrote

    world.deploy(SettleSeconds="0")
    user = User(world)
    world.iam.attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    event = world.event(EXFILTRATION, user)
    world.fault("iam:ListGroupsForUser", delay_ms=3_000, times=1)
    killed(world, event, lambda: wrote(world, "iam:UpdateAccessKey")() and any("intent" in it for it in Table(world).items("record#")))
    Table(world).pass_time()
    world.responder().invoke(event if retry == "by the same finding" else {"command": "contain", "account": world.member, "user": "alice", "reason": "again"})
    report = restore(world)
    assert "AWSDenyAll" in user.state()["policies"], (report["verdict"], report["drift"], [(it["action"], it["target"]) for it in report["actions"]])


@pytest.mark.parametrize("action", ["organizations:AcceptHandshake", "organizations:LeaveOrganization"])
def test_no_administrator_takes_the_account_into_another_organisation(action):
    """A member account accepts an invitation, and the service control policies stop applying.
    https://docs.aws.amazon.com/organizations/latest/APIReference/API_AcceptHandshake.html"""
    from .aws.policy import evaluate

    facts = {"aws:principalarn": "arn:aws:iam::111122223333:user/insider", "aws:principalaccount": "111122223333"}
    assert evaluate([SCP], action, ["arn:aws:organizations::999988887777:handshake/o-elsewhere0/invite/h-0123456789"], facts) == "deny"


def test_a_deny_of_a_persons_is_not_lifted_because_iam_was_slow(world):
    """The read before the strike takes more than 800 ms: whose deny it is, is not known."""
    deployed(world)
    user = User(world)
    world.iam.attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    world.fault("iam:ListAttachedUserPolicies", delay_ms=1_200, times=1)
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    report = restore(world)
    assert "AWSDenyAll" in user.state()["policies"], (report["verdict"], report["drift"])


def test_a_boundary_that_was_there_is_not_all_that_holds_a_contained_user(world):
    """Fifty tags, and `AWSDenyAll` as the boundary beforehand: there is room to attach it, and only that can't be replaced."""
    deployed(world)
    guard(world, SCP)
    user = User(world, groups=())
    world.iam.tag_user(UserName="alice", Tags=[{"Key": f"t{n:02}", "Value": "x"} for n in range(50)])
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=DENY_ALL)
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    administrator = Administrator(world, [user])
    doors.put_something_else_in_place(administrator)
    doors.strip_directly(administrator)
    assert not user.key_works(), user.state()["policies"]


def test_a_role_whose_name_only_ends_like_ours_can_be_contained_under_the_guardrail(world):
    """It was there before the guardrail, in an account without drills."""
    deployed(world)
    role = Role(world, name="TeamSecurityDrillRole")
    session = role.session()
    guard(world, SCP)
    report = contain(world, world.responder(timeout=20), role=role.name)
    assert report["verdict"] == "Contained" and not allowed(session.list_users), (report["verdict"], report["failed"] if "failed" in report else report["open"])


def test_what_a_revocation_overwrote_comes_back_or_is_named(world):
    """The role had a policy of that name with a statement of its own beside the console's."""
    deployed(world)
    role = Role(world)
    theirs = json.loads(revocation("2020-01-01T00:00:00Z"))
    theirs["Statement"].append({"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"})
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=json.dumps(theirs))
    respond(world, OUTSIDE, role=role)
    assert len(role.state()["inline"][REVOCATION]["Statement"]) == 1
    report = restore(world, "app", "role")
    said = report["drift"] + report["stays"] + report["notes"]
    back = len(role.state()["inline"].get(REVOCATION, {"Statement": []})["Statement"]) == 2
    assert back or any(REVOCATION in it or "DeleteBucket" in it for it in said), (report["verdict"], report["reason"], said)


def test_the_alert_of_a_restore_that_could_not_be_sent_is_sent_later(world):
    """As every other alert is."""
    deployed(world)
    user = User(world)
    assert respond(world, EXFILTRATION, user)["verdict"] == "Contained"
    world.alerts()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    first, second = restore(world), restore(world)
    table = Table(world)
    table.pass_time()
    world.responder().invoke({"command": "due"})
    assert any("Restore" in it["Subject"] for it in world.alerts()), (first["verdict"], second["verdict"])
