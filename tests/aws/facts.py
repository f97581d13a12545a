"""What a request is judged by beside its action: the condition keys, and the resources it touches.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

import datetime as dt
import re
import time

from moto.cloudformation.models import cloudformation_backends
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from .policy import as_list

# The members of the one organisation there is.
ORGANISATION = "o-simulated00"


def _user_named(name, params, account, partition):
    user = iam_backends[account][partition].users.get(name)
    return user.arn if user else f"arn:{partition}:iam::{account}:user{params.get('Path', '/')}{name}"


def _user(params, account, region):
    return [_user_named(params["UserName"], params, account, get_partition(region))]


def _renamed_user(params, account, region):
    """Who renames or moves a user must be allowed to touch what it is and what it becomes.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateUser.html"""
    partition = get_partition(region)
    now = _user_named(params["UserName"], params, account, partition)
    user = iam_backends[account][partition].users.get(params["UserName"])
    path = params.get("NewPath") or (user.path if user else "/")
    name = params.get("NewUserName") or params["UserName"]
    return [now, f"arn:{partition}:iam::{account}:user{path}{name}"]


def role_arn(name, params, account, partition):
    roles = iam_backends[account][partition].roles.values()
    new = f"arn:{partition}:iam::{account}:role{params.get('Path') or '/'}{name}"
    return next((role.arn for role in roles if role.name == name), new)


def _role(params, account, region):
    return [role_arn(params["RoleName"], params, account, get_partition(region))]


def _service_linked_role(params, account, region):
    service = params["AWSServiceName"]
    return [f"arn:{get_partition(region)}:iam::{account}:role/aws-service-role/{service}/*"]


def _instance_profile(params, account, region):
    return [f"arn:{get_partition(region)}:iam::{account}:instance-profile/{params['InstanceProfileName']}"]


def _group(params, account, region):
    return [f"arn:{get_partition(region)}:iam::{account}:group/{params['GroupName']}"]


def _automation(params, account, region):
    document = params["DocumentName"]
    partition = get_partition(region)
    if not document.startswith("arn:"):
        document = f"arn:{partition}:ssm:{region}:{account}:document/{document}"
    return [document, f"arn:{partition}:ssm:{region}:{account}:automation-execution/*"]


def _document(params, account, region):
    return [f"arn:{get_partition(region)}:ssm:{region}:{account}:document/{params['Name']}"]


def _parameter(params, account, region):
    return [f"arn:{get_partition(region)}:ssm:{region}:{account}:parameter/{params['Name'].removeprefix('/')}"]


def _ops_item(params, account, region):
    return [f"arn:{get_partition(region)}:ssm:{region}:{account}:opsitem/*"]


def _hub(params, account, region):
    return [f"arn:{get_partition(region)}:securityhub:{region}:{account}:hub/default"]


def _buses(params, account, region):
    names = {entry.get("EventBusName", "default") for entry in params["Entries"]}
    return [name if name.startswith("arn:") else f"arn:{get_partition(region)}:events:{region}:{account}:event-bus/{name}" for name in names]


def _rule(params, account, region):
    name, bus = params.get("Name") or params["Rule"], params.get("EventBusName", "default")
    path = name if bus == "default" else f"{bus.split('/')[-1]}/{name}"
    return [f"arn:{get_partition(region)}:events:{region}:{account}:rule/{path}"]


def _stack(params, account, region):
    name = params["StackName"]
    if name.startswith("arn:"):
        return [name]
    stacks = cloudformation_backends[account][region].stacks.values()
    new = f"arn:{get_partition(region)}:cloudformation:{region}:{account}:stack/{name}/*"
    return [next((stack.stack_id for stack in stacks if stack.name == name), new)]


def _function(params, account, region):
    name = params["FunctionName"]
    return [name if name.startswith("arn:") else f"arn:{get_partition(region)}:lambda:{region}:{account}:function:{name}"]


def _table(params, account, region):
    table = f"arn:{get_partition(region)}:dynamodb:{region}:{account}:table/{params['TableName']}"
    return [f"{table}/index/{params['IndexName']}" if "IndexName" in params else table]


def _tables(params, account, region):
    return [f"arn:{get_partition(region)}:dynamodb:{region}:{account}:table/{name}" for name in params["RequestItems"]]


def _queue(params, account, region):
    _, _, _, account, name = params["QueueUrl"].split("/")
    return [f"arn:{get_partition(region)}:sqs:{region}:{account}:{name}"]


def _model(params, account, region):
    """A profile, and the model behind it wherever it runs."""
    partition, model = get_partition(region), params["modelId"]
    behind = model.split(".", 1)[-1]
    return [f"arn:{partition}:bedrock:{region}:{account}:inference-profile/{model}", f"arn:{partition}:bedrock:{region}::foundation-model/{behind}"]


def _attachment(params, account, region):
    """The policy, and what it is attached to; the organisation's ARNs have its management account in them."""
    target = f"arn:{get_partition(region)}:organizations::{account}:account/{ORGANISATION}/{params['TargetId']}"
    if "PolicyId" not in params:
        return [target]
    return [f"arn:{get_partition(region)}:organizations::{account}:policy/{ORGANISATION}/service_control_policy/{params['PolicyId']}", target]


# What each action is checked against.
RESOURCES = {
    "organizations:AttachPolicy": _attachment,
    "organizations:DetachPolicy": _attachment,
    "organizations:ListPoliciesForTarget": _attachment,
    "sts:AssumeRole": lambda params, account, region: [params["RoleArn"]],
    "iam:AddRoleToInstanceProfile": _instance_profile,
    "iam:CreateServiceLinkedRole": _service_linked_role,
    "iam:UpdateUser": _renamed_user,
    "iam:RemoveUserFromGroup": _group,
    "iam:AddUserToGroup": _group,
    "iam:GetGroupPolicy": _group,
    "iam:ListAttachedGroupPolicies": _group,
    "iam:ListGroupPolicies": _group,
    "iam:GetInstanceProfile": _instance_profile,
    "iam:GetOpenIDConnectProvider": lambda params, account, region: [params["OpenIDConnectProviderArn"]],
    "iam:GetSAMLProvider": lambda params, account, region: [params["SAMLProviderArn"]],
    "iam:GetPolicy": lambda params, account, region: [params["PolicyArn"]],
    "iam:GetPolicyVersion": lambda params, account, region: [params["PolicyArn"]],
    "iam:SimulatePrincipalPolicy": lambda params, account, region: [params["PolicySourceArn"]],
    "iam:ListPolicyVersions": lambda params, account, region: [params["PolicyArn"]],
    "iam:SetDefaultPolicyVersion": lambda params, account, region: [params["PolicyArn"]],
    "iam:GetAccessKeyLastUsed": lambda params, account, region: ["*"],
    "bedrock:InvokeModel": _model,
    "ssm:StartAutomationExecution": _automation,
    "ssm:CreateDocument": _document,
    "ssm:CreateOpsItem": _ops_item,
    "ssm:DeleteDocument": _document,
    "ssm:GetDocument": _document,
    "ssm:GetParameter": _parameter,
    "ssm:ModifyDocumentPermission": _document,
    "ssm:UpdateDocument": _document,
    "ssm:UpdateDocumentDefaultVersion": _document,
    "ssm-incidents:StartIncident": lambda params, account, region: [params["responsePlanArn"]],
    "securityhub:BatchUpdateFindings": _hub,
    "events:PutEvents": _buses,
    "events:DeleteRule": _rule,
    "events:DisableRule": _rule,
    "events:PutRule": _rule,
    "events:PutTargets": _rule,
    "events:RemoveTargets": _rule,
    "cloudformation:CreateChangeSet": _stack,
    "cloudformation:CreateStack": _stack,
    "cloudformation:DeleteStack": _stack,
    "cloudformation:UpdateStack": _stack,
    "lambda:InvokeFunction": _function,
    "dynamodb:BatchGetItem": _tables,
    "dynamodb:GetItem": _table,
    "dynamodb:PutItem": _table,
    "dynamodb:Query": _table,
    "dynamodb:UpdateItem": _table,
    "sqs:SendMessage": _queue,
    "sns:Publish": lambda params, account, region: [params.get("TopicArn") or "*"],
}


def resources(action, params, account, region):
    find = RESOURCES.get(action)
    if find is None and action.startswith("iam:"):
        find = _user if params.get("UserName") else _role if params.get("RoleName") else None
    return find(params, account, region) if find else ["*"]


# Where a request hands a role to a service, and to which: it needs `iam:PassRole` on that role too.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
PASSES = {
    "lambda:CreateFunction": ("Role", "lambda.amazonaws.com"),
    "iam:AddRoleToInstanceProfile": ("RoleName", "ec2.amazonaws.com"),
    "cloudformation:CreateStack": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:UpdateStack": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:CreateChangeSet": ("RoleARN", "cloudformation.amazonaws.com"),
    "events:PutTargets": ("RoleArn", "events.amazonaws.com"),
}


def passed_roles(action, params, account, region):
    """The ARNs of the roles that the request passes, and the service."""
    member, service = PASSES.get(action, (None, None))
    holders = params.get("Targets", []) if action == "events:PutTargets" else [params]
    named = [holder[member] for holder in holders if holder.get(member)] if member else []
    partition = get_partition(region)
    return [it if it.startswith("arn:") else role_arn(it, {}, account, partition) for it in named], service


def context(caller, action, params, region):
    account = caller.account
    if action in ("sts:AssumeRole", "sts:TagSession"):
        account = params["RoleArn"].split(":")[4]
    iam = iam_backends[caller.account][get_partition(region)]
    target = _target(iam, params)
    facts = {
        "aws:principalarn": caller.principal_arn or caller.arn,
        "aws:principalaccount": caller.account,
        "aws:principaltype": "User" if caller.kind == "user" else "AssumedRole",
        "aws:principalorgid": ORGANISATION,
        "aws:resourceorgid": ORGANISATION,
        "aws:username": caller.name if caller.kind == "user" else None,
        "aws:userid": caller.user_id,
        "aws:requestedregion": region,
        "aws:resourceaccount": account,
        "aws:currenttime": dt.datetime.now(dt.timezone.utc).isoformat(),
        "aws:epochtime": str(int(time.time())),
        "aws:securetransport": "true",
        "aws:tokenissuetime": caller.issued.isoformat() if caller.issued else None,
        "sts:externalid": params.get("ExternalId"),
        "sts:rolesessionname": params.get("RoleSessionName"),
        "iam:policyarn": params.get("PolicyArn"),
        "iam:permissionsboundary": params.get("PermissionsBoundary") or getattr(target, "permissions_boundary_arn", None) or None,
    }
    facts |= {f"aws:resourcetag/{key.lower()}": value for key, value in tags_of(target)}
    facts |= {f"aws:principaltag/{key.lower()}": value for key, value in caller.tags}
    facts |= _of_tags(params)
    if action.startswith("dynamodb:") and ("Key" in params or "Item" in params):
        # The partition key's value, whatever the key is called; our own table's is.
        key = params["Key"] if "Key" in params else {"id": params["Item"]["id"]}
        facts["dynamodb:leadingkeys"] = [next(iter(key.values()))["S"]]
        facts["dynamodb:attributes"] = sorted(_attributes(params))
        facts["dynamodb:returnvalues"] = params.get("ReturnValues")
        if action == "dynamodb:GetItem":
            facts["dynamodb:select"] = "SPECIFIC_ATTRIBUTES" if params.get("ProjectionExpression") else "ALL_ATTRIBUTES"
    if action == "dynamodb:BatchGetItem":
        facts["dynamodb:leadingkeys"] = [next(iter(key.values()))["S"] for it in params["RequestItems"].values() for key in it["Keys"]]
    if action == "events:PutEvents":
        facts["events:source"] = [entry["Source"] for entry in params["Entries"]]
        facts["events:detail-type"] = [entry["DetailType"] for entry in params["Entries"]]
    return {key: value for key, value in facts.items() if value is not None}


# What is no attribute in an expression.
WORDS = "SET ADD REMOVE DELETE AND OR NOT IN BETWEEN attribute_exists attribute_not_exists attribute_type begins_with contains size if_not_exists list_append"


def _attributes(params):
    """The attributes that a request names, at the top level: its key's, and those of its expressions.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html"""
    text = " ".join(params.get(it) or "" for it in ("ProjectionExpression", "UpdateExpression", "ConditionExpression"))
    names = re.findall(r"(?<![\w:.#])#?[A-Za-z_]\w*", text)
    named = params.get("ExpressionAttributeNames") or {}
    return {named.get(it, it) for it in names if it not in WORDS.split()} | set(params.get("Key") or params["Item"])


def _of_tags(params):
    """Tags that the request brings, and the keys of those that it brings or takes away."""
    tags = [tag for tag in as_list(params.get("Tags") or []) if isinstance(tag, dict) and "Key" in tag]
    keys = [tag["Key"] for tag in tags] or as_list(params.get("TagKeys") or [])
    of_request = {f"aws:requesttag/{tag['Key'].lower()}": tag.get("Value", "") for tag in tags}
    return {**of_request, "aws:tagkeys": keys or None}


def _target(iam, params):
    """The user or role that the request is about, if there is one of that name."""
    if params.get("UserName"):
        return iam.users.get(params["UserName"])
    return next((role for role in iam.roles.values() if role.name == params.get("RoleName")), None)


def tags_of(identity):
    return [(tag["Key"], tag["Value"]) for tag in (identity.tags if identity else None) or []]


def is_service_linked(arn):
    """Service control policies do not reach these.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html"""
    return re.match(r"arn:[^:]+:iam::\d{12}:role/aws-service-role/", arn or "") is not None
