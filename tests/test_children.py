"""What a flagged access key made is answered: users are contained, keys of others deactivated; by the key that CloudTrail
names, and by no name and nobody's word."""

import json
import time

import pytest

from .harness.intrusion import client_of
from .harness.ledger import DUE, Table
from .harness.victims import LONG_AGO, Role, User, allowed, user_state
from .test_report import EXFILTRATION, report
from .test_stolen_sessions import of_function

BY_SESSION = "guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws"
CONTAINED = ("Contained", "SuspectsOpen")


def begin(world, **parameters):
    world.deploy(Evidence="true", **{"ContainChildren": "true", **parameters})
    world.connected(part="investigator")
    return world.responder(), User(world)


def backdoor(iam, name="mallory"):
    """A user with a key that may do everything; its ID and its key."""
    made = iam.create_user(UserName=name)["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return made["UserId"], key


def works(world, key):
    return allowed(client_of(world, "iam", key).list_users)


def contain(world, responder, event):
    """The containment, and the report that it asks for."""
    [contained] = responder.invoke(event)["reports"]
    assert contained["verdict"] in CONTAINED, contained
    world.deliveries()


def look(responder):
    """What the next run answers of what was made."""
    return {it["principal"]["name"]: it for it in responder.invoke(DUE)["reports"] if it["source"] == "child"}


def prod_admin(world):
    """Somebody with one key of its own."""
    admin = User(world, name="prod-admin")
    world.iam.delete_access_key(UserName="prod-admin", AccessKeyId=admin.keys[1]["AccessKeyId"])
    return admin


def status(world, responder, user):
    return responder.invoke({"command": "status", "account": world.member, "user": user})["status"]


def name_calls(world, user, events):
    """As whoever has the investigating function's role can write them."""
    dynamodb, table = of_function(world, "iam-responder-investigator", "dynamodb"), Table(world).name
    key = {"id": {"S": f"evidence#{world.member}#{user.id}"}}
    values = {":made": {"S": json.dumps(events)}}
    dynamodb.update_item(TableName=table, Key=key, UpdateExpression="SET made = :made", ExpressionAttributeValues=values)


def history(world, name):
    """The IDs of the calls of that name."""
    world.control("history", {"account": world.member, "per_second": 100})
    found = world.client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}])
    return [it["EventId"] for it in found["Events"]]


@pytest.mark.seconds(8)
def test_a_user_whom_the_flagged_key_made_is_contained_and_chained(world):
    responder, user = begin(world)
    mallory, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    assert works(world, key)
    # The key of whom it made is deactivated with its owner, and is no case of its own.
    answers = look(responder)
    assert list(answers) == ["mallory"]
    it = answers["mallory"]
    assert (it["playbook"], it["verdict"] in CONTAINED, it["principal"]["id"]) == ("unauthorized-user", True, mallory)
    assert not works(world, key) and "AWSDenyAll" in user_state(world.iam, "mallory")["policies"]
    [event] = history(world, "CreateUser")
    parent = {"id": user.id, "name": "alice", "access_key": user.keys[0]["AccessKeyId"], "event": event}
    assert it["parent"].items() >= parent.items() and it["parent"]["finding"].startswith("arn:aws:guardduty:")
    [alert] = [it["Message"] for it in world.alerts() if "Unauthorised user created" in it["Subject"]]
    assert f"made with access key {parent['access_key']} of alice ({user.id}), CloudTrail event {event}" in alert
    [child] = status(world, responder, "alice")["children"]
    assert child == f"user mallory ({mallory}), event {event}"
    assert status(world, responder, "mallory")["parents"][0].items() >= parent.items()
    assert report(world, "alice")["evidence"]["report"]["containment"]["children"] == [child]
    # In CloudTrail it is read with a session that does nothing else.
    [looked] = [it["policy"]["Statement"] for it in world.sessions() if "cloudtrail" in json.dumps(it["policy"])]
    assert [each["Action"] for each in looked] == [["cloudtrail:LookupEvents"]]
    # Whoever looks again finds nothing new.
    world.deliveries()
    assert look(responder) == {}


@pytest.mark.seconds(5)
def test_what_another_key_of_the_same_user_made_is_left_alone(world):
    responder, user = begin(world)
    _, key = backdoor(user.session(key=1), "ordinary")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert look(responder) == {} and works(world, key)
    # Nor where it is named.
    name_calls(world, user, history(world, "CreateUser"))
    assert look(responder) == {} and works(world, key)
    # After some hours nobody looks any more.
    table = Table(world)
    assert "due_bucket" in table.item("children#")
    table.change(table.item("children#"), "SET asked_at = :zero", zero={"N": "0"})
    assert look(responder) == {} and "due_bucket" not in table.item("children#")


@pytest.mark.seconds(8)
def test_what_another_session_of_the_role_made_is_left_alone(world):
    responder, user = begin(world)
    role = Role(world)
    sessions = [user.session("sts").assume_role(RoleArn=role.arn, RoleSessionName=it)["Credentials"] for it in ("thief", "pipeline")]
    (_, stolen), (_, ordinary) = [backdoor(client_of(world, "iam", it), name) for it, name in zip(sessions, ("by-thief", "by-pipeline"))]
    event = world.event(BY_SESSION, role=role)
    event["detail"]["resource"]["accessKeyDetails"]["accessKeyId"] = sessions[0]["AccessKeyId"]
    contain(world, responder, event)
    assert list(look(responder)) == ["by-thief"]
    assert not works(world, stolen) and works(world, ordinary)


@pytest.mark.seconds(8)
def test_a_key_made_for_somebody_costs_that_key_and_nothing_else(world):
    responder, user = begin(world)
    admin = prod_admin(world)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    before = admin.state()
    contain(world, responder, world.event(EXFILTRATION, user))
    it = look(responder)["prod-admin"]
    assert (it["playbook"], it["verdict"], it["access_key"]) == ("planted-key", "Contained", planted["AccessKeyId"])
    assert [each["action"] for each in it["actions"] if each["outcome"] == "applied" and "Key" in each["action"]] == ["DeactivateAccessKey"]
    assert admin.key_works() and not admin.is_denied() and not works(world, planted)
    assert admin.state() == {**before, "keys": {**before["keys"], planted["AccessKeyId"]: "Inactive"}}
    # Its owner is a suspect, with whom the key was made.
    assert any(planted["AccessKeyId"] in it for it in status(world, responder, "alice")["open_suspects"])
    restored = world.responder(part="restorer").invoke(world.restore_command(user="prod-admin"))["restore"]
    assert restored["verdict"] == "Restored" and not works(world, planted), restored


@pytest.mark.seconds(8)
def test_a_planted_key_that_made_somebody_is_followed_and_its_owner_is_not(world):
    responder, user = begin(world)
    admin = prod_admin(world)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    _, bad = backdoor(client_of(world, "iam", planted), "by-thief")
    _, good = backdoor(admin.session(), "by-owner")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["prod-admin"]
    world.deliveries()
    assert list(look(responder)) == ["by-thief"]
    assert not works(world, bad) and works(world, good) and admin.key_works()


@pytest.mark.seconds(10)
def test_children_of_children_are_followed_within_the_places_of_the_first(world):
    responder, user = begin(world, MaxChildren="2")
    mallory, key = backdoor(user.session())
    iam = client_of(world, "iam", key)
    _, first = backdoor(iam, "eve")
    time.sleep(1.1)  # CloudTrail has whole seconds
    _, second = backdoor(iam, "trent")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["mallory"]
    world.deliveries()
    answers = look(responder)
    assert list(answers) == ["eve"] and answers["eve"]["parent"]["id"] == mallory
    assert not works(world, first) and works(world, second)
    [of_first] = [it["id"] for it in status(world, responder, "alice")["responses"]]
    assert [it["id"]["S"] for it in Table(world).items("children#") if "places" in it] == [f"children#{world.member}#{user.id}#{of_first}"]


@pytest.mark.seconds(5)
def test_no_more_are_answered_than_the_settings_say(world):
    responder, user = begin(world, MaxChildren="1")
    keys = []
    for name in ("first", "second"):
        keys.append(backdoor(user.session(), name)[1])
        time.sleep(1.1)  # CloudTrail has whole seconds
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["first"] and look(responder) == {}
    assert [works(world, it) for it in keys] == [False, True]
    assert any("second" in it for it in status(world, responder, "alice")["open_suspects"].values())


@pytest.mark.seconds(5)
def test_the_breaker_holds_for_them_too(world):
    responder, user = begin(world, MaxContainmentsPerHour="1,20")
    keys = [backdoor(user.session(), name)[1] for name in ("first", "second")]
    contain(world, responder, world.event(EXFILTRATION, user))
    verdicts = sorted(it["verdict"] for it in look(responder).values())
    assert verdicts in (["Contained", "Deferred"], ["Deferred", "SuspectsOpen"])
    assert sorted(works(world, it) for it in keys) == [False, True]
    # It is taken up when there is room, as any other.
    Table(world).next_hour()
    [late] = look(responder).values()
    assert late["verdict"] in CONTAINED and late["parent"]["id"] == user.id and not any(works(world, it) for it in keys)


@pytest.mark.seconds(5)
@pytest.mark.parametrize("action, fields", [("cloudtrail:LookupEvents", {}), ("dynamodb:UpdateItem", {"text": "places"}), ("dynamodb:UpdateItem", {"text": "looked"})])
def test_what_failed_is_tried_again_with_the_next_run(world, action, fields):
    responder, user = begin(world)
    mallory, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    world.fault(action, "AccessDeniedException", times=1, **fields)
    answer = responder.invoke(DUE)
    assert answer["errorType"] == "ResponseIncomplete", answer
    look(responder)
    assert not works(world, key)
    assert [mallory in it for it in status(world, responder, "alice")["children"]] == [True] and look(responder) == {}


@pytest.mark.seconds(3)
def test_nothing_is_looked_for_unless_somebody_wants_it(world):
    responder, user = begin(world, ContainChildren="false")
    _, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    assert look(responder) == {} and works(world, key) and Table(world).items("children#") == []
    assert [it for it in world.sessions() if "cloudtrail" in json.dumps(it["policy"])] == []


@pytest.mark.seconds(5)
def test_in_observe_mode_it_says_what_it_would_do(world):
    responder, user = begin(world, PlaybookModes="unauthorized-user=observe,planted-key=observe")
    admin = prod_admin(world)
    _, key = backdoor(user.session())
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    contain(world, responder, world.event(EXFILTRATION, user))
    answers = look(responder)
    planned = {name: [it["action"] for it in report["actions"] if it["outcome"] == "planned"] for name, report in answers.items()}
    assert "AttachDenyAll" in planned["mallory"] and "DeactivateAccessKey" in planned["prod-admin"] and "AttachDenyAll" not in planned["prod-admin"]
    assert {it["verdict"] for it in answers.values()} == {"Observed"} and works(world, key) and works(world, planted) and admin.key_works()
    assert status(world, responder, "alice")["children"] == []


@pytest.mark.seconds(8)
def test_in_approve_mode_people_are_asked(world):
    responder, user = begin(world, PlaybookModes="unauthorized-user=approve")
    mallory, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    it = look(responder)["mallory"]
    assert it["verdict"] == "Waiting" and works(world, key)
    approved = responder.invoke({"command": "approve", "request": it["request"], "by": "Dana", "reason": "it is a backdoor"})
    [done] = approved["reports"]
    assert done["verdict"] in CONTAINED and done["parent"]["id"] == user.id and not works(world, key)
    assert status(world, responder, mallory)["parents"][0]["id"] == user.id


@pytest.mark.seconds(5)
def test_who_is_protected_is_left_alone(world):
    protected = "arn:aws:iam::*:user/prod-admin,arn:aws:iam::*:user/mallory"
    responder, user = begin(world, ProtectedPrincipals=protected, MaxChildren="1")
    prod_admin(world)
    _, key = backdoor(user.session())
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    time.sleep(1.1)  # CloudTrail has whole seconds
    _, other = backdoor(user.session(), "other")
    contain(world, responder, world.event(EXFILTRATION, user))
    verdicts = {name: it["verdict"] for name, it in look(responder).items()}
    assert verdicts == {"mallory": "Refused", "prod-admin": "Refused"} and works(world, key) and works(world, planted)
    # Who is refused takes nobody's place: the next run has room for another.
    assert look(responder)["other"]["verdict"] in CONTAINED and not works(world, other)


@pytest.mark.seconds(5)
def test_whoever_bears_the_name_now_is_untouched(world):
    responder, user = begin(world)
    _, key = backdoor(user.session())
    iam = world.iam
    iam.detach_user_policy(UserName="mallory", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.delete_access_key(UserName="mallory", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="mallory")
    namesake, key = backdoor(iam)
    contain(world, responder, world.event(EXFILTRATION, user))
    [it] = look(responder).values()
    assert it["verdict"] == "Refused" and works(world, key) and user_state(iam, "mallory")["policies"] == ["AdministratorAccess"]
    assert status(world, responder, "alice")["children"] == [] and namesake


@pytest.mark.seconds(5)
def test_a_call_that_failed_made_nobody(world):
    responder, user = begin(world)
    victim = User(world, name="operator")
    with pytest.raises(Exception, match="EntityAlreadyExists"):
        user.session().create_user(UserName="operator")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert look(responder) == {}
    name_calls(world, user, history(world, "CreateUser"))
    assert look(responder) == {} and victim.key_works() and not victim.is_denied()


@pytest.mark.seconds(8)
def test_a_thief_of_the_investigators_role_has_nobody_contained(world):
    responder, user = begin(world)
    bob = User(world, name="bob")
    _, ordinary = backdoor(bob.session(), "ordinary")
    bob.session().create_access_key(UserName="ordinary")
    contain(world, responder, world.event(EXFILTRATION, user))
    named = history(world, "CreateUser") + history(world, "CreateAccessKey") + history(world, "AttachUserPolicy")
    name_calls(world, user, [*named, "0e1f2a3b-0000-4000-8000-000000000001", "x", "'; drop"])
    assert look(responder) == {} and works(world, ordinary) and bob.key_works()
    assert not any(user_state(world.iam, it)["policies"].count("AWSDenyAll") for it in ("bob", "ordinary"))
    # Bounded, whatever is named: after sixty calls nothing is read any more.
    table = Table(world)
    [watch] = table.items("children#")
    table.change(watch, "ADD looked :these", these={"SS": [f"made-up-{n}" for n in range(60)]})
    name_calls(world, user, ["one-made-up-more"])
    lookups = len([it for it in world.journal() if it["action"] == "cloudtrail:LookupEvents"])
    assert look(responder) == {} and len([it for it in world.journal() if it["action"] == "cloudtrail:LookupEvents"]) == lookups
    # Who is flagged, since when and how many there may be is not its to write.
    dynamodb, table = of_function(world, "iam-responder-investigator", "dynamodb"), Table(world).name
    update = {"UpdateExpression": "SET maker = :x", "ExpressionAttributeValues": {":x": {"S": "{}"}}}
    for item in (watch["id"], {"S": f"record#{world.member}#{user.id}"}, {"S": "due#x"}):
        assert not allowed(dynamodb.update_item, TableName=table, Key={"id": item}, **update), item


@pytest.mark.seconds(5)
def test_what_was_made_before_the_behaviour_began_is_left_alone(world):
    responder, user = begin(world)
    _, key = backdoor(user.session())
    world.identify(user="mallory", created=LONG_AGO)
    event = world.event(EXFILTRATION, user)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    event["detail"]["service"] |= {"eventFirstSeen": now, "eventLastSeen": now}
    contain(world, responder, event)
    name_calls(world, user, history(world, "CreateUser"))
    assert look(responder) == {} and works(world, key)


@pytest.mark.seconds(12)
def test_children_are_restored_with_who_made_them_or_one_by_one(world):
    responder, user = begin(world)
    admin = prod_admin(world)
    for name in ("first", "second"):
        backdoor(user.session(), name)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    contain(world, responder, world.event(EXFILTRATION, user))
    assert sorted(look(responder)) == ["first", "prod-admin", "second"]
    restorer = world.responder(part="restorer")
    restore = lambda **fields: restorer.invoke(world.restore_command(**fields))["restore"]  # noqa: E731
    denied = lambda: [it for it in ("alice", "first", "second") if "AWSDenyAll" in user_state(world.iam, it)["policies"]]  # noqa: E731
    assert restore(user="first")["verdict"] == "Restored" and denied() == ["alice", "second"]
    # Those whom it made stay, and are named.
    alone = restore()
    assert alone["verdict"] == "Restored" and denied() == ["second"] and "children" not in alone
    [left, inactive] = sorted(alone["children_left"], key=lambda it: "prod-admin" in it)
    assert "user second" in left and "stays contained" in left and planted["AccessKeyId"] in inactive and "stays inactive" in inactive
    together = restore(children=True)
    assert (together["verdict"], [it["verdict"] for it in together["children"]]) == ("NothingToDo", ["Restored"]) and denied() == []
    # A key that was deactivated stays so.
    assert not works(world, planted) and admin.key_works()
    # What was restored is not contained anew for the same call.
    world.deliveries()
    assert look(responder) == {} and denied() == []


@pytest.mark.seconds(8)
def test_a_restore_takes_nobody_for_a_child_who_does_not_say_so_itself(world):
    responder, user = begin(world)
    bob = User(world, name="bob")
    _, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    responder.invoke({"command": "contain", "account": world.member, "user": "bob", "reason": "stolen"})
    [event] = history(world, "CreateUser")
    table = Table(world)
    forged = json.dumps({"event": event, "made": {"user": {"id": bob.id, "name": "bob"}}})
    table.change(table.item(f"record#{world.member}#{user.id}"), "ADD children :it", it={"SS": [forged]})
    together = world.responder(part="restorer").invoke(world.restore_command(children=True))["restore"]
    assert [it["principal"]["name"] for it in together["children"]] == ["mallory"] and bob.is_denied()
