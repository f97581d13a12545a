"""The simulated CloudTrail's event history: where it is as strict and as odd as AWS's."""

import datetime as dt
import json

import pytest
from botocore.exceptions import ClientError

from .harness.victims import Role, User


def look_up(world, key, value, region=None, **parameters):
    attribute = [{"AttributeKey": key, "AttributeValue": value}]
    return world.client("cloudtrail", region=region).lookup_events(LookupAttributes=attribute, **parameters)


def code_of(call):
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"]


def test_it_takes_one_attribute_fifty_at_a_time_and_a_token_for_the_same_question(world):
    world.control("history", {"account": world.member, "per_second": 100})
    user = User(world)
    for _ in range(60):
        user.session().get_user(UserName="alice")
    client = world.client("cloudtrail")
    two = [{"AttributeKey": "Username", "AttributeValue": "alice"}, {"AttributeKey": "EventName", "AttributeValue": "GetUser"}]
    assert code_of(lambda: client.lookup_events(LookupAttributes=two)) == "InvalidLookupAttributesException"
    first = look_up(world, "Username", "alice")
    assert len(first["Events"]) == 50
    assert code_of(lambda: look_up(world, "Username", "bob", NextToken=first["NextToken"])) == "InvalidNextTokenException"
    rest = look_up(world, "Username", "alice", NextToken=first["NextToken"])
    assert len(rest["Events"]) == 10 and "NextToken" not in rest
    assert code_of(lambda: look_up(world, "Username", "alice", MaxResults=51)) in ("InvalidMaxResultsException", "ValidationException")


def test_two_calls_a_second_in_each_region(world):
    User(world)
    codes = []
    for _ in range(8):
        try:
            look_up(world, "Username", "alice")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    assert set(codes) <= {"ThrottlingException"} and codes
    assert look_up(world, "Username", "alice", region="eu-west-1")["Events"] == []


def test_a_name_is_a_sessions_and_never_a_roles(world):
    world.control("history", {"account": world.member, "per_second": 100})
    user, role = User(world), Role(world)
    session = user.session("sts").assume_role(RoleArn=role.arn, RoleSessionName="night-job")["Credentials"]
    credentials = {"aws_access_key_id": session["AccessKeyId"], "aws_secret_access_key": session["SecretAccessKey"], "aws_session_token": session["SessionToken"]}
    world.client("iam", **credentials).list_users()
    assert look_up(world, "Username", "app")["Events"] == []
    assert [it["EventName"] for it in look_up(world, "Username", "night-job")["Events"]] == ["ListUsers"]
    [assumed] = look_up(world, "ResourceName", role.arn)["Events"]
    assert json.loads(assumed["CloudTrailEvent"])["responseElements"]["credentials"]["accessKeyId"] == session["AccessKeyId"]
    assert [it["EventName"] for it in look_up(world, "AccessKeyId", session["AccessKeyId"])["Events"]] == ["ListUsers"]
    assert look_up(world, "AccessKeyId", user.keys[0]["AccessKeyId"])["Events"][0]["EventName"] == "AssumeRole"


def test_iams_events_are_in_one_region_and_come_late(world):
    world.control("history", {"account": world.member, "per_second": 100, "delay": 3_600})
    user = User(world)
    world.client("iam", region="eu-west-1", aws_access_key_id=user.keys[0]["AccessKeyId"], aws_secret_access_key=user.keys[0]["SecretAccessKey"]).list_users()
    assert look_up(world, "Username", "alice")["Events"] == []
    world.control("history", {"account": world.member, "delay": 0})
    assert len(look_up(world, "Username", "alice")["Events"]) == 1
    assert look_up(world, "Username", "alice", region="eu-west-1")["Events"] == []
    now = dt.datetime.now(dt.timezone.utc)
    assert look_up(world, "Username", "alice", EndTime=now - dt.timedelta(hours=1))["Events"] == []
