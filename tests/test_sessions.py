"""The sessions in which the functions work in an account: each with a policy for just what it is taken for."""

import hashlib
import json

import pytest
from botocore.exceptions import ClientError

from .harness.victims import Role, User
from .harness.world import EXTERNAL_ID
from .test_round_trips import BARRIERS, depths

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
OUTSIDE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"


def subject(world, **who):
    return {"account": world.member, "reason": "a drill", **who}


def contain(world, responder, event):
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    return report


def about_role(session):
    """The ARNs of the roles that it may change."""
    return [arn for it in session["policy"]["Statement"] if "iam:PutRolePolicy" in it["Action"] for arn in it["Resource"]]


def first_barrier(world):
    return min(depth for call, depth in depths(world.journal()) if call["action"] in BARRIERS)


def test_no_session_is_without_a_policy(world):
    world.deploy(DrillAccount=world.member)
    User(world), User(world, name="bob"), Role(world)
    responder, restorer = world.responder(), world.responder(part="restorer")
    for who in ({"user": "alice"}, {"role": "app"}):
        contain(world, responder, {"command": "contain", **subject(world, **who)})
        assert restorer.invoke({"command": "restore", "by": "Dana", **subject(world, **who)})["restore"]["verdict"] == "Restored"
        for function in (responder, restorer):
            assert "status" in function.invoke({"command": "status", "account": world.member, **who})
    world.responder(MODE="observe").invoke({"command": "contain", **subject(world, user="bob")})
    contain(world, world.responder(part="hygiene"), world.event("cloudtrail-create-user", User(world, name="service-jmokoe")))
    world.responder(part="driller", timeout=15).invoke({"command": "drill"})
    taken = [call for call in world.journal() if call["action"] == "sts:AssumeRole"]
    assert len(taken) == 13 and all("Policy" in call["params"] for call in taken)


def test_what_observes_may_change_nothing(world):
    world.deploy(Mode="observe")
    User(world), Role(world)
    responder = world.responder()
    for who in ({"user": "alice"}, {"role": "app"}):
        [report] = responder.invoke({"command": "contain", **subject(world, **who)})["reports"]
        assert report["verdict"] == "Observed", report
    [session] = world.sessions()
    actions = {action for it in session["policy"]["Statement"] for action in it["Action"]}
    assert actions and all(it.startswith(("iam:Get", "iam:List")) for it in actions)


@pytest.mark.parametrize("path", ["/", "/team/red/"])
def test_a_response_about_a_role_is_a_session_for_that_role(world, path):
    world.deploy()
    role = Role(world, path=path)
    contain(world, world.responder(), world.event(OUTSIDE, role=role))
    [session] = world.sessions()
    arn = f"arn:aws:iam::{world.member}:role/"
    assert about_role(session) == [f"{arn}app", f"{arn}*/app"]
    assert "iam:PutRolePolicy" in session["actions"]


def test_a_role_that_the_finding_does_not_name_takes_one_trip_more(world):
    world.deploy()
    event = world.event(OUTSIDE, role=Role(world))
    del event["detail"]["resource"]["accessKeyDetails"]["userName"]
    world.fault("*", delay_ms=120)
    contain(world, world.responder(), event)
    found, for_it = world.sessions()
    assert not about_role(found) and about_role(for_it)
    writes = [it for it in found["actions"] if not it.startswith(("iam:Get", "iam:List"))]
    assert writes == [] and "iam:PutRolePolicy" in for_it["actions"]
    # Without a name it takes a list before the role: one session more is one trip more.
    lists = [call for call in world.journal() if call["action"] == "iam:ListRoles" and call["key"] == found["AccessKeyId"]]
    assert first_barrier(world) == 4 + len(lists)


def test_a_session_for_users_is_kept_for_the_next_response_in_the_account(world):
    world.deploy()
    responder = world.responder()
    contain(world, responder, world.event(EXFILTRATION, User(world)))
    bob = User(world, name="bob")
    contain(world, responder, {"command": "contain", **subject(world, user="bob")})
    assert not bob.key_works() and len(world.sessions()) == 1
    # One for a role is for that role, however often.
    Role(world), Role(world, name="other")
    for name in ("app", "other", "app"):
        contain(world, responder, {"command": "contain", **subject(world, role=name)})
    assert [about_role(it)[0].split("/")[-1] for it in world.sessions()[1:]] == ["app", "other", "app"]


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "AccessDenied", "ExpiredToken"])
def test_a_kept_session_that_aws_does_not_take_any_more_is_taken_anew(world, code):
    world.deploy()
    responder = world.responder()
    contain(world, responder, world.event(EXFILTRATION, User(world)))
    bob = User(world, name="bob")
    world.fault("iam:GetUser", code, status=403, times=1)
    contain(world, responder, {"command": "contain", **subject(world, user="bob")})
    assert not bob.key_works() and len(world.sessions()) == 2


def test_a_session_in_which_something_failed_is_not_kept(world):
    world.deploy()
    responder = world.responder()
    user = User(world)
    world.fault("iam:AttachUserPolicy", "AccessDenied", status=403, times=1)
    world.fault("iam:PutUserPermissionsBoundary", "AccessDenied", status=403)
    world.fault("iam:TagUser", "AccessDenied", status=403, times=20)
    event = world.event(EXFILTRATION, user)
    responder.invoke(event)
    responder.invoke(event)
    assert len(world.sessions()) == 2


# A restore of as much as a user can have.


def long_names(world):
    """A user of ten policies and ten groups, with names as long as IAM has them."""
    # So that nothing packs them to less.
    iam, names = world.iam, [hashlib.sha512(bytes([number])).hexdigest() for number in range(10)]
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
    user = User(world, policies=(), groups=names)
    for name in names:
        arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    return user


def overprivileged(world, user):
    world.deploy(TrustedProducts="product/aws/*,product/*/default")
    user = user(world)
    before, event = user.state(), world.event(OVERPRIVILEGED, user)
    world.finding(event)
    contain(world, world.responder(), event)
    return user, before


def restore(world):
    answer = world.responder(part="restorer").invoke({"command": "restore", "by": "Dana", **subject(world, user="alice")})
    return answer.get("restore") or answer


def writing(world):
    """The sessions in which a restore wrote."""
    return [it for it in world.sessions("SecurityRestoreRole") if not any(a.startswith("iam:List") for a in it["actions"])]


def is_as_before(user, before):
    return {**user.state(), "keys": {}} == {**before, "keys": {}}


def test_a_restore_of_ten_policies_and_ten_groups_with_long_names_takes_several_sessions(world):
    user, before = overprivileged(world, long_names)
    assert user.state()["policies"] == [] == user.state()["groups"]
    report = restore(world)
    assert report["verdict"] == "Restored", report
    assert is_as_before(user, before)
    policies = [json.dumps(it["policy"], separators=(",", ":")) for it in writing(world)]
    assert len(policies) > 2 and max(map(len, policies)) <= 1_800
    # All in one would not be taken.
    whole = json.dumps({"Version": "2012-10-17", "Statement": [s for it in writing(world) for s in it["policy"]["Statement"]]}, separators=(",", ":"))
    assert len(whole) > 2_048


def test_a_piece_of_a_restore_that_sts_packs_to_more_than_it_takes_is_halved(world):
    user, before = overprivileged(world, long_names)
    world.control("packed", {"account": world.member, "bytes": 500})
    report = restore(world)
    assert report["verdict"] == "Restored", report
    assert is_as_before(user, before)
    refused = [call for call in world.journal() if call["action"] == "sts:AssumeRole" and "PackedPolicyTooLarge" in (call["error"] or "")]
    assert refused


def test_a_restore_whose_sessions_sts_does_not_take_changes_nothing(world):
    user, _ = overprivileged(world, long_names)
    contained = user.state()
    world.fault("sts:AssumeRole", "PackedPolicyTooLarge", after=1)
    answer = restore(world)
    assert answer["errorType"] == "ResponseIncomplete" and "PackedPolicyTooLarge" in answer["errorMessage"]
    assert user.state() == contained
    refused = [call for call in world.journal() if call["action"] == "sts:AssumeRole" and call["status"] == 400]
    assert len(refused) < 40


def test_a_path_is_no_pattern_and_no_variable(world):
    """IAM takes every printable character in a user's path."""
    user, before = overprivileged(world, lambda world: User(world, path="/${aws:username}/*/a?c/", policies=("AdministratorAccess",)))
    report = restore(world)
    assert report["verdict"] == "Restored", report
    assert is_as_before(user, before)
    [session, joining] = sorted(writing(world), key=lambda it: "iam:AddUserToGroup" in json.dumps(it["policy"]))
    assert f"iam::{world.member}:user/${{$}}{{aws:username}}/${{*}}/a${{?}}c/alice" in json.dumps(session["policy"])
    assert "aws:username" not in json.dumps(joining["policy"])


@pytest.mark.parametrize(("policy", "code"), [
    (json.dumps({"Version": "2012-10-17", "Statement": []}).ljust(2_048), None),
    (json.dumps({"Version": "2012-10-17", "Statement": []}).ljust(2_049), "ValidationError"),
    ('{"Version":"2012-10-17"', "MalformedPolicyDocument"),
    ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*"}]}', "MalformedPolicyDocument"),
])
def test_the_simulated_sts_takes_no_policy_that_the_real_one_refuses(world, policy, code):
    world.deploy()
    given = world.control("role-credentials", {"role_arn": world.responder_role, "region": world.region})
    sts = world.client("sts", **{name.lower(): value for name, value in given.items()})
    arn = f"arn:aws:iam::{world.member}:role/SecurityRemediationRole"
    assume = {"RoleArn": arn, "RoleSessionName": "test", "ExternalId": EXTERNAL_ID, "Policy": policy}
    if code is None:
        assert sts.assume_role(**assume)["Credentials"]
        return
    with pytest.raises(ClientError, match=code):
        sts.assume_role(**assume)
