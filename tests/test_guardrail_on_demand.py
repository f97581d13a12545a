"""The guardrail on demand: attached where putting back does not win or somebody is suspected, for whom the ledger
knows, and detached with the last of them."""

import time

import pytest
from botocore.exceptions import ClientError

from .harness.guardrail import NOTHING, POLICY, Accomplice, Guardrail
from .harness.ledger import DUE, Table, about, until
from .harness.victims import User
from .test_lease import killed
from .test_suspects import close, suspect

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
ATTACH, DETACH = "organizations:AttachPolicy", "organizations:DetachPolicy"


def contain(world, responder, user):
    """The report, and the alert's lines."""
    answer = responder.invoke(about(world, EXFILTRATION, user))
    assert "reports" in answer, answer
    [report] = answer["reports"]
    [alert] = world.alerts()
    return report, alert["Message"].splitlines()


def due(responder):
    answer = responder.invoke(DUE)
    assert "reports" in answer, answer


@pytest.mark.seconds(6)
def test_an_accomplice_who_strips_is_stopped_and_nothing_is_contained_before_it_binds(world):
    guardrail = Guardrail(world, binds=(0.5, 1))
    alice, responder, table = User(world), world.responder(SETTLE_SECONDS="0.6"), Table(world)
    with Accomplice(world, alice) as accomplice:
        report, [first, *rest] = contain(world, responder, alice)
        until(lambda: accomplice.denied > 0)
        assert report["verdict"] == "Contained" and len(report["reversals"]) > 0 and accomplice.stripped > 1, report
        assert first.endswith(f"contained; GUARDRAIL {POLICY} ATTACHED to the account"), first
        assert POLICY in report["guardrail"] and any(it.startswith("Guardrail: ") for it in rest)
        assert guardrail.attached() == [POLICY] and guardrail.item(table)["held_for"]["SS"][0].endswith(alice.id)
        [attached] = [it for it in guardrail.calls() if it["action"] == ATTACH]
        assert report["timings_ms"]["verdict"] / 1000 >= 5 * 0.6 and alice.is_denied()
        assert not [it for it in world.journal() if it["action"] == "iam:AttachUserPolicy" and it["began"] > attached["ended"] + 2]
        # It lingers: whoever waits for it to go has an hour to be found.
        guardrail.hours_pass(table, 0.5)
        due(responder)
        assert guardrail.attached() == [POLICY] and DETACH not in guardrail.actions()
    guardrail.hours_pass(table, 0.5)
    due(responder)
    assert guardrail.attached() == [] and set(guardrail.item(table)) == {"id"}
    [told] = world.alerts()
    assert "was detached from account" in told["Message"] and alice.id in told["Message"]
    count = len(guardrail.calls())
    due(responder)
    assert len(guardrail.calls()) == count and world.alerts() == []


def test_a_quiet_response_makes_not_one_call_for_it(world):
    guardrail = Guardrail(world)
    report, [first, *_] = contain(world, world.responder(SETTLE_SECONDS="0.5"), User(world))
    assert report["verdict"] == "Contained" and "guardrail" not in report and first.endswith("- contained")
    assert guardrail.calls() == []
    assert not [it for it in world.journal() if "guardrail" in str(it.get("params"))]


def test_where_people_are_asked_nothing_is_attached_meanwhile(world):
    """The deny that goes in at once is all that was allowed without them."""
    guardrail = Guardrail(world, Mode="approve", StrikeWhileWaiting="true")
    suspect(world)
    alice = User(world)
    report, [first, *_] = contain(world, world.responder(), alice)
    assert report["verdict"] == "Waiting" and alice.is_denied() and "GUARDRAIL" not in first
    assert guardrail.calls() == []


def test_it_stays_while_one_is_open_and_is_told_daily_and_goes_with_the_last(world):
    guardrail = Guardrail(world)
    responder, table = world.responder(), Table(world)
    suspect(world)
    alice, bob = User(world), User(world, name="bob", groups=())
    for user in (alice, bob):
        report, [first, *_] = contain(world, responder, user)
        assert report["verdict"] == "SuspectsOpen" and "GUARDRAIL" in first
    assert guardrail.actions().count(ATTACH) == 1, "for both"
    assert len(guardrail.item(table)["held_for"]["SS"]) == 2
    close(world, responder, suspect="all")
    world.alerts()
    for hours, is_told in ((0.1, False), (0.2, True), (23, False), (1.1, True)):
        guardrail.hours_pass(table, hours)
        due(responder)
        alerts = world.alerts()
        assert len(alerts) == is_told and guardrail.attached() == [POLICY], hours
        if is_told:
            assert f"- {bob.id}: SuspectsOpen" in alerts[0]["Message"] and alice.id not in alerts[0]["Message"]
    restored = world.responder(part="restorer").invoke(world.restore_command(user="bob", force=True))["restore"]
    assert restored["verdict"] == "Restored", restored
    world.alerts()
    guardrail.hours_pass(table, 0.1)
    due(responder)
    assert guardrail.attached() == [] and "detached" in world.alerts()[0]["Subject"]


def test_what_somebody_else_attached_is_never_detached(world):
    guardrail = Guardrail(world)
    suspect(world)
    guardrail.organizations.attach_policy(PolicyId=POLICY, TargetId=world.member)
    alice, responder, table = User(world), world.responder(), Table(world)
    report, [first, *_] = contain(world, responder, alice)
    assert "by somebody else: it stays there" in report["guardrail"] and "GUARDRAIL" not in first
    assert ATTACH not in guardrail.actions() and set(guardrail.item(table)) == {"id"}
    world.responder(part="restorer").invoke(world.restore_command(force=True))
    guardrail.hours_pass(table, 30)
    due(responder)
    assert guardrail.attached() == [POLICY]


def test_what_somebody_else_detached_is_told_and_not_attached_again(world):
    guardrail = Guardrail(world)
    suspect(world)
    responder, table = world.responder(), Table(world)
    contain(world, responder, User(world))
    guardrail.organizations.detach_policy(PolicyId=POLICY, TargetId=world.member)
    guardrail.hours_pass(table, 1)
    due(responder)
    assert guardrail.attached() == [] and "somebody else has detached it" in world.alerts()[0]["Message"]
    assert set(guardrail.item(table)) == {"id"}


def test_every_error_of_organizations_has_its_answer(world):
    guardrail = Guardrail(world, MaxContainmentsPerHour="50,50")
    suspect(world)
    responder, table = world.responder(), Table(world)
    users = (User(world, name=f"user-{n}", groups=(), policies=()) for n in range(20))

    def fault(code, times=-1, action=ATTACH, **fields):
        world.fault(action, code, times=times, accounts=[guardrail.management], **fields)

    def attempt():
        report, [first, *_] = contain(world, responder, next(users))
        assert report["verdict"] == "SuspectsOpen", report
        is_attached = first.endswith(f"; GUARDRAIL {POLICY} ATTACHED to the account")
        assert is_attached or first.endswith("; GUARDRAIL NOT ATTACHED"), first
        return is_attached, report["guardrail"]

    def not_attached(words):
        is_attached, said = attempt()
        assert not is_attached and words in said and guardrail.attached() == ["p-other0000"] * guardrail.others, said
        assert set(guardrail.item(table)) == {"id"}, "nothing of ours is there"

    guardrail.others = 0
    guardrail.configure(enabled=False)
    not_attached("not enabled in the organisation's root")
    guardrail.configure(enabled=True, most=2)
    guardrail.organizations.attach_policy(PolicyId="p-other0000", TargetId=world.member)
    guardrail.others = 1
    not_attached("as many service control policies as AWS lets be attached")
    guardrail.configure(most=5)
    for action, code, words in (
        (ATTACH, "AccessDeniedException", "guardrail-role.yaml"),
        ("sts:AssumeRole", "AccessDenied", "guardrail-role.yaml"),
        (ATTACH, "PolicyNotFoundException", "GUARDRAIL_POLICY_ID"),
    ):
        # The session in the member account is kept from the response before.
        world.fault(action, code, times=1, accounts=[guardrail.management, world.security])
        not_attached(words)
    # The member account is the management account, of which the role's account is a delegated administrator.
    own = {"members": [guardrail.management], "delegated": [guardrail.management], "policies": {POLICY: NOTHING, "p-other0000": NOTHING}}
    world.control("policies", {"management": world.member, **own})
    guardrail.others = 0
    is_attached, said = attempt()
    assert not is_attached and "in which no service control policy binds" in said and guardrail.actions().count(ATTACH) == 2
    guardrail.configure(members=[world.member, world.security])
    # What passes is tried again, and an answer that was lost is ours: none was there before.
    for code in ("ConcurrentModificationException", "TooManyRequestsException"):
        fault(code, times=1)
    fault(None, times=1, reset="after")
    is_attached, said = attempt()
    assert is_attached and POLICY in guardrail.attached() and "attached_at" in guardrail.item(table), said


def test_whoever_is_killed_between_attaching_and_saying_so_leaves_it_on_the_list(world):
    guardrail = Guardrail(world)
    who = suspect(world)
    alice, table = User(world), Table(world)
    world.fault("dynamodb:UpdateItem", hold=True, text="attached_at = if_not_exists")
    event = about(world, EXFILTRATION, alice)
    killed(world, event, lambda: guardrail.attached() == [POLICY])
    item = guardrail.item(table)
    assert "intent_at" in item and "attached_at" not in item and item["due_bucket"]["S"] == "guardrail"
    responder = world.responder()
    world.release()
    # The response is taken up again, and finds what is its own.
    table.pass_time()
    until(lambda: responder.invoke(DUE)["reports"] != [])
    assert guardrail.actions().count(ATTACH) == 1
    assert "ATTACHED" in world.alerts()[0]["Message"].splitlines()[0]
    close(world, responder, suspect=who)
    guardrail.hours_pass(table, 2)
    due(responder)
    assert guardrail.attached() == []


def test_whoever_is_killed_before_attaching_leaves_nothing_to_detach_and_nothing_to_tell(world):
    guardrail = Guardrail(world)
    responder, table = world.responder(), Table(world)
    contain(world, responder, User(world))
    meant = {"intent_at": {"N": "1"}, "held_for": {"SS": [table.item("record#")["id"]["S"]]}, "due_bucket": {"S": "guardrail"}}
    item = {"id": {"S": f"guardrail#{world.member}"}, "due_at": {"N": "1"}, **meant}
    table.client.put_item(TableName=table.name, Item=item)
    guardrail.hours_pass(table, 2)
    due(responder)
    assert set(guardrail.item(table)) == {"id"} and DETACH not in guardrail.actions() and world.alerts() == []


def test_what_a_person_attaches_after_ours_failed_is_theirs(world):
    """Whether an answer that was lost was a yes is settled at the first look, while the identity is still looked after."""
    guardrail = Guardrail(world)
    responder, table = world.responder(), Table(world)
    contain(world, responder, User(world))
    now = int(time.time() * 1000)
    meant = {"intent_at": {"N": str(now)}, "held_for": {"SS": [table.item("record#")["id"]["S"]]}, "due_bucket": {"S": "guardrail"}}
    item = {"id": {"S": f"guardrail#{world.member}"}, "due_at": {"N": str(now)}, **meant}
    table.client.put_item(TableName=table.name, Item=item)
    due(responder)
    assert set(guardrail.item(table)) == {"id"}
    guardrail.organizations.attach_policy(PolicyId=POLICY, TargetId=world.member)
    guardrail.hours_pass(table, 2)
    due(responder)
    assert guardrail.attached() == [POLICY] and DETACH not in guardrail.actions() and world.alerts() == []


def test_a_detaching_that_failed_or_was_not_noted_is_done_again(world):
    guardrail = Guardrail(world)
    who = suspect(world)
    responder, table = world.responder(), Table(world)
    contain(world, responder, User(world))
    close(world, responder, suspect=who)
    guardrail.hours_pass(table, 2)
    world.fault(DETACH, "AccessDeniedException", times=1, accounts=[guardrail.management])
    assert responder.invoke(DUE)["errorType"] == "ResponseIncomplete" and guardrail.attached() == [POLICY]
    guardrail.hours_pass(table, 1)
    # Detached, and then the ledger does not take it.
    world.fault("dynamodb:UpdateItem", "InternalServerError", status=500, times=4, text="REMOVE holder, lease_until, held_for")
    assert responder.invoke(DUE)["errorType"] == "ResponseIncomplete" and guardrail.attached() == []
    guardrail.hours_pass(table, 1)
    due(responder)
    assert set(guardrail.item(table)) == {"id"} and guardrail.actions().count(DETACH) == 2


def test_a_thief_of_its_session_or_role_attaches_and_detaches_nothing_else(world):
    guardrail = Guardrail(world)
    suspect(world)
    contain(world, world.responder(), User(world))
    [session] = world.control(f"sessions?account={guardrail.management}")
    stolen = world.client(
        "organizations",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    for call, policy, target, is_allowed in (
        (stolen.attach_policy, "p-other0000", world.member, False),
        (stolen.detach_policy, "p-FullAWSAccess", world.member, False),
        (stolen.attach_policy, POLICY, world.security, False),
        (stolen.detach_policy, POLICY, world.member, True),
    ):
        try:
            call(PolicyId=policy, TargetId=target)
            assert is_allowed, (policy, target)
        except ClientError as error:
            assert not is_allowed and error.response["Error"]["Code"] == "AccessDeniedException", error
