"""The doors by which an administrator of a member account may try to bring back what was contained.

Each is tried to its end: what is refused on the way does not stop it. `GUARDED` lists those that are
open without the guardrail, `SHUT` those that AWS itself keeps shut.
"""

import json
import urllib.error

from botocore.exceptions import ClientError

from .victims import User

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
REVOCATION = "AWSRevokeOlderSessions"
ALLOW_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
STACK_SETS_ROLE = "stacksets-exec-0a1b2c3d"
SELF_MANAGED_ROLE = "AWSCloudFormationStackSetExecutionRole"
STACK = "StackSet-iam-responder-member-0a1b2c3d"
MARK = "SecurityIncident"
EMPTY_TEMPLATE = json.dumps({"Resources": {"Nothing": {"Type": "AWS::SQS::Queue"}}})


def attempt(call, **parameters):
    """The answer, or None where AWS refuses."""
    try:
        return call(**parameters)
    except ClientError:
        return None


def client_keys(credentials):
    """STS's answer as a client takes it."""
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


class Administrator:
    """A user with `AdministratorAccess`, and the victims that it wants back."""

    def __init__(self, world, users=(), roles=()):
        self.world, self.users, self.roles = world, list(users), list(roles)
        self.user = User(world, name="insider", groups=())
        self.iam = self.user.session()
        account = f"arn:aws:iam::{world.member}:root"
        self.trust_me = self.trust({"AWS": account})

    @staticmethod
    def trust(principal):
        statement = {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def arn(self, role, path="/"):
        return f"arn:aws:iam::{self.world.member}:role{path}{role}"

    def assume(self, arn, name="admin", **options):
        answer = attempt(self.user.session("sts").assume_role, RoleArn=arn, RoleSessionName=name, **options)
        return self.world.client("iam", **client_keys(answer["Credentials"])) if answer else None

    def from_service(self, arn, service):
        """What code that a service runs with the role can do."""
        asked = {"role_arn": arn, "region": self.world.region, "service": service}
        try:
            given = self.world.control("role-credentials", asked)
        except urllib.error.HTTPError:
            return None
        return self.world.client("iam", **{name.lower(): value for name, value in given.items()})

    def make_role(self, name, path="/", trust=None, iam=None):
        iam = iam or self.iam
        attempt(iam.create_role, RoleName=name, Path=path, AssumeRolePolicyDocument=trust or self.trust_me)
        attempt(iam.update_assume_role_policy, RoleName=name, PolicyDocument=trust or self.trust_me)
        attempt(iam.attach_role_policy, RoleName=name, PolicyArn=ADMINISTRATOR)
        return self.arn(name, path)

    def strip(self, iam):
        """Takes away, as this principal, whatever holds the victims."""
        if iam is None:
            return
        for user in self.users:
            attempt(iam.detach_user_policy, UserName=user.name, PolicyArn=DENY_ALL)
            attempt(iam.delete_user_permissions_boundary, UserName=user.name)
            for key in user.keys:
                attempt(iam.update_access_key, UserName=user.name, AccessKeyId=key["AccessKeyId"], Status="Active")
        for role in self.roles:
            attempt(iam.detach_role_policy, RoleName=role.name, PolicyArn=DENY_ALL)
            attempt(iam.delete_role_policy, RoleName=role.name, PolicyName=REVOCATION)

    def strip_by_way_of(self, iam):
        """Strips as this principal, and as the restore role after opening it to everybody here."""
        if iam is None:
            return
        self.strip(iam)
        self.strip(self.assume(self.make_role("SecurityRestoreRole", iam=iam)))


def strip_directly(admin):
    admin.strip(admin.iam)


def put_something_else_in_place(admin):
    for user in admin.users:
        attempt(admin.iam.put_user_permissions_boundary, UserName=user.name, PermissionsBoundary=ADMINISTRATOR)
    for role in admin.roles:
        attempt(admin.iam.put_role_policy, RoleName=role.name, PolicyName=REVOCATION, PolicyDocument=ALLOW_ALL)


def _after_tagging(change):
    """Whatever the tags say then: strip and replace."""

    def door(admin):
        for user in admin.users:
            attempt(getattr(admin.iam, f"{change[0]}_user"), UserName=user.name, **change[1])
        for role in admin.roles:
            attempt(getattr(admin.iam, f"{change[0]}_role"), RoleName=role.name, **change[1])
        admin.strip(admin.iam)
        put_something_else_in_place(admin)

    return door


def rename_the_user(admin):
    for user in admin.users:
        other = user.name.removesuffix("-2") if user.name.endswith("-2") else f"{user.name}-2"
        if attempt(admin.iam.update_user, UserName=user.name, NewUserName=other):
            user.name = other
    admin.strip(admin.iam)


def delete_and_make_anew(admin):
    """The keys of a user and the sessions of a role are those of its unique ID, and end with it."""
    for role in admin.roles:
        for name in (admin.iam.list_role_policies(RoleName=role.name)["PolicyNames"]):
            attempt(admin.iam.delete_role_policy, RoleName=role.name, PolicyName=name)
        attempt(admin.iam.detach_role_policy, RoleName=role.name, PolicyArn=ADMINISTRATOR)
        attempt(admin.iam.delete_role, RoleName=role.name)
        admin.make_role(role.name)


def change_the_deny_itself(admin):
    made = attempt(admin.iam.create_policy_version, PolicyArn=DENY_ALL, PolicyDocument=ALLOW_ALL, SetAsDefault=True)
    if made:
        attempt(admin.iam.set_default_policy_version, PolicyArn=DENY_ALL, VersionId=made["PolicyVersion"]["VersionId"])
    attempt(admin.iam.delete_policy, PolicyArn=DENY_ALL)


def _by_a_new_role(name, path="/"):
    return lambda admin: admin.strip_by_way_of(admin.assume(admin.make_role(name, path)))


def open_the_restore_role(admin):
    admin.strip_by_way_of(admin.iam)


def open_the_remediation_role(admin):
    admin.strip(admin.assume(admin.make_role("SecurityRemediationRole")))


def restore_role_where_there_is_none(admin):
    """As in an account that the StackSet has not reached yet."""
    iam = admin.world.iam
    attempt(iam.delete_role_policy, RoleName="SecurityRestoreRole", PolicyName="restore")
    attempt(iam.delete_role, RoleName="SecurityRestoreRole")
    admin.strip(admin.assume(admin.make_role("SecurityRestoreRole")))
    admin.strip(admin.assume(admin.make_role("SecurityRestoreRole", path="/x/")))


def open_the_role_of_stack_sets(admin):
    admin.strip_by_way_of(admin.assume(admin.make_role(STACK_SETS_ROLE)))


def become_the_trusted_role_of_self_managed_stack_sets(admin):
    """It trusts its administrator account, which here is this one."""
    admin.strip_by_way_of(admin.assume(admin.arn(SELF_MANAGED_ROLE)))


def pass_a_role_to_lambda(admin):
    functions = admin.user.session("lambda")
    for role in (STACK_SETS_ROLE, "SecurityRestoreRole"):
        arn = admin.make_role(role, trust=admin.trust({"Service": "lambda.amazonaws.com"}))
        code = {"ZipFile": b"PK\x05\x06" + bytes(18)}
        function = {"FunctionName": f"{role}-runner", "Code": code, "Runtime": "python3.13", "Handler": "a.b"}
        if attempt(functions.create_function, Role=arn, **function):
            admin.strip_by_way_of(admin.from_service(arn, "lambda.amazonaws.com"))


def put_a_role_on_an_instance(admin):
    attempt(admin.iam.create_instance_profile, InstanceProfileName="runner")
    arn = admin.make_role(STACK_SETS_ROLE, trust=admin.trust({"Service": "ec2.amazonaws.com"}))
    if attempt(admin.iam.add_role_to_instance_profile, InstanceProfileName="runner", RoleName=STACK_SETS_ROLE):
        admin.strip_by_way_of(admin.from_service(arn, "ec2.amazonaws.com"))


def pass_the_role_of_stack_sets_to_cloudformation(admin):
    """A role that is trusted by CloudFormation, as some organisations make it."""
    formation = admin.user.session("cloudformation")
    if attempt(formation.create_stack, StackName="mine", TemplateBody=EMPTY_TEMPLATE, RoleARN=admin.arn(SELF_MANAGED_ROLE)):
        admin.strip_by_way_of(admin.from_service(admin.arn(SELF_MANAGED_ROLE), "cloudformation.amazonaws.com"))


def update_the_stack_of_the_stack_set(admin):
    """CloudFormation goes on with the role that the stack was made with, if there was one."""
    formation = admin.user.session("cloudformation")
    if attempt(formation.update_stack, StackName=STACK, TemplateBody=EMPTY_TEMPLATE):
        admin.strip_by_way_of(admin.from_service(admin.arn(SELF_MANAGED_ROLE), "cloudformation.amazonaws.com"))


def service_linked_role_with_a_name(admin):
    """Service control policies do not reach such a role, but only its service changes or becomes it."""
    made = admin.iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="stacksets-exec-x")
    name = made["Role"]["RoleName"]
    attempt(admin.iam.update_assume_role_policy, RoleName=name, PolicyDocument=admin.trust_me)
    attempt(admin.iam.attach_role_policy, RoleName=name, PolicyArn=ADMINISTRATOR)
    admin.strip_by_way_of(admin.assume(made["Role"]["Arn"]))


def session_with_tags(admin):
    tags = [{"Key": MARK, "Value": "AutomatedSecurityQuarantine"}, {"Key": "Name", "Value": "SecurityRestoreRole"}]
    admin.strip_by_way_of(admin.assume(admin.make_role("tagger"), Tags=tags))


def session_named_as_ours(admin):
    admin.strip_by_way_of(admin.assume(admin.make_role("tagger"), name="SecurityRestoreRole"))


def user_named_as_ours(admin):
    attempt(admin.iam.create_user, UserName="SecurityRestoreRole", Path="/role/")
    attempt(admin.iam.attach_user_policy, UserName="SecurityRestoreRole", PolicyArn=ADMINISTRATOR)
    made = attempt(admin.iam.create_access_key, UserName="SecurityRestoreRole")
    if made:
        key = made["AccessKey"]
        keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
        admin.strip_by_way_of(admin.world.client("iam", **keys))


def leave_the_organisation(admin):
    attempt(admin.user.session("organizations").leave_organization)
    admin.strip(admin.iam)


GUARDED = {
    "strip directly": strip_directly,
    "put something else in place": put_something_else_in_place,
    "remove the mark": _after_tagging(("untag", {"TagKeys": [MARK]})),
    "remove the mark, spelt otherwise": _after_tagging(("untag", {"TagKeys": [MARK.lower()]})),
    "change the mark": _after_tagging(("tag", {"Tags": [{"Key": MARK, "Value": "none"}]})),
    "change the mark, spelt otherwise": _after_tagging(("tag", {"Tags": [{"Key": MARK.upper(), "Value": "none"}]})),
    "rename the user": rename_the_user,
    "open the restore role": open_the_restore_role,
    "open the remediation role": open_the_remediation_role,
    "make the restore role where there is none": restore_role_where_there_is_none,
    "make a drill role": _by_a_new_role("SecurityDrillRole"),
    "make a role of StackSets": _by_a_new_role("stacksets-exec-ffff"),
    "make a role of StackSets by its path": _by_a_new_role("admin", "/stacksets-exec-ffff/"),
    "make a role of StackSets under a path": _by_a_new_role("stacksets-exec-ffff", "/x/"),
    "make a role of self-managed StackSets": _by_a_new_role(SELF_MANAGED_ROLE),
    "open the role of StackSets": open_the_role_of_stack_sets,
    "become the role of self-managed StackSets": become_the_trusted_role_of_self_managed_stack_sets,
    "pass a role to Lambda": pass_a_role_to_lambda,
    "put a role on an instance": put_a_role_on_an_instance,
    "pass the role of StackSets to CloudFormation": pass_the_role_of_stack_sets_to_cloudformation,
    "update the stack of the StackSet": update_the_stack_of_the_stack_set,
    "a session with tags": session_with_tags,
    "a session named as ours": session_named_as_ours,
    "a user named as ours": user_named_as_ours,
    "leave the organisation": leave_the_organisation,
}
SHUT = {
    "delete and make anew": delete_and_make_anew,
    "change the deny itself": change_the_deny_itself,
    "a service-linked role with a name": service_linked_role_with_a_name,
}
