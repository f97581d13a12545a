"""Identities to rescue, and what they can do. All through boto3."""

import contextlib
import json
import threading

from botocore.exceptions import ClientError

from .world import POLICIES

INLINE = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
ANYONE_HERE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
LONG_AGO = "2020-01-01T00:00:00"


class User:
    """A user with two keys, three policies, two groups and an inline policy."""

    def __init__(self, world, name="alice", id=None, key=None, path="/", policies=POLICIES, groups=("developers", "operators")):
        self.world, self.name = world, name
        iam = world.iam
        created = iam.create_user(UserName=name, Path=path)["User"]
        self.id, self.arn = id or created["UserId"], created["Arn"]
        self.keys = [iam.create_access_key(UserName=name)["AccessKey"] for _ in range(2)]
        self.identify(id=self.id, created=LONG_AGO)
        if key:
            self.identify(key=self.keys[0]["AccessKeyId"], new_key=key)
            self.keys[0]["AccessKeyId"] = key
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=f"arn:{world.partition}:iam::aws:policy/{policy}")
        for group in groups:
            with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
                iam.create_group(GroupName=group)
            iam.add_user_to_group(GroupName=group, UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="bucket", PolicyDocument=INLINE)

    def identify(self, **fields):
        self.world.identify(user=self.name, **fields)

    def session(self, service="iam", key=0):
        """A client with one of the user's own keys."""
        key = self.keys[key]
        return self.world.client(
            service, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
        )

    def key_works(self, key=0):
        return allowed(self.session(key=key).list_users)

    def state(self):
        return user_state(self.world.iam, self.name)

    def is_denied(self):
        return "AWSDenyAll" in self.state()["policies"]


@contextlib.contextmanager
def stripped(*users, every):
    """Somebody takes the deny away again and again, every so many seconds."""
    over = threading.Event()

    def fight():
        while not over.wait(every):
            for user in filter(User.is_denied, users):
                user.world.iam.detach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")

    attacker = threading.Thread(target=fight)
    attacker.start()
    try:
        yield
    finally:
        over.set()
        attacker.join()


def user_state(iam, name):
    """Everything a response may change, as IAM tells an administrator."""

    def every(operation, member, pick):
        pages = iam.get_paginator(operation).paginate(UserName=name)
        return sorted(pick(item) for page in pages for item in page[member])

    user = iam.get_user(UserName=name)["User"]
    keys = every("list_access_keys", "AccessKeyMetadata", lambda it: (it["AccessKeyId"], it["Status"]))
    return {
        "keys": dict(keys),
        "policies": every("list_attached_user_policies", "AttachedPolicies", lambda it: it["PolicyName"]),
        "inline": every("list_user_policies", "PolicyNames", str),
        "groups": every("list_groups_for_user", "Groups", lambda it: it["GroupName"]),
        "boundary": user.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "tags": {tag["Key"]: tag["Value"] for tag in user.get("Tags", [])},
    }


class Role:
    """A role that anyone in its account may assume, and a session of it."""

    def __init__(self, world, name="app", id=None, path="/"):
        self.world, self.name = world, name
        iam = world.iam
        created = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(ANYONE_HERE))["Role"]
        self.id, self.arn = id or created["RoleId"], created["Arn"]
        world.identify(role=name, id=self.id, created=LONG_AGO)
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:{world.partition}:iam::aws:policy/AdministratorAccess")

    def session(self):
        credentials = self.world.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="work")["Credentials"]
        return self.world.client(
            "iam",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def state(self):
        iam = self.world.iam
        role = iam.get_role(RoleName=self.name)["Role"]
        names = iam.list_role_policies(RoleName=self.name)["PolicyNames"]
        return {
            "inline": {n: iam.get_role_policy(RoleName=self.name, PolicyName=n)["PolicyDocument"] for n in names},
            "tags": {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
        }


def allowed(call, **parameters):
    """Whether AWS lets the caller do it: a refusal for want of permission or of a valid key is no."""
    try:
        call(**parameters)
        return True
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in ("AccessDenied", "InvalidClientTokenId", "AccessDeniedException"), code
        return False
