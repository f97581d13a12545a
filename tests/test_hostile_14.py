"""Tries to break what is done about what a flagged key made."""

import datetime as dt
import json
import time
import uuid

import pytest

from .harness.intrusion import client_of
from .harness.ledger import DUE, Table
from .harness.victims import LONG_AGO, Role, User, user_state
from .test_children import BY_SESSION, CONTAINED, backdoor, begin, contain, history, look, prod_admin, status, works
from .test_report import EXFILTRATION, report


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def seen(event, first, last, key=None, id=None):
    """The same finding with other times, key and ID."""
    event["detail"]["service"] |= {"eventFirstSeen": stamp(first), "eventLastSeen": stamp(last)}
    if key:
        event["detail"]["resource"]["accessKeyDetails"]["accessKeyId"] = key
    if id:
        event["detail"]["id"] += id
        event["detail"]["arn"] = event["detail"].get("arn", "") + id
    return event


def inject(world, user, name, target, answer, at, key=None, identity=None):
    """CloudTrail tells late of a call."""
    identity = identity or {"type": "IAMUser", "principalId": user.id, "arn": user.arn, "accountId": world.member, "userName": user.name, "accessKeyId": key or user.keys[0]["AccessKeyId"]}
    event = {
        "eventID": str(uuid.uuid4()), "userIdentity": identity, "eventSource": "iam.amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.7", "userAgent": "terraform", "readOnly": False, "recipientAccountId": world.member,
        "eventTime": stamp(at), "requestParameters": {"userName": target}, "responseElements": answer,
    }
    world.control("history", {"account": world.member, "region": "us-east-1", "events": [event]})
    return event["eventID"]


def ago(world, seconds):
    """All that was done so far was done earlier."""
    world.control("history", {"account": world.member, "older_by": seconds})


def pipelines(world, user, name, key=None):
    """An innocent user whom the key made then."""
    made = world.iam.create_user(UserName=name)["User"]
    its = world.iam.create_access_key(UserName=name)["AccessKey"]
    world.iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    inject(world, user, "CreateUser", name, {"user": {"userName": name, "userId": made["UserId"]}}, 0, key)
    return its


def next_report(world, responder):
    """The report is made again, at its time."""
    table = Table(world)
    for item in table.items("evidence#"):
        if "due_bucket" in item:
            table.change(item, "SET due_at = :zero", zero={"N": "0"})
    answers = look(responder)
    world.deliveries()
    return {**answers, **look(responder)}


def denied(world, name):
    return "AWSDenyAll" in user_state(world.iam, name)["policies"]


# A: other findings about somebody who is contained already


def test_a_second_stolen_key_of_somebody_contained_is_followed_too(world):
    responder, user = begin(world)
    _, bad = backdoor(user.session(key=1), "by-second-key")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert look(responder) == {}
    again = seen(world.event(EXFILTRATION, user), -3600, 0, user.keys[1]["AccessKeyId"], "2")
    [it] = responder.invoke(again)["reports"]
    print(it["verdict"], it["reason"])
    world.deliveries()
    answers = {**look(responder), **next_report(world, responder)}
    assert list(answers) == ["by-second-key"] and not works(world, bad), [x["id"]["S"] for x in Table(world).items("children#")]


def test_what_a_child_made_is_followed_where_the_child_was_contained_for_its_creation_already(world):
    responder, user = begin(world)
    admin = prod_admin(world)
    mallory, key = backdoor(user.session())
    planted = client_of(world, "iam", key).create_access_key(UserName="prod-admin")["AccessKey"]
    # EventBridge's rule tells of the creation: nobody trusted made it.
    event = json.loads(json.dumps(world.event("cloudtrail-create-user")).replace("AIDABACKDOOR22EXAMPLE", mallory).replace("backdoor", "mallory"))
    event["detail"]["eventTime"] = stamp(0)
    [it] = responder.invoke(event)["reports"]
    assert it["verdict"] in CONTAINED and it["playbook"] == "unauthorized-user", it
    contain(world, responder, world.event(EXFILTRATION, user))
    first = look(responder)
    world.deliveries()
    answers = {**first, **next_report(world, responder)}
    print({n: (a["playbook"], a["verdict"]) for n, a in answers.items()}, [x["id"]["S"] for x in Table(world).items("children#")])
    assert not works(world, planted) and admin.key_works()


def test_a_contain_command_before_the_finding_takes_nothing_from_it(world):
    responder, user = begin(world)
    _, bad = backdoor(user.session())
    responder.invoke({"command": "contain", "account": world.member, "user": "alice", "reason": "on call saw it"})
    world.deliveries()
    [it] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    print(it["verdict"], it["reason"])
    world.deliveries()
    answers = {**look(responder), **next_report(world, responder)}
    assert list(answers) == ["mallory"] and not works(world, bad)


def test_an_earlier_beginning_that_is_told_later_counts(world):
    responder, user = begin(world)
    bad = pipelines(world, user, "mallory")
    ago(world, 1800)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -60, 0))
    assert look(responder) == {}
    again = seen(world.event(EXFILTRATION, user), -7200, 0, id="2")
    [it] = responder.invoke(again)["reports"]
    print(it["verdict"])
    world.deliveries()
    answers = {**look(responder), **next_report(world, responder)}
    assert list(answers) == ["mallory"] and not works(world, bad)


@pytest.mark.parametrize("flagged", [1, 2])
def test_two_flagged_sessions_of_a_role_do_not_hide_each_others_children(world, flagged):
    responder, user = begin(world)
    role = Role(world)
    sessions = [user.session("sts").assume_role(RoleArn=role.arn, RoleSessionName=it)["Credentials"] for it in ("one", "two")]
    for number, session in enumerate(sessions[:flagged]):
        event = seen(world.event(BY_SESSION, role=role), -3600, 0, session["AccessKeyId"], str(number))
        [it] = responder.invoke(event)["reports"]
        print(it["verdict"], it["reason"])
        world.deliveries()
    made = world.iam.create_user(UserName="mallory")["User"]
    session = {"type": "AssumedRole", "principalId": f"{role.id}:one", "arn": f"arn:aws:sts::{world.member}:assumed-role/app/one", "accountId": world.member,
        "accessKeyId": sessions[0]["AccessKeyId"], "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": role.id, "arn": role.arn, "userName": "app"}}}
    inject(world, None, "CreateUser", "mallory", {"user": {"userName": "mallory", "userId": made["UserId"]}}, -30, identity=session)
    answers = next_report(world, responder)
    print([x["id"]["S"] for x in Table(world).items("children#")], Table(world).items("evidence#")[0].get("made"))
    assert list(answers) == ["mallory"] and denied(world, "mallory")


# I: innocents


def test_what_was_made_by_somebody_restored_as_a_false_positive_is_left_alone(world):
    responder, user = begin(world)
    _, innocent = backdoor(user.session(), "new-hire")
    contain(world, responder, world.event(EXFILTRATION, user))
    restored = world.responder(part="restorer").invoke(world.restore_command(children=True))["restore"]
    assert restored["verdict"] == "Restored", restored
    answers = look(responder)
    assert answers == {} and works(world, innocent), {n: a["verdict"] for n, a in answers.items()}


def test_what_the_real_owner_makes_after_a_restore_is_left_alone(world):
    responder, user = begin(world)
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    restored = world.responder(part="restorer").invoke(world.restore_command())["restore"]
    assert restored["verdict"] == "Restored", restored
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
    time.sleep(1.1)
    _, innocent = backdoor(user.session(), "new-hire")
    answers = next_report(world, responder)
    assert answers == {} and works(world, innocent), {n: a["verdict"] for n, a in answers.items()}


def test_what_was_made_by_somebody_whose_containment_was_declined_is_left_alone(world):
    responder, user = begin(world, PlaybookModes="compromised-credential=approve", StrikeWhileWaiting="true")
    _, innocent = backdoor(user.session(), "new-hire")
    [asked] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    world.deliveries()
    print(asked["verdict"], [x["id"]["S"] for x in Table(world).items("children#")])
    responder.invoke({"command": "decline", "request": asked["request"], "by": "Dana", "reason": "it is our pipeline"})
    answers = {**look(responder), **next_report(world, responder)}
    assert answers == {} and works(world, innocent), {n: a["verdict"] for n, a in answers.items()}


def test_nobody_is_contained_as_a_child_while_people_are_still_asked_about_its_maker(world):
    responder, user = begin(world, PlaybookModes="compromised-credential=approve", StrikeWhileWaiting="true")
    _, innocent = backdoor(user.session(), "new-hire")
    [asked] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert asked["verdict"] == "Waiting", asked
    world.deliveries()
    answers = look(responder)
    assert answers == {} and works(world, innocent), {n: (a["mode"], a["verdict"]) for n, a in answers.items()}


def test_months_of_a_pipelines_users_are_not_contained_and_do_not_take_the_thiefs_place(world):
    responder, user = begin(world, MaxChildren="2", LookbackHours="2160")
    innocents = []
    for n in range(3):
        innocents.append(pipelines(world, user, f"service-{n}"))
        ago(world, 20 * 86_400)
    _, bad = backdoor(user.session())
    contain(world, responder, seen(world.event(EXFILTRATION, user), -75 * 86_400, 0))
    answers = {**look(responder), **look(responder)}
    print({n: a["verdict"] for n, a in answers.items()})
    assert all(works(world, it) for it in innocents) and not works(world, bad)


def test_a_custom_action_on_a_state_says_no_beginning_of_a_behaviour(world):
    world.deploy(Evidence="true", ContainChildren="true", LookbackHours="2160")
    world.connected(part="investigator")
    responder, user = world.responder(), User(world)
    innocent = pipelines(world, user, "service")
    ago(world, 60 * 86_400)
    event = world.event("security-hub-custom-action-contain-identity", user)
    finding = event["detail"]["findings"][0]
    finding["FirstObservedAt"] = stamp(-80 * 86_400)
    finding["LastObservedAt"] = finding["UpdatedAt"] = stamp(0)
    finding["Resources"] = [{"Type": "AwsIamAccessKey", "Id": f"AWS::IAM::AccessKey:{user.keys[0]['AccessKeyId']}", "Partition": "aws", "Region": "us-east-1",
        "Details": {"AwsIamAccessKey": {"AccessKeyId": user.keys[0]["AccessKeyId"], "PrincipalType": "IAMUser", "PrincipalName": "alice", "PrincipalId": user.id, "UserName": "alice"}}}]
    world.finding(event)
    [it] = responder.invoke(event)["reports"]
    assert it["verdict"] in CONTAINED, it
    world.deliveries()
    answers = look(responder)
    assert answers == {} and works(world, innocent), {n: (a["verdict"], a["title"] if "title" in a else "") for n, a in answers.items()}


def test_a_restore_of_another_response_frees_no_children(world):
    responder, user = begin(world, TrustedProducts="product/*/default,product/aws/*")
    _, bad = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    hub = world.event("security-hub-simulation-administrator-access", user)
    world.finding(hub)
    [it] = responder.invoke(hub)["reports"]
    print(it["playbook"], it["verdict"], it["reason"])
    restored = world.responder(part="restorer").invoke(world.restore_command(children=True))["restore"]
    print(restored["verdict"], restored.get("response"), restored.get("children_left"))
    assert not (user.is_denied() and not denied(world, "mallory"))


# N: nothing done, without a word


def words(world):
    return [(it["Subject"], it["Message"]) for it in world.alerts()]


def test_a_watch_that_could_not_be_written_is_told_or_tried_again(world):
    responder, user = begin(world)
    _, bad = backdoor(user.session())
    world.fault("dynamodb:UpdateItem", "ProvisionedThroughputExceededException", times=10, text="if_not_exists(maker")
    answer = responder.invoke(world.event(EXFILTRATION, user))
    print(str(answer)[:300], world.faults())
    world.deliveries()
    world.control("fault", {"action": "none", "accounts": [world.member]})
    answers = {**look(responder), **next_report(world, responder)}
    said = [s for s, m in words(world) if "nobody will look" in m or "children" in m.lower()]
    assert list(answers) == ["mallory"] or said or "errorType" in answer, "nothing was done and nobody was told"


def test_a_planted_key_whose_owner_could_not_be_read_once_is_looked_at_again(world):
    responder, user = begin(world)
    admin = prod_admin(world)
    planted = user.session().create_access_key(UserName="prod-admin")["AccessKey"]
    contain(world, responder, world.event(EXFILTRATION, user))
    world.fault("iam:GetAccessKeyLastUsed", "AccessDenied", times=1)
    answer = responder.invoke(DUE)
    print(str(answer)[:200])
    answers = {**look(responder), **next_report(world, responder)}
    assert not works(world, planted) and admin.key_works(), answers


def test_calls_that_nobody_could_read_for_hours_are_told(world):
    responder, user = begin(world)
    _, bad = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    before = len(words(world))
    world.fault("cloudtrail:LookupEvents", "AccessDeniedException", text="EventId")
    print(str(responder.invoke(DUE))[:300])
    table = Table(world)
    table.change(table.item("children#"), "SET asked_at = :zero", zero={"N": "0"})
    print(str(responder.invoke(DUE))[:200])
    assert "due_bucket" not in table.item("children#")
    said = words(world)
    assert said, f"given up, mallory works: {works(world, bad)}, and nobody was told (alerts before: {before})"


@pytest.mark.parametrize("asks", [False, True])
def test_a_persons_report_does_not_use_up_what_is_looked_at(world, asks):
    responder, user = begin(world)
    for n in range(62):
        inject(world, user, "CreateUser", f"service-{n}", {"user": {"userName": f"service-{n}", "userId": f"AIDASERVICE{n:010}"}}, 0, user.keys[1]["AccessKeyId"])
    ago(world, 7200)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    assert look(responder) == {}
    if asks:
        report(world, "alice")
    assert look(responder) == {}
    # Late, as CloudTrail is.
    bad = pipelines(world, user, "mallory")
    answers = next_report(world, responder)
    print([len(it.get("looked", {}).get("SS", [])) for it in Table(world).items("children#")])
    assert list(answers) == ["mallory"] and not works(world, bad)


def test_a_later_theft_of_the_same_key_is_looked_at(world):
    responder, user = begin(world, MaxChildren="1")
    first = pipelines(world, user, "first")
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    assert list(look(responder)) == ["first"]
    restorer = world.responder(part="restorer")
    assert restorer.invoke(world.restore_command(children=True))["restore"]["verdict"] == "Restored"
    table = Table(world)
    for item in table.items("children#"):
        table.change(item, "SET asked_at = :zero", zero={"N": "0"})
    look(responder)
    # Weeks later.
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[0]["AccessKeyId"], Status="Active")
    time.sleep(2.1)
    _, bad = backdoor(user.session(), "second")
    [it] = responder.invoke(seen(world.event(EXFILTRATION, user), 0, 0, id="2"))["reports"]
    print(it["verdict"])
    world.deliveries()
    answers = {**look(responder), **next_report(world, responder)}
    assert "second" in answers and not works(world, bad), list(answers)


# V: what people are told


def test_a_restore_says_stays_contained_only_of_who_does(world):
    responder, user = begin(world)
    for name in ("first", "second"):
        backdoor(user.session(), name)
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    words(world), words(world)
    restorer = world.responder(part="restorer")
    restorer.invoke(world.restore_command(user="first"))
    restorer.invoke(world.restore_command())
    text = next(m for s, m in words(world) if "which stays contained" in m)
    part = text[text.index("It made, which stays contained") :][:700]
    assert not denied(world, "first") and "user first" not in part, part


def test_a_report_says_answered_only_of_who_was(world):
    responder, user = begin(world, PlaybookModes="unauthorized-user=approve")
    mallory, key = backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    it = look(responder)["mallory"]
    responder.invoke({"command": "decline", "request": it["request"], "by": "Dana", "reason": "it is ours"})
    assert works(world, key)
    made = report(world, "alice")["evidence"]
    line = [it for it in made["markdown"].splitlines() if "Made by it" in it]
    assert not line, line


def test_a_child_that_stays_contained_for_more_than_that_is_named_by_a_restore_of_its_maker(world):
    responder, user = begin(world)
    backdoor(user.session())
    responder.invoke({"command": "contain", "account": world.member, "user": "mallory", "reason": "on call saw it"})
    contain(world, responder, world.event(EXFILTRATION, user))
    print({n: (a["playbook"], a["verdict"]) for n, a in look(responder).items()}, [x["playbook"] for x in status(world, responder, "mallory")["responses"]])
    assert status(world, responder, "alice")["children"]
    restored = world.responder(part="restorer").invoke(world.restore_command(children=True))["restore"]
    print(restored["verdict"], restored.get("children_left"), [(it["principal"], it["verdict"]) for it in restored.get("children", [])])
    assert not denied(world, "mallory") or restored.get("children_left") or restored.get("children")


def test_what_somebody_made_who_was_restored_as_a_child_is_left_alone(world):
    responder, user = begin(world)
    _, key = backdoor(user.session(), "new-hire")
    contain(world, responder, world.event(EXFILTRATION, user))
    assert list(look(responder)) == ["new-hire"]
    world.deliveries()
    restored = world.responder(part="restorer").invoke(world.restore_command(user="new-hire"))["restore"]
    assert restored["verdict"] == "Restored", restored
    world.iam.update_access_key(UserName="new-hire", AccessKeyId=key["AccessKeyId"], Status="Active")
    _, innocent = backdoor(client_of(world, "iam", key), "colleague")
    answers = next_report(world, responder)
    assert answers == {} and works(world, innocent), {n: a["verdict"] for n, a in answers.items()}


@pytest.mark.parametrize("gone", [5, 60])
def test_users_who_were_made_and_deleted_before_do_not_hide_one_who_is_told_of_later(world, gone):
    responder, user = begin(world)
    for n in range(gone):
        inject(world, user, "CreateUser", f"chaff-{n}", {"user": {"userName": f"chaff-{n}", "userId": f"AIDACHAFF{n:012}"}}, 0)
    contain(world, responder, seen(world.event(EXFILTRATION, user), -3600, 0))
    for _ in range(12):
        responder.invoke(DUE)
        if len(Table(world).item("children#").get("looked", {}).get("SS", [])) == gone:
            break
    bad = pipelines(world, user, "mallory")
    next_report(world, responder)
    assert not works(world, bad), len(Table(world).item("children#")["looked"]["SS"])


def test_force_for_somebody_is_not_force_for_its_children(world):
    responder, user = begin(world)
    backdoor(user.session())
    contain(world, responder, world.event(EXFILTRATION, user))
    look(responder)
    for name in ("alice", "mallory"):
        world.iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    restorer = world.responder(part="restorer")
    assert restorer.invoke(world.restore_command(children=True))["restore"]["verdict"] == "Drifted"
    restored = restorer.invoke(world.restore_command(children=True, force=True))["restore"]
    print(restored["verdict"], [it["verdict"] for it in restored.get("children", [])])
    assert denied(world, "mallory"), "nobody saw what changed of mallory"
