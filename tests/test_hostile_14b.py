"""Proofs of a hostile read of CONTAIN_CHILDREN and of the warm path."""

import json
import time

import pytest

from .harness.children import by_key, next_report, seen, told_late, user_of
from .harness.intrusion import client_of
from .harness.ledger import DUE, Table, about
from .harness.victims import User, user_state
from .test_breaker import counted
from .test_children import backdoor, begin, contain, history, look, prod_admin, status, works
from .test_children_restored import restore
from .test_lease import while_running
from .test_report import EXFILTRATION

ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"


def over(world, responder):
    """The three hours are over: what is open is told now."""
    table = Table(world)
    for item in table.items("children#"):
        if "due_bucket" in item:
            table.change(item, "SET asked_at = :zero", zero={"N": "0"})
    responder.invoke(DUE)


def said(world):
    return "\n".join(it["Message"] for it in world.alerts() if "Not answered" in it["Subject"])


@pytest.mark.seconds(40)
def test_users_of_one_name_made_again_and_again_do_not_hide_another(world):
    """Sixty users that were replaced by a namesake are named before the one that matters."""
    responder, user = begin(world)
    caller = by_key(world, user)
    for number in range(60):
        told_late(world, caller, "chaff", f"AIDACHAFF{number:012}", at=-60)
    world.iam.create_user(UserName="chaff")
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    for _ in range(4):
        responder.invoke(DUE)
        world.deliveries()
    next_report(world, responder)
    responder.invoke(DUE)
    # Late, as CloudTrail is.
    bad = user_of(world, caller, "mallory")
    next_report(world, responder)
    responder.invoke(DUE)
    text = said(world)
    over(world, responder)
    items = {it["id"]["S"]: it for it in Table(world).items("evidence#")}
    named = json.loads(items[f"evidence#{world.member}#{user.id}"]["made"]["S"])
    assert not works(world, bad) or "mallory" in text + said(world), len(named)


@pytest.mark.seconds(90)
def test_whoever_is_the_sixty_first_is_told_of(world):
    responder, user = begin(world, MaxChildren="1")
    caller = by_key(world, user)
    for number in range(60):
        made = world.iam.create_user(UserName=f"chaff-{number}")["User"]
        told_late(world, caller, made["UserName"], made["UserId"], at=-60)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    text = ""
    for _ in range(5):
        responder.invoke(DUE)
        world.deliveries()
        text += said(world)
    bad = user_of(world, caller, "mallory")
    next_report(world, responder)
    responder.invoke(DUE)
    over(world, responder)
    text += said(world)
    names = [*(f"chaff-{number}" for number in range(60)), "mallory"]
    left = [it for it in names if f"- user {it} " not in text and "AWSDenyAll" not in user_state(world.iam, it)["policies"]]
    assert left == [] and bad


@pytest.mark.seconds(20)
def test_a_key_planted_with_somebody_who_was_a_child_once_and_was_restored_is_answered(world):
    responder, user = begin(world)
    backdoor(user.session(), "new-hire")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["new-hire"]
    assert restore(world, children=True)["verdict"] == "Restored"
    for it in world.iam.list_access_keys(UserName="new-hire")["AccessKeyMetadata"]:
        world.iam.delete_access_key(UserName="new-hire", AccessKeyId=it["AccessKeyId"])
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
    assert "AWSDenyAll" not in user_state(world.iam, "new-hire")["policies"]
    time.sleep(2.1)  # CloudTrail has whole seconds
    world.alerts()
    # Now the key is stolen indeed.
    table = Table(world)
    before = [it["id"]["S"] for it in table.items("children#")]
    planted = user.session().create_access_key(UserName="new-hire")["AccessKey"]
    time.sleep(1.1)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0, id="7"))
    answers = look(responder)
    next_report(world, responder)
    look(responder)
    over(world, responder)
    [watch] = [it for it in table.items("children#") if it["id"]["S"] not in before]
    assert not works(world, planted) or planted["AccessKeyId"] in said(world), (answers, watch.get("dismissed"), watch.get("unrelated"), history(world, "CreateAccessKey"))


@pytest.mark.seconds(10)
def test_who_takes_the_same_name_again_takes_no_place_of_another(world):
    responder, user = begin(world, MaxChildren="1")
    iam = user.session()
    keys = []
    for number in range(4):
        keys.append(backdoor(iam, "mallory")[1])
        iam.update_user(UserName="mallory", NewUserName=f"other-{number}")
        time.sleep(1.1)  # CloudTrail has whole seconds
    contain(world, responder, world.event(EXFILTRATION, user))
    answers = [it["verdict"] for it in responder.invoke(DUE)["reports"] if it["source"] == "child"]
    assert sum(not works(world, it) for it in keys) <= 1, answers


@pytest.mark.seconds(10)
def test_a_key_of_a_user_who_is_not_denied_is_answered_itself(world):
    """Whoever was made is only observed, and its key is said to be harmless since its owner is denied everything."""
    responder, user = begin(world, PlaybookModes="unauthorized-user=approve")
    _, key = backdoor(user.session(), "mallory")
    contain(world, responder, world.event(EXFILTRATION, user))
    answers = look(responder)
    asked = answers["mallory"]
    responder.invoke({"command": "decline", "request": asked["request"], "by": "Dana", "reason": "the user is ours"})
    next_report(world, responder)
    look(responder)
    over(world, responder)
    assert not works(world, key) or key["AccessKeyId"] in said(world), answers


@pytest.mark.seconds(15)
def test_two_keys_planted_with_one_user_are_both_deactivated(world):
    responder, user = begin(world)
    admin = User(world, name="prod-admin")
    for it in admin.keys:
        world.iam.delete_access_key(UserName="prod-admin", AccessKeyId=it["AccessKeyId"])
    planted = [user.session().create_access_key(UserName="prod-admin")["AccessKey"] for _ in range(2)]
    contain(world, responder, world.event(EXFILTRATION, user))
    answers = responder.invoke(DUE)
    for _ in range(2):
        world.deliveries()
        responder.invoke(DUE)
    assert [works(world, it) for it in planted] == [False, False], answers
    assert not admin.is_denied()


@pytest.mark.seconds(10)
def test_a_place_is_not_taken_from_who_holds_the_lease_by_who_does_not(world):
    """Two deliveries side by side, each with a session: one counts first, the other has the lease; the first gives the
    place back that both share, and bob is contained without one."""
    world.deploy(MaxContainmentsPerHour="2,20")
    first, event = world.responder(), world.event(EXFILTRATION, User(world))
    assert first.invoke(event)["reports"][0]["verdict"] == "Contained"
    second = world.responder()
    assert second.invoke(event)["reports"][0]["verdict"] == "Contained"
    bob, carol = [User(world, name=it, groups=()) for it in ("bob", "carol")]
    world.fault("dynamodb:UpdateItem", delay_ms=700, times=1, text="#finding = :finding")
    world.fault("iam:ListGroupsForUser", delay_ms=2_500, times=1)
    is_counted = lambda: f"{world.member}/user/bob" in counted(world, "breaker#")  # noqa: E731
    about_bob = about(world, EXFILTRATION, bob)
    with while_running(first, about_bob, is_counted) as answer:
        [winner] = second.invoke(about_bob)["reports"]
    verdicts = sorted([winner["verdict"], answer[0]["reports"][0]["verdict"]])
    assert "InProgress" in verdicts and bob.is_denied(), verdicts
    assert is_counted(), (verdicts, counted(world, "breaker#"))
    [report] = first.invoke(about(world, EXFILTRATION, carol))["reports"]
    assert report["verdict"] == "Deferred" and not carol.is_denied(), report


@pytest.mark.seconds(10)
@pytest.mark.parametrize("is_warm", [True, False])
def test_no_strike_goes_by_a_name_that_was_read_long_before_the_record_of_who_is_known(world, is_warm):
    """The hour is full, so that whether bob is a new one is read in his record; his name is another's meanwhile."""
    world.deploy(MaxContainmentsPerHour="2,20")
    responder = world.responder()
    assert responder.invoke(world.event(EXFILTRATION, User(world)))["reports"][0]["verdict"] == "Contained"
    bob, seen_before = User(world, name="bob", groups=()), len(world.journal())
    assert responder.invoke(about(world, EXFILTRATION, bob))["reports"][0]["verdict"] == "Contained"
    world.iam.detach_user_policy(UserName="bob", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    world.iam.update_access_key(UserName="bob", AccessKeyId=bob.keys[0]["AccessKeyId"], Status="Active")
    event = world.event("health-risk-credentials-exposed-key-only", bob)
    seen_before = len(world.journal())
    calls = lambda: [it for it in world.journal()[seen_before:] if it["is_ours"]]  # noqa: E731
    responder = responder if is_warm else world.responder()
    world.fault("dynamodb:GetItem", delay_ms=2_000, times=1)
    is_read = lambda: any(it["action"] == "iam:GetUser" for it in calls())  # noqa: E731
    with while_running(responder, event, is_read) as answer:
        world.iam.update_user(UserName="bob", NewUserName="robert")
        namesake = User(world, name="bob", groups=())
    [report, *beside] = answer[0]["reports"]
    struck = [(it["action"], it["params"].get("UserName")) for it in calls() if it["action"] in ("iam:AttachUserPolicy", "iam:UpdateAccessKey")]
    assert not namesake.is_denied() and ("iam:AttachUserPolicy", "bob") not in struck, (report["verdict"], report["notes"], beside, struck)
