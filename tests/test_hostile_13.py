"""Where a report is calmer than what was read: by the simulation, by other versions of policies, by names of ours, by time."""

import threading
import time

import pytest

from .harness.doors import ALLOW_ALL, REVOCATION
from .harness.victims import Role, User
from .test_missing_mfa import ENFORCED, console_user, respond
from .test_report import EXFILTRATION, report
from .test_report_versions import ALL, READS, SETS, attach, document, found, may, plain, versions  # noqa: F401
from .test_revocation import OUTSIDE, restore


def test_a_simulation_that_answered_nothing_is_no_agreement(world, plain):  # noqa: F811
    """A policy that AWS's simulator can't evaluate fails every batch."""
    may(world, READS)
    world.fault("iam:SimulatePrincipalPolicy", "PolicyEvaluation", status=500)
    answer = report(world, "alice")["evidence"]
    simulation = answer["report"]["could"]["simulation"]
    assert simulation["answers"] == [] or "not_asked" in simulation["answers"], simulation
    line = [it for it in answer["markdown"].splitlines() if "own simulation of its policies" in it]
    assert "none says otherwise" not in line[0], (line, answer["report"]["risk"], answer["report"]["not_looked_at"][1])


def test_a_risk_that_aws_could_not_be_asked_about_is_not_low(world, plain):  # noqa: F811
    may(world, {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"})
    world.responder().invoke(world.event(EXFILTRATION, plain))
    asked = found(world)["risk"]
    world.fault("iam:SimulatePrincipalPolicy", "AccessDenied", status=403)
    risk = found(world)["risk"]
    assert any("asked" in it for it in risk["because"]), (asked, risk)


def test_what_somebody_puts_under_our_revocations_name_after_it_counts(world):
    """A role that could nothing; after its containment everything is allowed under the name of our revocation."""
    world.deploy()
    role = Role(world)
    world.iam.detach_role_policy(RoleName="app", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    world.responder().invoke(world.event(OUTSIDE, role=role))
    assert REVOCATION in role.state()["inline"]
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=ALLOW_ALL)
    answer = report(world, role="app")["evidence"]
    could = answer["report"]["could"]
    by_aws = {it["action"]: it["aws"] for it in could["simulation"]["answers"]}
    assert could["administrator"]["answer"] == "yes", (could["administrator"], by_aws["iam:CreateUser"], could["unread"], answer["report"]["summary"][0], answer["report"]["risk"])


def test_the_hold_of_a_console_counts_once_it_says_something_else(world):
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    for arn in [it["PolicyArn"] for it in world.iam.list_attached_user_policies(UserName=user.name)["AttachedPolicies"]]:
        world.iam.detach_user_policy(UserName=user.name, PolicyArn=arn)
    for group in [it["GroupName"] for it in world.iam.list_groups_for_user(UserName=user.name)["Groups"]]:
        world.iam.remove_user_from_group(GroupName=group, UserName=user.name)
    respond(world, user)
    hold = f"arn:aws:iam::{world.member}:policy/SecurityRequireMfa"
    assert "SecurityRequireMfa" in user.state()["policies"]
    world.iam.create_policy_version(PolicyArn=hold, PolicyDocument=ALLOW_ALL, SetAsDefault=True)
    answer = report(world, user.name)["evidence"]["report"]
    assert answer["could"]["administrator"]["answer"] == "yes", (answer["could"]["administrator"], answer["risk"], answer["summary"][0][:120])


@pytest.mark.seconds(120)
def test_a_report_is_there_within_a_minute_though_iam_throttles(world, plain):  # noqa: F811
    arns = [versions(world, f"p{n}", [READS]) for n in range(10)]
    for g in range(10):
        world.iam.create_group(GroupName=f"g{g}")
        for arn in arns:
            world.iam.attach_group_policy(GroupName=f"g{g}", PolicyArn=arn)
        world.iam.add_user_to_group(GroupName=f"g{g}", UserName="alice")
    world.fault("iam:GetPolicy", "Throttling")
    start = time.monotonic()
    answer = report(world, "alice")["evidence"]
    took = time.monotonic() - start
    assert took < 55, (took, answer["report"]["risk"])



@pytest.mark.seconds(120)
def test_hard_policies_of_groups_and_their_versions_hold_no_report_up(world, plain):  # noqa: F811
    hard = lambda k: [{"Effect": "Allow", "Action": ["s3:*", "iam:PassRole", "lambda:*", "iam:Create*", "secretsmanager:*"], "Resource": [f"arn:*:*:*:*:*{n:03}*{k}*" for n in range(200)]}, {"Effect": "Deny", "Action": "*", "Resource": [f"arn:*:*:*:*:*{n:02}*{k}" for n in range(50)]}]  # noqa: E731
    for g in range(10):
        world.iam.create_group(GroupName=f"g{g}")
        for n in range(10):
            arn = versions(world, f"p{g}-{n}", *([hard(it) for it in range(5)] if g == 0 else [hard(f"{g}{n}")]))
            world.iam.attach_group_policy(GroupName=f"g{g}", PolicyArn=arn)
        world.iam.add_user_to_group(GroupName=f"g{g}", UserName="alice")
    may(world, SETS)
    start = time.monotonic()
    report(world, "alice")
    assert time.monotonic() - start < 52


def test_what_stands_under_our_revocations_name_after_a_restore_counts(world):
    """It is over, and the role is used again; from then on everything under that name is invisible, for good."""
    world.deploy()
    role = Role(world)
    world.iam.detach_role_policy(RoleName="app", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    world.responder().invoke(world.event(OUTSIDE, role=role))
    restore(world)
    world.iam.delete_role_policy(RoleName="app", PolicyName=REVOCATION)
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=ALLOW_ALL)
    assert role.session().list_users()
    answer = report(world, role="app")["evidence"]["report"]
    could = answer["could"]
    assert could["administrator"]["answer"] == "yes", (could["administrator"], answer["risk"], answer["summary"][0], could["simulation"].get("without"), world_asked(world)[0].get("PolicyExclusionList"))


def world_asked(world):
    return [it["params"] for it in world.journal() if it["action"] == "iam:SimulatePrincipalPolicy"]


def test_what_a_policy_names_makes_nothing_of_a_report_but_text(world, plain):  # noqa: F811
    may(world, {"Sid": "x", "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::x|y<b>[z](http://e.example)<@U1>/*"})
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    world.control("control-policies", {"account": world.member, "documents": [document(deny)]})
    answer = report(world, "alice")["evidence"]
    simulation = answer["report"]["could"]["simulation"]
    assert [it for it in simulation["answers"] if it.get("differs")], simulation["answers"][:3]
    assert "<b>" not in answer["html"] and "<b>" not in answer["markdown"] and "](http" not in answer["markdown"]
    assert "http://e.example" not in answer["markdown"], [it for it in answer["markdown"].splitlines() if "e.example" in it][:2]


def test_a_hold_that_says_something_else_holds_nobody(world):
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    hold = f"arn:aws:iam::{world.member}:policy/SecurityRequireMfa"
    world.iam.create_policy_version(PolicyArn=hold, PolicyDocument=ALLOW_ALL, SetAsDefault=True)
    verdict = respond(world, user)
    assert "SecurityRequireMfa" not in user.state()["policies"], (verdict[0]["verdict"], "attached by us, and says: Allow *")


def test_a_containment_in_the_middle_of_a_report_is_none_of_what_it_had(world):
    """The ledger was read before the containment, and IAM after it."""
    world.deploy()
    user = User(world)
    world.fault("iam:ListAttachedUserPolicies", "Throttling", times=14)
    made = []
    thread = threading.Thread(target=lambda: made.append(report(world, "alice")["evidence"]["report"]))
    thread.start()
    time.sleep(1)
    assert not made
    world.responder().invoke(world.event(EXFILTRATION, user))
    assert user.is_denied()
    thread.join()
    could = made[0]["could"]
    assert could["administrator"]["answer"] == "yes", (could["administrator"], made[0]["risk"], made[0]["summary"][0], made[0]["summary"][2])
