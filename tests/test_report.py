"""The report on an identity: what it could do, what it did, what it left behind. By an intruder who plays its session
with the victim's key, against CloudTrail's event history."""

import hashlib
import json

import pytest

from .harness.victims import ANYONE_HERE, LONG_AGO, Role, User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
FOREIGN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}}]}


def report(world, user=None, role=None, **fields):
    command = {"command": "report", "account": world.member, **({"user": user} if user else {"role": role}), **fields}
    return world.responder(part="investigator").invoke(command)


def client_of(world, service, credentials, region=None):
    return world.client(
        service,
        region=region,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        **({"aws_session_token": credentials["SessionToken"]} if "SessionToken" in credentials else {}),
    )


@pytest.fixture
def trail(world):
    """A trail that an intruder may stop."""
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


@pytest.mark.seconds(10)
def test_an_intruders_session_is_found_completely_the_chain_included(world, trail):
    world.deploy(Evidence="true")
    user = User(world)
    prepare(world)
    backdoor, key, role, session, chained = intrude(world, user, trail)
    world.connected(part="investigator")
    event = world.event(EXFILTRATION, user)
    [contained] = world.responder().invoke(event)["reports"]
    assert contained["verdict"] in ("Contained", "SuspectsOpen"), contained
    world.deliveries()
    # The one that the containment asked for has told people, and opened the suspects that it found.
    told = [it for it in world.alerts() if it["Subject"].startswith("Evidence: user alice")]
    assert len(told) == 1 and "NEW SUSPECTS" in told[0]["Message"] and "risk critical" in told[0]["Subject"]
    status = world.responder().invoke({"command": "status", "account": world.member, "user": "alice"})["status"]
    suspects = " ".join(status["open_suspects"])
    assert status["verdict"] == contained["verdict"]

    answer = report(world, "alice")["evidence"]
    found = answer["report"]
    assert found["revision"] == 2 and answer["new_suspects"] == []
    left = {it["action"]: it for it in found["left"]}
    for action in ("iam:CreateUser", "iam:CreateAccessKey", "iam:AttachUserPolicy", "iam:CreateRole", "iam:CreateLoginProfile", "cloudtrail:StopLogging"):
        assert action in left, (action, list(left))
        assert left[action]["event"] and left[action]["at"] and left[action]["by"]
    assert left["iam:CreateUser"]["unique_id"] == backdoor["UserId"] and left["iam:CreateUser"]["now"] == "still there"
    assert left["iam:CreateAccessKey"]["unique_id"] == key["AccessKeyId"]
    assert left["iam:CreateRole"]["detail"] == "lets in arn:aws:iam::444455556666:root"
    assert "deploy" in left["iam:CreateLoginProfile"]["by"] and "deeper" in left["cloudtrail:StopLogging"]["by"]
    sessions = [(it["key"], it["depth"]) for it in found["sessions"]]
    assert sessions == [(session["AccessKeyId"], 1), (chained["AccessKeyId"], 2)]
    for each in (backdoor["UserId"], key["AccessKeyId"], role["RoleId"], session["AccessKeyId"], chained["AccessKeyId"], left["cloudtrail:StopLogging"]["event"]):
        assert each in suspects, each
    # As it was before containment, though all of it is denied now and a key is taken.
    assert found["could"]["administrator"]["answer"] == "yes"
    [grant] = [it for it in found["could"]["administrator"]["by"] if it["policy"].endswith("AdministratorAccess")]
    assert grant["kind"] == "policy" and grant["statement"]
    assert {it["role"].split("/")[-1] for it in found["could"]["roles"]} >= {"deploy", "deeper"}
    assert found["risk"]["level"] == "critical" and len(found["summary"]) == 5 and found["is_provisional"]
    assert found["containment"]["read_at"] and any("AttachDenyAll" in it["action"] for it in found["containment"]["actions"])
    assert found["indicators"]["addresses"] == ["198.51.100.7"] and "198.51.100.7" not in answer["markdown"]
    assert answer["sha256"] == hashlib.sha256(json.dumps(found, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def test_a_benign_user_gives_a_calm_report(world):
    world.deploy()
    user = User(world, policies=["ReadOnlyAccess"], groups=())
    world.iam.delete_user_policy(UserName="alice", PolicyName="bucket")
    user.session().list_users()
    world.control("history", {"account": world.member, "older_by": 7_200})
    user.session().list_users()
    answer = report(world, "alice")
    found = answer["evidence"]["report"]
    assert found["left"] == [] and found["sessions"] == [] and answer["evidence"]["new_suspects"] == []
    assert found["did"]["calls"] == 2 and found["did"]["services"][0]["value"] == "iam.amazonaws.com"
    assert found["could"]["administrator"]["answer"] == "no" and found["could"]["escalations"] == []
    assert found["risk"]["level"] in ("low", "medium") and "no suspects" in found["summary"][4]
    assert "verdict" not in found["containment"]


def test_a_roles_sessions_are_found_by_the_keys_that_were_minted(world):
    world.deploy()
    role = Role(world)
    user = User(world, name="bob")
    session = user.session("sts").assume_role(RoleArn=role.arn, RoleSessionName="night-job")["Credentials"]
    client_of(world, "iam", session).create_user(UserName="made-by-role")
    found = report(world, role="app")["evidence"]["report"]
    assert [it["action"] for it in found["left"]] == ["iam:CreateUser"]
    assert any(it["by"] == f"AccessKeyId={session['AccessKeyId']}" and it["events"] for it in found["looked_at"])
    # By its name there is nothing, and that proves nothing.
    other = Role(world, name="idle")
    assert other.id
    found = report(world, role="idle")["evidence"]["report"]
    assert found["did"]["calls"] == 0 and any("inconclusive" in it for it in found["open_points"])


def test_a_session_of_the_same_name_is_somebody_else(world):
    world.deploy()
    User(world)
    role = Role(world)
    bob = User(world, name="bob")
    session = bob.session("sts").assume_role(RoleArn=role.arn, RoleSessionName="alice")["Credentials"]
    client_of(world, "iam", session).create_user(UserName="not-alices")
    found = report(world, "alice")["evidence"]["report"]
    looked = [it for it in found["looked_at"] if it["by"] == "Username=alice"]
    assert looked[0]["events"] == 1 and found["left"] == [] and found["did"]["calls"] == 0


@pytest.mark.seconds(6)
def test_pages_and_throttling_are_worked_through(world):
    world.deploy()
    user = User(world)
    session = user.session()
    for _ in range(120):
        session.get_user(UserName="alice")
    world.control("history", {"account": world.member, "per_second": 1})
    found = report(world, "alice")["evidence"]["report"]
    [looked] = [it for it in found["looked_at"] if it["by"] == "Username=alice" and it["region"] == "us-east-1"]
    assert (looked["events"], looked["pages"], looked.get("missing")) == (120, 3, None)
    assert found["did"]["calls"] == 120
    refused = [it for it in world.journal() if it["action"] == "cloudtrail:LookupEvents" and it["status"] == 400]
    assert refused


@pytest.mark.seconds(8)
def test_what_is_missing_because_time_ran_out_is_said(world):
    world.deploy()
    user = User(world)
    user.session().list_users()
    world.fault("cloudtrail:LookupEvents", "ThrottlingException")
    answer = world.responder(part="investigator", timeout=18).invoke({"command": "report", "account": world.member, "user": "alice"})
    found = answer["evidence"]["report"]
    assert all(it["missing"] == "the time ran out" for it in found["looked_at"]) and found["looked_at"]
    assert any("the time ran out" in it for it in found["open_points"])
    assert found["did"]["calls"] == 0 and "no proof" in found["summary"][3]
    assert found["could"]["administrator"]["answer"] == "yes"


@pytest.mark.parametrize(
    "action, says",
    [
        ("cloudtrail:LookupEvents", lambda it: any("AccessDenied" in each.get("missing", "") for each in it["looked_at"])),
        ("iam:GetPolicyVersion", lambda it: any("AdministratorAccess" in each for each in it["could"]["unread"])),
        ("iam:ListGroupsForUser", lambda it: any("groups" in each for each in it["could"]["unread"])),
        ("iam:ListRoles", lambda it: any("whom roles trust" in each for each in it["could"]["unread"])),
        ("dynamodb:GetItem", lambda it: any("the ledger" in each for each in it["not_looked_at"])),
    ],
)
def test_a_missing_permission_is_said_where_it_is_missed(world, action, says):
    world.deploy()
    user = User(world)
    user.session().list_users()
    world.fault(action, "AccessDenied")
    found = report(world, "alice")["evidence"]["report"]
    assert says(found), json.dumps(found, indent=1)


def test_a_report_that_can_not_be_asked_for_changes_nothing(world):
    world.deploy(Evidence="true")
    user = User(world)
    world.fault("lambda:InvokeFunction", "AccessDeniedException")
    responder = world.responder()
    [contained] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert contained["verdict"] == "Contained" and not user.key_works()
    assert "could not be asked for" in responder.output()


def test_a_suspect_that_a_person_closed_is_not_opened_again(world, trail):
    world.deploy()
    user = User(world)
    prepare(world)
    intrude(world, user, trail)
    responder = world.responder()
    responder.invoke(world.event(EXFILTRATION, user))
    first = report(world, "alice")["evidence"]
    assert first["new_suspects"]
    closed = responder.invoke({"command": "close-suspect", "account": world.member, "user": "alice", "suspect": "all", "by": "Dana", "reason": "done"})
    assert closed["closed"]
    assert report(world, "alice")["evidence"]["new_suspects"] == []


def test_others_text_is_no_markup_in_the_report(world):
    world.deploy()
    user = User(world)
    session = user.session()
    session.meta.events.register("before-send.*", lambda request, **_: request.headers.__setitem__("User-Agent", "](http://evil.example)<img src=x>|`"))
    session.list_users()
    answer = report(world, "alice")["evidence"]
    assert any("evil.example" in it for it in answer["report"]["indicators"]["user_agents"])
    for markup in ("](", "<img", "evil.example"):
        assert markup not in answer["markdown"]


def test_the_command_is_for_this_function_and_says_what_is_wrong(world):
    world.deploy()
    User(world)
    answer = world.responder().invoke({"command": "report", "account": world.member, "user": "alice"})
    assert answer["errorType"] == "MalformedEvent", answer
    for wrong in ({"since": "yesterday"}, {"usr": "alice"}):
        answer = world.responder(part="investigator").invoke({"command": "report", "account": world.member, "user": "alice", **wrong})
        assert answer["errorType"] == "MalformedEvent", answer
    answer = report(world, "nobody")
    assert answer["errorType"] == "ResponseIncomplete" and "NotFound" in answer["errorMessage"]


def test_what_comes_late_is_in_the_next_report_and_opens_its_suspects_then(world):
    world.deploy()
    user = User(world)
    world.control("history", {"account": world.member, "delay": 3_600})
    user.session().create_user(UserName="late")
    world.responder().invoke(world.event(EXFILTRATION, user))
    first = report(world, user.id)["evidence"]["report"]
    assert first["is_provisional"] and first["left"] == [] and any("inconclusive" in it for it in first["open_points"])
    world.control("history", {"account": world.member, "delay": 0})
    world.alerts()
    second = report(world, user.id)["evidence"]
    assert [it["action"] for it in second["report"]["left"]] == ["iam:CreateUser"]
    # IAM itself had told of the user: it is no news, and no suspect twice.
    assert second["report"]["revision"] == 2 and second["new_suspects"] == []
    status = world.responder().invoke({"command": "status", "account": world.member, "user": "alice"})["status"]
    assert len(status["open_suspects"]) == 1


def test_the_investigator_changes_nothing_but_its_own_items(world):
    world.deploy()
    user = User(world)
    user.session().list_users()
    before, calls = user.state(), len(world.writes())
    report(world, "alice")
    assert user.state() == before
    made = {it for it in world.writes()[calls:] if not it.startswith("cloudtrail:Lookup")}
    assert made == {"dynamodb:UpdateItem", "sns:Publish"}
    [session] = world.sessions("SecurityInvestigatorRole")
    actions = {it for statement in session["policy"]["Statement"] for it in statement["Action"]}
    assert all(it.startswith(("iam:Get", "iam:List", "cloudtrail:Lookup")) for it in actions)
