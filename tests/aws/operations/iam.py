"""IAM: quotas, short pages, users' boundaries, and keys of other accounts.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

import datetime as dt
import json
import random
import string

import moto.iam.models
from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import Group, IAMBackend, Role, User
from moto.iam.responses import IamResponse

from . import state
from ..dispatch import SimulatedError
from ..facts import is_service_linked

# AWS promises no page size, only a marker: short pages show who forgets to follow it.
PAGE = 6
# Accounts in which a page is as long as was asked for, 100 items unless told otherwise.
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html
LONG_PAGES = set()
MANAGED_POLICIES_QUOTA = 10
TAGS_QUOTA = 50
# Of all of a role's inline policies together, white space not counted.
ROLE_POLICIES_QUOTA = 10_240

# moto reads all 1,582 of AWS's managed policies anew for every account, which takes longer than a
# response. These are the ones that the tests attach.
MANAGED_POLICIES = (
    "AWSCompromisedKeyQuarantineV3",
    "AWSDenyAll",
    "AdministratorAccess",
    "AmazonEC2FullAccess",
    "AmazonRDSFullAccess",
    "AmazonS3FullAccess",
    "AmazonSNSFullAccess",
    "AmazonSQSFullAccess",
    "AmazonVPCFullAccess",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "PowerUserAccess",
    "ReadOnlyAccess",
)

PAGED = {
    "list_access_keys": "AccessKeyMetadata",
    "list_attached_group_policies": "AttachedPolicies",
    "list_attached_role_policies": "AttachedPolicies",
    "list_attached_user_policies": "AttachedPolicies",
    "list_group_policies": "PolicyNames",
    "list_groups_for_user": "Groups",
    "list_mfa_devices": "MFADevices",
    "list_role_policies": "PolicyNames",
    "list_roles": "Roles",
    "list_signing_certificates": "Certificates",
    "list_ssh_public_keys": "SSHPublicKeys",
    "list_user_policies": "PolicyNames",
    "list_users": "Users",
}


def paged(original, member):
    def listing(self):
        start = int(self.sim_params.get("Marker") or 0)
        # moto's own paging is bypassed: ask for everything, then cut.
        self.sim_everything = True
        result = dict(original(self).result)
        every = list(result[member])
        end = start + (int(self.sim_params.get("MaxItems", 100)) if self.current_account in LONG_PAGES else PAGE)
        result[member] = every[start:end]
        result["IsTruncated"] = end < len(every)
        result["Marker"] = str(end) if end < len(every) else None
        return ActionResult(result)

    return listing


def _without_paging(original):
    def get(self, name, *default):
        if getattr(self, "sim_everything", False):
            if name == "Marker":
                return None
            if name == "MaxItems":
                return 1000
        return original(self, name, *default)

    return get


def _user(self):
    return self.backend.get_user(self.sim_params["UserName"])


def put_user_permissions_boundary(self):
    arn = self.sim_params["PermissionsBoundary"]
    if arn not in self.backend.managed_policies:
        raise NotFoundException(f"Scope ARN: {arn} does not exist or is not attachable.")
    _user(self).permissions_boundary_arn = arn
    return ActionResult({})


def delete_user_permissions_boundary(self):
    _user(self).permissions_boundary_arn = None
    return ActionResult({})


def boundary(self):
    arn = getattr(self, "permissions_boundary_arn", None)
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn} if arn else None


def with_quota(original, count, quota):
    def guarded(self):
        if count(self) > quota:
            raise SimulatedError("LimitExceeded", f"Cannot exceed quota: {quota}")
        return original(self)

    return guarded


def _policies_after(self):
    return len({*_user(self).managed_policies, self.sim_params["PolicyArn"]})


def _inline_after(self):
    documents = {**self.backend.get_role(self.sim_params["RoleName"]).policies, self.sim_params["PolicyName"]: self.sim_params["PolicyDocument"]}
    return sum(len("".join(document.split())) for document in documents.values())


def _tags_after(self):
    named = self.sim_params.get("UserName")
    present = {tag["Key"] for tag in (_user(self) if named else self.backend.get_role(self.sim_params["RoleName"])).tags or []}
    return len(present | {tag["Key"] for tag in self.sim_params["Tags"]})


def create_service_specific_credential(self):
    user, credentials = _user(self), state(self, "service-credentials", region="-")
    identifier = "ACCA" + "".join(random.choices(string.ascii_uppercase + string.digits, k=17))
    credentials[identifier] = {
        "UserName": user.name,
        "ServiceName": self.sim_params["ServiceName"],
        "ServiceSpecificCredentialId": identifier,
        "Status": "Active",
        "CreateDate": dt.datetime.now(dt.timezone.utc),
    }
    return ActionResult({"ServiceSpecificCredential": credentials[identifier]})


def list_service_specific_credentials(self):
    credentials = state(self, "service-credentials", region="-")
    if self.sim_params.get("AllUsers"):
        return ActionResult({"ServiceSpecificCredentials": list(credentials.values()), "IsTruncated": False})
    user = _user(self)
    mine = [it for it in credentials.values() if it["UserName"] == user.name]
    return ActionResult({"ServiceSpecificCredentials": mine, "IsTruncated": False})


def update_service_specific_credential(self):
    credential = state(self, "service-credentials", region="-").get(self.sim_params["ServiceSpecificCredentialId"])
    if credential is None or credential["UserName"] != self.sim_params["UserName"]:
        raise SimulatedError("NoSuchEntity", "no such credential")
    credential["Status"] = self.sim_params["Status"]
    return ActionResult({})


def own_keys_only(original):
    """AWS knows every account's keys and tells nobody about another's."""

    def last_used(self):
        key = self.sim_params["AccessKeyId"]
        if key not in {k.access_key_id for u in self.backend.users.values() for k in u.access_keys}:
            raise SimulatedError("AccessDenied", "User is not authorized to perform: iam:GetAccessKeyLastUsed")
        return original(self)

    return last_used


def text_policies(original):
    """CloudFormation hands moto inline policies as dicts, which it then shows as Python, and leaves
    nulls where `AWS::NoValue` stood."""

    def put_policy(self, name, document):
        if not isinstance(document, str):
            document["Statement"] = [statement for statement in document["Statement"] if statement]
            document = json.dumps(document, default=str)
        return original(self, name, document)

    return put_policy


def keeping_tags(original):
    """moto keeps a user's tags under its ARN: when the user is renamed it loses them, and whoever gets the name has them."""

    def update_user(self, user_name, new_path=None, new_user_name=None):
        user = self.get_user(user_name)
        tags = user.tags or []
        self.tagger.delete_all_tags_for_resource(user.arn)
        original(self, user_name, new_path, new_user_name)
        self.tagger.tag_resource(user.arn, tags)

    return update_user


def _spelt(present, key):
    """A tag's key as the identity has it: IAM keeps how it was written and compares without case.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules"""
    return next((tag["Key"] for tag in present or [] if tag["Key"].lower() == key.lower()), key)


def replacing_whatever_the_case(find, untag, original):
    """A tag that differs from one that is there only by case takes its place."""

    def tag(self, name, tags):
        present = find(self, name).tags
        former = [spelt for it in tags if (spelt := _spelt(present, it["Key"])) != it["Key"]]
        if former:
            untag(self, name, former)
        return original(self, name, tags)

    return tag


def whatever_the_case(find, original):
    return lambda self, name, tag_keys: original(self, name, [_spelt(find(self, name).tags, key) for key in tag_keys])


def with_unique_id(original):
    """moto's users have IDs without the prefix that tells them from roles.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""

    def initialise(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.id = "AIDA" + "".join(random.choices(string.ascii_uppercase + string.digits, k=17))

    return initialise


def not_awss(original):
    """AWS's own policies are AWS's."""

    def change(self):
        if "::aws:policy/" in self.sim_params["PolicyArn"]:
            raise SimulatedError("AccessDenied", "the policy is AWS's")
        return original(self)

    return change


def not_service_linked(original):
    """A role that belongs to a service is changed by that service only, for which the tests'
    administrators stand."""

    def change(self):
        if self.sim_caller.kind != "administrator" and is_service_linked(self.backend.get_role(self.sim_params["RoleName"]).arn):
            raise SimulatedError("UnmodifiableEntity", "Cannot perform the operation on a protected role")
        return original(self)

    return change


ROLE_CHANGES = (
    "attach_role_policy",
    "delete_role",
    "delete_role_permissions_boundary",
    "delete_role_policy",
    "detach_role_policy",
    "put_role_permissions_boundary",
    "put_role_policy",
    "update_assume_role_policy",
)


def install():
    every = json.loads(moto.iam.models.aws_managed_policies_data)
    moto.iam.models.aws_managed_policies_data = json.dumps({name: every[name] for name in MANAGED_POLICIES})
    User.__init__ = with_unique_id(User.__init__)
    IAMBackend.update_user = keeping_tags(IAMBackend.update_user)
    for find, kind in ((IAMBackend.get_user, "user"), (IAMBackend.get_role, "role")):
        tag, untag = getattr(IAMBackend, f"tag_{kind}"), getattr(IAMBackend, f"untag_{kind}")
        setattr(IAMBackend, f"tag_{kind}", replacing_whatever_the_case(find, untag, tag))
        setattr(IAMBackend, f"untag_{kind}", whatever_the_case(find, untag))
    for name, member in PAGED.items():
        setattr(IamResponse, name, paged(getattr(IamResponse, name), member))
    IamResponse._get_param = _without_paging(IamResponse._get_param)
    IamResponse._get_int_param = _without_paging(IamResponse._get_int_param)
    IamResponse.put_user_permissions_boundary = put_user_permissions_boundary
    IamResponse.delete_user_permissions_boundary = delete_user_permissions_boundary
    for operation in (create_service_specific_credential, list_service_specific_credentials, update_service_specific_credential):
        setattr(IamResponse, operation.__name__, operation)
    IamResponse.attach_user_policy = with_quota(IamResponse.attach_user_policy, _policies_after, MANAGED_POLICIES_QUOTA)
    IamResponse.tag_user = with_quota(IamResponse.tag_user, _tags_after, TAGS_QUOTA)
    IamResponse.tag_role = with_quota(IamResponse.tag_role, _tags_after, TAGS_QUOTA)
    IamResponse.put_role_policy = with_quota(IamResponse.put_role_policy, _inline_after, ROLE_POLICIES_QUOTA)
    IamResponse.get_access_key_last_used = own_keys_only(IamResponse.get_access_key_last_used)
    for change in ("create_policy_version", "delete_policy", "set_default_policy_version"):
        setattr(IamResponse, change, not_awss(getattr(IamResponse, change)))
    for change in ROLE_CHANGES:
        setattr(IamResponse, change, not_service_linked(getattr(IamResponse, change)))
    User.permissions_boundary = property(boundary)
    for model in (Role, User, Group):
        model.put_policy = text_policies(model.put_policy)
