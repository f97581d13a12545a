"""IAM's writes go by name: none goes by one that was read long before, and who got what was meant for another is told of."""

import pytest

from .harness.ledger import Table, about, until
from .harness.victims import User, user_state
from .test_lease import while_running

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


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
