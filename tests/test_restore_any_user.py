"""Any user: contained and restored, it is as it was, but for its credentials."""

import itertools
import json
import os

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from .harness.victims import INLINE, user_state

MANAGED = [
    "AdministratorAccess", "AmazonEC2FullAccess", "AmazonRDSFullAccess", "AmazonS3FullAccess", "AmazonSNSFullAccess",
    "AmazonSQSFullAccess", "AmazonVPCFullAccess", "IAMFullAccess", "PowerUserAccess",
]
DENY_SOMETHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]})
NUMBERS = itertools.count()

USERS = st.fixed_dictionaries({
    "path": st.sampled_from(["/", "/team/red/"]),
    "policies": st.lists(st.sampled_from([*MANAGED, "AWSDenyAll"]), unique=True, max_size=9),
    "own_policies": st.lists(st.sampled_from(["own", "denying"]), unique=True, max_size=1),
    "groups": st.lists(st.sampled_from(["developers", "operators", "restricted"]), unique=True),
    "boundary": st.sampled_from([None, "PowerUserAccess", "AWSDenyAll"]),
    "active_keys": st.lists(st.booleans(), max_size=2),
    "inline": st.lists(st.sampled_from(["bucket", "queue"]), unique=True),
    "tags": st.dictionaries(st.sampled_from(["team", "SecurityIncident", "FindingId", "RemediationDate"]), st.sampled_from(["a", "b"])),
    "password": st.booleans(),
    "playbooks": st.lists(st.sampled_from(["contain", "overprivileged", "unused"]), min_size=1, max_size=3, unique=True),
})


def plant(world, shape):
    iam, name = world.iam, f"user-{next(NUMBERS)}"
    iam.create_user(UserName=name, Path=shape["path"], Tags=[{"Key": k, "Value": v} for k, v in shape["tags"].items()])
    world.identify(user=name, created="2020-01-01T00:00:00")
    arns = [f"arn:aws:iam::aws:policy/{it}" for it in shape["policies"]]
    arns += [f"arn:aws:iam::{world.member}:policy/{it}" for it in shape["own_policies"]]
    for arn in arns:
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    for group in shape["groups"]:
        iam.add_user_to_group(GroupName=group, UserName=name)
    if shape["boundary"]:
        iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=f"arn:aws:iam::aws:policy/{shape['boundary']}")
    for active in shape["active_keys"]:
        key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        iam.update_access_key(UserName=name, AccessKeyId=key, Status="Active" if active else "Inactive")
    for policy in shape["inline"]:
        iam.put_user_policy(UserName=name, PolicyName=policy, PolicyDocument=INLINE)
    if shape["password"]:
        iam.create_login_profile(UserName=name, Password="Correct-horse-battery-1")
    return name, iam.get_user(UserName=name)["User"]["UserId"]


def events(world, name, unique_id, shape):
    subject = {"account": world.member, "user": name}
    samples = {
        "contain": {"command": "contain", **subject},
        "overprivileged": world.event("security-hub-simulation-administrator-access"),
        "unused": world.event("security-hub-iam-8-unused-credentials"),
    }
    for playbook in shape["playbooks"]:
        text = json.dumps(samples[playbook])
        event = json.loads(text.replace("AIDACKCEVSQ6C2EXAMPLE", unique_id).replace("user/alice", f"user/{name}").replace('"alice"', f'"{name}"'))
        if "detail" in event:
            event["detail"]["findings"][0]["Id"] += name
            world.finding(event)
        yield "hygiene" if playbook == "unused" else "responder", event


@pytest.mark.heavy
@pytest.mark.seconds(60)
def test_any_user_comes_back(world):
    world.deploy(TrustedProducts="product/aws/*,product/*/default", MaxContainmentsPerHour="100000,100000")
    for group in ("developers", "operators", "restricted"):
        world.iam.create_group(GroupName=group)
    world.iam.put_group_policy(GroupName="restricted", PolicyName="denying", PolicyDocument=DENY_SOMETHING)
    for policy, document in (("own", INLINE), ("denying", DENY_SOMETHING)):
        world.iam.create_policy(PolicyName=policy, PolicyDocument=document)
    functions = {part: world.responder(part=part) for part in ("responder", "hygiene")}
    restorer = world.responder(part="restorer")

    @settings(max_examples=int(os.environ.get("EXAMPLES", 40)), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(USERS)
    def comes_back(shape):
        name, unique_id = plant(world, shape)
        before = user_state(world.iam, name)
        for part, event in events(world, name, unique_id, shape):
            answer = functions[part].invoke(event)
            assert answer["reports"][0]["verdict"] == "Contained", answer
        contained = user_state(world.iam, name)
        note(f"contained: {contained}")
        command = {"command": "restore", "account": world.member, "user": name, "reason": "a drill", "by": "Dana"}
        answer, times = restorer.invoke(command), 0
        while answer.get("restore", answer).get("verdict") == "Restored":
            answer, times = restorer.invoke(command), times + 1
        assert answer.get("restore", answer).get("verdict") == "NothingToDo" and times >= 1, answer
        after = user_state(world.iam, name)
        assert "Active" not in after.pop("keys").values()
        assert after == {field: value for field, value in before.items() if field != "keys"}

    comes_back()
