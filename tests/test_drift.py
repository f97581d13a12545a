"""What an intruder plants between a containment and its restore, under names that were there before."""

import json

import pytest

from .harness.victims import ANYONE_HERE, Role, User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"
OUTSIDE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
LITTLE = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:List*", "Resource": "*"}]})


class Scene:
    """An identity that is contained, changed, and asked to be restored."""

    def __init__(self, world, **parameters):
        world.deploy(TrustedProducts="product/*/default", **parameters)
        self.world, self.iam = world, world.iam

    def own_policy(self, name="own"):
        return self.iam.create_policy(PolicyName=name, PolicyDocument=LITTLE)["Policy"]["Arn"]

    def plant(self, arn):
        self.iam.create_policy_version(PolicyArn=arn, PolicyDocument=EVERYTHING, SetAsDefault=True)

    def contain(self, user, name=EXFILTRATION):
        event = self.world.event(name, user)
        if "findings" in event["detail"]:
            self.world.finding(event)
        [report] = self.world.responder().invoke(event)["reports"]
        assert report["verdict"] == "Contained", report

    def restore(self, name="alice", kind="user", **fields):
        command = {"command": "restore", "account": self.world.member, kind: name, "reason": "a drill", "by": "Dana", **fields}
        return self.world.responder(part="restorer").invoke(command)["restore"]

    def drifted(self, *lines, **subject):
        report = self.restore(**subject)
        assert (report["verdict"], report["drift"]) == ("Drifted", list(lines)), report
        assert self.restore(force=True, **subject)["verdict"] == "Restored"


@pytest.fixture
def scene(world):
    return Scene(world)


def test_an_inline_policy_that_says_something_else(scene):
    user = User(scene.world)
    scene.contain(user)
    scene.iam.put_user_policy(UserName="alice", PolicyName="bucket", PolicyDocument=EVERYTHING)
    scene.drifted("inline policy bucket was changed since")


def test_an_inline_policy_that_is_only_written_otherwise_is_no_drift(scene):
    user = User(scene.world)
    scene.contain(user)
    document = {"Statement": [{"Resource": "*", "Action": "s3:*", "Effect": "Allow"}], "Version": "2012-10-17"}
    scene.iam.put_user_policy(UserName="alice", PolicyName="bucket", PolicyDocument=json.dumps(document, indent=4))
    assert scene.restore()["verdict"] == "Restored"


def test_another_version_of_an_attached_policy(scene):
    user, arn = User(scene.world), scene.own_policy()
    scene.iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    scene.contain(user)
    scene.plant(arn)
    scene.drifted(f"policy {arn} was changed since: another version of it counts")


def test_another_version_of_a_policy_that_was_taken_away(scene):
    """It is not attached when the restore looks, and comes back with it."""
    user, arn = User(scene.world), scene.own_policy()
    scene.iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    scene.contain(user, OVERPRIVILEGED)
    scene.plant(arn)
    scene.drifted(f"policy {arn} was changed since: another version of it counts")


def test_a_policy_that_was_made_anew_under_its_name(scene):
    user, arn = User(scene.world), scene.own_policy()
    scene.iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    scene.contain(user)
    scene.iam.detach_user_policy(UserName="alice", PolicyArn=arn)
    scene.iam.delete_policy(PolicyArn=arn)
    scene.iam.create_policy(PolicyName="own", PolicyDocument=EVERYTHING)
    scene.iam.attach_user_policy(UserName="alice", PolicyArn=arn)
    scene.drifted(f"policy {arn} was changed since: another version of it counts")


def test_another_version_of_the_boundary(scene):
    user, arn = User(scene.world), scene.own_policy("limits")
    scene.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=arn)
    scene.contain(user)
    scene.plant(arn)
    scene.drifted(f"policy {arn} was changed since: another version of it counts")


@pytest.mark.parametrize("name", [EXFILTRATION, OVERPRIVILEGED])
@pytest.mark.parametrize("how", ["inline", "attached", "version"])
def test_a_group_that_grants_more(scene, name, how):
    """The user is in it still, or comes back into it."""
    user, arn, iam = User(scene.world), scene.own_policy(), scene.iam
    iam.attach_group_policy(GroupName="developers", PolicyArn=arn)
    scene.contain(user, name)
    if how == "inline":
        iam.put_group_policy(GroupName="developers", PolicyName="planted", PolicyDocument=EVERYTHING)
    elif how == "attached":
        iam.attach_group_policy(GroupName="developers", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    else:
        scene.plant(arn)
    scene.drifted("group developers was changed since")


def test_a_credential_that_was_activated_again(scene):
    user, iam = User(scene.world), scene.iam
    credential = iam.create_service_specific_credential(UserName="alice", ServiceName="bedrock.amazonaws.com")
    credential = credential["ServiceSpecificCredential"]["ServiceSpecificCredentialId"]
    scene.contain(user)
    iam.update_service_specific_credential(UserName="alice", ServiceSpecificCredentialId=credential, Status="Active")
    scene.drifted(f"service-specific credential {credential} was activated since")


def test_a_credential_that_the_response_left_active_is_no_drift(scene):
    user = User(scene.world)
    scene.iam.create_service_specific_credential(UserName="alice", ServiceName="bedrock.amazonaws.com")
    scene.contain(user, OVERPRIVILEGED)
    assert scene.restore()["verdict"] == "Restored"


def test_a_roles_trust_policy(scene):
    role = Role(scene.world)
    scene.world.responder().invoke(scene.world.event(OUTSIDE, role=role))
    trust = {**ANYONE_HERE, "Statement": [{**ANYONE_HERE["Statement"][0], "Principal": {"AWS": "999999999999"}}]}
    scene.iam.update_assume_role_policy(RoleName="app", PolicyDocument=json.dumps(trust))
    scene.drifted("the trust policy was changed since", name="app", kind="role")


def test_a_roles_inline_policy_and_version(scene):
    role, arn = Role(scene.world), scene.own_policy()
    scene.iam.put_role_policy(RoleName="app", PolicyName="bucket", PolicyDocument=LITTLE)
    scene.iam.attach_role_policy(RoleName="app", PolicyArn=arn)
    scene.world.responder().invoke(scene.world.event(OUTSIDE, role=role))
    scene.iam.put_role_policy(RoleName="app", PolicyName="bucket", PolicyDocument=EVERYTHING)
    scene.plant(arn)
    lines = "inline policy bucket was changed since", f"policy {arn} was changed since: another version of it counts"
    scene.drifted(*lines, name="app", kind="role")


def test_what_could_not_be_read_at_the_time_needs_a_persons_word(scene):
    user = User(scene.world)
    scene.world.fault("iam:GetUserPolicy", "AccessDenied", status=403, times=1)
    event = scene.world.event(EXFILTRATION, user)
    [report] = scene.world.responder().invoke(event)["reports"]
    assert report["verdict"] == "Contained" and any("asks for `force`" in note for note in report["notes"])
    scene.drifted("what the policies said before is not known: it could not be read")


def test_a_retry_reads_what_the_first_try_could_not(scene):
    user = User(scene.world)
    scene.world.fault("iam:GetUserPolicy", "AccessDenied", status=403, times=1)
    for _ in range(2):
        scene.contain(user)
    assert scene.restore()["verdict"] == "Restored"


def test_what_is_read_long_after_the_snapshot_is_no_state_of_before(scene):
    """An intruder has changed it meanwhile, and the same behaviour is reported again."""
    user, world = User(scene.world), scene.world
    world.fault("iam:GetUserPolicy", "AccessDenied", status=403, times=1)
    scene.contain(user)
    dynamodb = world.client("dynamodb", world.security)
    [table] = dynamodb.list_tables()["TableNames"]
    [record] = [it for it in dynamodb.scan(TableName=table)["Items"] if any(name.startswith("snapshot ") for name in it)]
    [name] = [it for it in record if it.startswith("snapshot ")]
    snapshot = json.loads(record[name]["S"])
    snapshot["at"] -= 3_600_000
    dynamodb.update_item(
        TableName=table, Key={"id": record["id"]}, UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": name}, ExpressionAttributeValues={":value": {"S": json.dumps(snapshot)}},
    )
    scene.contain(user)
    scene.drifted("what the policies said before is not known: it could not be read")

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def test_an_inline_policy_of_a_user_is_no_drift_by_its_name(scene):
    """`AWSRevokeOlderSessions` is ours on roles alone."""
    user = User(scene.world)
    scene.iam.put_user_policy(UserName="alice", PolicyName="AWSRevokeOlderSessions", PolicyDocument=LITTLE)
    scene.contain(user)
    assert scene.restore()["verdict"] == "Restored"


def test_an_inline_policy_of_a_user_with_that_name_that_says_something_else(scene):
    user = User(scene.world)
    scene.iam.put_user_policy(UserName="alice", PolicyName="AWSRevokeOlderSessions", PolicyDocument=LITTLE)
    scene.contain(user)
    scene.iam.put_user_policy(UserName="alice", PolicyName="AWSRevokeOlderSessions", PolicyDocument=EVERYTHING)
    scene.drifted("inline policy AWSRevokeOlderSessions was changed since")


def test_a_password_that_was_set_after_the_response_deleted_it(world):
    scene = Scene(world, RemoveLoginProfile="true")
    user = User(world)
    scene.iam.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
    scene.contain(user)
    scene.iam.create_login_profile(UserName="alice", Password="the-Intruders-0wn")
    scene.drifted("a console password was set since")


@pytest.mark.parametrize(("what", "line"), [
    ("GetLoginProfile", "the console password before is not known: it could not be read"),
    ("ListMFADevices", "the mfa devices before are not known: they could not be read"),
])
def test_a_password_or_device_that_could_not_be_read_before(scene, what, line):
    user = User(scene.world)
    scene.world.fault(f"iam:{what}", "AccessDenied", status=403, times=1)
    scene.contain(user)
    scene.drifted(line)


def test_a_deny_that_somebody_else_lifted(scene):
    user = User(scene.world)
    scene.contain(user)
    scene.iam.detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    scene.drifted(f"{DENY_ALL} was taken away since, and not by us: the containment did not last")


def test_tags_that_policies_may_decide_by(scene):
    user = User(scene.world)
    scene.iam.tag_user(UserName="alice", Tags=[{"Key": key, "Value": "web"} for key in ("team", "floor", "Site")])
    scene.contain(user)
    scene.iam.tag_user(UserName="alice", Tags=[{"Key": "team", "Value": "security"}, {"Key": "desk", "Value": "1"}])
    scene.iam.untag_user(UserName="alice", TagKeys=["floor"])
    report = scene.restore()
    assert (report["verdict"], sorted(report["drift"])) == (
        "Drifted", ["tag desk was added since", "tag team was changed since", "tags were removed since: 1"]
    )
    assert scene.restore(force=True)["verdict"] == "Restored"
    tags = {tag["Key"]: tag["Value"] for tag in scene.iam.list_user_tags(UserName="alice")["Tags"]}
    assert tags == {"team": "security", "desk": "1", "Site": "web"}


def test_what_came_between_two_responses_was_there_before_neither(scene):
    """An intruder makes a contained user an administrator; a second response takes that; both are taken back."""
    user = User(scene.world, policies=["ReadOnlyAccess"], groups=())
    scene.contain(user)
    scene.iam.attach_user_policy(UserName="alice", PolicyArn=ADMINISTRATOR)
    scene.contain(user, OVERPRIVILEGED)
    first, second = scene.restore(), scene.restore()
    assert first["response"].startswith("overprivileged-user@") and second["response"].startswith("compromised-credential@")
    assert (second["verdict"], second["drift"]) == ("Drifted", [f"policy {ADMINISTRATOR} was added since"])
    assert "AWSDenyAll" in user.state()["policies"]


def test_a_boundary_that_a_person_set_beside_our_deny_stays(scene):
    user = User(scene.world)
    scene.contain(user)
    scene.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=DENY_ALL)
    scene.drifted(f"the permissions boundary was set to {DENY_ALL} since")
    assert user.state()["boundary"] == DENY_ALL
