"""The rotation runbook of member-role.yaml, its steps run as whoever starts it."""

import json

import pytest
from botocore.exceptions import ClientError

from .harness import templates
from .harness.doors import ALLOW_ALL, DENY_ALL, client_keys
from .harness.runbooks import Execution, Failed
from .harness.victims import Role, User, allowed
from .harness.world import EXTERNAL_ID, POLICIES

LONG_AGO = "2020-01-01T00:00:00"


def as_role(world, role, trusted):
    """Credentials of a session that the responder, or an administrator, gets of a role."""
    session = world.client("sts", **trusted).assume_role(RoleArn=role, RoleSessionName="runbook", ExternalId=EXTERNAL_ID)["Credentials"]
    return {"aws_access_key_id": session["AccessKeyId"], "aws_secret_access_key": session["SecretAccessKey"], "aws_session_token": session["SessionToken"]}


def responders(world):
    own = world.control("role-credentials", {"role_arn": world.responder_role, "region": world.region})
    trusted = {name.lower(): value for name, value in own.items()}
    return as_role(world, f"arn:aws:iam::{world.member}:role/SecurityRemediationRole", trusted)


def administrator(world):
    return {"aws_access_key_id": f"SIMADMIN{world.member}", "aws_secret_access_key": "any"}


def start(world, credentials, **parameters):
    environment = {name.upper(): value for name, value in credentials.items()}
    environment |= {"AWS_ENDPOINT_URL": world.url, "AWS_DEFAULT_REGION": world.region}
    return Execution(templates.runbook(), parameters, lambda service: world.client(service, **credentials), environment)


def test_the_responders_role_may_run_it_to_its_end(world):
    world.deploy()
    user = User(world)
    start(world, responders(world), UserName="alice", UserId=user.id)
    assert set(user.state()["keys"].values()) == {"Inactive"} and len(user.state()["keys"]) == 2


def test_a_namesake_is_left_alone(world):
    world.deploy()
    user = User(world)
    with pytest.raises(Failed, match="CheckIdentity"):
        start(world, responders(world), UserName="alice", UserId="AIDAOTHEROTHEROTHER00")
    assert set(user.state()["keys"].values()) == {"Active"}


def test_a_new_key_goes_into_secrets_manager_and_nowhere_else(world):
    world.deploy()
    user = User(world)
    world.iam.delete_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"])
    execution = start(world, administrator(world), UserName="alice", UserId=user.id, CreateNewKey="true")
    keys = user.state()["keys"]
    assert keys.pop(user.keys[0]["AccessKeyId"]) == "Inactive"
    [(new, status)] = keys.items()
    kept = world.client("secretsmanager").get_secret_value(SecretId="iam-responder/access-key/alice")
    secret = json.loads(kept["SecretString"])
    assert secret["AccessKeyId"] == new and status == "Active"
    assert execution.values["CreateKey.AccessKeyId"] == new
    assert secret["SecretAccessKey"] not in json.dumps([execution.values, execution.kept], default=str)


def test_nothing_is_deleted_to_make_room(world):
    world.deploy()
    user = User(world)
    with pytest.raises(Failed, match="LimitExceeded"):
        start(world, administrator(world), UserName="alice", UserId=user.id, CreateNewKey="true")
    assert set(user.state()["keys"]) == {key["AccessKeyId"] for key in user.keys}


def test_the_responders_role_can_not_make_a_key_with_it(world):
    world.deploy()
    user = User(world)
    world.iam.delete_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"])
    with pytest.raises((Failed, ClientError), match="AccessDenied|not authorized"):
        start(world, responders(world), UserName="alice", UserId=user.id, CreateNewKey="true")
    assert list(user.state()["keys"]) == [user.keys[0]["AccessKeyId"]]


def test_it_deletes_nothing():
    text = json.dumps(templates.runbook())
    assert not [word for word in ("Delete", "delete", "remove_") if word in text.replace("Deletes nothing", "")]


def test_it_is_started_in_a_session_that_can_do_what_it_does_for_this_user_and_nothing_else(world):
    """Its text is kept in the account that is attacked, and it runs as whoever starts it."""
    world.deploy(rotation=True)
    user, other, role = User(world), User(world, name="bob"), Role(world)
    [report] = world.responder().invoke({"command": "contain", "account": world.member, "user": "alice", "reason": "a drill"})["reports"]
    assert report["verdict"] == "Contained", report
    [session] = [it for it in world.sessions() if "ssm:StartAutomationExecution" in it["actions"]]
    own = world.control("role-credentials", {"role_arn": world.responder_role, "region": world.region})
    sts = world.client("sts", **{name.lower(): value for name, value in own.items()})
    arn = f"arn:aws:iam::{world.member}:role/SecurityRemediationRole"
    given = {"RoleArn": arn, "RoleSessionName": "runbook", "ExternalId": EXTERNAL_ID, "Policy": json.dumps(session["policy"])}
    credentials = client_keys(sts.assume_role(**given)["Credentials"])
    for key in user.keys:
        world.iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Active")
    start(world, credentials, UserName="alice", UserId=user.id)
    assert set(user.state()["keys"].values()) == {"Inactive"}
    iam = world.client("iam", **credentials)
    for call, fields in (
        (iam.put_role_policy, {"RoleName": role.name, "PolicyName": "p", "PolicyDocument": ALLOW_ALL}),
        (iam.update_access_key, {"UserName": "bob", "AccessKeyId": other.keys[0]["AccessKeyId"], "Status": "Inactive"}),
        (iam.attach_user_policy, {"UserName": "bob", "PolicyArn": DENY_ALL}),
        (iam.detach_user_policy, {"UserName": "alice", "PolicyArn": f"arn:aws:iam::aws:policy/{POLICIES[0]}"}),
        (iam.list_users, {}),
    ):
        assert not allowed(call, **fields), call.__name__
