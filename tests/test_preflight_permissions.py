"""`make preflight` where something may not be read: the permission is named, and nothing is called missing for it."""

import json

import pytest

from .harness.operators import MEMBER_POLICY, POLICY, READ_ROLE
from .test_preflight import set_external_id, trusting

ACTIONS = sorted({action for it in POLICY["Statement"] for action in ([it["Action"]] if isinstance(it["Action"], str) else it["Action"])})


@pytest.mark.parametrize("action", ACTIONS)
def test_what_may_not_be_read_names_the_permission(organisation, action):
    """Each action of policy.json: needed, and named where it is missing."""
    without = {"Effect": "Deny", "Action": action, "Resource": "*"}
    organisation.let(without)
    try:
        lines = organisation.off()
    finally:
        organisation.let()
    assert lines and {state for state, _, _ in lines} == {"can't be read"}, lines
    assert any(f"`{action}`" in detail for _, _, detail in lines), lines


@pytest.mark.parametrize("action", MEMBER_POLICY["Statement"][0]["Action"])
def test_what_may_not_be_read_of_an_account_names_account_and_permission(organisation, action):
    iam = organisation.world.client("iam", organisation.third)
    statements = [*MEMBER_POLICY["Statement"], {"Effect": "Deny", "Action": action, "Resource": "*"}]
    iam.put_role_policy(RoleName=READ_ROLE, PolicyName="read", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    try:
        lines = organisation.off(code=2)
    finally:
        iam.put_role_policy(RoleName=READ_ROLE, PolicyName="read", PolicyDocument=json.dumps(MEMBER_POLICY))
    assert lines == [("can't be read", f"account {organisation.third}", f"it needs `{action}`")]


def test_without_a_role_to_read_with_it_says_how_to_go_on(organisation):
    [(state, what, detail)] = organisation.off(read_role="", code=2)
    assert (state, what) == ("can't be read", "roles") and "READ_ROLE=" in detail and "ASK=1" in detail


def test_credentials_that_aws_does_not_know_are_said(organisation):
    kept = organisation.key
    organisation.key = {**kept, "AccessKeyId": "AKIAIOSFODNN7NOBODY1"}
    try:
        lines = organisation.preflight(code=2)
    finally:
        organisation.key = kept
    [(state, what, detail)] = lines
    assert (state, what) == ("can't be read", "account") and "`InvalidClientTokenId`" in detail and "AWS_PROFILE" in detail


def test_the_member_accounts_may_be_read_by_another_profile(organisation, tmp_path, monkeypatch):
    profile = ["[auditor]", f"aws_access_key_id = {organisation.key['AccessKeyId']}", f"aws_secret_access_key = {organisation.key['SecretAccessKey']}"]
    (tmp_path / "credentials").write_text("\n".join(profile))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    iam, kept = organisation.world.client("iam", organisation.world.security), organisation.key
    iam.create_user(UserName="other")
    iam.put_user_policy(UserName="other", PolicyName="preflight", PolicyDocument=json.dumps(without(POLICY, "sts:AssumeRole")))
    organisation.key = iam.create_access_key(UserName="other")["AccessKey"]
    try:
        assert {it[0] for it in organisation.off(code=2)} == {"can't be read"}
        assert organisation.off("--member-profile", "auditor", code=0) == []
    finally:
        organisation.key = kept


def without(policy, action):
    return {**policy, "Statement": [it for it in policy["Statement"] if it["Action"] != action]}


def of_functions(world):
    """What our functions and their sessions did."""
    return [it["action"] for it in world.journal() if it["is_ours"]]


def test_the_functions_themselves_try_the_roles(organisation):
    """`ASK=1`: the whole way, by the responder's role, the external ID and the member role, and nothing is written."""
    may = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    organisation.let(may)
    world = organisation.world
    world.connected(part="responder")
    world.connected(part="restorer")
    try:
        before = len(of_functions(world))
        said = {what: (state, detail) for state, what, detail in organisation.preflight("--ask", read_role="", code=0)}
        assert said["responder reaches"] == said["restorer reaches"] == ("ok", "in 3 of 3 accounts")
        assert {it.split(":")[1][:4] for it in of_functions(world)[before:]} <= {"Assu", "GetI", "GetU", "List"}
        with trusting(organisation, "SecurityRemediationRole", set_external_id):
            lines = organisation.off("--ask", read_role="", code=1)
    finally:
        organisation.let()
    [(_, what, detail)] = lines
    assert what == "responder reaches" and f"in 2 of 3 accounts, not in {organisation.third}" in detail and "AccessDenied" in detail
