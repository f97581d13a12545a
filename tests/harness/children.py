"""What somebody made with a key, when, and what a finding says of the time."""

import time
import uuid

from .ledger import DUE, Table


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def seen(event, first, last, key=None, id=None):
    """The finding with other times, in seconds from now, and another key and ID."""
    event["detail"]["service"] |= {"eventFirstSeen": stamp(first), "eventLastSeen": stamp(last)}
    if key:
        event["detail"]["resource"]["accessKeyDetails"]["accessKeyId"] = key
    if id:
        event["detail"]["id"] += id
        event["detail"]["arn"] = event["detail"].get("arn", "") + id
    return event


def by_key(world, user, key=None):
    """Who calls with one of the user's keys, as CloudTrail says it."""
    key = key or user.keys[0]["AccessKeyId"]
    return {"type": "IAMUser", "principalId": user.id, "arn": user.arn, "accountId": world.member, "userName": user.name, "accessKeyId": key}


def by_session(world, role, name, session):
    """The same of a role's session."""
    issuer = {"type": "Role", "principalId": role.id, "arn": role.arn, "userName": "app"}
    return {
        "type": "AssumedRole",
        "principalId": f"{role.id}:{name}",
        "arn": f"arn:aws:sts::{world.member}:assumed-role/app/{name}",
        "accountId": world.member,
        "accessKeyId": session["AccessKeyId"],
        "sessionContext": {"sessionIssuer": issuer},
    }


def told_late(world, caller, user, user_id, at=0):
    """CloudTrail tells only now that somebody made a user."""
    event = {
        "eventID": str(uuid.uuid4()),
        "userIdentity": caller,
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "terraform",
        "readOnly": False,
        "recipientAccountId": world.member,
        "eventTime": stamp(at),
        "requestParameters": {"userName": user},
        "responseElements": {"user": {"userName": user, "userId": user_id}},
    }
    world.control("history", {"account": world.member, "region": "us-east-1", "events": [event]})


def user_of(world, caller, name):
    """A user whom the caller made, as CloudTrail tells late; a key of it that may do everything."""
    made = world.iam.create_user(UserName=name)["User"]
    key = world.iam.create_access_key(UserName=name)["AccessKey"]
    world.iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    told_late(world, caller, name, made["UserId"])
    return key


def ago(world, seconds):
    """All that was done so far was done earlier."""
    world.control("history", {"account": world.member, "older_by": seconds})


def next_report(world, responder):
    """The reports are made again, at their time."""
    table = Table(world)
    for item in table.items("evidence#"):
        if "due_bucket" in item:
            table.change(item, "SET due_at = :zero", zero={"N": "0"})
    answer = responder.invoke(DUE)
    world.deliveries()
    return answer
