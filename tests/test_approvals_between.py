"""What a person is told of a request, and what is lifted, where findings join it, responses are killed or the ledger
fails in between."""

from .harness.ledger import DUE, Table, about
from .harness.requests import EXFILTRATION, ask, command, item, wake_up
from .harness.victims import User
from .test_approvals import deploy, report
from .test_lease import killed

UNUSED = "security-hub-iam-8-unused-credentials"
LIFT = {"command": "lift-declined"}


def expire(world, request):
    Table(world).change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})


def snapshots_are(table):
    return any(name.startswith("snapshot ") for it in table.items("record#") for name in it)


def test_a_decline_lifts_the_deny_of_a_finding_that_joined_a_report(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    user = User(world)
    request = report(world, user="alice")
    responder.invoke(wake_up(world, request))
    assert not user.is_denied()
    assert ask(world, responder, user) == request and user.is_denied()
    world.alerts()
    command(responder, "decline", request)
    [alert] = world.alerts()
    world.responder(part="restorer").invoke(LIFT)
    assert "Nothing was done to the identity" not in alert["Message"], alert["Message"]
    assert not user.is_denied()


def test_an_expiry_says_that_it_stays_denied_by_a_finding_that_joined_a_report(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    user = User(world)
    request = report(world, user="alice")
    responder.invoke(wake_up(world, request))
    ask(world, responder, user)
    world.alerts()
    expire(world, request)
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert user.is_denied() and "STAYS denied" in alert["Message"], alert["Message"]


def test_a_decline_says_nothing_was_done_only_where_nothing_was(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "sure"}
    assert responder.invoke(contain)["reports"][0]["verdict"] == "Contained"
    world.alerts()
    command(responder, "decline", request)
    [alert] = world.alerts()
    assert user.is_denied() and "Nothing was done to the identity" not in alert["Message"], alert["Message"]


def test_an_expired_lesser_request_does_not_say_that_nothing_was_done(world):
    responder, hygiene = deploy(world), world.responder(part="hygiene")
    user = User(world)
    event = world.event(UNUSED, user)
    world.finding(event)
    lesser = hygiene.invoke(event)["reports"][0]["request"]
    command(responder, "approve", ask(world, responder, user))
    assert user.is_denied()
    world.alerts()
    expire(world, lesser)
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert "Nothing was done to the identity" not in alert["Message"], alert["Message"]


def test_who_was_struck_by_a_response_that_was_killed_is_asked_about(world):
    world.deploy(Mode="approve", StrikeWhileWaiting="true", SettleSeconds="5")
    user, table = User(world), Table(world)
    killed(world, world.event(EXFILTRATION, user), lambda: user.is_denied() and table.keeps_a_finding() and snapshots_are(table))
    assert user.is_denied() and table.items("request#") == [] and world.alerts() == []
    responder = world.responder()
    for _ in range(3):
        table.pass_time()
        responder.invoke(DUE)
    assert table.items("request#") and world.alerts()


def test_findings_that_could_not_be_asked_use_up_no_place_among_those_asked_singly(world):
    responder = deploy(world)
    for n in range(5):
        world.fault("dynamodb:UpdateItem", "AccessDeniedException", status=400, times=1, text="plan_hash = :hash")
        lost = responder.invoke(about(world, EXFILTRATION, User(world, name=f"lost-{n}", groups=(), policies=())))
        assert lost["errorType"] == "ResponseIncomplete", lost
    world.alerts()
    assert Table(world).items("request#") == []
    ask(world, responder, User(world))
    assert len(world.alerts()) == 1, Table(world).items("asked#singly")
