"""IAM's policy simulator, which moto does not have: what the evaluator that judges every request says of policies that are
attached, left out and added.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html
"""

import functools
import json
import re

from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

from ... import aws_actions
from .. import authorization, callers
from ..dispatch import SimulatedError
from ..facts import is_service_linked
from ..policy import Unsupported, as_list, evaluate, glob

# Fewer than are asked for: IAM may give fewer, and says whether there are more.
PAGE = 40
# By account: actions of which this simulator has not heard yet.
UNKNOWN = {}
_ARN = re.compile(r"arn:[\w-]+:iam::(\d{12}):(user|group|role)/(?:.*/)?([^/]+)")
_POLICY = re.compile(r"arn:[\w-]+:iam::(?:\d{12}|aws):policy/[^*]*\*?[^*]*")
_loads = functools.lru_cache(1_024)(json.loads)
_WRITTEN = re.compile(rb"PolicyExclusionList\.member\.(\d+)([^=]*)=")
_VARIABLE = re.compile(r"\$\{([^},]+)")


@functools.cache
def _known():
    return {it.lower() for it in aws_actions.actions()}


def _invalid(message):
    return SimulatedError("InvalidInput", message)


def simulate_principal_policy(self):
    asked = self.sim_params
    exclusions = [_exclusion(it) for it in asked.get("PolicyExclusionList") or []]
    # moto leaves out an entry in which it finds no member, and all but one of what is there twice.
    written = _WRITTEN.findall(self.sim_body)
    if len(exclusions) != len({number for number, _ in written}) or len(written) != len(set(written)):
        raise _invalid("A policy identifier has exactly one member, once.")
    for action in asked["ActionNames"]:
        if action.lower() not in _known() or action in UNKNOWN.get(self.current_account, ()):
            raise _invalid(f"Invalid Action: {action} is not a valid action.")
    source = _source(self, asked["PolicySourceArn"])
    boundary = [it.document for it in source["boundary"] if ("permission-boundary",) not in exclusions]
    given = asked.get("PermissionsBoundaryPolicyInputList") or []
    if len(given) > 1:
        raise _invalid("Only one permissions boundary can be given.")
    policies = [it for it in source["policies"] if not any(_leaves_out(exclusion, it) for exclusion in exclusions)]
    policies += [("none", f"PolicyInputList.{n}", _document(it)) for n, it in enumerate(asked.get("PolicyInputList") or [], 1)]
    simulated = {
        "policies": policies,
        "boundary": [_document(it) for it in given] or boundary,
        "scps": None if source["is_exempt"] else [] if ("scp",) in exclusions else authorization.control_policies(self.current_account),
        "context": {it["ContextKeyName"].lower(): _value(it) for it in asked.get("ContextEntries") or []},
    }
    resources = asked.get("ResourceArns") or ["*"]
    start = int(asked.get("Marker") or 0)
    end = start + min(asked.get("MaxItems", 100), PAGE)
    try:
        results = [_result(simulated, action, resources) for action in asked["ActionNames"][start:end]]
    except Unsupported as operator:
        raise SimulatedError("PolicyEvaluation", f"condition operator {operator}") from operator
    more = {"IsTruncated": True, "Marker": str(end)} if end < len(asked["ActionNames"]) else {"IsTruncated": False}
    return ActionResult({"EvaluationResults": results, **more})


def _exclusion(entry):
    """Exactly one of three."""
    if len(entry) != 1:
        raise _invalid(f"A policy identifier has exactly one member, and not {sorted(entry)}.")
    [(kind, value)] = entry.items()
    if kind == "PolicyType":
        return (value,)
    if kind == "PolicyArn":
        if not _POLICY.fullmatch(value):
            raise _invalid(f"{value} is not the ARN of a policy.")
        return ("arn", value)
    # The model's words speak of wildcards in the last; its pattern has none.
    return ("inline-policy", value["PolicyName"], value["AttachmentType"], value["AttachmentName"])


def _leaves_out(exclusion, policy):
    """What matches nothing is ignored."""
    kind, identifier, _ = policy
    if len(exclusion) == 1:
        return exclusion[0] == ("inline" if isinstance(identifier, tuple) else kind)
    if exclusion[0] == "arn":
        return isinstance(identifier, str) and glob(exclusion[1], identifier)
    return isinstance(identifier, tuple) and exclusion[1:] == identifier


def _source(self, arn):
    """The policies of a user with its groups', of a group or of a role, each as its type, what identifies it, and its
    document."""
    named = _ARN.fullmatch(arn)
    if not named or named[1] != self.current_account:
        raise _invalid(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    _, kind, name = named.groups()
    backend = self.backend
    everybody = {"user": backend.users, "group": backend.groups}.get(kind) or {it.name: it for it in backend.roles.values()}
    entity = everybody.get(name)
    if entity is None or entity.arn != arn:
        raise SimulatedError("NoSuchEntity", f"The {kind} with name {name} cannot be found.")
    holders = [(kind, name)]
    holders += [("group", it.name) for it in backend.get_groups_for_user(name)] if kind == "user" else []
    policies = []
    for kind, name in holders:
        inline = getattr(backend, f"list_{kind}_policies")(name)
        for policy in inline:
            got = getattr(backend, f"get_{kind}_policy")(name, policy)
            document = got[1] if kind == "role" else got["policy_document"]
            policies.append((kind, (policy, kind, name), document))
        for policy in getattr(backend, f"list_attached_{kind}_policies")(name)[0]:
            of_aws = "aws-managed" if "::aws:policy/" in policy.arn else "user-managed"
            policies.append((of_aws, policy.arn, callers.default_document(policy)))
    boundary = getattr(entity, "permissions_boundary_arn", None)
    versions = [it for it in backend.get_policy(boundary).versions if it.is_default] if boundary else []
    return {"policies": policies, "boundary": versions, "is_exempt": is_service_linked(arn)}


def _document(text):
    try:
        document = json.loads(text)
        assert as_list(document["Statement"]) and all(it["Effect"] in ("Allow", "Deny") for it in as_list(document["Statement"]))
    except Exception as problem:
        raise _invalid(f"The policy is malformed ({problem!r}).") from problem
    return text


def _value(entry):
    values = entry["ContextKeyValues"]
    if entry["ContextKeyType"].endswith("List"):
        return values
    if len(values) != 1:
        raise _invalid(f"{entry['ContextKeyName']} has one value.")
    return values[0]


def _result(simulated, action, resources):
    """One for each action: the most restrictive of all its resources."""
    each = [_judged(simulated, action, it) for it in resources]
    worst = max(each, key=lambda it: ("allowed", "implicitDeny", "explicitDeny").index(it["decision"]))
    deciding = [it for it in each if it["decision"] == worst["decision"]]
    matched = {it for judged in deciding for it in judged["matched"]}
    missing = sorted({it for judged in each for it in judged["missing"]})
    result = {
        "EvalActionName": action,
        "EvalResourceName": "*",
        "EvalDecision": worst["decision"],
        "MatchedStatements": [_matched(*it) for it in sorted(matched)],
        "MissingContextValues": missing if resources == ["*"] else [],
    }
    if simulated["scps"] is not None:
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": all(it["by_organization"] for it in each)}
    if simulated["boundary"]:
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": all(it["by_boundary"] for it in each)}
    if resources != ["*"]:
        result["ResourceSpecificResults"] = [_of_resource(*it) for it in zip(resources, each, strict=True)]
    return result


def _of_resource(resource, judged):
    return {
        "EvalResourceName": resource,
        "EvalResourceDecision": judged["decision"],
        "MatchedStatements": [_matched(*it) for it in sorted(judged["matched"])],
        "MissingContextValues": sorted(judged["missing"]),
    }


def _matched(kind, name):
    return {"SourcePolicyId": name, "SourcePolicyType": kind}


def _judged(simulated, action, resource):
    policies, context = simulated["policies"], simulated["context"]
    says = lambda documents: evaluate(documents, action, [resource], context)  # noqa: E731
    each = [(kind, identifier, says([document])) for kind, identifier, document in policies]
    answers = [answer for _, _, answer in each]
    identity = next((it for it in ("deny", "allow") if it in answers), "implicit")
    boundary = says(simulated["boundary"]) if simulated["boundary"] else "allow"
    by_organization = says(simulated["scps"] or []) != "deny"
    if not by_organization or "deny" in (identity, boundary):
        decision = "explicitDeny"
    else:
        decision = "allowed" if identity == boundary == "allow" else "implicitDeny"
    deciding = {"explicitDeny": "deny", "allowed": "allow"}.get(decision)
    # What a service control policy says, nobody is told.
    matched = {_named(kind, identifier) for kind, identifier, answer in each if answer == deciding and by_organization}
    documents = [*(document for _, _, document in policies), *simulated["boundary"]]
    missing = {key for it in documents for key in _keys(it, action, resource) if key.lower() not in context}
    return {"decision": decision, "matched": matched, "missing": missing, "by_organization": by_organization, "by_boundary": boundary == "allow"}


def _named(kind, identifier):
    """`user_alice_bucket` of an inline policy, the name of a managed one."""
    if isinstance(identifier, tuple):
        policy, of, name = identifier
        return (kind, f"{of}_{name}_{policy}")
    return (kind, identifier.split("/")[-1])


def _keys(document, action, resource):
    """The condition keys of what a document says about the action on the resource, those in variables among them."""
    document = _loads(document) if isinstance(document, str) else document
    for statement in as_list(document["Statement"]):
        resources = as_list(statement.get("Resource", statement.get("NotResource", "*")))
        variables = [key for it in resources for key in _VARIABLE.findall(it) if key not in "*?$"]
        if not variables and "Condition" not in statement:
            continue
        named = any(glob(it, action, True) for it in as_list(statement.get("Action", statement.get("NotAction"))))
        if named != ("Action" in statement):
            continue
        if "Resource" in statement and not variables and not any(glob(it, resource) for it in resources):
            continue
        yield from variables
        for keys in statement.get("Condition", {}).values():
            yield from keys


def install():
    IamResponse.simulate_principal_policy = simulate_principal_policy
