"""Many requests at once, and several about one identity: decoys bury nobody, and nothing is asked twice."""

from .harness.ledger import DUE, Table, about
from .harness.requests import EXFILTRATION, ask, command, deploy, item, report, wake_up
from .harness.victims import User
from .test_approvals import UNUSED


def decoys(world, count):
    return [User(world, name=f"decoy-{n}", groups=(), policies=()) for n in range(count)]


def critical(world, user):
    event = about(world, EXFILTRATION, user)
    event["detail"]["severity"] = 9
    return event


def test_reports_take_neither_the_alert_nor_the_incident_of_a_critical_finding(world):
    world.deploy(Mode="approve", response_plan=True)
    responder = world.responder()
    for n, decoy in enumerate(decoys(world, 5)):
        responder.invoke(wake_up(world, report(world, request="abcde"[n] * 26, user=decoy.name)))
    before = len(world.incidents())
    world.alerts()
    responder.invoke(critical(world, User(world)))
    [alert] = world.alerts()
    assert "[CRITICAL]" in alert["Message"] and "user alice" in alert["Subject"]
    assert len(world.incidents()) > before


def test_a_critical_finding_among_critical_decoys_has_its_incident_and_stands_in_the_list(world):
    world.deploy(Mode="approve", response_plan=True)
    responder = world.responder()
    for decoy in decoys(world, 5):
        responder.invoke(critical(world, decoy))
    assert len(world.alerts()) == 5
    before = len(world.incidents())
    event = critical(world, User(world))
    [found] = responder.invoke(event)["reports"]
    assert len(world.incidents()) == before + 1 and world.alerts() == []
    # The same again opens no other.
    responder.invoke(event)
    assert len(world.incidents()) == before + 1
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert found["request"] in alert["Message"] and "more than are asked singly" in alert["Subject"]


def test_what_is_not_critical_has_no_incident_beyond_those_that_are_asked_singly(world):
    world.deploy(Mode="approve", response_plan=True)
    responder = world.responder()
    for decoy in decoys(world, 5):
        ask(world, responder, decoy)
    before = len(world.incidents())
    ask(world, responder, User(world))
    assert len(world.incidents()) == before


def test_the_gravest_is_told_at_once_though_decoys_were_listed_a_moment_ago(world):
    responder = deploy(world)
    for decoy in decoys(world, 6):
        responder.invoke(about(world, EXFILTRATION, decoy))
    responder.invoke(DUE)
    world.alerts()
    responder.invoke(critical(world, User(world)))
    [alert] = world.alerts()
    assert "user alice" in alert["Subject"]


def test_a_graver_one_than_those_of_the_last_list_makes_another_list_at_once(world):
    responder = deploy(world)
    first, *others = decoys(world, 6)
    responder.invoke(critical(world, first))
    for decoy in others:
        responder.invoke(about(world, EXFILTRATION, decoy))
    responder.invoke(DUE)
    assert len(world.alerts()) == 6
    # As grave as one that is asked singly, and graver than what was listed.
    responder.invoke(critical(world, User(world)))
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert "user alice" in alert["Message"] and "more than are asked singly" in alert["Subject"]
    responder.invoke(about(world, EXFILTRATION, User(world, name="one-more", groups=(), policies=())))
    responder.invoke(DUE)
    assert world.alerts() == []


def test_a_persons_contain_counts_as_an_approval_of_what_is_asked_already(world):
    responder = deploy(world, ApprovalsRequired="compromised-credential=2")
    user = User(world)
    request = ask(world, responder, user)
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "seen"}
    for _ in range(2):
        [found] = responder.invoke(contain)["reports"]
        assert found["request"] == request and item(world, request)["still_needed"]["N"] == "1"
    # All commands are one approver.
    assert command(responder, "approve", request)["decision"]["outcome"] == "same-approver" and user.key_works()


def test_after_a_graver_request_was_declined_the_lesser_one_is_not_asked_twice(world):
    responder, hygiene = deploy(world), world.responder(part="hygiene")
    user = User(world)
    event = world.event(UNUSED, user)
    world.finding(event)
    lesser = hygiene.invoke(event)["reports"][0]["request"]
    command(responder, "decline", ask(world, responder, user))
    world.alerts()
    for _ in range(2):
        assert hygiene.invoke(event)["reports"][0]["request"] == lesser and world.alerts() == []
    # Once that is over too, it is asked anew.
    command(responder, "decline", lesser)
    assert hygiene.invoke(event)["reports"][0]["request"] != lesser
    assert len(Table(world).items("request#")) == 3


def test_who_is_graver_than_all_that_are_open_is_asked_singly_whatever_is_over(world):
    responder = deploy(world)
    first, *others = decoys(world, 6)
    [found] = responder.invoke(critical(world, first))["reports"]
    for decoy in others[:4]:
        responder.invoke(about(world, EXFILTRATION, decoy))
    command(responder, "decline", found["request"])
    responder.invoke(about(world, EXFILTRATION, others[4]))
    world.alerts()
    event = critical(world, User(world))
    event["detail"]["severity"] = 8.9
    responder.invoke(event)
    assert any("alice" in it["Subject"] for it in world.alerts())


def test_what_could_not_be_asked_leaves_no_place_though_the_ledger_failed_twice(world):
    responder = deploy(world)
    for user in decoys(world, 5):
        for write in ("plan_hash = :hash", "REMOVE runs_until"):
            world.fault("dynamodb:UpdateItem", "AccessDeniedException", status=400, times=1, text=write)
        responder.invoke(about(world, EXFILTRATION, user))
    world.alerts()
    ask(world, responder, User(world))
    assert len(world.alerts()) == 1


def test_places_of_requests_that_ran_out_are_free_again(world):
    responder = deploy(world)
    for user in decoys(world, 5):
        responder.invoke(about(world, EXFILTRATION, user))
    [singly] = Table(world).items("asked#singly")
    places = [it for it in singly if it.startswith("place#")]
    assert len(places) == 5
    table = Table(world)
    for place in places:
        key = {"id": singly["id"]}
        over = {":over": {"S": "800 1"}}
        table.client.update_item(
            TableName=table.name,
            Key=key,
            UpdateExpression="SET #place = :over",
            ExpressionAttributeNames={"#place": place},
            ExpressionAttributeValues=over,
        )
    world.alerts()
    ask(world, responder, User(world))
    [singly] = table.items("asked#singly")
    assert len(world.alerts()) == 1 and len([it for it in singly if it.startswith("place#")]) == 1
