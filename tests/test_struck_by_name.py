"""IAM's writes go by name: none goes by one that was read long before, and who got what was meant for another is told of."""

import time

import pytest

from .harness.ledger import Table, about, until
from .harness.victims import Role, User, user_state
from .test_children import status
from .test_lease import while_running

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
ADMINISTRATOR = "security-hub-simulation-administrator-access"
CURATED = "product/aws/*,product/*/default"


def in_flight(world):
    """The call that the fault is for has been sent."""
    return lambda: world.faults()[-1]["times"] == 0


def given_on(world, user, to, pause=0.3):
    """Somebody renames the user and gives the name to another."""
    time.sleep(pause)
    name = user.name
    world.iam.update_user(UserName=name, NewUserName="elsewhere")
    world.iam.update_user(UserName=to.name, NewUserName=name)
    user.name, to.name = "elsewhere", name


def contained_in_the_ledger(world):
    return [it["id"]["S"].split("#")[2] for it in Table(world).items("record#")]


def has_password(world, user):
    try:
        return bool(world.iam.get_login_profile(UserName=user.name))
    except world.iam.exceptions.NoSuchEntityException:
        return False


@pytest.mark.seconds(10)
@pytest.mark.parametrize("is_warm", [True, False])
def test_no_strike_goes_by_a_name_that_was_read_long_before_the_record_of_who_is_known(world, is_warm):
    """The hour is full, so that whether bob is a new one is read in his record; his name is another's meanwhile."""
    world.deploy(MaxContainmentsPerHour="2,20")
    responder = world.responder()
    assert responder.invoke(world.event(EXFILTRATION, User(world)))["reports"][0]["verdict"] == "Contained"
    bob = User(world, name="bob", groups=())
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


@pytest.mark.seconds(10)
@pytest.mark.parametrize("slow", ["iam:ListAccessKeys", "iam:ListAttachedUserPolicies"])
def test_no_strike_goes_by_a_name_that_was_read_long_before_what_was_read_beside_it(world, slow):
    world.deploy()
    bob = User(world, name="bob", groups=())
    calls = lambda: [it for it in world.journal() if it["is_ours"]]  # noqa: E731
    world.fault(slow, delay_ms=2_000, times=1)
    is_read = lambda: any(it["action"] == "iam:GetUser" for it in calls())  # noqa: E731
    with while_running(world.responder(), about(world, EXFILTRATION, bob), is_read) as answer:
        world.iam.update_user(UserName="bob", NewUserName="robert")
        namesake = User(world, name="bob", groups=())
    [report] = answer[0]["reports"]
    assert report["principal"]["name"] == "robert" and "AWSDenyAll" in user_state(world.iam, "robert")["policies"], report
    assert not namesake.is_denied() and namesake.key_works()


def in_flight(world):
    """The call that the last fault keeps back has begun."""
    return lambda: world.faults()[-1]["times"] == 0


@pytest.mark.seconds(20)
def test_whoever_is_given_the_new_name_between_two_reads_is_not_contained_in_place_of_the_renamed_user(world):
    """ListUsers says that bob is robert now; by the time of GetUser robert is somebody else."""
    world.deploy(SettleSeconds="4")
    bob, innocent = [User(world, name=it, groups=()) for it in ("bob", "innocent")]
    responder = world.responder()
    world.fault("iam:GetUser", delay_ms=1_500, times=1, text="UserName=robert")
    struck = lambda: "iam:AttachUserPolicy" in world.writes()  # noqa: E731
    with while_running(responder, about(world, EXFILTRATION, bob), struck) as answer:
        world.iam.update_user(UserName="bob", NewUserName="robert")
        until(in_flight(world))
        world.iam.update_user(UserName="robert", NewUserName="bobby")
        world.iam.update_user(UserName="innocent", NewUserName="robert")
        world.iam.detach_user_policy(UserName="bobby", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
        bob.name, innocent.name = "bobby", "robert"
    assert bob.is_denied(), answer
    assert not innocent.is_denied() and innocent.key_works()
    assert [it["id"]["S"].split("#")[-1] for it in Table(world).items("record#")] == [bob.id]


@pytest.mark.seconds(10)
def test_a_user_who_is_there_is_not_refused_because_its_name_is_given_on_between_two_reads(world):
    world.deploy()
    bob, innocent = [User(world, name=it, groups=()) for it in ("bob", "innocent")]
    event = about(world, EXFILTRATION, bob)
    world.iam.update_user(UserName="bob", NewUserName="robert")
    world.fault("iam:GetUser", delay_ms=1_500, times=1, text="UserName=robert")
    with while_running(world.responder(), event, in_flight(world)) as answer:
        world.iam.update_user(UserName="robert", NewUserName="bobby")
        world.iam.update_user(UserName="innocent", NewUserName="robert")
        bob.name, innocent.name = "bobby", "robert"
    [report] = answer[0]["reports"]
    assert report["verdict"] == "Contained" and bob.is_denied() and not innocent.is_denied(), report


@pytest.mark.seconds(10)
def test_a_user_who_is_renamed_from_a_page_of_the_list_to_one_that_was_read_is_there(world):
    world.deploy()
    for number in range(7):
        world.iam.create_user(UserName=f"m{number}")
    zoe = User(world, name="zoe", groups=())
    event = about(world, EXFILTRATION, zoe)
    world.iam.update_user(UserName="zoe", NewUserName="zora")
    world.fault("iam:ListUsers", delay_ms=1_500, times=1, text="Marker")
    with while_running(world.responder(), event, in_flight(world)) as answer:
        world.iam.update_user(UserName="zora", NewUserName="adam")
        zoe.name = "adam"
    [report] = answer[0]["reports"]
    # Those beside her are new too.
    assert report["verdict"] in ("Contained", "SuspectsOpen") and zoe.is_denied(), report


@pytest.mark.seconds(10)
def test_a_name_that_is_read_again_before_the_strike_costs_one_call(world):
    world.deploy()
    bob = User(world, name="bob", groups=())
    world.fault("iam:ListAccessKeys", delay_ms=1_000, times=1)
    [report] = world.responder().invoke(about(world, EXFILTRATION, bob))["reports"]
    assert report["verdict"] == "Contained", report
    calls = [it for it in world.journal() if it["is_ours"]]
    struck = min(it["began"] for it in calls if it["action"] == "iam:AttachUserPolicy")
    before = sorted(it["action"] for it in calls if it["ended"] <= struck and it["action"].startswith("iam:"))
    assert before == ["iam:GetUser", "iam:GetUser", "iam:ListAccessKeys", "iam:ListAttachedUserPolicies"], before


@pytest.mark.seconds(10)
def test_a_role_is_struck_however_slow_what_is_read_beside_its_name(world):
    world.deploy()
    role = Role(world)
    world.fault("iam:GetRolePolicy", delay_ms=700)
    name = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
    [report] = world.responder().invoke(world.event(name, role=role))["reports"]
    assert report["verdict"] == "Contained", report
    calls = [it for it in world.journal() if it["is_ours"]]
    struck = min(it["began"] for it in calls if it["action"] == "iam:PutRolePolicy")
    assert [it["action"] for it in calls if it["began"] < struck].count("iam:GetRole") == 2


@pytest.mark.seconds(10)
def test_whoever_bears_the_name_by_the_time_of_the_strike_is_told_of(world):
    world.deploy()
    bob, namesake = [User(world, name=it, groups=()) for it in ("bob", "another")]
    world.fault("iam:AttachUserPolicy", delay_ms=1_500, times=1)
    calls = lambda: [it for it in world.journal() if it["is_ours"]]  # noqa: E731
    is_read = lambda: any(it["action"] == "iam:GetUser" for it in calls())  # noqa: E731
    responder = world.responder()
    with while_running(responder, about(world, EXFILTRATION, bob), is_read) as answer:
        world.iam.update_user(UserName="bob", NewUserName="robert")
        world.iam.update_user(UserName="another", NewUserName="bob")
        namesake.name = "bob"
    own, *others = answer[0]["reports"]
    assert own["principal"]["name"] == "robert" and "AWSDenyAll" in user_state(world.iam, "robert")["policies"], own
    assert namesake.is_denied()
    [other] = others
    assert other["verdict"] == "Unverified" and "got what was written by that name" in other["reason"], other
    assert any("NOT VERIFIED: user bob" in it["Subject"] for it in world.alerts())


@pytest.mark.seconds(15)
@pytest.mark.parametrize(("settle", "pause"), [("0", 0.6), ("4", 0.6), ("4", 0)])
def test_whoever_bears_the_name_when_a_strike_comes_late_is_told_of(world, settle, pause):
    """All that is read beside the strike was read before the name is another's."""
    world.deploy(SettleSeconds=settle)
    bob, namesake = [User(world, name=it, groups=()) for it in ("bob", "another")]
    world.fault("iam:AttachUserPolicy", delay_ms=1_500, times=1, text="UserName=bob")
    responder = world.responder()
    with while_running(responder, about(world, EXFILTRATION, bob), in_flight(world)):
        given_on(world, bob, namesake, pause)
    until(lambda: len(responder.reports()) > 1)
    own, *others = responder.reports()
    assert namesake.is_denied() and bob.is_denied() and own["principal"]["id"] == bob.id, own
    [other] = others
    assert other["principal"]["id"] == namesake.id and "got what was written by that name" in other["reason"], other
    assert namesake.id in contained_in_the_ledger(world)
    assert any("NOT VERIFIED: user bob" in it["Subject"] for it in world.alerts())
    # Whether it was denied before us, nobody has read.
    restored = world.responder(part="restorer").invoke(world.restore_command(user=namesake.id, force=True))["restore"]
    assert restored["verdict"] == "Restored" and not namesake.is_denied() and bob.is_denied(), restored


@pytest.mark.seconds(20)
def test_whose_own_containment_denies_him_is_not_said_to_have_got_it_by_a_name(world):
    world.deploy(SettleSeconds="4")
    responder = world.responder()
    bob, other = [User(world, name=it, groups=()) for it in ("bob", "another")]
    assert responder.invoke(about(world, EXFILTRATION, other))["reports"][0]["verdict"] == "Contained"
    while world.alerts():
        pass
    world.fault("iam:AttachUserPolicy", delay_ms=1_500, times=1, text="UserName=bob")
    # What is read beside the strike is read of whoever bears the name by then.
    world.fault("iam:GetUser", delay_ms=1_000, times=1, after=1, text="UserName=bob")
    with while_running(responder, about(world, EXFILTRATION, bob), in_flight(world)) as answer:
        given_on(world, bob, other, 0)
    assert [it["principal"]["id"] for it in answer[0]["reports"]] == [bob.id], answer[0]["reports"]
    assert status(world, responder, other.id)["verdict"] == "Contained"
    assert other.is_denied() and bob.is_denied() and not any(other.id in it["Message"] for it in world.alerts())


@pytest.mark.seconds(15)
@pytest.mark.parametrize("slow", ["iam:GetPolicyVersion", "dynamodb:UpdateItem"])
def test_nothing_is_taken_from_whoever_bears_the_name_by_the_time_that_it_is_taken(world, slow):
    """What an administrator loses is planned by one read, and taken once the snapshot is saved."""
    world.deploy(TrustedProducts=CURATED, SettleSeconds="4")
    alice, another = User(world), User(world, name="another")
    before = another.state()
    event = world.event(ADMINISTRATOR, alice)
    world.finding(event)
    world.fault(slow, delay_ms=1_500, times=1, **({"text": "snapshot"} if slow.startswith("dynamodb") else {}))
    with while_running(world.responder(), event, in_flight(world)) as answer:
        given_on(world, alice, another)
    after = another.state()
    assert {it: after[it] for it in ("policies", "groups", "keys", "tags")} == {it: before[it] for it in ("policies", "groups", "keys", "tags")}
    [own] = answer[0]["reports"]
    assert own["principal"]["name"] == "elsewhere" and alice.state()["policies"] == [] == alice.state()["groups"], own
    assert contained_in_the_ledger(world) == [alice.id]


@pytest.mark.seconds(15)
def test_no_password_is_deleted_of_whoever_bears_the_name_by_then(world):
    world.deploy(SettleSeconds="4", RemoveLoginProfile="true")
    alice, another = User(world), User(world, name="another")
    for it in ("alice", "another"):
        world.iam.create_login_profile(UserName=it, Password="Correct-horse-9-battery")
    world.fault("iam:ListGroupsForUser", delay_ms=1_500, times=1)
    with while_running(world.responder(), world.event(EXFILTRATION, alice), in_flight(world)) as answer:
        given_on(world, alice, another)
    assert has_password(world, another) and not has_password(world, alice), answer[0]["reports"]
    assert not another.is_denied() and alice.is_denied() and len(answer[0]["reports"]) == 1


@pytest.mark.seconds(20)
def test_from_whom_something_may_have_been_taken_by_a_name_is_told_of(world):
    """The name is another's while a policy is detached by it."""
    world.deploy(TrustedProducts=CURATED, SettleSeconds="4")
    alice, another = User(world), User(world, name="another")
    before, event = another.state()["policies"], world.event(ADMINISTRATOR, alice)
    world.finding(event)
    world.fault("iam:DetachUserPolicy", delay_ms=1_500, times=1)
    with while_running(world.responder(), event, in_flight(world)) as answer:
        given_on(world, alice, another)
    own, other = answer[0]["reports"]
    assert other["principal"]["id"] == another.id and "may have lost" in other["reason"], other
    lost = set(before) - set(another.state()["policies"])
    assert lost and all(any(f"/{policy} from user alice" in it for it in other["open"]) for policy in lost), (lost, other["open"])
    assert own["principal"]["name"] == "elsewhere" and alice.state()["policies"] == [], own


@pytest.mark.seconds(15)
def test_who_got_the_mark_alone_by_the_name_is_told_of(world):
    world.deploy(SettleSeconds="4")
    alice, another = User(world), User(world, name="another")
    world.fault("iam:TagUser", delay_ms=1_500, times=1)
    with while_running(world.responder(), world.event(EXFILTRATION, alice), in_flight(world)) as answer:
        given_on(world, alice, another)
    own, other = answer[0]["reports"]
    assert own["principal"]["id"] == alice.id and other["principal"]["id"] == another.id, other
    assert another.state()["tags"] and not another.is_denied()
    restored = world.responder(part="restorer").invoke(world.restore_command(user=another.id))["restore"]
    assert restored["verdict"] == "Restored" and not another.state()["tags"], restored


@pytest.mark.seconds(10)
def test_what_is_written_in_time_asks_for_no_name_again(world):
    """Only where something took its time is one call more."""
    world.deploy(TrustedProducts=CURATED)
    alice = User(world)
    event = world.event(ADMINISTRATOR, alice)
    world.finding(event)
    assert world.responder().invoke(event)["reports"][0]["verdict"] == "Contained"
    calls = [it["action"] for it in world.journal() if it["is_ours"]]
    assert calls.count("iam:GetUser") == calls.count("iam:ListAccessKeys"), calls
