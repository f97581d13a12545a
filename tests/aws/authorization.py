"""Whether a request may be made, as IAM would decide it.

moto's own enforcement lets inactive keys work, ignores external IDs and takes every condition but
StringEquals as true, so that none of it is used.
"""

import datetime as dt
import re
from urllib.parse import urlparse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from . import callers, lag
from .facts import context, is_service_linked, passed_roles, resources
from .policy import Unsupported, evaluate

ActionAuthenticatorMixin._authenticate_and_authorize_action = lambda self, cls, resource="*": None

# Service control policies, by the account they apply to: a Deny in one beats everything within.
CONTROL_POLICIES = {}
# Functions that say which others bind in an account now.
ATTACHED = []


class Denied(Exception):
    def __init__(self, code, message, status=403):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


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
        beside(caller, action, params, targets, response.region)
    return caller, targets


def beside(caller, action, params, targets, region):
    """What else a request must be allowed: to hand roles to services, and to give a session tags."""
    passed, service = passed_roles(action, params, caller.account, region)
    for role in passed:
        decide(caller, "iam:PassRole", {"RoleName": role.split("/")[-1]}, [role], region, {"iam:passedtoservice": service})
    if action == "sts:AssumeRole" and params.get("Tags"):
        decide(caller, "sts:TagSession", params, targets, region)


def decide(caller, action, params, targets, region, more=None):
    message = f"User: {caller.arn} is not authorized to perform: {action} on resource: {targets[0]}"
    partition = get_partition(region)
    facts = context(caller, action, params, region) | (more or {})
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
        policies = [] if is_service_linked(caller.principal_arn) else control_policies(caller.account)
        if evaluate(policies, action, targets, facts) == "deny":
            raise Denied("AccessDenied", f"{message} with an explicit deny in a service control policy")
        if identity != "allow":
            raise Denied("AccessDenied", f"{message} because no identity-based policy allows the {action} action")
        if action in ("sts:AssumeRole", "sts:TagSession") and not trusts(action, targets[0], caller, facts, partition):
            raise Denied("AccessDenied", message)
    except Unsupported as operator:
        raise Denied("SimUnsupportedCondition", f"condition operator {operator}", 500) from operator


def control_policies(account):
    return [*CONTROL_POLICIES.get(account, []), *(document for attached in ATTACHED for document in attached(account))]


def trusts(action, role_arn, caller, facts, partition):
    account = role_arn.split(":")[4]
    try:
        role = iam_backends[account][partition].get_role_by_arn(role_arn)
    except Exception:
        return False
    who = {"account": caller.account, "arns": caller.arns}
    return evaluate([role.assume_role_policy_document], action, [role_arn], facts, who) == "allow"


def role_may(role, action, resource):
    """Whether the role's own policies let it, for what services do with a role."""
    return evaluate(list(role.policies.values()), action, [resource], {}) == "allow"


def trusts_service(role, service):
    facts = {"aws:sourceaccount": role.arn.split(":")[4]}  # Services take roles of their own account's resources.
    return evaluate([role.assume_role_policy_document], "sts:AssumeRole", [role.arn], facts, {"service": service}) == "allow"


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
