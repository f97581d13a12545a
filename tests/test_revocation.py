"""The revocation of a role's sessions: only what revokes counts as one, whatever else stands under its name."""

import json

import pytest

from .harness.doors import ALLOW_ALL, REVOCATION
from .harness.victims import Role, allowed

OUTSIDE = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"


def contain(world, **fields):
    responder = world.responder()
    responder.invoke({"command": "contain", "account": world.member, "role": "app", "reason": "a key in a paste", **fields})
    return responder.last_report()


def respond(world, role):
    responder = world.responder()
    responder.invoke(world.event(OUTSIDE, role=role))
    return responder.last_report()


def restore(world, **fields):
    command = {"command": "restore", "account": world.member, "role": "app", "reason": "a false alarm", "by": "Dana", **fields}
    restorer = world.responder(part="restorer")
    restorer.invoke(command)
    return restorer.last_report()


def statement(**fields):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", **fields}]})


def revocation(date, **more):
    denies = {"Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": {"DateLessThan": {"aws:TokenIssueTime": date, **more}}}
    return json.dumps({"Version": "2012-10-17", "Statement": [denies]})


def weakened(world):
    """The revocation as it is, and beside it everything is allowed."""
    document = world.iam.get_role_policy(RoleName="app", PolicyName=REVOCATION)["PolicyDocument"]
    return json.dumps({**document, "Statement": [*document["Statement"], json.loads(ALLOW_ALL)["Statement"][0]]})


@pytest.mark.parametrize("when", ["before", "after the first response"])
def test_a_revocation_that_can_never_apply_is_none(world, when):
    """Every key of a condition must match: `aws:CurrentTime` before 2020 never does."""
    world.deploy()
    role = Role(world)
    session = role.session()
    never = revocation("2090-01-01T00:00:00Z", **{"aws:CurrentTime": "2020-01-01T00:00:00Z"})
    if when != "before":
        assert respond(world, role)["verdict"] == "Contained"
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=never)
    assert allowed(session.list_users)
    report = contain(world)
    assert report["verdict"] == "Contained" and not allowed(session.list_users), report


@pytest.mark.parametrize("how", ["beside the revocation", "instead of it", "an older date"])
def test_what_an_intruder_writes_into_the_revocation_policy_is_drift(world, how):
    world.deploy()
    role = Role(world)
    session = role.session()
    assert respond(world, role)["verdict"] == "Contained" and not allowed(session.list_users)
    planted = {"beside the revocation": weakened(world), "instead of it": ALLOW_ALL, "an older date": revocation("2020-01-01T00:00:00Z")}[how]
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=planted)
    report = restore(world)
    assert report["verdict"] == "Drifted" and REVOCATION in " ".join(report["drift"]), report


def test_a_full_role_with_an_old_revocation_is_not_restored_without_a_word(world):
    """An old and short revocation was there, and no room for a longer one: the deny alone holds the stolen session."""
    world.deploy()
    role = Role(world)
    old = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}}}}'
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=old)
    room = 10_240 - len(old) - len(statement(Action="s3:GetObject", Resource="arn:aws:s3:::").replace(" ", ""))
    world.iam.put_role_policy(RoleName="app", PolicyName="full", PolicyDocument=statement(Action="s3:GetObject", Resource="arn:aws:s3:::" + "x" * (room - 3)))
    session = role.session()
    report = respond(world, role)
    assert report["verdict"] == "SuspectsOpen" and not allowed(session.list_users), report
    assert [it["PolicyName"] for it in world.iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]].count("AWSDenyAll") == 1
    report = restore(world)
    assert report["verdict"] == "Drifted" and not allowed(session.list_users), report


def test_what_a_revocation_overwrote_is_named_by_the_restore(world):
    """The role had a policy of that name with a statement of its own beside the console's."""
    world.deploy()
    role = Role(world)
    theirs = json.loads(revocation("2020-01-01T00:00:00Z"))
    theirs["Statement"].append({"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"})
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=json.dumps(theirs))
    respond(world, role)
    assert len(role.state()["inline"][REVOCATION]["Statement"]) == 1
    assert any("DeleteBucket" in line for line in restore(world)["stays"])
