"""What somebody made is answered only as long as the response to them is in force, and to whoever made them in turn: what
was made by who was restored, or about whom people are still asked, is left alone."""

import time

import pytest

from .harness.children import next_report, seen
from .harness.intrusion import client_of
from .harness.ledger import DUE, Table
from .harness.victims import user_state
from .test_children import CONTAINED, backdoor, begin, contain, look, works
from .test_report import EXFILTRATION

ASKED = {"PlaybookModes": "compromised-credential=approve", "StrikeWhileWaiting": "true"}


def at_last(world, responder):
    """What this run answers, and the one after the next report."""
    first = look(responder)
    made_again = {it["principal"]["name"]: it for it in next_report(world, responder)["reports"]}
    return {**first, **made_again, **look(responder)}


def restore(world, **fields):
    restored = world.responder(part="restorer").invoke(world.restore_command(**fields))["restore"]
    assert restored["verdict"] == "Restored", restored


def ask(world, responder, user):
    [asked] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert asked["verdict"] == "Waiting" and user.is_denied(), asked
    world.deliveries()
    return asked


@pytest.mark.seconds(6)
def test_what_was_made_by_somebody_restored_as_a_false_positive_is_left_alone(world):
    responder, user = begin(world)
    _, innocent = backdoor(user.session(), "new-hire")
    contain(world, responder, world.event(EXFILTRATION, user))
    restore(world, children=True)
    assert at_last(world, responder) == {} and works(world, innocent)
    # And nobody looks any more.
    assert "due_bucket" not in Table(world).item("children#")


@pytest.mark.seconds(6)
def test_what_the_real_owner_makes_after_a_restore_is_left_alone(world):
    responder, user = begin(world)
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    restore(world)
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
    time.sleep(1.1)  # CloudTrail has whole seconds
    _, innocent = backdoor(user.session(), "new-hire")
    assert at_last(world, responder) == {} and works(world, innocent)


@pytest.mark.seconds(8)
def test_what_somebody_made_before_a_restore_is_not_contained_by_a_later_finding(world):
    responder, user = begin(world)
    _, innocent = backdoor(user.session(), "new-hire")
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    restore(world)
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
    time.sleep(2.1)
    # GuardDuty saw the same behaviour again, and says when it began.
    [it] = responder.invoke(seen(world.event(EXFILTRATION, user), -3600, 1, id="2"))["reports"]
    assert it["verdict"] in CONTAINED and any("(it was restored then)" in note for note in it["notes"]), it
    world.deliveries()
    assert at_last(world, responder) == {} and works(world, innocent)


@pytest.mark.seconds(6)
def test_nobody_is_contained_as_a_child_while_people_are_still_asked_about_its_maker(world):
    responder, user = begin(world, **ASKED)
    _, key = backdoor(user.session())
    asked = ask(world, responder, user)
    assert at_last(world, responder) == {} and works(world, key)
    # Once somebody says that it is right, it is answered.
    [it] = responder.invoke({"command": "approve", "request": asked["request"], "by": "Dana", "reason": "stolen"})["reports"]
    assert it["verdict"] in CONTAINED, it
    world.deliveries()
    assert list(at_last(world, responder)) == ["mallory"] and not works(world, key)


@pytest.mark.seconds(6)
def test_what_was_made_by_somebody_whose_containment_was_declined_is_left_alone(world):
    responder, user = begin(world, **ASKED)
    _, innocent = backdoor(user.session(), "new-hire")
    asked = ask(world, responder, user)
    responder.invoke({"command": "decline", "request": asked["request"], "by": "Dana", "reason": "it is our pipeline"})
    assert at_last(world, responder) == {} and works(world, innocent)


@pytest.mark.seconds(8)
def test_what_somebody_made_who_was_restored_as_a_child_is_left_alone(world):
    responder, user = begin(world)
    _, key = backdoor(user.session(), "new-hire")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["new-hire"]
    world.deliveries()
    restore(world, user="new-hire")
    world.iam.update_access_key(UserName="new-hire", AccessKeyId=key["AccessKeyId"], Status="Active")
    _, innocent = backdoor(client_of(world, "iam", key), "colleague")
    assert at_last(world, responder) == {} and works(world, innocent)


@pytest.mark.seconds(8)
def test_what_a_child_made_is_left_alone_once_the_first_of_the_line_is_restored(world):
    responder, user = begin(world)
    _, key = backdoor(user.session())
    _, innocent = backdoor(client_of(world, "iam", key), "new-hire")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["mallory"]
    world.deliveries()
    restore(world)
    assert at_last(world, responder) == {} and works(world, innocent)
    assert "AWSDenyAll" in user_state(world.iam, "mallory")["policies"]


@pytest.mark.seconds(6)
def test_who_waits_for_the_breaker_is_left_alone_once_the_maker_is_restored(world):
    responder, user = begin(world, MaxContainmentsPerHour="1,20")
    keys = {name: backdoor(user.session(), name)[1] for name in ("first", "second")}
    contain(world, responder, world.event(EXFILTRATION, user))
    [waits] = [name for name, it in look(responder).items() if it["verdict"] == "Deferred"]
    restore(world)
    Table(world).next_hour()
    [it] = [it for it in responder.invoke(DUE)["reports"] if it["source"] == "child"]
    assert it["verdict"] == "Refused" and "was taken back" in it["reason"] and works(world, keys[waits]), it


@pytest.mark.seconds(10)
def test_a_later_theft_of_the_same_key_is_looked_at_with_places_of_its_own(world):
    responder, user = begin(world, MaxChildren="1")
    _, first = backdoor(user.session(), "first")
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    assert list(look(responder)) == ["first"] and not works(world, first)
    restore(world, children=True)
    look(responder)
    # Weeks later.
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
    time.sleep(3.1)
    _, bad = backdoor(user.session(), "second")
    contain(world, responder, seen(world.event(EXFILTRATION, user), -1, 1, id="2"))
    assert list(at_last(world, responder)) == ["second"] and not works(world, bad)


@pytest.mark.seconds(12)
def test_a_key_planted_with_somebody_who_was_a_child_once_and_was_restored_is_answered(world):
    responder, user = begin(world)
    backdoor(user.session(), "new-hire")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["new-hire"]
    restore(world, children=True)
    for it in world.iam.list_access_keys(UserName="new-hire")["AccessKeyMetadata"]:
        world.iam.delete_access_key(UserName="new-hire", AccessKeyId=it["AccessKeyId"])
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
    time.sleep(2.1)  # CloudTrail has whole seconds
    # Now the key is stolen indeed.
    planted = user.session().create_access_key(UserName="new-hire")["AccessKey"]
    time.sleep(1.1)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0, id="7"))
    assert list(at_last(world, responder)) == ["new-hire"] and not works(world, planted)
    assert "AWSDenyAll" not in user_state(world.iam, "new-hire")["policies"]


@pytest.mark.seconds(10)
def test_who_takes_the_same_name_again_takes_no_place_of_another(world):
    responder, user = begin(world, MaxChildren="1")
    iam, keys = user.session(), []
    for number in range(4):
        keys.append(backdoor(iam)[1])
        iam.update_user(UserName="mallory", NewUserName=f"other-{number}")
        time.sleep(1.1)  # CloudTrail has whole seconds
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    assert sum(not works(world, it) for it in keys) == 1
