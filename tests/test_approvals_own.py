"""Nobody decides about themselves, whatever they call themselves by now."""

from .harness.ledger import renamed
from .harness.people import DANA, EVE
from .harness.requests import EXFILTRATION, ask, item
from .harness.victims import User
from .test_front import slack


def asked_after_renaming(world, responder, user):
    world.iam.update_user(UserName="alice", NewUserName="bob")
    [found] = responder.invoke(renamed(world.event(EXFILTRATION, user), "alice", "bob"))["reports"]
    assert found["verdict"] == "Waiting", found
    return found["request"]


def test_an_approver_who_renamed_her_user_does_not_decide_about_herself(world):
    door, responder = slack(world, identities=f"{DANA}=arn:aws:iam::{world.member}:user/alice")
    user = User(world)
    request = asked_after_renaming(world, responder, user)
    [alert] = world.alerts()
    assert f"{DANA} does not decide about it: there is no user `alice` any more" in alert["Message"]
    assert door.click(request, "decline", user=DANA) == 403, item(world, request).get("decision")
    assert door.click(request, "approve", user=DANA) == 403
    assert door.click(request, "decline", user=EVE) == 200


def test_an_approver_who_made_another_user_of_her_former_name_is_known_by_the_unique_id(world):
    user = User(world)
    door, responder = slack(world, identities=f"{DANA}={user.id}")
    world.iam.update_user(UserName="alice", NewUserName="bob")
    User(world, name="alice", groups=(), policies=())
    [found] = responder.invoke(renamed(world.event(EXFILTRATION, user), "alice", "bob"))["reports"]
    assert found["principal"]["id"] == user.id
    assert door.click(found["request"], "decline", user=DANA) == 403
    assert door.click(found["request"], "decline", user=EVE) == 200


def test_an_approver_whose_arn_was_written_in_other_letters_does_not_decide_about_herself(world):
    door, responder = slack(world, identities=f"{DANA}=arn:aws:iam::{world.member}:user/Alice")
    request = ask(world, responder, User(world))
    assert door.click(request, "decline", user=DANA) == 403


def test_an_approver_who_is_somebody_else_decides(world):
    User(world, name="dana", groups=(), policies=())
    door, responder = slack(world, identities=f"{DANA}=arn:aws:iam::{world.member}:user/dana")
    request = ask(world, responder, User(world))
    assert "barred" not in item(world, request)
    assert door.click(request, "approve", user=DANA) == 200


def test_an_approver_who_bears_the_targets_name_in_another_account_decides(world):
    identities = f"{DANA}=arn:aws:iam::{world.security}:user/dana"
    door, responder = slack(world, identities=identities)
    user = User(world)
    request = ask(world, responder, user)
    world.iam.update_user(UserName="alice", NewUserName="dana")
    assert door.click(request, user=DANA) == 200
    world.deliveries()
    assert not user.key_works()
