"""A restore of somebody who made others, and what is said of those: by the record of each, and only with the response that
it follows from."""

import concurrent.futures
import contextlib
import json

import pytest

from .harness.intrusion import client_of
from .harness.ledger import Table
from .harness.victims import user_state
from .test_children import backdoor, begin, contain, look, prod_admin, status, works
from .test_crashes import quietly, wait_until
from .test_report import EXFILTRATION, report

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OVERPRIVILEGED = "security-hub-simulation-administrator-access"


def denied(world, *names):
    return [it for it in names if "AWSDenyAll" in user_state(world.iam, it)["policies"]]


def made(world, *names, **parameters):
    """Alice is contained, and so are the users whom her key made."""
    responder, user = begin(world, **parameters)
    for name in names:
        backdoor(user.session(), name)
    contain(world, responder, world.event(EXFILTRATION, user))
    assert sorted(look(responder)) == sorted(names)
    world.alerts()
    return responder, user


def restore(world, restorer=None, **fields):
    return (restorer or world.responder(part="restorer")).invoke(world.restore_command(**fields))["restore"]


def printed(text):
    """The command that a person is told to send."""
    [command] = [text[text.index('{"') : text.rindex("}") + 1]]
    return {**json.loads(command), "by": "Dana", "reason": "looked at it"}


@pytest.mark.seconds(12)
def test_a_restore_says_stays_contained_only_of_who_does(world):
    made(world, "first", "second")
    restorer = world.responder(part="restorer")
    restore(world, restorer, user="first")
    restore(world, restorer)
    [text] = [it["Message"] for it in world.alerts() if "which stays contained" in it["Message"]]
    part = text[text.index("It made, which stays contained") :]
    assert denied(world, "first", "second") == ["second"] and "user first" not in part and "user second" in part, part


@pytest.mark.seconds(8)
def test_a_report_says_contained_only_of_who_is(world):
    responder, user = begin(world, PlaybookModes="unauthorized-user=approve")
    _, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    asked = look(responder)["mallory"]
    responder.invoke({"command": "decline", "request": asked["request"], "by": "Dana", "reason": "it is ours"})
    evidence = report(world, "alice")["evidence"]
    assert works(world, key) and "Made by it" not in evidence["markdown"] and "children" not in evidence["report"]["containment"]
    assert status(world, responder, "alice")["children_now"] == []


@pytest.mark.seconds(10)
def test_a_report_and_the_status_say_who_of_them_was_restored(world):
    responder, _ = made(world, "first", "second")
    assert restore(world, user="first")["verdict"] == "Restored"
    evidence = report(world, "alice")["evidence"]
    first, second = sorted(it for it in evidence["markdown"].splitlines() if "Made by it" in it)[::-1]
    assert "contained by unauthorized" in second and "user second" in second and "restored at" in first and "user first" in first
    containment = evidence["report"]["containment"]
    assert ["user second" in it for it in containment["children"]] == [True] and ["user first" in it for it in containment["children_restored"]] == [True]
    first, second = sorted(status(world, responder, "alice")["children_now"])
    assert "restored at" in first and "is contained by unauthorized-user@" in second


@pytest.mark.seconds(8)
def test_a_child_that_is_contained_for_more_than_that_stays_and_is_named(world):
    responder, user = begin(world)
    backdoor(user.session())
    responder.invoke({"command": "contain", "account": world.member, "user": "mallory", "reason": "on call saw it"})
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    restored = restore(world, children=True)
    [left] = restored["children_left"]
    assert restored["verdict"] == "Restored" and denied(world, "alice", "mallory") == ["mallory"]
    assert "user mallory" in left and "contained for something else" in left and "command/contain" in left


@pytest.mark.seconds(8)
def test_what_came_to_a_childs_response_later_keeps_it_contained(world):
    responder, _ = made(world, "mallory")
    responder.invoke({"command": "contain", "account": world.member, "user": "mallory", "reason": "on call saw it"})
    restored = restore(world, children=True)
    [left] = restored["children_left"]
    assert restored["verdict"] == "Restored" and denied(world, "alice", "mallory") == ["mallory"]
    assert "for something else" in left and "command/contain" in left, left
    # By itself it comes back as any other.
    assert restore(world, user="mallory")["verdict"] == "Restored"


@pytest.mark.seconds(12)
def test_force_for_somebody_is_not_force_for_those_whom_it_made(world):
    made(world, "mallory")
    for name in ("alice", "mallory"):
        world.iam.attach_user_policy(UserName=name, PolicyArn=READ_ONLY)
    restorer = world.responder(part="restorer")
    drifted = restore(world, restorer, children=True)
    assert drifted["verdict"] == "Drifted" and "children" not in drifted and "was not restored" in drifted["children_left"][0]
    forced = restore(world, restorer, children=True, force=True)
    [child], [left] = forced["children"], forced["children_left"]
    assert (forced["verdict"], child["verdict"], child["forced"]) == ("Restored", "Drifted", False)
    assert denied(world, "alice", "mallory") == ["mallory"] and "ReadOnlyAccess was added since" in left
    # A person looks at that, and sends its own command.
    command = printed(left)
    assert "force" not in command and restorer.invoke(command)["restore"]["verdict"] == "Drifted"
    assert restorer.invoke({**command, "force": True})["restore"]["verdict"] == "Restored" and denied(world, "mallory") == []


@pytest.mark.seconds(12)
def test_a_restore_of_another_response_frees_no_children(world):
    responder, user = made(world, "mallory", TrustedProducts="product/*/default,product/aws/*")
    hub = world.event(OVERPRIVILEGED, user)
    world.finding(hub)
    responder.invoke(hub)
    last = status(world, responder, "alice")["responses"][-1]["id"]
    assert last.startswith("overprivileged-user@")
    restored = restore(world, children=True)
    [left] = restored["children_left"]
    assert (restored["verdict"], restored["response"]) == ("Restored", last) and denied(world, "alice", "mallory") == ["alice", "mallory"]
    assert "it follows from compromised-credential@" in left and "stays in force" in left
    # With its own it comes back.
    assert restore(world, children=True)["children"][0]["verdict"] == "Restored" and denied(world, "alice", "mallory") == []


@pytest.mark.seconds(12)
def test_a_restore_that_is_sent_again_goes_on_with_the_children_of_its_response(world):
    responder, user = made(world, "mallory", TrustedProducts="product/*/default,product/aws/*")
    hub = world.event(OVERPRIVILEGED, user)
    world.finding(hub)
    responder.invoke(hub)
    first, last = [it["id"] for it in status(world, responder, "alice")["responses"]]
    # As if it had ended there.
    assert restore(world, response=first)["verdict"] == "Restored" and denied(world, "mallory") == ["mallory"]
    again = restore(world, response=first, children=True)
    assert (again["verdict"], [it["verdict"] for it in again["children"]]) == ("NothingToDo", ["Restored"]) and denied(world, "mallory") == []
    assert [it["id"] for it in status(world, responder, "alice")["responses"]] == [last]
    # What never was a response of it is none that was taken back.
    assert restore(world, response="unused-user@2026-01-01T00:00:00Z", children=True)["verdict"] == "Refused"


@pytest.mark.seconds(12)
def test_a_dry_run_of_who_made_them_changes_nothing_of_them(world):
    made(world, "mallory")
    dry = world.responder(part="restorer", MODE="observe", PLAYBOOK_MODES="unauthorized-user=enforce")
    seen = restore(world, dry, children=True)
    assert (seen["verdict"], [it["verdict"] for it in seen["children"]]) == ("Observed", ["Observed"])
    assert any(it["outcome"] == "planned" for it in seen["children"][0]["actions"]) and denied(world, "alice", "mallory") == ["alice", "mallory"]


@pytest.mark.seconds(45)
def test_a_restore_whose_time_runs_out_says_whom_it_did_not_reach(world):
    made(world, "first", "second", "third")
    short = world.responder(part="restorer", timeout=37)
    world.fault("iam:DetachUserPolicy", delay_ms=3_500, times=2)
    answer = short.invoke(world.restore_command(children=True))
    late = denied(world, "first", "second", "third")
    said = answer["errorMessage"]
    assert answer["errorType"] == "ResponseIncomplete" and late and denied(world, "alice") == [], answer
    assert f"the time ran out before {len(late)} of those whom it made" in said and all(f"user {it} " in said for it in late)
    command = {**json.loads(said[said.index('{"') : said.index("}") + 1]), "by": "Dana", "reason": "on with it"}
    assert command["children"] and command["response"].startswith("compromised-credential@")
    again = world.responder(part="restorer").invoke(command)["restore"]
    assert again["verdict"] == "NothingToDo" and len(again["children"]) == len(late) and "children_left" not in again
    assert denied(world, "first", "second", "third") == []


@pytest.mark.seconds(12)
def test_after_a_crash_between_two_children_the_same_command_goes_on(world):
    made(world, "first", "second")
    command, restorer = world.restore_command(children=True), world.responder(part="restorer")
    world.fault("iam:DetachUserPolicy", after=2, times=1, hold=True, reset="before")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(quietly, restorer, command)
        wait_until(lambda: not world.faults()[-1]["times"])
        world.emulators.remove(restorer)
        restorer.close()
    world.release()
    wait_until(lambda: world.faults()[-1].get("through"))
    [held] = denied(world, "alice", "first", "second")
    busy = restore(world, children=True)
    assert (busy["verdict"], busy["children"][0]["verdict"]) == ("NothingToDo", "InProgress") and f"user {held} " in busy["children_left"][0]
    world.let_leases_run_out()
    again = restore(world, children=True)
    assert [it["verdict"] for it in again["children"]] == ["Restored"] and "children_left" not in again
    assert denied(world, "alice", "first", "second") == []


@pytest.mark.seconds(14)
def test_a_child_of_a_child_comes_back_after_its_own_maker_and_not_without(world):
    responder, user = begin(world)
    _, key = backdoor(user.session())
    backdoor(client_of(world, "iam", key), "eve")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["mallory"]
    world.deliveries()
    assert list(look(responder)) == ["eve"]
    world.iam.attach_user_policy(UserName="mallory", PolicyArn=READ_ONLY)
    restorer = world.responder(part="restorer")
    first = restore(world, restorer, children=True)
    assert first["verdict"] == "Restored" and denied(world, "alice", "mallory", "eve") == ["mallory", "eve"]
    assert ["user mallory" in it for it in first["children_left"]] == [True, False] and "who made it was not restored" in first["children_left"][1]
    world.iam.detach_user_policy(UserName="mallory", PolicyArn=READ_ONLY)
    again = restore(world, restorer, children=True)
    assert [it["principal"]["name"] for it in again["children"]] == ["mallory", "eve"] and denied(world, "mallory", "eve") == []


@pytest.mark.seconds(12)
def test_whoever_bears_the_name_of_a_child_now_is_untouched_by_a_restore(world):
    responder, user = begin(world)
    mallory, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    world.iam.delete_access_key(UserName="mallory", AccessKeyId=key["AccessKeyId"])
    for policy in world.iam.list_attached_user_policies(UserName="mallory")["AttachedPolicies"]:
        world.iam.detach_user_policy(UserName="mallory", PolicyArn=policy["PolicyArn"])
    world.iam.delete_user(UserName="mallory")
    backdoor(world.iam)
    before = user_state(world.iam, "mallory")
    restored = restore(world, children=True)
    [left] = restored["children_left"]
    assert restored["verdict"] == "Restored" and mallory in left and "refused" in left
    assert user_state(world.iam, "mallory") == before


@pytest.mark.seconds(12)
def test_those_whom_somebody_made_who_is_gone_are_named_and_restored_by_themselves(world):
    made(world, "mallory")
    iam = world.iam
    for key in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]:
        iam.detach_user_policy(UserName="alice", PolicyArn=policy["PolicyArn"])
    for name in iam.list_user_policies(UserName="alice")["PolicyNames"]:
        iam.delete_user_policy(UserName="alice", PolicyName=name)
    for group in iam.list_groups_for_user(UserName="alice")["Groups"]:
        iam.remove_user_from_group(UserName="alice", GroupName=group["GroupName"])
    for device in iam.list_mfa_devices(UserName="alice")["MFADevices"]:
        iam.deactivate_mfa_device(UserName="alice", SerialNumber=device["SerialNumber"])
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_login_profile(UserName="alice")
    iam.delete_user(UserName="alice")
    restored = restore(world, children=True)
    [left] = restored["children_left"]
    assert restored["verdict"] == "Refused" and "stays contained" in left and denied(world, "mallory") == ["mallory"]
    # Nor does it need its maker's record.
    table = Table(world)
    [record] = [it for it in table.items(f"record#{world.member}#") if "children" in it]
    table.client.delete_item(TableName=table.name, Key={"id": record["id"]})
    assert world.responder(part="restorer").invoke(printed(left))["restore"]["verdict"] == "Restored" and denied(world, "mallory") == []


@pytest.mark.seconds(14)
def test_a_planted_key_stays_inactive_and_is_named_whatever_is_restored(world):
    responder, user = begin(world)
    prod_admin(world)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    backdoor(client_of(world, "iam", planted), "by-thief")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["prod-admin"]
    world.deliveries()
    assert list(look(responder)) == ["by-thief"]
    restorer = world.responder(part="restorer")
    key, thief = restore(world, restorer, children=True)["children_left"]
    assert planted["AccessKeyId"] in key and "was deactivated by planted-key@" in key and "stays inactive" in key
    # What the key made is its own line's, and follows from the response to the key.
    assert "user by-thief" in thief and "the key that made it was not taken back" in thief and denied(world, "by-thief") == ["by-thief"]
    owners = restore(world, restorer, user="prod-admin", children=True)
    assert owners["verdict"] == "Restored" and [it["verdict"] for it in owners["children"]] == ["Restored"] and denied(world, "by-thief") == []
    [key] = restore(world, restorer, children=True)["children_left"]
    assert "stays inactive" in key and "taken back" in key and not works(world, planted)
