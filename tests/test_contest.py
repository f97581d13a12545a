"""Once somebody undoes it, what holds an identity back is written again and again without waiting for a look. How that
ends is in docs/attacker.md; here is what it must never do, and what is told of it."""

import contextlib
import json
import time

from .harness.ledger import Table, until
from .harness.victims import Role, User, stripped
from .test_lease import while_running
from .test_seen_to_hold import EXFILTRATION, ROLE

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def calls(world, action):
    return [it for it in world.journal() if it["action"] == f"iam:{action}" and it["is_ours"]]


def test_a_fight_is_told_with_what_it_took_and_who_does_not_fight_costs_no_call_more(world):
    world.deploy(SettleSeconds="2")
    user = User(world)
    responder = world.responder()
    event = world.event(EXFILTRATION, user)
    with while_running(responder, event, user.is_denied) as answer:
        quiet = len(calls(world, "GetUser")), len(calls(world, "AttachUserPolicy"))
        until(lambda: len(calls(world, "ListAttachedUserPolicies")) >= 3)
        world.iam.detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    assert quiet[1] == 1
    [report] = answer[0]["reports"]
    fight = report["fight"]
    assert report["verdict"] == "Contained" and fight["reversals"] == 1, report
    # Four a second for the settle time.
    assert 3 <= fight["writes"] <= 10 and fight["throttled"] == 0, fight
    # That, and once more in which nothing was hidden.
    assert fight["seconds"] <= 3 and report["timings_ms"]["verdict"] > 4_000, report["timings_ms"]
    [alert] = world.alerts()
    assert f"It was fought for {fight['seconds']} s: {fight['writes']} writes without waiting for a look" in alert["Message"]
    before = len(world.journal())
    other = User(world, name="bob", groups=())
    [report] = world.responder().invoke(contain(world, "bob"))["reports"]
    assert report["verdict"] == "Contained" and "fight" not in report
    later = [it["action"] for it in world.journal()[before:] if it["is_ours"]]
    # The deny once, each key once; and never an ID without its keys and policies.
    assert later.count("iam:AttachUserPolicy") == 1 and later.count("iam:UpdateAccessKey") == 2, later
    assert later.count("iam:GetUser") == later.count("iam:ListAttachedUserPolicies"), later
    assert other.is_denied()


def contain(world, name):
    return {"command": "contain", "account": world.member, "user": name, "reason": "a test"}


def purge(iam, name):
    """Everything that IAM wants gone before a user is."""
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
    for group in iam.list_groups_for_user(UserName=name)["Groups"]:
        iam.remove_user_from_group(UserName=name, GroupName=group["GroupName"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)


def recreate(iam, name):
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        while True:
            purge(iam, name)
            try:
                iam.delete_user(UserName=name)
                break
            except iam.exceptions.DeleteConflictException:
                pass  # The deny came between.
    return iam.create_user(UserName=name)["User"]["UserId"]


def denied(iam, name):
    return any(it["PolicyName"] == "AWSDenyAll" for it in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"])


def test_what_another_gets_by_its_name_is_recorded_told_and_given_back(world):
    """The user is renamed in the fight, and another is made of its name at once."""
    world.deploy(SettleSeconds="3")
    user, iam = User(world), world.iam
    responder = world.responder()
    with while_running(responder, world.event(EXFILTRATION, user), user.is_denied):
        with stripped(user, every=0.1):
            until(lambda: len(calls(world, "AttachUserPolicy")) > 20)
        iam.update_user(UserName="alice", NewUserName="ecila")
        other = iam.create_user(UserName="alice")["User"]["UserId"]
    assert denied(iam, "alice"), "a fight writes ten times in half a second"
    assert denied(iam, "ecila")
    own, told = responder.reports()
    assert own["verdict"] == "SuspectsOpen" and own["principal"]["name"] == "ecila", own
    assert "user alice was renamed to ecila" in own["reversals"]
    assert told["verdict"] == "Unverified" and told["principal"]["id"] == other, told
    record = Table(world).item(f"record#{world.member}#{other}")
    assert any(it.startswith("snapshot compromised-credential@") for it in record), record
    alerts = [it["Message"] for it in world.alerts()]
    assert [it for it in alerts if f"user alice ({other})" in it.splitlines()[0] and "take it back with `restore`" in it], alerts
    # The way back is that of every response.
    restored = world.responder(part="restorer").invoke(world.restore_command())["restore"]
    assert restored["verdict"] == "Restored" and not denied(iam, "alice"), restored


def test_nothing_is_written_by_a_name_that_is_given_to_one_after_the_other(world):
    """The user is deleted in the fight, and another is made of its name every 0.05 s."""
    world.deploy(SettleSeconds="3")
    user, iam = User(world), world.iam
    responder = world.responder()
    others = []
    with while_running(responder, world.event(EXFILTRATION, user), user.is_denied):
        with stripped(user, every=0.1):
            until(lambda: len(calls(world, "AttachUserPolicy")) > 20)
        for _ in range(20):
            others.append((recreate(iam, "alice"), time.time()))
            time.sleep(0.05)
    written = [it["began"] for it in calls(world, "AttachUserPolicy") if it["status"] == 200]
    # Half a second since the last read that showed the ID, and what was under way.
    assert max(written) < others[0][1] + 0.8
    own, *namesakes = responder.reports()
    assert own["verdict"] == "Unverified" and "vanished" in own["reason"], own
    assert any("whoever bears the name alice now is a suspect" in it for it in own["open"])
    # Whoever has it is told of.
    assert not denied(iam, "alice") or others[-1][0] in [it["principal"]["id"] for it in namesakes], namesakes


def test_another_identity_of_the_account_is_denied_within_two_seconds_of_a_fight(world):
    """IAM answers few calls of the account, and the fight takes what it may of them."""
    world.deploy(SettleSeconds="2")
    alice, _ = User(world), User(world, name="bob")
    world.control("throttle", {"account": world.member, "per_second": 8})
    fighter, responder = world.responder(timeout=25), world.responder()
    with while_running(fighter, world.event(EXFILTRATION, alice), alice.is_denied):
        with stripped(alice, every=0.1):
            until(lambda: len(calls(world, "AttachUserPolicy")) > 20)
            [report] = responder.invoke(contain(world, "bob"))["reports"]
    assert denied(world.iam, "bob") and report["timings_ms"]["first_barrier"] < 2_000, report["timings_ms"]
    assert responder.reports()[-1] == report and fighter.reports()[-1]["fight"]["throttled"] > 0


def test_a_revocation_is_written_again_byte_for_byte(world):
    """A later moment would cut off who came by a session rightly meanwhile."""
    world.deploy(SettleSeconds="1")
    role, iam = Role(world), world.iam
    responder = world.responder()
    event = world.event(ROLE, role=role)
    documents = lambda: [it["params"]["PolicyDocument"] for it in calls(world, "PutRolePolicy")]  # noqa: E731
    with while_running(responder, event, lambda: role.state()["inline"]):
        for _ in range(2):
            time.sleep(0.4)
            with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                iam.delete_role_policy(RoleName="app", PolicyName="AWSRevokeOlderSessions")
    assert len(documents()) > 4 and len(set(documents())) == 1, documents()
    report = responder.reports()[-1]
    assert report["verdict"] == "Contained" and report["fight"]["writes"] > 2, report
    first = json.loads(documents()[0])["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"]
    assert first
