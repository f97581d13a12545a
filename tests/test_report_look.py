"""What a report looks up, and finds though somebody hides it; and whether the containment is still in place."""

import json
import threading
import time

import pytest

from .harness.doors import ALLOW_ALL, REVOCATION
from .harness.intrusion import client_of, happened, prepare
from .harness.ledger import Table, until
from .harness.victims import Role, User
from .test_missing_mfa import ENFORCED, console_user, respond
from .test_report import EXFILTRATION, report
from .test_revocation import OUTSIDE, restore

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
DENY_EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})


def names(found):
    return {it["object"] for it in found["left"]}


@pytest.mark.seconds(9)
def test_a_planted_user_is_found_behind_any_number_of_cheap_calls(world):
    """What changes something is few: a flood of reads hides none of it. With less time than a real report has, and as many
    fewer calls."""
    world.deploy()
    user = User(world)
    user.session().create_user(UserName="mallory")
    prepare(world)
    session = user.session("sts").assume_role(RoleArn=f"arn:aws:iam::{world.member}:role/deploy", RoleSessionName="hop")["Credentials"]
    client_of(world, "iam", session).create_user(UserName="by-session")
    world.control("history", {"account": world.member, "older_by": 60})
    happened(world, user, "GetUser", count=1_000)
    answer = world.responder(part="investigator", timeout=20).invoke({"command": "report", "account": world.member, "user": "alice"})
    found = answer["evidence"]["report"]
    # And by the key of its session who made that.
    assert names(found) == {"mallory", "by-session"}, (found["summary"], found["open_points"])
    [cut] = [it for it in found["looked_at"] if it["by"] == "Username=alice" and it["events"]]
    assert cut["missing"] == "the time ran out" and 50 < cut["events"] < 1_000, cut


def test_a_session_made_by_another_regions_endpoint_is_found_with_what_it_left(world):
    """One flag of the intruder's: the event of STS is in that region alone, and what the session makes in IAM is where all
    of IAM's events are."""
    world.deploy()
    user = User(world)
    prepare(world)
    sts = client_of(world, "sts", user.keys[0], region="eu-west-3")
    session = sts.assume_role(RoleArn=f"arn:aws:iam::{world.member}:role/deploy", RoleSessionName="hop")["Credentials"]
    client_of(world, "iam", session).create_user(UserName="mallory")
    found = report(world, "alice")["evidence"]["report"]
    assert "mallory" in names(found), (found["summary"], found["sessions"])
    # Where nothing was found is one line of each look-up.
    assert len([it for it in found["looked_at"] if it["by"] == "Username=alice"]) == 2
    assert any("eu-west-3" in it and "sa-east-1" in it for it in found["not_looked_at"])


def test_a_user_that_renamed_itself_is_found_under_the_name_it_had(world):
    """CloudTrail keeps the name of the moment; a user may give itself another."""
    world.deploy()
    user = User(world)
    session = user.session()
    session.list_users()
    session.create_user(UserName="mallory")
    session.update_user(UserName="alice", NewUserName="alicia")
    found = report(world, user.id)["evidence"]["report"]
    assert found["principal"]["name"] == "alicia" and "mallory" in names(found)
    # What it read too, and by its keys, which stay.
    assert found["did"]["calls"] == 3, found["did"]
    looked = {it["by"] for it in found["looked_at"]}
    assert {"ReadOnly=false", "Username=alice", "Username=alicia", *(f"AccessKeyId={it['AccessKeyId']}" for it in user.keys)} <= looked


def test_a_containment_that_somebody_lifted_is_not_reported_as_in_place(world):
    """The report reads the identity anyway, and finds no deny and a key that works."""
    world.deploy()
    user = User(world)
    [contained] = world.responder().invoke(world.event(EXFILTRATION, user))["reports"]
    assert contained["verdict"] == "Contained"
    found = report(world, "alice")["evidence"]["report"]
    assert "not_in_place" not in found["containment"] and found["risk"]["level"] != "critical"
    thief = User(world, name="thief").session()
    thief.detach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    thief.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
    assert user.key_works()
    found = report(world, "alice")["evidence"]["report"]
    assert found["containment"]["not_in_place"] == ["`AWSDenyAll` is not attached", f"access key {user.keys[0]['AccessKeyId']} is active"]
    assert f"not in place at {found['made_at']}" in found["summary"][0] and found["risk"]["level"] == "critical"
    assert f'"command":"contain","reason":"contained before","user":"{user.id}"' in found["next_steps"][0]


def poor_role(world):
    """One that could nothing, and was contained."""
    world.deploy()
    role = Role(world)
    world.iam.detach_role_policy(RoleName="app", PolicyArn=ADMINISTRATOR)
    world.responder().invoke(world.event(OUTSIDE, role=role))
    assert REVOCATION in role.state()["inline"]
    return role


def is_an_administrator(found):
    could = found["could"]
    by_aws = {it["action"]: it["aws"] for it in could["simulation"]["answers"]}
    return (could["administrator"]["answer"], by_aws["iam:CreateUser"]) == ("yes", "yes")


def test_what_somebody_puts_under_our_revocations_name_after_it_counts(world):
    poor_role(world)
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=ALLOW_ALL)
    found = report(world, role="app")["evidence"]["report"]
    assert is_an_administrator(found), found["could"]
    assert "its sessions are not revoked" in found["summary"][0], found["summary"]


def test_what_stands_under_our_revocations_name_after_a_restore_counts(world):
    role = poor_role(world)
    restore(world)
    world.iam.delete_role_policy(RoleName="app", PolicyName=REVOCATION)
    world.iam.put_role_policy(RoleName="app", PolicyName=REVOCATION, PolicyDocument=ALLOW_ALL)
    assert role.session().list_users()
    found = report(world, role="app")["evidence"]["report"]
    assert is_an_administrator(found), found["could"]


def test_the_hold_of_a_console_counts_once_it_says_something_else(world):
    world.deploy(**ENFORCED, MissingMfaAction="console")
    user = console_user(world)
    for policy in world.iam.list_attached_user_policies(UserName=user.name)["AttachedPolicies"]:
        world.iam.detach_user_policy(UserName=user.name, PolicyArn=policy["PolicyArn"])
    for group in world.iam.list_groups_for_user(UserName=user.name)["Groups"]:
        world.iam.remove_user_from_group(GroupName=group["GroupName"], UserName=user.name)
    respond(world, user)
    hold = f"arn:aws:iam::{world.member}:policy/SecurityRequireMfa"
    assert "SecurityRequireMfa" in user.state()["policies"]
    world.iam.create_policy_version(PolicyArn=hold, PolicyDocument=ALLOW_ALL, SetAsDefault=True)
    found = report(world, user.name)["evidence"]["report"]
    assert is_an_administrator(found), found["could"]
    assert "SecurityRequireMfa says something else" in found["summary"][0], found["summary"]


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


def in_the_middle(world, act, held, **fault):
    """The report that had read the ledger, and not all of IAM, when something was done."""
    world.fault(held, hold=True, times=1, **fault)
    made = []
    thread = threading.Thread(target=lambda: made.append(report(world, "alice")["evidence"]["report"]))
    thread.start()
    until(lambda: world.faults()[0]["times"] == 0)
    act()
    assert not made
    world.release()
    thread.join()
    return made[0]


def test_a_containment_in_the_middle_of_a_report_is_none_of_what_it_had(world):
    world.deploy()
    user = User(world)
    contain = lambda: world.responder().invoke(world.event(EXFILTRATION, user))  # noqa: E731
    # It is listed once before the ledger is read.
    found = in_the_middle(world, contain, "iam:ListAttachedUserPolicies", after=1)
    assert user.is_denied() and is_an_administrator(found), found["could"]


def test_a_restore_in_the_middle_of_a_report_makes_our_deny_nobody_elses(world):
    world.deploy()
    user = User(world)
    world.responder().invoke(world.event(EXFILTRATION, user))
    command = {"command": "restore", "account": world.member, "user": "alice", "reason": "a false alarm", "by": "Dana"}
    restore = lambda: world.responder(part="restorer").invoke(command)  # noqa: E731
    found = in_the_middle(world, restore, "iam:ListGroupsForUser")
    assert not user.is_denied() and found["could"]["administrator"]["answer"] == "not-known", found["could"]


def stamp(seconds_ago):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - seconds_ago))


def test_what_came_after_the_first_sighting_is_not_from_before_what_is_suspected_began(world):
    """GuardDuty saw it an hour ago first and ten minutes ago last; half an hour ago it made a user from a new address."""
    world.deploy(Evidence="true")
    user = User(world)
    user.session().list_users()
    world.control("history", {"account": world.member, "older_by": 7_200})
    user.session().create_user(UserName="mallory")
    world.control("history", {"account": world.member, "older_by": 1_800})
    event = world.event(EXFILTRATION, user)
    event["detail"]["service"].update(eventFirstSeen=stamp(3_600), eventLastSeen=stamp(600))
    world.responder().invoke(event)
    [asked] = Table(world).items("evidence#")
    made = world.responder(part="investigator").invoke(json.loads(asked["command"]["S"]))["evidence"]["report"]
    [left] = [it for it in made["left"] if it["object"] == "mallory"]
    assert not left["is_of_before"], (made["times"], [it for it in made["open_points"] if "everyday work" in it])
    assert made["times"]["seconds_to_detect"] >= 3_600
