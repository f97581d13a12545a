"""The list of what is due: nothing that was put off, left with somebody or could not be told is lost with
whoever put it there."""

import concurrent.futures
import contextlib

import pytest

from .harness import templates
from .harness.ledger import DUE, Table, about, renamed, until
from .harness.victims import User, stripped
from .test_lease import killed, while_running, wrote

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
CREATED = "cloudtrail-create-user"
SUCCESS = ("Contained", "SuspectsOpen")
HOUR = 3_600_000


def full(world, *severities):
    """The hour's one place is taken; users, and a finding of that severity about each."""
    world.deploy(MaxContainmentsPerHour="1,20")
    responder = world.responder()
    first = User(world)
    assert responder.invoke(world.event(EXFILTRATION, first))["reports"][0]["verdict"] in SUCCESS
    users, events = [], []
    for n, severity in enumerate(severities):
        user = User(world, name=f"user-{n}", groups=())
        event = about(world, EXFILTRATION, user)
        event["detail"]["severity"] = severity
        users.append(user)
        events.append(event)
    world.alerts()
    return responder, users, events


def deferred(world, *severities):
    """Users of whom each was put off, in this order."""
    responder, users, events = full(world, *severities)
    for event in events:
        assert responder.invoke(event)["reports"][0]["verdict"] == "Deferred"
    while world.alerts():
        pass
    return responder, users


def contained_by_hand(world, responder, user):
    command = {"command": "contain", "account": world.member, "user": user.name, "reason": "real"}
    assert responder.invoke(command)["reports"][0]["verdict"] in SUCCESS and user.is_denied()
    world.alerts()


def dropped(world, user):
    """The alerts that say so of somebody."""
    return [it["Message"] for it in world.alerts() if "DROPPED" in it["Subject"] and user.name in it["Subject"]]


def names(answer):
    return [(it["principal"]["name"], it["verdict"]) for it in answer["reports"]]


def test_the_deferred_are_taken_up_gravest_first_then_oldest(world):
    responder, _ = deferred(world, 7, 9, 7)
    table, order = Table(world), []
    for _ in range(3):
        table.next_hour()
        (name, verdict), *others = names(responder.invoke(DUE))
        assert verdict in SUCCESS and all(verdict == "Deferred" for _, verdict in others)
        order.append(name)
    assert order == ["user-1", "user-0", "user-2"] and table.due() == []
    assert names(responder.invoke(DUE)) == []


def test_without_room_the_deferred_stay_and_nobody_is_told_again(world):
    responder, [user] = deferred(world, 7)
    assert names(responder.invoke(DUE)) == [("user-0", "Deferred")]
    assert user.key_works() and world.alerts() == [] and len(Table(world).due()) == 1


def test_each_compromise_that_was_put_off_and_could_not_be_told_is_told_by_the_next_run(world):
    """There is still no room, and none is needed for that."""
    responder, users, events = full(world, 9, 7, 7)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=6)
    for event in events:
        for _ in range(2):
            assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    assert world.alerts() == []
    responder.invoke(DUE)
    subjects = sorted(it["Subject"] for it in world.alerts())
    assert len(subjects) == 3 and all("DEFERRED" in it and user.name in it for it, user in zip(subjects, users)), subjects
    # They stand where they stood, and are told once.
    table = Table(world)
    assert {it["due_bucket"]["S"] for it in table.items("due#")} == {"deferred"}
    assert names(responder.invoke(DUE)) == [("user-0", "Deferred")] and world.alerts() == []
    table.next_hour()
    assert names(responder.invoke(DUE))[0][0] == "user-0"


@pytest.mark.seconds(20)
def test_those_who_were_put_off_are_held_side_by_side_in_the_order_of_their_places(world):
    """None waits for the settle time of who stands before it."""
    _, users = deferred(world, 7, 9, 8)
    roomy = world.responder(MAX_CONTAINMENTS_PER_HOUR="500,500", SETTLE_SECONDS="4")
    assert [it["verdict"] for it in roomy.invoke(DUE)["reports"]] == ["Contained"] * 3
    denies = [it["began"] for it in world.journal() if it["action"] == "iam:AttachUserPolicy"][-3:]
    assert denies[-1] - denies[0] < 4 and all(it.is_denied() for it in users), denies
    counted = [it["principals"]["SS"] for it in Table(world).items("breaker#compromised-credential#all")]
    assert sorted(sum(counted, [])) == [f"{world.member}/user/{name}" for name in ("alice", "user-0", "user-1", "user-2")]


@pytest.mark.seconds(15)
def test_who_was_put_off_waits_for_no_fight_of_who_stands_before_it(world):
    _, [fighter, other] = deferred(world, 9, 7)
    run = world.responder(timeout=45, MAX_CONTAINMENTS_PER_HOUR="500,500", SETTLE_SECONDS="2")
    with stripped(fighter, every=0.3), contextlib.ExitStack() as stack:
        stack.enter_context(while_running(run, DUE, fighter.is_denied))
        until(other.is_denied, seconds=8)


def test_who_was_contained_since_is_not_said_to_have_had_nothing_done(world):
    """As docs/operations.md says under DeferredAlarm: `contain` for each. There is never room for who stands before it."""
    responder, [first, second] = deferred(world, 9, 7)
    contained_by_hand(world, responder, second)
    table = Table(world)
    for due in table.items("due#"):
        for name in ("since", "turn", "due_at"):
            table.change(due, f"SET {name} = :old", old={"N": str(int(due[name]["N"]) - 25 * HOUR)})
    responder.invoke(DUE)
    subjects = [it["Subject"] for it in world.alerts()]
    assert ["user-0" in it and "DROPPED" in it for it in subjects] == [True] and table.due() == [], subjects


def test_drop_deferred_says_of_who_was_contained_since_what_the_ledger_has(world):
    responder, [real, _] = deferred(world, 9, 7)
    contained_by_hand(world, responder, real)
    command = {"command": "drop-deferred", "account": world.member, "by": "Dana", "reason": "the others are a test"}
    assert responder.invoke(command)["dropped"] == 2
    [said] = dropped(world, real)
    assert "nothing was done" not in said and "the ledger says" in said, said


def test_a_deferred_finding_of_a_user_is_dropped_however_it_names_the_user(world):
    responder, [bob], _ = full(world, 9)
    event = world.event("health-risk-credentials-exposed-key-only", bob)
    assert responder.invoke(event)["reports"][0]["verdict"] == "Deferred"
    command = {"command": "drop-deferred", "account": world.member, "by": "Dana", "reason": "a test"}
    assert responder.invoke({**command, "user": "somebody-else"})["dropped"] == 0
    assert responder.invoke({**command, "user": bob.name})["dropped"] == 1 and Table(world).due() == []


def test_the_deferred_are_checked_anew(world):
    responder, [user] = deferred(world, 7)
    Table(world).next_hour()
    answer = world.responder(PROTECTED_PRINCIPALS=user.arn).invoke(DUE)
    assert names(answer) == [("user-0", "Refused")]
    assert user.key_works() and Table(world).due() == [] and len(world.alerts()) == 1


def test_the_deferred_are_dropped_after_a_day_with_a_word(world):
    responder, [user] = deferred(world, 7)
    table = Table(world)
    item = table.item("due#")
    table.change(item, "SET since = :old", old={"N": str(int(item["since"]["N"]) - 25 * HOUR)})
    table.next_hour()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    responder.invoke(DUE)
    assert len(table.due()) == 1, "dropped before people were told"
    assert names(responder.invoke(DUE)) == []
    [alert] = world.alerts()
    assert "DROPPED" in alert["Subject"] and "user-0" in alert["Message"]
    assert table.due() == [] and user.key_works()
    # A next report begins a day of its own.
    event = about(world, EXFILTRATION, user)
    assert responder.invoke(event)["reports"][0]["verdict"] in SUCCESS


def test_the_deferred_are_dropped_by_command_with_a_word(world):
    responder, [first, second] = deferred(world, 7, 7)
    command = {"command": "drop-deferred", "account": world.member, "by": "Dana", "reason": "a test of ours"}
    assert responder.invoke({**command, "user": "user-0"})["dropped"] == 1
    [alert] = world.alerts()
    assert "by Dana: a test of ours" in alert["Message"]
    assert responder.invoke({**command, "account": "000000000000"})["dropped"] == 0
    assert responder.invoke(command)["dropped"] == 1
    assert Table(world).due() == [] and len(world.alerts()) == 1
    assert "by" in responder.invoke({"command": "drop-deferred", "account": world.member})["errorMessage"]


def test_a_crash_after_the_write_loses_nothing(world):
    """The function ends after the finding was put on the list and before anybody was told."""
    world.deploy(MaxContainmentsPerHour="0,20")
    user, table = User(world), Table(world)
    world.fault("sns:Publish", delay_ms=1_500, reset="before", times=1)
    killed(world, world.event(EXFILTRATION, user), lambda: table.items("due#"))
    assert world.alerts() == []
    responder = world.responder()
    table.pass_time()
    assert names(responder.invoke(DUE))[-1] == ("alice", "Deferred")
    assert len(world.alerts()) == 1
    allowing = world.responder(MAX_CONTAINMENTS_PER_HOUR="5,20")
    assert names(allowing.invoke(DUE))[-1][1] in SUCCESS and not user.key_works()


def test_a_response_that_was_killed_is_taken_up_whoever_called_it(world):
    """Nobody tries a command again."""
    world.deploy(SettleSeconds="20")
    user = User(world)
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    table = Table(world)
    killed(world, {"command": "contain", "account": world.member, "user": "alice"}, lambda: table.items("lock#"))
    assert user.key_works()
    responder = world.responder(SETTLE_SECONDS="0")
    assert names(responder.invoke(DUE)) == []  # Its lease has not run out.
    table.pass_time()
    assert names(responder.invoke(DUE)) == [("alice", "Contained")]
    assert not user.key_works() and len(world.alerts()) == 1
    table.pass_time()
    assert names(responder.invoke(DUE)) == []


def test_what_fails_again_is_tried_again_later_and_for_a_day(world):
    world.deploy(SettleSeconds="20")
    user, table = User(world), Table(world)
    killed(world, world.event(EXFILTRATION, user), wrote(world, "iam:TagUser"))
    responder = world.responder(SETTLE_SECONDS="0")
    world.fault("iam:ListGroupsForUser", "AccessDenied", status=403)
    table.pass_time()
    assert names(responder.invoke(DUE)) == [("alice", "Unverified")]
    assert names(responder.invoke(DUE)) == [] and len(table.due()) == 1
    item = table.item("due#")
    assert int(item["attempts"]["N"]) == 1
    table.change(item, "SET since = :old", old={"N": str(int(item["since"]["N"]) - 25 * HOUR)})
    table.pass_time()
    world.alerts()
    responder.invoke(DUE)
    assert any("DROPPED" in it["Subject"] for it in world.alerts()) and table.due() == []


def test_two_runs_take_a_finding_once(world):
    responder, _ = deferred(world, 7)
    Table(world).next_hour()
    others = [world.responder(SETTLE_SECONDS="1") for _ in range(2)]
    for other in others:
        other.invoke({"source": "nothing of ours", "detail-type": "Nothing"})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda it: names(it.invoke(DUE)), others))
    assert sorted(map(len, answers)) == [0, 1], answers
    assert len(world.alerts()) == 1


def test_observe_mode_takes_nothing_up(world):
    responder, [user] = deferred(world, 7)
    Table(world).next_hour()
    assert names(world.responder(MODE="observe").invoke(DUE)) == []
    assert user.key_works() and len(Table(world).due()) == 1


def test_the_schedule_asks_every_minute():
    resources = templates.translated()["Resources"].values()
    rules = [it["Properties"] for it in resources if it["Type"] == "AWS::Events::Rule"]
    [rule] = [it for it in rules if it["Targets"][0].get("Input") == '{"command": "due"}']
    assert rule["ScheduleExpression"] == "rate(1 minute)"


def test_what_is_only_observed_now_stands_before_nothing_else_that_is_due(world):
    world.deploy()
    user, other = User(world), User(world, name="bob", groups=())
    unused = world.event("security-hub-iam-8-unused-credentials", user)
    world.finding(unused)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=2)
    assert world.responder(part="hygiene").invoke(unused)["errorType"] == "ResponseIncomplete"
    table = Table(world)
    waiting = table.item("due#")
    for n in range(50):
        table.client.put_item(TableName=table.name, Item={**waiting, "id": {"S": f"{waiting['id']['S']}{n}"}, "due_at": {"N": "0"}})
    responder = world.responder(PLAYBOOK_MODES="unused-user=observe")
    assert responder.invoke(about(world, EXFILTRATION, other))["errorType"] == "ResponseIncomplete"
    for item in table.items("due#"):
        if item["threat"]["S"] == "compromised-credential":
            table.change(item, "SET due_at = :one", one={"N": "1"})
    for _ in range(2):
        responder.invoke(DUE)
    assert len(world.alerts()) == 1, "people never learn of the compromise"
    assert len(table.due()) == 51


def test_the_deferred_are_dropped_after_a_day_also_while_there_is_no_room(world):
    responder, _ = deferred(world, 7, 9)
    table = Table(world)
    old = next(it for it in table.items("due#") if "user-0" in it["target"]["S"])
    for name in ("since", "turn", "due_at"):
        table.change(old, f"SET {name} = :old", old={"N": str(int(old[name]["N"]) - 25 * HOUR)})
    assert names(responder.invoke(DUE)) == [("user-1", "Deferred")]
    [alert] = world.alerts()
    assert "DROPPED" in alert["Subject"] and "user-0" in alert["Message"] and len(table.due()) == 1


def test_what_fails_beside_a_busy_lease_is_tried_for_a_day(world):
    """A lesser response has the lease on the name each time; people are told, and the response fails."""
    world.deploy()
    user, table, responder = User(world), Table(world), world.responder()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    assert responder.invoke(world.event(EXFILTRATION, user))["errorType"] == "ResponseIncomplete"
    assert len(table.due()) == 1
    world.fault("iam:ListGroupsForUser", "AccessDenied", status=403)

    def attempt():
        table.pass_time()
        held = {"until": {"N": "99999999999999"}, "me": {"S": "another"}, "playbook": {"S": "unused-user"}}
        lock = next(it for it in table.items("lock#") if it["id"]["S"].endswith("user/alice"))
        table.change(lock, "SET lease_until = :until, holder = :me, playbook = :playbook", **held)
        responder.invoke(DUE)
        return responder.last_report()["verdict"]

    assert [attempt(), attempt()] == ["Unverified", "Unverified"]
    dropped = [it for it in world.alerts() if "DROPPED" in it["Subject"]]
    assert dropped == [] and len(table.due()) == 1
    item = table.item("due#")
    assert int(item["attempts"]["N"]) == 2
    table.change(item, "SET since = :old", old={"N": str(int(item["since"]["N"]) - 25 * HOUR)})
    assert attempt() == "Unverified"
    [dropped] = [it["Message"] for it in world.alerts() if "DROPPED" in it["Subject"]]
    assert "DROPPED, the ledger says Unverified" in dropped and "nothing was done" not in dropped
    assert user.is_denied() and table.due() == []


def test_a_killed_response_is_taken_up_within_two_minutes_whatever_lesser_is_due(world):
    """Creations that nobody could be told of, by the hundred, are due before it."""
    world.deploy(MaxContainmentsPerHour="500,500")
    user, table, hygiene = User(world), Table(world), world.responder(part="hygiene")
    decoy = User(world, name="decoy", groups=())
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    assert hygiene.invoke(renamed(world.event(CREATED, decoy), "alice", "decoy"))["errorType"] == "ResponseIncomplete"
    item = table.item("due#")
    assert item["threat"]["S"] == "unauthorized-user"
    for n in range(120):
        one = {**item, "id": {"S": f"{item['id']['S']}{n}"}, "due_at": {"N": "0"}}
        table.client.put_item(TableName=table.name, Item=one)
    world.fault("iam:GetUser", delay_ms=1_500, times=1)
    of_alice = lambda: [it for it in table.items("lock#") if "alice" in it["id"]["S"]]  # noqa: E731
    killed(world, {"command": "contain", "account": world.member, "user": "alice"}, of_alice)
    table.change(of_alice()[0], "SET lease_until = :one, due_at = :one", one={"N": "1"})
    responder = world.responder()
    for _ in range(2):
        responder.invoke(DUE)
    assert user.is_denied()


def test_what_only_observes_is_dropped_after_a_day_with_a_word(world):
    world.deploy()
    user, table = User(world), Table(world)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    world.responder().invoke(world.event(EXFILTRATION, user))
    item = table.item("due#")
    table.change(item, "SET since = :old, due_at = :old", old={"N": str(int(item["since"]["N"]) - 25 * HOUR)})
    assert names(world.responder(MODE="observe").invoke(DUE)) == []
    [alert] = [it["Message"] for it in world.alerts() if "DROPPED" in it["Subject"]]
    assert "its playbook only observes" in alert and "the ledger says Contained" in alert
    assert table.due() == []


def test_no_item_of_another_kind_passes_for_a_finding_that_is_due(world):
    """Whoever may write suspects, or what the sweep remembers, chooses nobody to contain."""
    responder, [user] = deferred(world, 7)
    table = Table(world)
    item = next(it for it in table.items("due#") if "due_bucket" in it)
    table.client.delete_item(TableName=table.name, Key={"id": item["id"]})
    for kind in ("evidence#1#x", "slack#target#1#x", "suspects#1#x", "sweep#1"):
        for bucket in ("due", "due lesser", "deferred"):
            forged = {**item, "id": {"S": f"{kind}{bucket}"}, "due_bucket": {"S": bucket}, "due_at": {"N": "0"}}
            table.client.put_item(TableName=table.name, Item=forged)
    table.next_hour()
    assert names(responder.invoke(DUE)) == [] and user.key_works()
