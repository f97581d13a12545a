"""The report on an identity: what it could do, what it did, what it left behind. By an intruder who plays its session
with the victim's key, against CloudTrail's event history."""

import hashlib
import json
import re
import time

import pytest

from .harness.intrusion import FOREIGN, client_of, happened, intrude, make_trail, prepare
from .harness.ledger import DUE, Table, renamed
from .harness.slack import Slack, shown
from .harness.victims import ANYONE_HERE, LONG_AGO, Role, User
from .harness.world import random_account

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def report(world, user=None, role=None, **fields):
    command = {"command": "report", "account": world.member, **({"user": user} if user else {"role": role}), **fields}
    return world.responder(part="investigator").invoke(command)


@pytest.fixture
def trail(world):
    return make_trail(world)


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
    alerts = world.alerts()
    told = [it for it in alerts if it["Subject"].startswith("Evidence: user alice")]
    [alert] = [it["Message"] for it in alerts if it not in told]
    assert f"follows within minutes, as report {world.member}/{user.id}\n" in alert
    assert f"Report: {world.member}/{user.id}/1," in told[0]["Message"]
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
    grants = [found["could"]["grants"][str(it)] for it in found["could"]["administrator"]["by"]]
    [grant] = [it for it in grants if it["policy"].endswith("AdministratorAccess")]
    assert grant["kind"] == "policy" and grant["statement"]
    assert {it["role"].split("/")[-1] for it in found["could"]["roles"]} >= {"deploy", "deeper"}
    assert found["risk"]["level"] == "critical" and len(found["summary"]) == 5 and found["is_provisional"]
    assert found["containment"]["read_at"] and any("AttachDenyAll" in it["action"] for it in found["containment"]["actions"])
    assert found["indicators"]["addresses"] == ["198.51.100.7"] and "198.51.100.7" not in answer["markdown"]
    assert answer["sha256"] == hashlib.sha256(json.dumps(found, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def test_a_session_is_followed_into_another_account_and_on_from_there(world):
    other, outside = random_account(), random_account()
    world.deploy(members=[other])
    user = User(world)
    for account in (other, outside):
        iam = world.client("iam", account)
        iam.create_role(RoleName="partner", AssumeRolePolicyDocument=json.dumps(ANYONE_HERE))
        iam.attach_role_policy(RoleName="partner", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    sts = user.session("sts")
    assume = lambda client, account, name: client.assume_role(RoleArn=f"arn:aws:iam::{account}:role/{name}", RoleSessionName="hop")["Credentials"]  # noqa: E731
    there, nowhere = assume(sts, other, "partner"), assume(sts, outside, "partner")
    backdoor = client_of(world, "iam", there).create_user(UserName="elsewhere")["User"]
    prepare(world)
    back = assume(client_of(world, "sts", there), world.member, "deploy")
    client_of(world, "iam", back).create_user(UserName="back-home")
    world.responder().invoke(world.event(EXFILTRATION, user))
    answer = report(world, user.id)["evidence"]
    found = answer["report"]
    links = {it["key"]: it for it in found["sessions"]}
    assert links[there["AccessKeyId"]]["account"] == other and "not_followed" not in links[there["AccessKeyId"]]
    assert links[back["AccessKeyId"]]["account"] == world.member and links[back["AccessKeyId"]]["depth"] == 2
    assert f"account {outside} could not be entered" in links[nowhere["AccessKeyId"]]["not_followed"]
    left = {it["object"]: it for it in found["left"]}
    assert (left["elsewhere"]["account"], left["elsewhere"]["now"]) == (other, "still there")
    assert left["back-home"]["account"] == world.member
    [suspect] = [it for it in answer["new_suspects"] if backdoor["UserId"] in it]
    assert f"in account {other}" in suspect
    assert any(f'"account":"{other}","command":"contain","role":"partner"' in it for it in found["next_steps"])
    assert any(outside in it for it in found["open_points"])


def test_whoever_was_deleted_is_reported_on_from_what_the_ledger_has(world):
    world.deploy()
    user, bob = User(world), User(world, name="bob")
    user.session().create_user(UserName="mallory")
    world.responder().invoke(world.event(EXFILTRATION, user))
    remove(world, "alice", by=bob.session())
    # Nobody's that is about the user.
    world.iam.create_role(RoleName="alice", AssumeRolePolicyDocument=json.dumps(ANYONE_HERE))
    User(world, name="carol").session().delete_role(RoleName="alice")
    by_name, by_id = (report(world, it)["evidence"]["report"] for it in ("alice", user.id))
    for found in (by_name, by_id):
        assert found["principal"]["id"] == user.id and found["containment"]["verdict"]
        assert found["gone"].startswith(f"deleted by {bob.arn} at ") and "not there any more" in found["summary"][0]
        assert found["could"]["administrator"]["answer"] == "yes"
        assert any("inline policy bucket (deleted" in it for it in found["could"]["unread"])
        assert "iam:CreateUser" in {it["action"] for it in found["left"]}
    # Whoever bears the name by now is somebody else.
    User(world, policies=["ReadOnlyAccess"], groups=())
    again = report(world, user.id)["evidence"]["report"]
    assert again["principal"]["id"] == user.id and again["gone"]
    assert again["could"]["administrator"] == by_id["could"]["administrator"]


def remove(world, name, by):
    """An administrator takes everything from the user, and somebody else the user itself."""
    iam = world.iam
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    for group in iam.list_groups_for_user(UserName=name)["Groups"]:
        iam.remove_user_from_group(UserName=name, GroupName=group["GroupName"])
    by.delete_user(UserName=name)


def test_an_account_that_can_not_be_entered_is_said_to_be_so(world):
    world.deploy()
    user = User(world)
    world.responder().invoke(world.event(EXFILTRATION, user))
    world.fault("sts:AssumeRole", "AccessDenied")
    found = report(world, user.id)["evidence"]["report"]
    assert found["containment"]["verdict"] == "Contained" and found["could"]["administrator"]["answer"] == "not-known"
    assert all("not be entered" in found["could"][it]["not_asked"] for it in ("escalations", "secrets", "data", "logging", "roles"))
    assert any("IAM in account" in it and "AccessDenied" in it for it in found["not_looked_at"])
    assert any("could not be entered" in it for it in found["open_points"])


def test_everything_that_gives_access_is_a_suspect_and_is_looked_for(world):
    world.deploy()
    user, responder = User(world), world.responder()
    world.iam.create_user(UserName="operator")
    world.identify(user="operator", created=LONG_AGO)
    iam = user.session()
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    policy = iam.create_policy(PolicyName="helper", PolicyDocument=document)["Policy"]["Arn"]
    version = iam.create_policy_version(PolicyArn=policy, PolicyDocument=document, SetAsDefault=True)["PolicyVersion"]["VersionId"]
    iam.create_role(RoleName="agent", AssumeRolePolicyDocument=json.dumps(ANYONE_HERE))
    iam.update_assume_role_policy(RoleName="agent", PolicyDocument=json.dumps(FOREIGN))
    iam.attach_role_policy(RoleName="agent", PolicyArn=policy)
    iam.put_role_policy(RoleName="agent", PolicyName="own", PolicyDocument=document)
    iam.create_instance_profile(InstanceProfileName="box")
    iam.create_group(GroupName="helpers")
    iam.attach_group_policy(GroupName="helpers", PolicyArn=policy)
    iam.put_group_policy(GroupName="helpers", PolicyName="all", PolicyDocument=document)
    iam.add_user_to_group(GroupName="helpers", UserName="operator")
    iam.put_user_policy(UserName="operator", PolicyName="all", PolicyDocument=document)
    iam.create_login_profile(UserName="operator", Password="correct-Horse-7-battery")
    key = iam.create_access_key(UserName="operator")["AccessKey"]["AccessKeyId"]
    service = iam.create_service_specific_credential(UserName="operator", ServiceName="codecommit.amazonaws.com")
    service = service["ServiceSpecificCredential"]["ServiceSpecificCredentialId"]
    provider = iam.create_open_id_connect_provider(Url="https://evil.example", ClientIDList=["x"], ThumbprintList=["a" * 40])["OpenIDConnectProviderArn"]
    saml = iam.create_saml_provider(Name="evil", SAMLMetadataDocument="x" * 1_024)["SAMLProviderArn"]
    responder.invoke(world.event(EXFILTRATION, user))
    # Some of it is tidied up by somebody.
    world.iam.update_access_key(UserName="operator", AccessKeyId=key, Status="Inactive")
    world.iam.delete_group_policy(GroupName="helpers", PolicyName="all")
    world.iam.delete_saml_provider(SAMLProviderArn=saml)
    world.iam.update_assume_role_policy(RoleName="agent", PolicyDocument=json.dumps(ANYONE_HERE))
    answer = report(world, "alice")["evidence"]
    left = {it["action"]: (it["unique_id"] if "unique_id" in it else None, it.get("now")) for it in answer["report"]["left"]}
    there = "still there"
    expected = {
        "iam:CreatePolicy": there, "iam:CreatePolicyVersion": there, "iam:CreateRole": there, "iam:UpdateAssumeRolePolicy": "changed since",
        "iam:AttachRolePolicy": there, "iam:PutRolePolicy": there, "iam:CreateInstanceProfile": there, "iam:AttachGroupPolicy": there,
        "iam:PutGroupPolicy": "gone", "iam:AddUserToGroup": there, "iam:PutUserPolicy": there, "iam:CreateLoginProfile": there,
        "iam:CreateAccessKey": "still there, and inactive", "iam:CreateServiceSpecificCredential": there,
        "iam:CreateOpenIDConnectProvider": there, "iam:CreateSAMLProvider": "gone",
    }  # fmt: skip
    assert {action: now for action, (_, now) in left.items()} == expected
    assert left["iam:CreateServiceSpecificCredential"][0] == service and left["iam:CreateOpenIDConnectProvider"][0] == provider and version == "v2"
    # Those of whom IAM itself had told are no news.
    status = responder.invoke({"command": "status", "account": world.member, "user": "alice"})["status"]
    assert len(status["open_suspects"]) >= len(expected)


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
    happened(world, user, "GetUser", count=120)
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
    answer = world.responder(part="investigator", timeout=16).invoke({"command": "report", "account": world.member, "user": "alice"})
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
        ("iam:ListRoles", lambda it: "whom roles trust" in it["could"]["roles"]["not_asked"]),
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


def test_a_revision_that_can_read_less_is_no_calmer_and_forgets_nothing(world):
    world.deploy()
    user = User(world)
    user.session().create_user(UserName="mallory")
    world.responder().invoke(world.event(EXFILTRATION, user))
    first = report(world, "alice")["evidence"]["report"]
    assert [it["object"] for it in first["left"]] == ["mallory"]
    world.fault("cloudtrail:LookupEvents", "AccessDenied")
    answer = report(world, "alice")["evidence"]
    found = answer["report"]
    assert found["left"] == [] and [it["event"] for it in found["not_seen_again"]] == [first["left"][0]["event"]]
    assert found["risk"]["level"] == first["risk"]["level"] and "what it did could not be read at all" in " ".join(found["risk"]["because"])
    assert any("not seen again" in it and "mallory" in it for it in found["changes"]["lines"])
    assert "not seen again" in found["summary"][4] and "mallory, event" in answer["markdown"]
    # Nobody makes it again by itself: the list in the ledger does not have it.
    assert any("not made again by itself" in it for it in found["open_points"])


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


def later(table, minutes):
    """So long after the report was first asked for."""
    item = table.item("evidence#")
    asked = str(int(time.time() - minutes * 60) * 1_000)
    table.change(item, "SET asked_at = :asked, due_at = :zero", asked={"N": asked}, zero={"N": "0"})


def test_what_comes_late_is_in_the_next_revision_and_opens_its_suspects_then(world):
    world.deploy(Evidence="true")
    user, responder, table = User(world), world.responder(), Table(world)
    world.connected(part="investigator")
    world.control("history", {"account": world.member, "delay": 3_600})
    role = Role(world)
    user.session("sts").assume_role(RoleArn=role.arn, RoleSessionName="late")
    user.session().attach_role_policy(RoleName="app", PolicyArn="arn:aws:iam::aws:policy/IAMFullAccess")
    [contained] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    world.deliveries()
    first = [it for it in world.alerts() if "Evidence" in it["Subject"]]
    assert len(first) == 1 and "provisional" in first[0]["Message"] and "NEW SUSPECTS" not in first[0]["Message"]

    # Twenty minutes later, and not before.
    world.control("history", {"account": world.member, "delay": 0})
    responder.invoke(DUE)
    assert world.deliveries() is not None and world.alerts() == []
    later(table, 21)
    responder.invoke(DUE)
    world.deliveries()
    [second] = world.alerts()
    assert second["Subject"].startswith("Evidence, revision 2: user alice")
    assert "CHANGED SINCE REVISION 1:\n- risk: critical" in second["Message"] and "left behind: attached a policy to role app" in second["Message"]
    assert "NEW SUSPECTS" in second["Message"]
    status = responder.invoke({"command": "status", "account": world.member, "user": "alice"})["status"]
    assert status["verdict"] == contained["verdict"] and status["open_suspects"]

    # Two hours later it is final, and nothing is left on the list.
    later(table, 121)
    responder.invoke(DUE)
    world.deliveries()
    [third] = world.alerts()
    assert "revision 3" in third["Subject"] and "CHANGED SINCE REVISION 2:\n- nothing" in third["Message"]
    responder.invoke(DUE)
    assert world.deliveries() is not None and world.alerts() == [] and "due_bucket" not in table.item("evidence#")


def test_a_report_that_nobody_made_is_asked_for_again_and_given_up_with_a_word(world):
    world.deploy(Evidence="true")
    user, responder, table = User(world), world.responder(), Table(world)
    world.fault("lambda:InvokeFunction", "AccessDeniedException", times=1)
    responder.invoke(world.event(EXFILTRATION, user))
    [alert] = world.alerts()
    assert "Evidence" not in alert["Subject"]
    world.connected(part="investigator")
    table.change(table.item("evidence#"), "SET due_at = :zero", zero={"N": "0"})
    responder.invoke(DUE)
    world.deliveries()
    assert [it["Subject"] for it in world.alerts()] == [f"Evidence: user alice in {world.member}: risk high"]
    # The next one can't be told of.
    later(table, 21)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    responder.invoke(DUE)
    world.deliveries()
    assert world.alerts() == [] and "is_final" not in table.item("evidence#")
    later(table, 7 * 60)
    responder.invoke(DUE)
    [word] = world.alerts()
    assert "no whole report" in word["Subject"] and user.id in word["Message"] and "due_bucket" not in table.item("evidence#")


def test_a_report_on_whom_hygiene_contained_waits_for_the_schedule(world):
    """Creations are cheap for an attacker: they take no turn before whoever is compromised."""
    world.deploy(Evidence="true")
    investigator = world.connected(part="investigator")
    hygiene, responder = world.responder(part="hygiene"), world.responder()
    intruder = User(world, name="intruder", groups=())
    backdoor = intruder.session().create_user(UserName="backdoor")["User"]
    event = json.loads(json.dumps(world.event("cloudtrail-create-user")).replace("AIDABACKDOOR22EXAMPLE", backdoor["UserId"]))
    [contained] = hygiene.invoke(event)["reports"]
    assert contained["verdict"] in ("Contained", "SuspectsOpen"), contained
    world.deliveries()
    assert investigator.log_lines() == []
    responder.invoke(DUE)
    world.deliveries()
    assert [it["Subject"] for it in world.alerts() if "Evidence" in it["Subject"]] == [f"Evidence: user backdoor in {world.member}: risk low"]


def test_the_second_message_is_in_the_thread_of_the_first(world):
    slack = Slack(world)
    world.deploy(Evidence="true", **slack.parameters)
    user, responder = User(world), world.responder()
    world.connected(part="investigator")
    responder.invoke(world.event(EXFILTRATION, user))
    world.deliveries()
    responder.invoke(DUE)
    [(_, [reply])] = slack.threads()
    [message] = [it for it in slack.messages() if "Evidence: user alice" in it["text"]]
    assert reply == message["text"]
    gist = json.loads(Table(world).item("evidence#")["gist"]["S"])
    assert gist["sha256"] in shown(message) and f"{world.member}/{user.id}/1" in shown(message)


def test_the_note_under_the_finding_says_which_report_follows(world):
    world.deploy(Evidence="true")
    user = User(world)
    event = world.event("security-hub-guardduty-exfiltration-iam-user-anomalous-behavior", user)
    finding = world.finding(event)
    world.responder().invoke(event)
    assert f"Evidence: report {world.member}/{user.id}." in finding()["Note"]["Text"]


def test_where_the_report_will_be_kept_is_named_before_it_is_made(world):
    world.deploy(Evidence="true", EvidenceBucket="true", ResponsePlanArn=f"arn:aws:ssm-incidents::{world.security}:response-plan/iam")
    user = User(world)
    event = world.event("security-hub-guardduty-exfiltration-iam-user-anomalous-behavior", user)
    finding = world.finding(event)
    world.responder().invoke(event)
    [kept] = {it.split(".")[0] for it in re.findall(r"s3://[^.*]*/evidence/[^ *]*", " ".join(it["Message"] for it in world.alerts()))}
    assert kept.endswith(f"/evidence/{world.member}/{user.id}/")
    assert kept in finding()["Note"]["Text"]
    assert kept in json.dumps([it for it in world.journal() if it["action"] == "ssm-incidents:StartIncident"])


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
    assert all(it.startswith(("iam:Get", "iam:List", "iam:Simulate", "cloudtrail:Lookup")) for it in actions)
