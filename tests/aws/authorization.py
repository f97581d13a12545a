"""Whether a request may be made, as IAM would decide it.

moto's own enforcement lets inactive keys work, ignores external IDs and takes every condition but
StringEquals as true, so that none of it is used.
"""

import datetime as dt
import re
import time
from urllib.parse import urlparse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from . import callers, lag
from .policy import Unsupported, as_list, evaluate

ActionAuthenticatorMixin._authenticate_and_authorize_action = lambda self, cls, resource="*": None

# The members of the one organisation there is.
ORGANISATION = "o-simulated00"


# Service control policies, by the account they apply to: a Deny in one beats everything within.
CONTROL_POLICIES = {}


class Denied(Exception):
    def __init__(self, code, message, status=403):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def _user(params, account, region):
    name, partition = params["UserName"], get_partition(region)
    user = iam_backends[account][partition].users.get(name)
    return [user.arn if user else f"arn:{partition}:iam::{account}:user{params.get('Path', '/')}{name}"]


def _role(params, account, region):
    name, partition = params["RoleName"], get_partition(region)
    roles = iam_backends[account][partition].roles.values()
    return [next((role.arn for role in roles if role.name == name), f"arn:{partition}:iam::{account}:role/{name}")]


def _group(params, account, region):
    return [f"arn:{get_partition(region)}:iam::{account}:group/{params['GroupName']}"]


def _automation(params, account, region):
    document = params["DocumentName"]
    partition = get_partition(region)
    if not document.startswith("arn:"):
        document = f"arn:{partition}:ssm:{region}:{account}:document/{document}"
    return [document, f"arn:{partition}:ssm:{region}:{account}:automation-execution/*"]


def _ops_item(params, account, region):
    return [f"arn:{get_partition(region)}:ssm:{region}:{account}:opsitem/*"]


def _hub(params, account, region):
    return [f"arn:{get_partition(region)}:securityhub:{region}:{account}:hub/default"]


def _buses(params, account, region):
    names = {entry.get("EventBusName", "default") for entry in params["Entries"]}
    return [name if name.startswith("arn:") else f"arn:{get_partition(region)}:events:{region}:{account}:event-bus/{name}" for name in names]


def _table(params, account, region):
    table = f"arn:{get_partition(region)}:dynamodb:{region}:{account}:table/{params['TableName']}"
    return [f"{table}/index/{params['IndexName']}" if "IndexName" in params else table]


# What each action is checked against: the service authorization reference.
# https://docs.aws.amazon.com/service-authorization/latest/reference/
RESOURCES = {
    "sts:AssumeRole": lambda params, account, region: [params["RoleArn"]],
    "iam:RemoveUserFromGroup": _group,
    "iam:AddUserToGroup": _group,
    "iam:GetGroupPolicy": _group,
    "iam:ListAttachedGroupPolicies": _group,
    "iam:ListGroupPolicies": _group,
    "iam:GetPolicy": lambda params, account, region: [params["PolicyArn"]],
    "iam:GetPolicyVersion": lambda params, account, region: [params["PolicyArn"]],
    "iam:GetAccessKeyLastUsed": lambda params, account, region: ["*"],
    "ssm:StartAutomationExecution": _automation,
    "ssm:CreateOpsItem": _ops_item,
    "ssm-incidents:StartIncident": lambda params, account, region: [params["responsePlanArn"]],
    "securityhub:BatchUpdateFindings": _hub,
    "events:PutEvents": _buses,
    "dynamodb:GetItem": _table,
    "dynamodb:Query": _table,
    "dynamodb:UpdateItem": _table,
    "sns:Publish": lambda params, account, region: [params.get("TopicArn") or "*"],
}


def resources(action, params, account, region):
    find = RESOURCES.get(action)
    if find is None and action.startswith("iam:"):
        find = _user if params.get("UserName") else _role if params.get("RoleName") else None
    return find(params, account, region) if find else ["*"]


def authorise(response, action, params):
    """The caller and the resources, or Denied."""
    partition = get_partition(response.region)
    caller = lag.enforced(callers.find(response.get_access_key(), partition))
    if caller.kind == "administrator":
        return caller, ["*"]
    invalid = Denied("InvalidClientTokenId", "The security token included in the request is invalid.")
    if caller.kind == "unknown" or not caller.active:
        raise invalid
    if caller.token and response.headers.get("X-Amz-Security-Token") != caller.token:
        raise invalid
    if caller.expires and caller.expires.replace(tzinfo=dt.timezone.utc) < dt.datetime.now(dt.timezone.utc):
        raise Denied("ExpiredToken", "The security token included in the request is expired")
    check_signature(response, caller)
    targets = resources(action, params, caller.account, response.region)
    if action != "sts:GetCallerIdentity":  # It succeeds under any policy, also for real.
        decide(caller, action, params, targets, response.region)
    return caller, targets


def decide(caller, action, params, targets, region):
    message = f"User: {caller.arn} is not authorized to perform: {action} on resource: {targets[0]}"
    partition = get_partition(region)
    facts = context(caller, action, params, region)
    try:
        identity = evaluate(caller.documents, action, targets, facts)
        if identity == "deny":
            raise Denied("AccessDenied", f"{message} with an explicit deny in an identity-based policy")
        if caller.boundary:
            boundary = iam_backends[caller.account][partition].get_policy(caller.boundary)
            if evaluate([callers.default_document(boundary)], action, targets, facts) != "allow":
                raise Denied("AccessDenied", f"{message} because no permissions boundary allows the action")
        if caller.session_policy and evaluate([caller.session_policy], action, targets, facts) != "allow":
            raise Denied("AccessDenied", f"{message} because no session policy allows the action")
        if evaluate(CONTROL_POLICIES.get(caller.account, []), action, targets, facts) == "deny":
            raise Denied("AccessDenied", f"{message} with an explicit deny in a service control policy")
        if identity != "allow":
            raise Denied("AccessDenied", f"{message} because no identity-based policy allows the {action} action")
        if action == "sts:AssumeRole" and not trusts(targets[0], caller, facts, partition):
            raise Denied("AccessDenied", message)
    except Unsupported as operator:
        raise Denied("SimUnsupportedCondition", f"condition operator {operator}", 500) from operator


def trusts(role_arn, caller, facts, partition):
    account = role_arn.split(":")[4]
    try:
        role = iam_backends[account][partition].get_role_by_arn(role_arn)
    except Exception:
        return False
    who = {"account": caller.account, "arns": caller.arns}
    return evaluate([role.assume_role_policy_document], "sts:AssumeRole", [role_arn], facts, who) == "allow"


def role_may(role, action, resource):
    """Whether the role's own policies let it, for what services do with a role."""
    return evaluate(list(role.policies.values()), action, [resource], {}) == "allow"


def trusts_service(role, service):
    return evaluate([role.assume_role_policy_document], "sts:AssumeRole", [role.arn], {}, {"service": service}) == "allow"


def context(caller, action, params, region):
    facts = {
        "aws:principalarn": caller.principal_arn or caller.arn,
        "aws:principalaccount": caller.account,
        "aws:principaltype": "User" if caller.kind == "user" else "AssumedRole",
        "aws:principalorgid": ORGANISATION,
        "aws:resourceorgid": ORGANISATION,
        "aws:username": caller.name if caller.kind == "user" else None,
        "aws:userid": caller.user_id,
        "aws:requestedregion": region,
        "aws:resourceaccount": caller.account,
        "aws:currenttime": dt.datetime.now(dt.timezone.utc).isoformat(),
        "aws:epochtime": str(int(time.time())),
        "aws:securetransport": "true",
        "aws:tokenissuetime": caller.issued.isoformat() if caller.issued else None,
        "sts:externalid": params.get("ExternalId"),
        "sts:rolesessionname": params.get("RoleSessionName"),
        "iam:policyarn": params.get("PolicyArn"),
        "iam:permissionsboundary": params.get("PermissionsBoundary"),
    }
    for key, value in resource_tags(iam_backends[caller.account][get_partition(region)], params):
        facts[f"aws:resourcetag/{key.lower()}"] = value
    if action == "events:PutEvents":
        facts["events:source"] = [entry["Source"] for entry in params["Entries"]]
    if action in ("iam:TagUser", "iam:TagRole"):
        facts["aws:tagkeys"] = [tag["Key"] for tag in as_list(params.get("Tags", []))]
    if action in ("iam:UntagUser", "iam:UntagRole"):
        facts["aws:tagkeys"] = as_list(params["TagKeys"])
    return {key: value for key, value in facts.items() if value is not None}


def resource_tags(iam, params):
    if params.get("UserName"):
        user = iam.users.get(params["UserName"])
        return [(tag["Key"], tag["Value"]) for tag in (user.tags if user else None) or []]
    role = next((role for role in iam.roles.values() if role.name == params.get("RoleName")), None)
    return [(tag["Key"], tag["Value"]) for tag in (role.tags if role else None) or []]


def check_signature(response, caller):
    url, headers = urlparse(response.uri), response.headers
    header = headers["Authorization"]
    _, _, region, service, _ = re.search(r"Credential=([^,]+)", header).group(1).split("/")
    signed = re.search(r"SignedHeaders=([^,]+)", header).group(1).split(";")
    request = AWSRequest(
        method=response.method,
        url=response.raw_path + ("?" + url.query if url.query else ""),
        data=response.sim_body,
        headers={name: value for name, value in headers.items() if name.lower() in signed},
    )
    request.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials(caller.key, caller.secret, caller.token), service, region)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    if re.search(r"Signature=(\w+)", header).group(1) != auth.signature(to_sign, request):
        raise Denied("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
