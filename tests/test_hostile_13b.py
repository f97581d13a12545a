"""Proofs of a hostile read of what was mended last of reports. Each says what is promised, and fails
where it is not kept."""

import json
import time

import pytest

from .harness.ledger import Table
from .harness.requests import about, command
from .harness.victims import Role, User
from .test_missing_mfa import ENFORCED, console_user, respond
from .test_report import EXFILTRATION, report
from .test_report_look import ADMINISTRATOR, in_the_middle, is_an_administrator
from .test_report_versions import ALL, READS, SETS, attach, document, found, may, plain, told, versions  # noqa: F401
from .test_revocation import OUTSIDE, REVOCATION

DENY_EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
PARTNER = "444455556666"


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def deny(action, resource="*"):
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def gains(could, key):
    it = told(could).get(key, {"gains": []})
    return [gain["what"] for gain in it["gains"]]


# What it could do, as it was before containment.


@pytest.mark.parametrize("whose", ["a colleague's", "AWS's own"])
def test_a_deny_that_came_after_containment_is_none_of_what_it_could_do_before(world, whose):
    """"As they were before containment": the second revision must not be calmer by what came after. A boundary that came
    since bounds nothing either."""
    world.deploy()
    user = User(world)
    world.responder().invoke(world.event(EXFILTRATION, user))
    first = report(world, "alice")["evidence"]["report"]
    assert first["could"]["administrator"]["answer"] == "yes"
    quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    if whose == "a colleague's":
        quarantine = world.iam.create_policy(PolicyName="soc-quarantine", PolicyDocument=DENY_EVERYTHING)["Policy"]["Arn"]
    world.iam.attach_user_policy(UserName="alice", PolicyArn=quarantine)
    second = report(world, "alice")["evidence"]["report"]
    ways = [len(it["could"]["escalations"]) for it in (first, second)]
    seen = (second["could"]["administrator"], first["risk"]["level"], second["risk"]["level"], ways, second["summary"][2], second.get("changes"))
    assert second["could"]["administrator"] == first["could"]["administrator"] and ways[0] == ways[1], seen
    assert second["risk"]["level"] == first["risk"]["level"], seen


def test_a_deny_written_over_our_revocation_is_none_of_what_the_role_could_do_before(world):
    """The mend judges what bears the name of ours by its text, and takes whatever else it says for the identity's own."""
    world.deploy()
    role = Role(world)
    world.responder().invoke(world.event(OUTSIDE, role=role))
    first = report(world, role="app")["evidence"]["report"]
    assert first["could"]["administrator"]["answer"] == "yes"
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=DENY_EVERYTHING)
    second = report(world, role="app")["evidence"]["report"]
    seen = (second["could"]["administrator"]["answer"], first["risk"]["level"], second["risk"]["level"], second["summary"][2])
    assert second["could"]["administrator"]["answer"] == "yes", seen


def test_a_hold_of_the_console_that_could_not_be_read_is_not_taken_for_its_own(world):
    """One read fails; the revocation's sibling leaves ours out then, and says so."""
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    respond(world, user)
    assert "SecurityRequireMfa" in user.state()["policies"]
    assert report(world, "alice")["evidence"]["report"]["could"]["administrator"]["answer"] == "yes"
    world.fault("iam:GetPolicy", "AccessDenied", status=403, text="SecurityRequireMfa", times=1)
    again = report(world, "alice")["evidence"]["report"]
    assert again["could"]["administrator"]["answer"] in ("yes", "not-known"), again["could"]["administrator"]


def test_a_containment_while_aws_simulates_is_none_of_what_aws_is_asked(world):
    """"About the identity as it was before containment": the simulator is asked for 25 s after the ledger was read last."""
    world.deploy()
    user = User(world)
    contain = lambda: world.responder().invoke(world.event(EXFILTRATION, user))  # noqa: E731
    made = in_the_middle(world, contain, "iam:SimulatePrincipalPolicy")
    differing = [it for it in made["could"]["simulation"]["answers"] if it.get("differs")] if "answers" in made["could"]["simulation"] else []
    points = [it for it in made["open_points"] if "disagree" in it]
    assert user.is_denied() and made["could"]["administrator"]["answer"] == "yes"
    assert not points, (len(differing), points)
    assert is_an_administrator(made)


def ago(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - seconds))


def test_what_came_after_the_first_sighting_is_not_from_before_what_is_suspected_began(world):
    """GuardDuty saw it an hour ago first and ten minutes ago last; half an hour ago it made a user from a new address."""
    world.deploy(Evidence="true")
    user = User(world)
    user.session().list_users()
    world.control("history", {"account": world.member, "older_by": 7_200})
    user.session().create_user(UserName="mallory")
    world.control("history", {"account": world.member, "older_by": 1_800})
    event = world.event(EXFILTRATION, user)
    event["detail"]["service"].update(eventFirstSeen=ago(3_600), eventLastSeen=ago(600))
    world.responder().invoke(event)
    [asked] = Table(world).items("evidence#")
    made = world.responder(part="investigator").invoke(json.loads(asked["command"]["S"]))["evidence"]["report"]
    [left] = [it for it in made["left"] if it["object"] == "mallory"]
    assert not left["is_of_before"], (made["times"], [it for it in made["open_points"] if "everyday work" in it])
    assert made["times"]["seconds_to_detect"] >= 3_600


# Other versions of its policies.


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
