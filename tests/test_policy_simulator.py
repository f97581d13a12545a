"""The simulated AWS's policy simulator: where it is as strict and as odd as AWS's."""

import json

import pytest

from .harness.victims import Role, User
from .test_event_history import code_of
from .test_report_simulated import DENY_ALL, allow, deny, document

BOTH = ["s3:GetObject", "iam:CreateUser"]


def simulate(world, arn, actions=BOTH, **parameters):
    return world.iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=actions, **parameters)["EvaluationResults"]


def decisions(world, arn, **parameters):
    return [it["EvalDecision"] for it in simulate(world, arn, **parameters)]


def test_a_groups_policies_are_its_users_and_what_is_left_out_is_named_by_exactly_one_of_three(world):
    user = User(world, policies=["AmazonS3FullAccess"], groups=("operators",))
    iam = world.iam
    iam.delete_user_policy(UserName="alice", PolicyName="bucket")
    iam.put_group_policy(GroupName="operators", PolicyName="iam", PolicyDocument=document(allow("iam:*")))
    group = f"arn:aws:iam::{world.member}:group/operators"
    assert decisions(world, user.arn) == ["allowed", "allowed"] and decisions(world, group) == ["implicitDeny", "allowed"]
    of_group = {"PolicyName": "iam", "AttachmentType": "group", "AttachmentName": "operators"}
    for exclusion, left in (
        ({"PolicyArn": "arn:aws:iam::aws:policy/AmazonS3*"}, ["implicitDeny", "allowed"]),
        ({"PolicyType": "aws-managed"}, ["implicitDeny", "allowed"]),
        ({"PolicyType": "user-managed"}, ["allowed", "allowed"]),
        ({"PolicyType": "inline"}, ["allowed", "implicitDeny"]),
        ({"InlinePolicyIdentifier": of_group}, ["allowed", "implicitDeny"]),
        ({"InlinePolicyIdentifier": {**of_group, "AttachmentType": "user"}}, ["allowed", "allowed"]),
        ({"PolicyArn": DENY_ALL}, ["allowed", "allowed"]),
    ):
        assert decisions(world, user.arn, PolicyExclusionList=[exclusion]) == left, exclusion
    wrong = {"PolicyArn": "the-policy-AmazonS3FullAccess"}
    assert code_of(lambda: simulate(world, user.arn, PolicyExclusionList=[wrong])) == "InvalidInput"
    many = [{"PolicyType": "rcp"}] * 257
    assert code_of(lambda: simulate(world, user.arn, PolicyExclusionList=many)) in ("InvalidInput", "ValidationError")
    # As the SDK for Rust writes an entry: it is none of the three.
    client = world.client("iam")
    client.meta.events.register("before-sign.iam.SimulatePrincipalPolicy", otherwise)
    assert code_of(lambda: simulate(world, user.arn, PolicyExclusionList=[{"PolicyArn": DENY_ALL}])) == "InvalidInput"
    client.meta.events.unregister("before-sign.iam.SimulatePrincipalPolicy", otherwise)


def otherwise(request, **_):
    request.data = {name.replace(".PolicyArn", ".member"): value for name, value in request.data.items()}


def test_one_action_that_it_does_not_know_fails_all_and_there_are_no_wildcards(world):
    user = User(world)
    for action in ("iam:NoAction", "iam:*", "CreateUser"):
        assert code_of(lambda it=action: simulate(world, user.arn, ["iam:CreateUser", it])) == "InvalidInput"
    assert decisions(world, user.arn, actions=["IAM:createuser"]) == ["allowed"]
    assert code_of(lambda: simulate(world, f"{user.arn}x")) == "NoSuchEntity"
    assert code_of(lambda: simulate(world, DENY_ALL)) == "InvalidInput"
    assert code_of(lambda: simulate(world, user.arn, PolicyInputList=["{}"])) == "InvalidInput"


def test_there_is_one_result_for_an_action_the_most_restrictive_and_each_resource_has_its_own(world):
    user = User(world, policies=[], groups=())
    condition = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}
    world.iam.put_user_policy(UserName="alice", PolicyName="bucket", PolicyDocument=document(allow("s3:*", "arn:aws:s3:::a/*"), allow("s3:*", "arn:aws:s3:::b/*", Condition=condition)))
    [one] = simulate(world, user.arn, ["s3:GetObject"], ResourceArns=["arn:aws:s3:::a/k", "arn:aws:s3:::b/k"])
    assert one["EvalDecision"] == "implicitDeny" and one["MissingContextValues"] == []
    each = [(it["EvalResourceDecision"], it["MissingContextValues"]) for it in one["ResourceSpecificResults"]]
    assert each == [("allowed", []), ("implicitDeny", ["aws:SourceVpc"])]
    entry = {"ContextKeyName": "aws:SourceVpc", "ContextKeyValues": ["vpc-1"], "ContextKeyType": "string"}
    [one] = simulate(world, user.arn, ["s3:GetObject"], ResourceArns=["arn:aws:s3:::b/k"], ContextEntries=[entry])
    assert one["EvalDecision"] == "allowed" and one["MatchedStatements"][0]["SourcePolicyId"] == "user_alice_bucket"
    world.iam.put_user_policy(UserName="alice", PolicyName="bucket", PolicyDocument=document(allow("s3:*", Condition=condition)))
    [one] = simulate(world, user.arn, ["s3:GetObject"])
    assert one["MissingContextValues"] == ["aws:SourceVpc"] and "ResourceSpecificResults" not in one


def test_boundaries_and_service_control_policies_are_told_of_apart(world):
    user, role = User(world, groups=()), Role(world)
    bound = world.iam.create_policy(PolicyName="bound", PolicyDocument=document(allow("s3:*")))["Policy"]["Arn"]
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=bound)
    by = lambda it: it["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"]  # noqa: E731
    assert [(it["EvalDecision"], by(it)) for it in simulate(world, user.arn)] == [("allowed", True), ("implicitDeny", False)]
    assert decisions(world, user.arn, PolicyExclusionList=[{"PolicyType": "permission-boundary"}]) == ["allowed", "allowed"]
    assert decisions(world, user.arn, PermissionsBoundaryPolicyInputList=[document(allow("iam:*"))]) == ["implicitDeny", "allowed"]
    world.control("control-policies", {"account": world.member, "documents": [document(deny("iam:*"))]})
    of_role = simulate(world, role.arn)
    assert [it["OrganizationsDecisionDetail"]["AllowedByOrganizations"] for it in of_role] == [True, False]
    assert of_role[1]["MatchedStatements"] == [] and of_role[1]["EvalDecision"] == "explicitDeny"
    assert decisions(world, role.arn, PolicyExclusionList=[{"PolicyType": "scp"}]) == ["allowed", "allowed"]


def test_it_gives_fewer_than_are_asked_for_and_says_that_there_are_more(world):
    user = User(world)
    actions = [*BOTH, "ec2:RunInstances"] * 20
    first = world.iam.simulate_principal_policy(PolicySourceArn=user.arn, ActionNames=actions)
    assert first["IsTruncated"] and len(first["EvaluationResults"]) == 40
    pages = world.iam.get_paginator("simulate_principal_policy").paginate(PolicySourceArn=user.arn, ActionNames=actions)
    assert [it["EvalActionName"] for page in pages for it in page["EvaluationResults"]] == actions


@pytest.mark.parametrize("kind", ["user", "role"])
def test_only_who_is_allowed_may_ask(world, kind):
    alice, bob = User(world, policies=[], groups=()), User(world, name="bob", policies=[], groups=())
    role = Role(world)
    arns = {"user": alice.arn, "role": role.arn}
    session = bob.session()
    ask = lambda: session.simulate_principal_policy(PolicySourceArn=arns[kind], ActionNames=BOTH)  # noqa: E731
    assert code_of(ask) == "AccessDenied"
    may = json.loads(document(allow("iam:SimulatePrincipalPolicy", f"arn:aws:iam::*:{kind}/*")))
    world.iam.put_user_policy(UserName="bob", PolicyName="ask", PolicyDocument=json.dumps(may))
    assert ask()["EvaluationResults"]
