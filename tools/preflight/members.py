"""What must be there in every account: the roles, whom they trust, the forwarding rules, the runbook.

With READ_ROLE each account is read with a role of the operator's own, and the trust policies are compared with what
the responder sends. Without it the StackSet says where its stacks are, and ASK=1 lets the functions try.
"""

import concurrent.futures
import functools
import json

from .answers import missing, of_accounts, ok, unread
from .deployment import as_list, document
from .reading import Refused, Unread

# The parameter of both templates with the role's name, and the output with whom it must trust.
ROLES = {
    "RemediationRoleName": ("ResponderRoleArn", "HygieneRoleArn"),
    "RestoreRoleName": ("RestorerRoleArn",),
    "SweepRoleName": ("SweeperRoleArn",),
    "InvestigatorRoleName": ("InvestigatorRoleArn",),
}
# In the drill's account only.
DRILL_ROLE = {"DrillRoleName": ("DrillerRoleArn",)}
# Parameters of the StackSet that must say what the responder's stack says, where that is an output or a parameter.
SAME = (
    "ResponderRoleArn",
    "HygieneRoleArn",
    "RestorerRoleArn",
    "SweeperRoleArn",
    "InvestigatorRoleArn",
    "DrillerRoleArn",
    "DrillAccount",
    "EventBusArn",
    "OrganizationId",
    "RemediationRoleName",
    "RestoreRoleName",
    "SweepRoleName",
    "InvestigatorRoleName",
    "DrillRoleName",
    "RotationDocument",
)
AT_ONCE = 16


def stack_set(deployment):
    what, name = "StackSet", deployment.options.stack_set
    found = deployment.stack_set
    if found is None:
        yield missing(what, f"no StackSet `{name}` of this account: docs/deploy.md, step 4 (another name: STACK_SET=…)")
        return
    given = {it["ParameterKey"]: it.get("ParameterValue", "") for it in found.get("Parameters", [])}
    wanted = deployment.parameters | deployment.outputs
    region = given.get("ResponderRegion", "us-east-1")
    other = [it for it in SAME if it in given and given[it] != wanted.get(it, "")]
    if region != deployment.home.region:
        other.append("ResponderRegion")
    if other:
        yield missing(what, f"`{name}` has other values than the stack: {', '.join(other)}. Update it (docs/deploy.md, step 4)")
    elif found.get("AutoDeployment", {}).get("Enabled") is False:
        yield missing(what, f"`{name}` leaves new accounts out: aws cloudformation update-stack-set --auto-deployment Enabled=true,…")
    else:
        yield ok(what, f"`{name}` has the values of the stack")
    yield from instances(deployment)


def instances(deployment):
    """Where its stacks are. The management account has none: it is deployed by hand."""
    current, other = deployment.instances
    wanted = {*deployment.iam_regions, deployment.home.region}
    whole = [account for account in deployment.accounts if wanted <= current.get(account, set())]
    remedy = f"aws cloudformation create-stack-instances in {', '.join(sorted(wanted))}; in the management account deploy member-role.yaml by hand"
    yield of_accounts("member stacks", whole, deployment.accounts, deployment.known_names, remedy)
    if other:
        (account, region), status = next(iter(sorted(other.items())))
        command = f"aws cloudformation describe-stack-instance --stack-instance-account {account} --stack-instance-region {region}"
        yield missing("member stacks", f"{len(other)} are not up to date, such as {account} in {region} ({status}): {command}")


def accounts(deployment):
    """By the operator's own role in each account."""
    if not deployment.options.read_role:
        if not deployment.options.ask:
            words = "name a role of yours that may read the accounts (READ_ROLE=…, it needs `sts:AssumeRole`), or have the functions try (ASK=1)"
            yield unread("roles", words)
        return
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(deployment.accounts, pool.map(functools.partial(in_account, deployment), deployment.accounts), strict=True))
    names = deployment.known_names
    for account, answer in found.items():
        if isinstance(answer, Unread):
            yield unread(f"account {account}", str(answer))
    read = {account: answer for account, answer in found.items() if not isinstance(answer, Unread)}
    for what in dict.fromkeys(what for answer in read.values() for what in answer):
        answers = {account: answer[what] for account, answer in read.items() if what in answer}
        problems = sorted({it for it in answers.values() if it})
        yield of_accounts(what, [it for it, problem in answers.items() if not problem], list(answers), names, "; ".join(problems))


def in_account(deployment, account):
    """What is wrong with each thing in one account, None where nothing is; or why it can't be read."""
    try:
        reader = deployment.home if account == deployment.account else read_as(deployment, account)
        given, found = deployment.parameters, {}
        roles = ROLES | (DRILL_ROLE if account == given.get("DrillAccount") else {})
        for parameter, trusted in roles.items():
            arns = [deployment.outputs[it] for it in trusted if it in deployment.outputs]
            found[given[parameter]] = role(deployment, reader, given[parameter], arns)
        home, *backup = deployment.iam_regions
        found["CreateUser"] = forwarded(deployment, reader, home, "iam-responder-forward-create-user")
        found["Health"] = next(filter(None, (forwarded(deployment, reader, it, "iam-responder-forward-health") for it in (home, *backup))), None)
        if given.get("RotationDocument"):
            found["runbook"] = runbook(reader, given["RotationDocument"])
        return found
    except Unread as problem:
        return problem
    except Refused as refused:
        return Unread(str(refused))


def read_as(deployment, account):
    role_arn = f"arn:{deployment.partition}:iam::{account}:role/{deployment.options.read_role}"
    try:
        return deployment.options.member_reader.assume(role_arn)
    except Unread as problem:
        raise Unread(f"{problem} on {role_arn}, or the role does not trust you") from problem


def role(deployment, reader, name, trusted):
    """Whether the role is there and trusts whom it must, with the responder's external ID, and nobody else."""
    try:
        found = reader.read("iam", "get_role", RoleName=name)["Role"]
    except Refused as refused:
        if refused.code == "NoSuchEntity":
            return "the role is not there: deploy member-role.yaml"
        raise
    statements = as_list(document(found["AssumeRolePolicyDocument"])["Statement"])
    allows = [it for it in statements if it["Effect"] == "Allow"]
    principals = [who for it in allows for who in trusted_by(it)]
    if set(trusted) - set(principals):
        return f"the role does not trust {', '.join(sorted(set(trusted) - set(principals)))}"
    if set(principals) - set(trusted):
        return "the role trusts somebody else too: compare its trust policy with member-role.yaml"
    for it in allows:
        wanted = it.get("Condition", {}).get("StringEquals", {})
        if deployment.settings["EXTERNAL_ID"] not in as_list(wanted.get("sts:ExternalId", [])):
            return "the role wants another external ID than the responder sends (docs/operations.md, Rotate the external ID)"
        if deployment.parameters["OrganizationId"] not in as_list(wanted.get("aws:PrincipalOrgID", [])):
            return "the role wants another organisation"
    return None


def trusted_by(statement):
    """Accounts, roles, services and identity providers alike; who is only excluded leaves everybody."""
    named = statement.get("Principal", "*")
    return [named] if isinstance(named, str) else [who for each in named.values() for who in as_list(each)]


def forwarded(deployment, reader, region, name):
    """Whether the rule sends what it matches to the responder's bus."""
    try:
        state = reader.read("events", "describe_rule", region=region, Name=name)["State"]
    except Refused as refused:
        if refused.code == "ResourceNotFoundException":
            return f"no rule {name} in {region}: deploy member-role.yaml there"
        raise
    if state == "DISABLED":
        return f"the rule {name} in {region} is switched off: aws events enable-rule --name {name} --region {region}"
    targets = reader.pages("events", "list_targets_by_rule", "Targets", region=region, Rule=name)
    if deployment.outputs["EventBusArn"] not in [it["Arn"] for it in targets]:
        return f"the rule {name} in {region} sends elsewhere: update the StackSet's EventBusArn"
    return None


def runbook(reader, name):
    try:
        reader.read("ssm", "describe_document", Name=name)
    except Refused as refused:
        if refused.code == "InvalidDocument":
            return f"no runbook {name} in {reader.region}: deploy member-role.yaml in that region with RotationDocument={name}"
        raise
    return None


def asked(deployment):
    """By the functions themselves: `status` takes the member role and changes nothing. One that fails is an error of
    the function, which its alarm tells."""
    if not deployment.options.ask:
        return
    for what, output in (("responder reaches", "FunctionName"), ("restorer reaches", "RestorerFunctionName")):
        try_it = functools.partial(reached, deployment, deployment.outputs[output])
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            found = dict(zip(deployment.accounts, pool.map(try_it, deployment.accounts), strict=True))
        problems = sorted({it for it in found.values() if it})
        reachable = [it for it, problem in found.items() if not problem]
        yield of_accounts(what, reachable, deployment.accounts, deployment.known_names, "; ".join(problems))


def reached(deployment, function, account):
    payload = json.dumps({"command": "status", "account": account, "user": "iam-responder-preflight"})
    answer = deployment.home.read("lambda", "invoke", FunctionName=function, Payload=payload)
    said = json.loads(answer["Payload"].read() or b"null") or {}
    if "FunctionError" not in answer:
        return None
    return str(said.get("errorMessage", "no answer")).replace(account, "<account>").splitlines()[0][:200]


CHECKS = (stack_set, accounts, asked)
