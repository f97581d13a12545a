"""What a report looks up, and finds though somebody hides it; and whether the containment is still in place."""

import pytest

from .harness.intrusion import client_of, happened, prepare
from .harness.victims import User
from .test_report import EXFILTRATION, report


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
