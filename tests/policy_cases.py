"""Random policies, and what the simulated AWS's own evaluator says of them: for `policies.rs`, which asks the reader of
the reports the same.

    python -m tests.policy_cases 2000 7      so many cases, from this seed, as JSON
"""

import json
import random
import sys

from .aws.policy import evaluate

ACTIONS = ["iam:CreateUser", "iam:CreateAccessKey", "s3:GetObject", "s3:PutObject", "sts:AssumeRole"]
ACTION_PATTERNS = ["*", "iam:*", "IAM:Create*", "s3:*", "s3:?etObject", "*:*Object", "sts:AssumeRole", "iam:*Access*", "ec2:*"]
RESOURCES = ["arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/team/bob", "arn:aws:s3:::b", "arn:aws:s3:::b/k", "arn:aws:s3:::B/k", "*"]
RESOURCE_PATTERNS = [
    "*", "arn:aws:iam::*:user/*", "arn:aws:iam::1:user/${aws:username}", "arn:aws:s3:::b", "arn:aws:s3:::b/*", "arn:aws:s3:::?/k",
    "arn:aws:*", "arn:aws:s3:::${aws:PrincipalTag/bucket}/*", "arn:aws:s3:::${*}",
]
KEYS = ["aws:username", "aws:PrincipalTag/bucket", "aws:MultiFactorAuthPresent", "aws:TagKeys", "aws:PrincipalArn", "aws:SourceVpc"]
VALUES = {
    "aws:username": ["alice", "bob", "*"],
    "aws:principaltag/bucket": ["b", "c"],
    "aws:multifactorauthpresent": ["true", "false"],
    "aws:tagkeys": ["team", "owner"],
    "aws:principalarn": ["arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/*", "arn:aws:iam::2:user/alice"],
    "aws:sourcevpc": ["vpc-1", "vpc-2"],
}
TEXT_OPERATORS = ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"]


def some(choices, of):
    return of.sample(choices, of.randint(1, 2)) if of.random() < 0.5 else of.choice(choices)


def condition(of):
    block = {}
    for _ in range(of.randint(1, 2)):
        key = of.choice(KEYS)
        values = some(VALUES[key.lower()], of)
        kind = of.random()
        if kind < 0.15:
            operator, values = "Null", of.choice(["true", "false"])
        elif key == "aws:MultiFactorAuthPresent":
            operator = of.choice(["Bool", "BoolIfExists"])
        elif key == "aws:PrincipalArn" and kind < 0.6:
            operator = of.choice(["ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"])
        else:
            operator = of.choice(TEXT_OPERATORS) + of.choice(["", "", "IfExists"])
            if key == "aws:TagKeys":
                operator = of.choice(["ForAllValues:", "ForAnyValue:"]) + operator.removesuffix("IfExists")
        block.setdefault(operator, {})[of.choice([key, key.lower()])] = values
    return block


def statement(of):
    made = {"Effect": of.choice(["Allow", "Allow", "Deny"])}
    made["NotAction" if of.random() < 0.2 else "Action"] = some(ACTION_PATTERNS, of)
    made["NotResource" if of.random() < 0.2 else "Resource"] = some(RESOURCE_PATTERNS, of)
    if of.random() < 0.5:
        made["Condition"] = condition(of)
    return made


def document(of):
    statements = [statement(of) for _ in range(of.randint(1, 3))]
    return {"Version": "2012-10-17", "Statement": statements if of.random() < 0.8 else statements[0]}


def case(of):
    context = {}
    for key in KEYS:
        if of.random() < 0.6:
            value = of.choice([it for it in VALUES[key.lower()] if "*" not in it])
            context[key.lower()] = [value] if key == "aws:TagKeys" else value
    policies, boundary = [document(of) for _ in range(of.randint(1, 3))], [document(of)] if of.random() < 0.3 else None
    action, resource = of.choice(ACTIONS), of.choice(RESOURCES)
    layers = [policies] + ([boundary] if boundary else [])
    said = [evaluate(layer, action, [resource], context) for layer in layers]
    return {
        "policies": policies,
        "boundary": boundary,
        "action": action,
        "resource": resource,
        "context": context,
        "absent": [key for key in KEYS if key.lower() not in context],
        "allowed": all(it == "allow" for it in said),
    }


if __name__ == "__main__":
    number, seed = int(sys.argv[1]), int(sys.argv[2])
    of = random.Random(seed)
    json.dump([case(of) for _ in range(number)], sys.stdout)
