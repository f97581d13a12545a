"""What a flagged key made and was not answered at once is tried again, and told to a person by name if nobody answers it."""

import json

import pytest

from .harness.children import ago, by_key, next_report, seen, told_late, user_of
from .harness.intrusion import client_of
from .harness.ledger import DUE, Table
from .harness.victims import User, user_state
from .test_children import backdoor, begin, contain, look, prod_admin, works
from .test_lease import while_running
from .test_report import EXFILTRATION, report

NOT_ANSWERED = "Not answered: made with a flagged credential of alice"


def told(world):
    """The texts of the alerts about what nobody answered."""
    return [it["Message"] for it in world.alerts() if it["Subject"].startswith(NOT_ANSWERED)]


def over(world, responder):
    """The three hours are over: what is open is told now."""
    table = Table(world)
    for item in table.items("children#"):
        if "due_bucket" in item:
            table.change(item, "SET asked_at = :zero", zero={"N": "0"})
    responder.invoke(DUE)


def at_last(world, responder):
    """What this run answers, and the one after the next report."""
    first = look(responder)
    made_again = {it["principal"]["name"]: it for it in next_report(world, responder)["reports"]}
    return {**first, **made_again, **look(responder)}


@pytest.mark.seconds(10)
@pytest.mark.parametrize("text", ["if_not_exists(maker", "SET command"])
def test_what_could_not_be_noted_of_a_flagged_key_fails_the_invocation_and_is_noted_by_the_next_try(world, text):
    responder, user = begin(world)
    _, bad = backdoor(user.session())
    event = world.event(EXFILTRATION, user)
    world.fault("dynamodb:UpdateItem", "AccessDeniedException", times=1, text=text)
    answer = responder.invoke(event)
    assert answer["errorType"] == "ResponseIncomplete" and "what it made: " in answer["errorMessage"], answer
    assert user.is_denied()
    world.deliveries()
    contain(world, responder, event)
    assert list(at_last(world, responder)) == ["mallory"] and not works(world, bad)


@pytest.mark.seconds(6)
def test_a_planted_key_whose_owner_could_not_be_read_once_is_looked_at_again(world):
    responder, user = begin(world)
    admin = prod_admin(world)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    contain(world, responder, world.event(EXFILTRATION, user))
    world.fault("iam:GetAccessKeyLastUsed", "AccessDenied", times=1)
    assert look(responder) == {} and works(world, planted) and told(world) == []
    assert list(look(responder)) == ["prod-admin"] and not works(world, planted) and admin.key_works()


@pytest.mark.seconds(8)
def test_a_planted_key_whose_owner_cannot_be_read_is_told_after_some_tries(world):
    responder, user = begin(world)
    prod_admin(world)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    contain(world, responder, world.event(EXFILTRATION, user))
    world.fault("iam:GetAccessKeyLastUsed", "AccessDenied")
    world.alerts()
    for _ in range(4):
        assert look(responder) == {} and told(world) == []
    assert look(responder) == {}
    [text] = told(world)
    assert f"- access key {planted['AccessKeyId']} of user prod-admin, event " in text and "whose it is could not be read" in text
    # Once, and it needs no other look.
    assert look(responder) == {} and told(world) == []


@pytest.mark.seconds(10)
def test_a_planted_key_whose_owner_is_called_otherwise_for_a_moment_is_answered(world):
    """Between the two reads of the owner an accomplice renames it, and back."""
    responder, user = begin(world)
    admin = prod_admin(world)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    contain(world, responder, world.event(EXFILTRATION, user))
    world.fault("iam:GetUser", delay_ms=1_200, times=1, text="UserName=prod-admin")
    with while_running(responder, DUE, lambda: world.faults()[-1]["times"] == 0):
        world.iam.update_user(UserName="prod-admin", NewUserName="elsewhere")
    world.iam.update_user(UserName="elsewhere", NewUserName="prod-admin")
    look(responder)
    assert not works(world, planted) and admin.key_works() and told(world) == []


@pytest.mark.seconds(15)
def test_a_planted_key_whose_owner_is_called_otherwise_at_every_look_is_told(world):
    responder, user = begin(world)
    prod_admin(world)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    contain(world, responder, world.event(EXFILTRATION, user))
    world.fault("iam:GetUser", "NoSuchEntity", text="UserName=prod-admin")
    world.alerts()
    for _ in range(4):
        assert look(responder) == {} and told(world) == []
    assert look(responder) == {} and works(world, planted)
    [text] = told(world)
    assert f"- access key {planted['AccessKeyId']} of user prod-admin, event " in text and "no user of that name was seen to have it" in text


@pytest.mark.seconds(10)
def test_a_key_planted_with_whom_the_ledger_alone_denies_everything_is_answered(world):
    """The owner was contained once, and somebody freed it by hand: its record says that it is denied."""
    responder, user = begin(world)
    admin = prod_admin(world)
    command = {"command": "contain", "account": world.member, "user": "prod-admin", "reason": "a doubt"}
    assert responder.invoke(command)["reports"][0]["verdict"] == "Contained"
    world.iam.detach_user_policy(UserName="prod-admin", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    world.iam.update_access_key(UserName="prod-admin", AccessKeyId=admin.keys[0]["AccessKeyId"], Status="Active")
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["prod-admin"]
    assert not works(world, planted) and admin.key_works()


@pytest.mark.seconds(10)
def test_a_key_planted_with_whom_another_response_denies_everything_is_told(world):
    responder, user = begin(world)
    prod_admin(world)
    command = {"command": "contain", "account": world.member, "user": "prod-admin", "reason": "a doubt"}
    assert responder.invoke(command)["reports"][0]["verdict"] == "Contained"
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    contain(world, responder, world.event(EXFILTRATION, user))
    world.alerts()
    assert look(responder) == {} and look(responder) == {} and not works(world, planted)
    [text] = told(world)
    line = next(it for it in text.splitlines() if planted["AccessKeyId"] in it)
    assert line.endswith("its owner is denied everything by another response, and what it made was not looked for")


@pytest.mark.seconds(10)
def test_a_user_who_was_deleted_is_told_as_a_link_of_which_nothing_was_looked_for(world):
    """mallory plants a key with prod-admin, and is deleted: what CloudTrail has of her is for a person."""
    responder, user = begin(world)
    prod_admin(world)
    mallory, key = backdoor(user.session())
    planted = client_of(world, "iam", key).create_access_key(UserName="prod-admin")["AccessKey"]
    iam = user.session()
    iam.detach_user_policy(UserName="mallory", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.delete_access_key(UserName="mallory", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="mallory")
    contain(world, responder, world.event(EXFILTRATION, user))
    world.alerts()
    world.fault("sns:Publish", "AuthorizationError", text="was%20deleted", times=1)
    assert "telling what" in str(responder.invoke(DUE))
    assert look(responder)["mallory"]["verdict"] == "Refused" and look(responder) == {}
    [text] = told(world)
    assert f"- user mallory ({mallory}), event " in text and ": it was deleted, and what it made was not looked for\n" in text
    assert works(world, planted)


@pytest.mark.seconds(15)
def test_a_planted_key_that_was_deleted_is_told_as_a_link_of_which_nothing_was_looked_for(world):
    responder, user = begin(world)
    prod_admin(world)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    _, bad = backdoor(client_of(world, "iam", planted), "later")
    client_of(world, "iam", bad).delete_access_key(UserName="prod-admin", AccessKeyId=planted["AccessKeyId"])
    contain(world, responder, world.event(EXFILTRATION, user))
    world.alerts()
    for _ in range(5):
        assert look(responder) == {} and works(world, bad)
    [text] = told(world)
    line = next(it for it in text.splitlines() if planted["AccessKeyId"] in it)
    assert line.endswith("it may be deleted, and what it made was not looked for")


@pytest.mark.seconds(5)
def test_who_got_no_place_is_told_by_name(world):
    responder, user = begin(world, MaxChildren="0")
    mallory, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    world.alerts(), world.alerts()
    world.fault("sns:Publish", "AuthorizationError", text="MAX_CHILDREN", times=1)
    assert "telling what" in str(responder.invoke(DUE))
    # Told once it can be, and once: who is not denied, and the key that she was given.
    assert look(responder) == {} and look(responder) == {} and look(responder) == {} and works(world, key)
    texts = told(world)
    assert all("all places are taken (MAX_CHILDREN=0)" in it for it in texts)
    for it in (f"- user mallory ({mallory}), event ", f"- access key {key['AccessKeyId']} of user mallory, event "):
        assert "".join(texts).count(it) == 1, texts


@pytest.mark.seconds(5)
def test_calls_that_nobody_could_read_for_hours_are_told(world):
    """Each by its ID: who was made is in the call alone."""
    responder, user = begin(world)
    for number in range(30):
        made = world.iam.create_user(UserName=f"made-{number}")["User"]
        told_late(world, by_key(world, user), made["UserName"], made["UserId"], at=-60)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    world.alerts(), world.alerts()
    world.fault("cloudtrail:LookupEvents", "AccessDeniedException", text="EventId")
    assert "errorType" in responder.invoke(DUE)
    table = Table(world)
    table.change(table.item("children#"), "SET asked_at = :zero", zero={"N": "0"})
    assert look(responder) == {} and "due_bucket" not in table.item("children#")
    [text] = told(world)
    named = json.loads(Table(world).item("evidence#")["made"]["S"])
    assert len(named) == 30 and all(f"- CloudTrail event {it}: " in text for it in named) and "could not be read" in text
    assert "aws cloudtrail lookup-events --region us-east-1" in text


@pytest.mark.seconds(8)
@pytest.mark.parametrize("asks", [False, True])
def test_a_report_that_a_person_asked_for_names_no_calls(world, asks):
    responder, user = begin(world)
    other = by_key(world, user, user.keys[1]["AccessKeyId"])
    for number in range(62):
        told_late(world, other, f"service-{number}", f"AIDASERVICE{number:010}")
    ago(world, 7200)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    assert look(responder) == {}
    if asks:
        report(world, "alice")
    assert look(responder) == {} and "made" not in Table(world).item("evidence#")
    # Late, as CloudTrail is.
    bad = user_of(world, by_key(world, user), "mallory")
    assert list(at_last(world, responder)) == ["mallory"] and not works(world, bad)


@pytest.mark.seconds(40)
@pytest.mark.parametrize("gone", [5, 60])
def test_users_who_were_made_and_deleted_before_do_not_hide_one_who_is_told_of_later(world, gone):
    responder, user = begin(world)
    for number in range(gone):
        told_late(world, by_key(world, user), f"chaff-{number}", f"AIDACHAFF{number:012}")
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    responder.invoke(DUE)
    bad = user_of(world, by_key(world, user), "mallory")
    next_report(world, responder)
    responder.invoke(DUE)
    assert not works(world, bad)


@pytest.mark.seconds(40)
def test_users_of_one_name_made_again_and_again_do_not_hide_another(world):
    responder, user = begin(world)
    caller = by_key(world, user)
    for number in range(60):
        told_late(world, caller, "chaff", f"AIDACHAFF{number:012}", at=-60)
    # The last who bears the name.
    world.iam.create_user(UserName="chaff")
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    responder.invoke(DUE)
    # Late, as CloudTrail is.
    bad = user_of(world, caller, "mallory")
    next_report(world, responder)
    responder.invoke(DUE)
    assert not works(world, bad)


@pytest.mark.seconds(60)
def test_whoever_is_the_sixty_first_is_told_of(world):
    responder, user = begin(world, MaxChildren="1")
    caller, names = by_key(world, user), [f"chaff-{number}" for number in range(60)]
    for name in names:
        told_late(world, caller, name, world.iam.create_user(UserName=name)["User"]["UserId"], at=-60)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    texts = []
    for _ in range(5):
        responder.invoke(DUE)
        world.deliveries()
        texts += told(world)
    user_of(world, caller, "mallory")
    next_report(world, responder)
    responder.invoke(DUE)
    over(world, responder)
    text = "\n".join(texts + told(world))
    left = [it for it in [*names, "mallory"] if f"- user {it} " not in text]
    assert len(left) == 1 and "AWSDenyAll" in user_state(world.iam, left[0])["policies"]


@pytest.mark.seconds(10)
def test_a_key_of_a_user_who_is_not_denied_is_answered_itself(world):
    responder, user = begin(world, PlaybookModes="unauthorized-user=approve")
    _, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    asked = look(responder)["mallory"]
    # Nobody has decided, and an answer to the user is one to the key.
    assert asked["verdict"] == "Waiting" and look(responder) == {} and works(world, key)
    responder.invoke({"command": "decline", "request": asked["request"], "by": "Dana", "reason": "the user is ours"})
    it = look(responder)["mallory"]
    assert it["playbook"] == "planted-key" and not works(world, key)
    assert "AWSDenyAll" not in user_state(world.iam, "mallory")["policies"]


@pytest.mark.seconds(10)
def test_a_key_of_a_user_whom_somebody_approves_to_contain_is_no_case_of_its_own(world):
    responder, user = begin(world, PlaybookModes="unauthorized-user=approve")
    _, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    asked = look(responder)["mallory"]
    assert look(responder) == {}
    responder.invoke({"command": "approve", "request": asked["request"], "by": "Dana", "reason": "stolen"})
    assert look(responder) == {} and not works(world, key)


@pytest.mark.seconds(10)
def test_two_keys_planted_with_one_user_are_both_deactivated(world):
    responder, user = begin(world)
    admin = User(world, name="prod-admin")
    for it in admin.keys:
        world.iam.delete_access_key(UserName="prod-admin", AccessKeyId=it["AccessKeyId"])
    planted = [user.session().create_access_key(UserName="prod-admin")["AccessKey"] for _ in range(2)]
    contain(world, responder, world.event(EXFILTRATION, user))
    for _ in range(3):
        responder.invoke(DUE)
        world.deliveries()
    assert not any(works(world, it) for it in planted) and not admin.is_denied()
