"""The circuit breaker is no switch for an attacker: what leads to nobody costs nothing, each threat has a
budget of its own, and a compromised credential is never put off without a word."""

import copy

import pytest

from .harness.ledger import Table, about, renamed, until
from .harness.victims import User, allowed
from .test_lease import while_running

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
SUCCESS = ("Contained", "SuspectsOpen")


def verdict(responder, event):
    [report] = responder.invoke(event)["reports"]
    return report["verdict"]


def counted(world, prefix):
    found = [it["principals"]["SS"] for it in Table(world).items(prefix) if "principals" in it]
    return sorted(name for names in found for name in names)


def test_decoys_that_are_nobody_use_up_nothing(world):
    """Accounts full of findings about users that are gone."""
    world.deploy(MaxContainmentsPerHour="1,1")
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    for n in range(6):
        decoy = renamed(renamed(event, "alice", f"decoy-{n}"), user.id, f"AIDADECOYDECOYDECOY0{n}")
        assert verdict(responder, decoy) == "Refused"
    assert verdict(responder, event) in SUCCESS and not user.key_works()
    assert counted(world, "breaker#compromised-credential#all") == [f"{world.member}/user/alice"]


def test_a_person_who_protects_somebody_uses_up_nothing(world):
    world.deploy(MaxContainmentsPerHour="1,1", ProtectedPrincipals="arn:aws:iam::*:user/bob")
    alice, bob = User(world), User(world, name="bob", groups=())
    responder = world.responder()
    assert verdict(responder, about(world, EXFILTRATION, bob)) == "Refused" and bob.key_works()
    assert verdict(responder, world.event(EXFILTRATION, alice)) in SUCCESS


def test_each_threat_has_a_budget_of_its_own(world):
    world.deploy(MaxContainmentsPerHour="1,1")
    backdoor, alice = User(world, name="backdoor", groups=()), User(world)
    responder = world.responder()
    assert verdict(responder, world.event("cloudtrail-create-user", backdoor)) in SUCCESS
    assert verdict(responder, world.event(EXFILTRATION, alice)) in SUCCESS and not alice.key_works()


def test_what_the_account_refuses_is_not_counted_for_the_organisation(world):
    world.deploy(MaxContainmentsPerHour="1,2")
    alice, bob = User(world), User(world, name="bob", groups=())
    responder = world.responder()
    assert verdict(responder, world.event(EXFILTRATION, alice)) in SUCCESS
    assert verdict(responder, about(world, EXFILTRATION, bob)) == "Deferred" and bob.key_works()
    assert counted(world, "breaker#compromised-credential#all") == [f"{world.member}/user/alice"]
    # What is counted already goes on, and so does a person's word.
    assert verdict(responder, world.event(EXFILTRATION, alice)) in SUCCESS
    command = {"command": "contain", "account": world.member, "user": "bob", "reason": "I looked"}
    assert verdict(responder, command) in SUCCESS and not bob.key_works()


def test_what_was_counted_before_is_not_given_back_by_another(world):
    """A refused namesake's finding must not free the place of the one who was contained."""
    world.deploy(MaxContainmentsPerHour="1,20")
    alice, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, alice)
    assert verdict(responder, event) in SUCCESS
    table = Table(world)
    table.change(table.item("lock#"), "REMOVE contained_at")
    namesake = renamed(event, alice.id, "AIDAOTHEROTHEROTHER00")
    assert verdict(responder, namesake) == "Refused"
    assert counted(world, "breaker#compromised-credential#all") == [f"{world.member}/user/alice"]


def test_each_compromise_that_is_put_off_is_told_and_opens_its_incident(world):
    world.deploy(MaxContainmentsPerHour="0,20", response_plan=True)
    alice, bob = User(world), User(world, name="bob", groups=())
    responder = world.responder()
    for event in (world.event(EXFILTRATION, alice), about(world, EXFILTRATION, bob)):
        assert verdict(responder, event) == "Deferred"
        [alert] = world.alerts()
        assert "DEFERRED" in alert["Subject"]
    assert len(world.incidents()) == 2 and alice.key_works() and bob.key_works()
    # The same again is no news, and what follows needs no other incident.
    assert verdict(responder, event) == "Deferred" and world.alerts() == []
    command = {"command": "contain", "account": world.member, "user": "bob", "reason": "I looked"}
    assert verdict(responder, command) in SUCCESS
    assert len(world.incidents()) == 2


def test_a_breaker_that_can_not_be_read_does_not_put_off_a_compromise(world):
    world.deploy()
    alice, backdoor = User(world), User(world, name="backdoor", groups=())
    # After the lease, the breaker's two.
    world.fault("dynamodb:UpdateItem", "AccessDenied", status=400, after=1, times=2)
    assert verdict(world.responder(), world.event(EXFILTRATION, alice)) in SUCCESS and not alice.key_works()
    world.fault("dynamodb:UpdateItem", "AccessDenied", status=400, after=1, times=2)
    world.alerts()
    [report] = world.responder().invoke(world.event("cloudtrail-create-user", backdoor))["reports"]
    # Nobody is told that it is full.
    [alert] = world.alerts()
    assert report["verdict"] == "Deferred" and "could not be read" in report["reason"] and "more than" not in alert["Message"]


def test_what_could_not_be_put_on_the_list_is_not_said_to_be_taken_up_when_there_is_room(world):
    world.deploy(MaxContainmentsPerHour="0,20")
    user = User(world)
    world.fault("dynamodb:UpdateItem", "AccessDeniedException", status=400, text="turn = if_not_exists")
    assert world.responder().invoke(world.event(EXFILTRATION, user))["errorType"] == "ResponseIncomplete"
    [alert] = world.alerts()
    assert "nothing takes it up but another report of it" in alert["Message"] and Table(world).items("due#") == []


def test_who_was_contained_is_counted_like_everybody_after_a_day(world):
    world.deploy(MaxContainmentsPerHour="1,20")
    alice, bob = User(world), User(world, name="bob", groups=())
    responder = world.responder()
    assert verdict(responder, {"command": "contain", "account": world.member, "user": "alice"}) in SUCCESS
    assert verdict(responder, about(world, EXFILTRATION, bob)) in SUCCESS
    assert verdict(responder, world.event(EXFILTRATION, alice)) in SUCCESS
    table = Table(world)
    [lock] = [it for it in table.items("lock#") if it["id"]["S"].endswith("user/alice")]
    [record] = [it for it in table.items("record#") if it["id"]["S"].endswith(alice.id)]
    for item in (lock, record):
        old = str(int(item["contained_at"]["N"]) - 25 * 3_600_000)
        table.change(item, "SET contained_at = :old", old={"N": old})
    assert verdict(responder, world.event(EXFILTRATION, alice)) == "Deferred"


def test_the_hours_others_are_told_by_one_digest(world):
    world.deploy(MaxContainmentsPerHour="0,20")
    users = [User(world, name=name, groups=()) for name in ("backdoor", "bob", "carol")]
    responder, sample = world.responder(), world.event("cloudtrail-create-user", users[0])
    for user in users:
        event = copy.deepcopy(sample)
        event["detail"]["requestParameters"]["userName"] = user.name
        event["detail"]["responseElements"]["user"] |= {"userName": user.name, "userId": user.id, "arn": user.arn}
        event["detail"]["eventID"] = user.name
        assert verdict(responder, event) == "Deferred" and allowed(user.session().list_users)
    assert len(world.alerts()) == 1
    assert len(Table(world).due()) == 3


def test_one_identity_by_name_and_by_key_is_one_principal_of_the_hour(world):
    world.deploy(MaxContainmentsPerHour="1,20")
    user, responder = User(world), world.responder()
    assert responder.invoke(world.event(EXFILTRATION, user))["reports"][0]["verdict"] in SUCCESS
    [by_key] = responder.invoke(world.event("health-risk-credentials-exposed-key-only", user))["reports"]
    assert by_key["verdict"] in SUCCESS


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


def both_warm(world, event):
    """Two responders that have contained her before, an hour ago."""
    first, second = world.responder(), world.responder()
    for it in (first, second):
        assert verdict(it, event) == "Contained"
    Table(world).next_hour()
    return first, second


@pytest.mark.seconds(20)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_second_finding_takes_no_place_where_who_holds_the_lease_takes_none(world, is_known):
    """Whoever was contained within a day is no new one, and a person's word goes through: both leave the place to bob."""
    world.deploy(MaxContainmentsPerHour="1,20", SettleSeconds="4")
    alice, bob = [User(world, name=it, groups=()) for it in ("alice", "bob")]
    event = about(world, EXFILTRATION, alice)
    first, second = both_warm(world, event)
    world.iam.detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    table, seen = Table(world), len(world.journal())
    if not is_known:
        table.change(table.item(f"lock#{world.member}#user/alice"), "REMOVE contained_at")
    command = {"command": "contain", "account": world.member, "user": "alice", "reason": "a doubt"}
    is_struck = lambda: any(it["action"] == "iam:AttachUserPolicy" and it["is_ours"] for it in world.journal()[seen:])  # noqa: E731
    with while_running(first, event if is_known else command, is_struck):
        until(lambda: any("struck_id" in it for it in table.items("lock#") if "lease_until" in it))
        assert verdict(second, event) == "InProgress"
    assert counted(world, "breaker#") == []
    assert verdict(first, about(world, EXFILTRATION, bob)) == "Contained" and bob.is_denied()


@pytest.mark.seconds(15)
def test_a_second_finding_that_waits_for_a_restore_takes_no_place(world):
    world.deploy(MaxContainmentsPerHour="1,20")
    alice, bob = [User(world, name=it, groups=()) for it in ("alice", "bob")]
    first, event = world.responder(), about(world, EXFILTRATION, alice)
    assert verdict(first, event) == "Contained"
    Table(world).next_hour()
    world.fault("dynamodb:UpdateItem", delay_ms=1_500, times=1, text="lifting")
    command = {"command": "restore", "account": world.member, "user": "alice", "reason": "a false alarm", "by": "Dana"}
    is_lifting = lambda: world.faults()[-1]["times"] == 0  # noqa: E731
    with while_running(world.responder(part="restorer"), command, is_lifting) as answer:
        assert verdict(first, event) == "InProgress"
    assert answer[0]["restore"]["verdict"] == "Restored" and not alice.is_denied()
    assert verdict(first, about(world, EXFILTRATION, bob)) == "Contained" and bob.is_denied()
