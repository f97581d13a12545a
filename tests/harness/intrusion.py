"""An intruder's session with a user's key: all that it leaves behind, by the key and by roles that it assumes."""

import datetime as dt
import json
import uuid

from .victims import ANYONE_HERE, LONG_AGO

FOREIGN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}}]}


def client_of(world, service, credentials, region=None):
    return world.client(
        service,
        region=region,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        **({"aws_session_token": credentials["SessionToken"]} if "SessionToken" in credentials else {}),
    )


def make_trail(world):
    """A trail that an intruder may stop; its name."""
    world.client("s3").create_bucket(Bucket=f"trail-{world.member}")
    world.client("cloudtrail").create_trail(Name="audit", S3BucketName=f"trail-{world.member}")
    return "audit"


def intrude(world, user, trail):
    """Everything that an intruder leaves behind, by the user's key and by a role that it assumes; their names."""
    iam = user.session()
    backdoor = iam.create_user(UserName="backup-svc")["User"]
    key = iam.create_access_key(UserName="backup-svc")["AccessKey"]
    iam.attach_user_policy(UserName="backup-svc", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    role = iam.create_role(RoleName="partner", AssumeRolePolicyDocument=json.dumps(FOREIGN))["Role"]
    session = user.session("sts").assume_role(RoleArn=f"arn:aws:iam::{world.member}:role/deploy", RoleSessionName="alice")["Credentials"]
    client_of(world, "iam", session).create_login_profile(UserName="operator", Password="Correct-Horse-1")
    chained = client_of(world, "sts", session).assume_role(RoleArn=f"arn:aws:iam::{world.member}:role/deeper", RoleSessionName="onward")["Credentials"]
    client_of(world, "cloudtrail", chained).stop_logging(Name=trail)
    return backdoor, key, role, session, chained


def prepare(world):
    for name in ("deploy", "deeper"):
        world.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ANYONE_HERE))
        world.iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        world.identify(role=name, created=LONG_AGO)
    world.iam.create_user(UserName="operator")
    world.identify(user="operator", created=LONG_AGO)


def happened(world, user, name, count=1, source="iam.amazonaws.com", is_read=True, requests=({},), region="us-east-1"):
    """The user did that so many times, by CloudTrail alone: nothing is called."""
    now = dt.datetime.now(dt.timezone.utc)
    identity = {"type": "IAMUser", "principalId": user.id, "arn": user.arn, "accountId": world.member, "userName": user.name, "accessKeyId": user.keys[0]["AccessKeyId"]}
    event = {
        "userIdentity": identity,
        "eventSource": source,
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli",
        "readOnly": is_read,
        "recipientAccountId": world.member,
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    events = [{**event, "eventID": str(uuid.uuid4()), "requestParameters": requests[n % len(requests)]} for n in range(count)]
    world.control("history", {"account": world.member, "region": region, "events": events})
