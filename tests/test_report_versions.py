"""Other versions of the policies that an identity has: whoever may make one count has what it allows."""

import concurrent.futures
import json

import pytest

from .harness.ledger import until
from .harness.victims import Role, User
from .test_report import EXFILTRATION, report
from .test_report_look import ADMINISTRATOR

ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
READS = {"Effect": "Allow", "Action": ["ec2:Describe*", "s3:ListAllMyBuckets"], "Resource": "*"}
SETS = {"Effect": "Allow", "Action": "iam:SetDefaultPolicyVersion", "Resource": "*"}
PARTNER = "444455556666"


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def deny(action, resource="*"):
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def versions(world, name, *each):
    """A policy of these versions, of which the last counts; its ARN."""
    first, *rest = each
    arn = world.iam.create_policy(PolicyName=name, PolicyDocument=document(*first))["Policy"]["Arn"]
    for statements in rest:
        world.iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(*statements), SetAsDefault=True)
    return arn


@pytest.fixture
def plain(world):
    """A user that has nothing but what a test gives it."""
    world.deploy()
    user = User(world, policies=[], groups=())
    world.iam.delete_user_policy(UserName="alice", PolicyName="bucket")
    return user


def may(world, *statements):
    world.iam.put_user_policy(UserName="alice", PolicyName="own", PolicyDocument=document(*statements))


def attach(world, arn):
    world.iam.attach_user_policy(UserName="alice", PolicyArn=arn)


def found(world):
    return report(world, "alice")["evidence"]["report"]


def told(could):
    return {(it["policy"], it.get("version")): it for it in could["versions"]}


def gains(could, key):
    return [gain["what"] for gain in told(could).get(key, {"gains": []})["gains"]]


def reads(world):
    """Of versions of customers' policies: how many of each kind."""
    calls = [it for it in world.journal() if it["action"] in ("iam:ListPolicyVersions", "iam:GetPolicyVersion")]
    asked = [(it["action"], it["params"]["PolicyArn"], it["params"].get("VersionId")) for it in calls]
    return [it for it in asked if ":iam::aws:" not in it[1]]


def test_an_older_version_that_makes_an_administrator_is_found_and_named_as_before_containment(world, plain):
    team = versions(world, "team", [ALL], [READS], [READS, SETS])
    attach(world, team)
    before = found(world)
    [contained] = world.responder().invoke(world.event(EXFILTRATION, plain))["reports"]
    assert contained["verdict"] == "Contained"
    answer = report(world, "alice")["evidence"]
    after = answer["report"]
    for could in (before["could"], after["could"]):
        assert could["administrator"]["answer"] == "no"
        [(key, version)] = told(could).items()
        assert key == (team, "v1") and version["answer"] == "yes" and could["versions_read"] == 2
        assert version["gains"][0] == {"what": "be an administrator", "answer": "yes"} and version["more_gains"] > 20
        [by] = [could["grants"][str(it)] for it in version["by"]]
        assert (by["policy"], by["statement"]) == (team, "#2")
        [way] = [it for it in could["escalations"] if it["id"] == "iam-002"]
        assert way["versions"] == [f"version v1 of {team}"]
    assert after["risk"]["level"] == "high" and any("another version of a policy" in it for it in after["risk"]["because"])
    assert "administrator by another version of a policy" in after["summary"][2]
    assert "version v1 of" in answer["markdown"] and "it could be an administrator: yes" in answer["markdown"]
    # It is what IAM would do.
    world.iam.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    key = plain.keys[0]["AccessKeyId"]
    world.iam.update_access_key(UserName="alice", AccessKeyId=key, Status="Active")
    assert not plain.key_works()
    plain.session().set_default_policy_version(PolicyArn=team, VersionId="v1")
    assert plain.key_works()


def test_a_policy_of_a_group_and_the_boundary_have_versions_too(world, plain):
    of_group = versions(world, "of-group", [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}], [READS])
    bounds = versions(world, "bounds", [ALL], [SETS, READS])
    world.iam.create_group(GroupName="team")
    world.iam.attach_group_policy(GroupName="team", PolicyArn=of_group)
    world.iam.add_user_to_group(GroupName="team", UserName="alice")
    may(world, SETS, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    could = found(world)["could"]
    assert [it["what"] for it in told(could)[of_group, "v1"]["gains"]] == ["read secrets"]
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=bounds)
    could = found(world)["could"]
    # By the boundary as it is, the secret is out of reach; by its older version the objects are in reach.
    assert list(told(could)) == [(bounds, "v1")] and could["versions_read"] == 2
    assert "read objects in S3" in [it["what"] for it in told(could)[bounds, "v1"]["gains"]]
    assert any("one by one" in it for it in could["notes"])


def test_what_a_boundary_or_a_deny_caps_is_no_gain(world, plain):
    team = versions(world, "team", [ALL], [READS])
    attach(world, team)
    may(world, SETS)
    bounds = versions(world, "bounds", [READS, {**SETS, "Resource": team}])
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=bounds)
    could = found(world)["could"]
    assert could["versions"] == [] and could["versions_read"] == 1
    world.iam.delete_user_permissions_boundary(UserName="alice")
    assert (team, "v1") in told(found(world)["could"])
    may(world, SETS, {"Effect": "Deny", "NotAction": ["iam:SetDefaultPolicyVersion", "ec2:*"], "Resource": "*"})
    gains = [it["what"] for it in told(found(world)["could"])[team, "v1"]["gains"]]
    assert "be an administrator" not in gains and "read secrets" not in gains


def test_of_a_policy_whose_version_it_may_not_set_none_is_read(world, plain):
    team, own = (versions(world, name, [ALL], [READS]) for name in ("team", "own"))
    attach(world, team)
    attach(world, own)
    could = found(world)["could"]
    assert could["versions"] == [] and could["versions_read"] == 0
    # What counts of each is read, and nothing else.
    assert sorted(reads(world)) == [("iam:GetPolicyVersion", it, "v2") for it in sorted((team, own))]
    may(world, {**SETS, "Resource": own})
    could = found(world)["could"]
    assert list(told(could)) == [(own, "v1")]
    assert ("iam:ListPolicyVersions", own, None) in reads(world) and ("iam:GetPolicyVersion", own, "v1") in reads(world)
    assert not [it for it in reads(world) if it[0] == "iam:ListPolicyVersions" and it[1] == team]


def test_where_it_depends_on_a_condition_the_key_is_named(world, plain):
    team = versions(world, "team", [ALL], [READS])
    attach(world, team)
    may(world, {**SETS, "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}})
    version = told(found(world)["could"])[team, "v1"]
    assert version["answer"] == "depends" and version["depends_on"] == ["aws:SourceVpc"] and version["gains"]


@pytest.mark.parametrize("action, version", [("iam:ListPolicyVersions", None), ("iam:GetPolicyVersion", "v1")])
def test_a_version_that_can_not_be_read_is_not_known(world, plain, action, version):
    team = versions(world, "team", [ALL], [READS])
    attach(world, team)
    may(world, SETS)
    world.fault(action, "AccessDenied", text=f"VersionId={version}" if version else "")
    answer = report(world, "alice")["evidence"]
    could = answer["report"]["could"]
    [(key, other)] = told(could).items()
    assert key == (team, version) and other["gains"] == [] and "AccessDenied" in other["not_known"] and could["versions_read"] == 0
    assert "not everything that decides could be read or asked" in answer["report"]["risk"]["because"]
    assert "what it would give is not known: AccessDenied" in answer["markdown"]


def test_policies_beyond_those_that_are_read_are_counted(world, plain):
    all_of_them = [versions(world, f"team-{n:02}", [ALL], [READS]) for n in range(12)]
    world.iam.create_group(GroupName="team")
    for arn in all_of_them[:6]:
        world.iam.attach_group_policy(GroupName="team", PolicyArn=arn)
    world.iam.add_user_to_group(GroupName="team", UserName="alice")
    for arn in all_of_them[6:]:
        attach(world, arn)
    may(world, SETS)
    could = found(world)["could"]
    assert could["versions_read"] == len(could["versions"]) == 10
    assert could["not_asked"] == ["other versions of 2 of its policies: there are too many"]
    assert len([it for it in reads(world) if it[0] == "iam:ListPolicyVersions"]) == 10


def test_a_version_that_gives_more_of_what_it_has_some_of_gives_more(world, plain):
    """One worthless secret and one user's keys; by v1 all of them, an administrator's keys among them."""
    some = [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": f"arn:aws:secretsmanager:*:{world.member}:secret:demo-*"},
        {"Effect": "Allow", "Action": "iam:CreateAccessKey", "Resource": f"arn:aws:iam::{world.member}:user/demo"},
    ]
    everything = [{"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "iam:CreateAccessKey"], "Resource": "*"}]
    team = versions(world, "team", everything, some, [*some, SETS])
    attach(world, team)
    answer = report(world, "alice")["evidence"]
    could = answer["report"]["could"]
    # v2 gives less than what counts.
    assert list(told(could)) == [(team, "v1")] and could["versions_read"] == 2
    more = {"use secretsmanager:GetSecretValue on more resources", "use iam:CreateAccessKey on more resources"}
    assert {it["what"] for it in could["versions"][0]["gains"]} == more
    assert answer["report"]["risk"]["level"] == "high" and "CreateAccessKey on more resources: yes" in answer["markdown"]


def test_a_version_that_comes_to_count_while_the_report_is_made_is_read(world, plain):
    """What counts is read as v2; before the versions are listed, v1 counts."""
    team = versions(world, "team", [ALL], [READS, SETS])
    attach(world, team)
    world.fault("iam:ListPolicyVersions", hold=True, times=1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        made = pool.submit(found, world)
        until(lambda: not world.faults()[-1]["times"])
        world.iam.set_default_policy_version(PolicyArn=team, VersionId="v1")
        world.release()
        could = made.result()["could"]
    assert could["administrator"]["answer"] == "no" and list(told(could)) == [(team, "v1")]
    assert could["versions"][0]["gains"][0]["what"] == "be an administrator"


def test_a_version_that_lifts_a_deny_on_another_accounts_role_gives_more(world, plain):
    """The same pattern on both sides; what a Deny takes out of it is not compared."""
    partner = f"arn:aws:iam::{PARTNER}:role"
    some = [allow("sts:AssumeRole", f"{partner}/*"), deny("sts:AssumeRole", f"{partner}/prod-*"), SETS]
    team = versions(world, "team", [allow("sts:AssumeRole", f"{partner}/*"), SETS], some)
    attach(world, team)
    answer = report(world, "alice")["evidence"]
    could = answer["report"]["could"]
    assert gains(could, (team, "v1")), [it for it in answer["markdown"].splitlines() if "that it may make count" in it]


def test_a_boundarys_version_that_opens_every_other_account_gives_more(world, plain):
    """Its own policy says `*` on both sides; only the boundary names roles."""
    role = f"arn:aws:iam::{PARTNER}:role/reader"
    bounds = versions(world, "bounds", [allow("sts:AssumeRole"), SETS], [allow("sts:AssumeRole", role), SETS])
    may(world, allow("sts:AssumeRole"), SETS)
    world.iam.put_user_permissions_boundary(UserName="alice", PermissionsBoundary=bounds)
    answer = report(world, "alice")["evidence"]
    assert gains(answer["report"]["could"], (bounds, "v1")), [it for it in answer["markdown"].splitlines() if "that it may make count" in it]


def test_a_version_that_names_fewer_roles_of_another_account_gives_no_more(world, plain):
    partner = f"arn:aws:iam::{PARTNER}:role"
    team = versions(world, "team", [allow("sts:AssumeRole", f"{partner}/reader")], [allow("sts:AssumeRole", f"{partner}/*"), SETS])
    attach(world, team)
    could = found(world)["could"]
    assert gains(could, (team, "v1")) == [], could["versions"]


def test_a_version_that_is_read_and_asked_in_full_is_known_though_a_role_trusts_a_service(world, plain):
    """It passes no role now, so that there is nothing to compare: every way is new, and named as that."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]})
    world.iam.create_role(RoleName="worker", AssumeRolePolicyDocument=trust)
    team = versions(world, "team", [allow(["iam:PassRole", "lambda:*"]), SETS], [READS, SETS])
    attach(world, team)
    made = found(world)
    could = made["could"]
    assert "run a Lambda function with a role (lambda-001)" in gains(could, (team, "v1")), could["versions"]
    version = told(could)[team, "v1"]
    assert "not_known" not in version and could["versions_read"] == 1, (version["not_known"], could["versions_read"], made["risk"]["because"])


def test_a_version_that_lifts_a_deny_that_the_report_names_gives_more(world, plain):
    """`administrator_but` names it: asked about, and not compared."""
    team = versions(world, "team", [ALL], [ALL, deny(["kms:ScheduleKeyDeletion", "s3:DeleteBucket"])])
    attach(world, team)
    answer = report(world, "alice")["evidence"]
    could = answer["report"]["could"]
    assert could["administrator_but"] == ["s3:DeleteBucket", "kms:ScheduleKeyDeletion"]
    assert gains(could, (team, "v1")), [it for it in answer["markdown"].splitlines() if "that it may make count" in it]


def test_a_version_that_lifts_a_deny_by_a_tag_of_the_session_gives_more(world):
    world.deploy()
    Role(world)
    world.iam.detach_role_policy(RoleName="app", PolicyArn=ADMINISTRATOR)
    secret = f"arn:aws:secretsmanager:*:{world.member}:secret"
    reads = allow("secretsmanager:GetSecretValue")
    team = versions(world, "team", [reads, SETS], [reads, deny("secretsmanager:GetSecretValue", f"{secret}:${{aws:PrincipalTag/team}}-*"), SETS])
    world.iam.attach_role_policy(RoleName="app", PolicyArn=team)
    answer = report(world, role="app")["evidence"]
    assert gains(answer["report"]["could"], (team, "v1")), [it for it in answer["markdown"].splitlines() if "that it may make count" in it]
