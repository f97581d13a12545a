"""Which credentials are flagged, by whatever findings, and since when: what each of them made is answered, and nothing of
what another made."""

import json

import pytest

from .harness.children import ago, by_key, by_session, next_report, seen, stamp, told_late, user_of
from .harness.intrusion import client_of
from .harness.ledger import Table
from .harness.victims import Role, User, user_state
from .test_children import BY_SESSION, CONTAINED, backdoor, begin, contain, look, prod_admin, works
from .test_report import EXFILTRATION


def at_last(world, responder):
    """What this run answers, and the one after the next report."""
    first = look(responder)
    made_again = {it["principal"]["name"]: it for it in next_report(world, responder)["reports"]}
    return {**first, **made_again, **look(responder)}


@pytest.mark.seconds(10)
def test_a_second_stolen_key_of_somebody_contained_is_followed_too(world):
    responder, user = begin(world)
    _, bad = backdoor(user.session(key=1), "by-second-key")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert look(responder) == {}
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0, user.keys[1]["AccessKeyId"], "2"))
    assert list(at_last(world, responder)) == ["by-second-key"] and not works(world, bad)


@pytest.mark.seconds(8)
def test_a_key_that_another_finding_of_the_same_event_flags_is_followed_too(world):
    responder, user = begin(world)
    keys = [backdoor(user.session(key=key), name)[1] for key, name in enumerate(("by-first-key", "by-second-key"))]
    event = world.event(f"security-hub-{EXFILTRATION}", user)
    [first] = event["detail"]["findings"]
    first |= {"FirstObservedAt": stamp(-3600), "LastObservedAt": stamp(0)}
    second = json.loads(json.dumps(first).replace(user.keys[0]["AccessKeyId"], user.keys[1]["AccessKeyId"]))
    event["detail"]["findings"].append({**second, "Id": first["Id"] + "2"})
    for number in range(2):
        world.finding(event, number)
    reports = responder.invoke(event)["reports"]
    assert [it["verdict"] in CONTAINED for it in reports] == [True, True]
    world.deliveries()
    assert sorted(at_last(world, responder)) == ["by-first-key", "by-second-key"] and not any(works(world, it) for it in keys)


@pytest.mark.seconds(10)
def test_what_a_child_made_is_followed_where_the_child_was_contained_for_its_creation_already(world):
    responder, user = begin(world)
    admin = prod_admin(world)
    mallory, key = backdoor(user.session())
    planted = client_of(world, "iam", key).create_access_key(UserName="prod-admin")["AccessKey"]
    # The rule tells of the creation by somebody who is not trusted.
    event = json.loads(json.dumps(world.event("cloudtrail-create-user")).replace("AIDABACKDOOR22EXAMPLE", mallory).replace("backdoor", "mallory"))
    event["detail"]["eventTime"] = stamp(0)
    [it] = responder.invoke(event)["reports"]
    assert it["verdict"] in CONTAINED and it["playbook"] == "unauthorized-user", it
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    world.deliveries()
    at_last(world, responder)
    assert not works(world, planted) and admin.key_works()


@pytest.mark.seconds(8)
def test_a_contain_command_before_the_finding_takes_nothing_from_it(world):
    responder, user = begin(world)
    _, bad = backdoor(user.session())
    command = {"command": "contain", "account": world.member, "user": "alice", "reason": "on call saw it"}
    [it] = responder.invoke(command)["reports"]
    assert "nothing that it made is answered (the finding names no access key): see the report" in it["notes"], it["notes"]
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(at_last(world, responder)) == ["mallory"] and not works(world, bad)


@pytest.mark.seconds(8)
def test_an_earlier_beginning_that_is_told_later_counts(world):
    responder, user = begin(world)
    bad = user_of(world, by_key(world, user), "mallory")
    ago(world, 1800)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -60, 0))
    assert at_last(world, responder) == {} and works(world, bad)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -7200, 0, id="2"))
    assert list(at_last(world, responder)) == ["mallory"] and not works(world, bad)


@pytest.mark.seconds(8)
@pytest.mark.parametrize("flagged", [1, 2])
def test_two_flagged_sessions_of_a_role_do_not_hide_each_others_children(world, flagged):
    responder, user = begin(world)
    role = Role(world)
    sessions = [user.session("sts").assume_role(RoleArn=role.arn, RoleSessionName=it)["Credentials"] for it in ("one", "two")]
    for number, session in enumerate(sessions[:flagged]):
        contain(world, responder, seen(world.event(BY_SESSION, role=role), -3600, 0, session["AccessKeyId"], str(number)))
    made = world.iam.create_user(UserName="mallory")["User"]
    told_late(world, by_session(world, role, "one", sessions[0]), "mallory", made["UserId"], -30)
    assert list(at_last(world, responder)) == ["mallory"] and "AWSDenyAll" in user_state(world.iam, "mallory")["policies"]


@pytest.mark.seconds(6)
def test_months_of_a_pipelines_users_are_not_contained_and_do_not_take_the_thiefs_place(world):
    responder, user = begin(world, MaxChildren="2", LookbackHours="2160")
    innocents = []
    for number in range(3):
        innocents.append(user_of(world, by_key(world, user), f"service-{number}"))
        ago(world, 20 * 86_400)
    _, bad = backdoor(user.session())
    [it] = responder.invoke(seen(world.event(EXFILTRATION, user), -75 * 86_400, 0))["reports"]
    # Where not all is looked at that the finding tells of, people know.
    [note] = [it for it in it["notes"] if it.startswith("the behaviour began at ")]
    assert note.endswith("(what is older is as likely the owner's): see the report")
    world.deliveries()
    assert any(note in it["Message"] for it in world.alerts())
    assert list(at_last(world, responder)) == ["mallory"]
    assert all(works(world, it) for it in innocents) and not works(world, bad)


@pytest.mark.seconds(5)
def test_a_custom_action_on_a_state_says_no_beginning_of_a_behaviour(world):
    world.deploy(Evidence="true", ContainChildren="true", LookbackHours="2160")
    world.connected(part="investigator")
    responder, user = world.responder(), User(world)
    innocent = user_of(world, by_key(world, user), "service")
    ago(world, 60 * 86_400)
    event = world.event("security-hub-custom-action-contain-identity", user)
    finding = event["detail"]["findings"][0]
    finding["FirstObservedAt"] = stamp(-80 * 86_400)
    finding["LastObservedAt"] = finding["UpdatedAt"] = stamp(0)
    key = {"AccessKeyId": user.keys[0]["AccessKeyId"], "PrincipalType": "IAMUser", "PrincipalName": "alice", "PrincipalId": user.id, "UserName": "alice"}
    resource = {"Type": "AwsIamAccessKey", "Id": f"AWS::IAM::AccessKey:{key['AccessKeyId']}", "Partition": "aws", "Region": "us-east-1"}
    finding["Resources"] = [{**resource, "Details": {"AwsIamAccessKey": key}}]
    world.finding(event)
    contain(world, responder, event)
    assert at_last(world, responder) == {} and works(world, innocent) and Table(world).items("children#") == []
