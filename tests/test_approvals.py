"""`approve` mode: nothing is changed until people approve it, and what they approve is done to whom they approved it
for, once."""

import concurrent.futures
import json

from .harness.ledger import DUE, Table, about
from .harness.requests import EXFILTRATION, ask, command, deploy, iam_writes, item, wake_up, word, written
from .harness.victims import LONG_AGO, User

UNUSED = "security-hub-iam-8-unused-credentials"


def test_nothing_is_changed_until_it_is_approved(world):
    responder = deploy(world)
    user = User(world)
    before = user.state()
    request = ask(world, responder, user)
    assert user.key_works() and user.state() == before and iam_writes(world) == []
    [alert] = world.alerts()
    text = alert["Message"]
    assert "WAITING FOR APPROVAL" in alert["Subject"]
    for expected in (request, user.id, "guard-duty", "Expires: ", "AWSDenyAll", user.keys[1]["AccessKeyId"], "looks like", "groups: developers, operators"):
        assert expected in text, expected
    assert f"--function-name {responder.name} --payload fileb:///dev/stdin" in text
    answer = command(responder, "approve", request)
    assert answer["decision"] == {"request": request, "outcome": "approved"}
    assert answer["reports"][0]["verdict"] == "Contained" and not user.key_works() and not user.key_works(1)
    assert word(world, request) == "done"
    [alert] = world.alerts()
    assert "contained" in alert["Subject"] and "Dana (as stated with the command): looked at it" in alert["Message"]


def test_the_command_in_the_alert_is_the_one_that_approves(world):
    responder = deploy(world)
    user = User(world)
    ask(world, responder, user)
    [alert] = world.alerts()
    [line] = [it for it in alert["Message"].splitlines() if '"approve"' in it]
    payload = json.loads(line.split("'")[1])
    assert responder.invoke(payload)["decision"]["outcome"] == "approved" and not user.key_works()


def test_a_second_decision_changes_nothing_and_says_who_decided(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    assert command(responder, "decline", request, by="Dana")["decision"]["outcome"] == "declined"
    assert word(world, request) == "declined"
    for again in ("approve", "decline"):
        decision = command(responder, again, request, by="Eve")["decision"]
        assert decision["outcome"] == "already-decided" and decision["decision"] == "decline" and "Dana" in decision["by"]
    assert user.key_works() and iam_writes(world) == []
    asked, declined = world.alerts()
    assert "DECLINED" in declined["Subject"] and "Dana" in declined["Message"] and "Nothing was done" in declined["Message"]


def test_an_approval_is_carried_out_once(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    command(responder, "approve", request)
    writes = len(iam_writes(world))
    for again in (wake_up(world, request), DUE, wake_up(world, request)):
        assert responder.invoke(again)["reports"] == []
    assert command(responder, "approve", request)["decision"]["outcome"] == "already-decided"
    assert len(iam_writes(world)) == writes


def test_a_decision_that_nobody_was_woken_by_is_found(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    written(world, request)
    [report] = responder.invoke(DUE)["reports"]
    assert report["verdict"] == "Contained" and not user.key_works()
    assert word(world, request) == "done" and "slack Dana" in world.alerts()[-1]["Message"]


def test_a_wake_up_carries_out_what_the_ledger_says(world):
    responder = world.deploy(Mode="approve") and world.connected()
    user = User(world)
    request = ask(world, responder, user)
    written(world, request, due_at={"N": "9999999999999"})
    detail = json.dumps({"request": request})
    world.client("events", world.security).put_events(
        Entries=[{"Source": "iam-responder.front", "DetailType": "Request", "Detail": detail}]
    )
    world.deliveries()
    assert not user.key_works() and word(world, request) == "done"


def test_a_forged_wake_up_is_harmless(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    world.alerts()
    nobody = "a" * 26
    forged = [
        wake_up(world, request),
        wake_up(world, request, detail={"request": request, "decision": "approve", "by": "Eve"}),
        wake_up(world, nobody),
        wake_up(world, "../lock#"),
        wake_up(world, request, account=world.member),
    ]
    before = item(world, request)
    for event in forged:
        assert responder.invoke(event)["reports"] == []
    assert item(world, request) == before and Table(world).items(f"request#{nobody}") == []
    assert user.key_works() and iam_writes(world) == [] and world.alerts() == []


def test_a_second_finding_joins_and_a_graver_one_asks_anew(world):
    responder = deploy(world)
    hygiene = world.responder(part="hygiene")
    user = User(world)
    event = world.event(UNUSED, user)
    world.finding(event)
    [first] = hygiene.invoke(event)["reports"]
    unused = first["request"]
    [again] = hygiene.invoke(event)["reports"]
    assert (again["verdict"], again["request"]) == ("Waiting", unused) and len(world.alerts()) == 1
    graver = ask(world, responder, user)
    assert graver != unused and len(world.alerts()) == 1
    # What is asked already answers the lesser one too.
    [lesser] = hygiene.invoke(event)["reports"]
    assert lesser["request"] == graver and world.alerts() == []


def test_what_was_added_meanwhile_is_included(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    world.iam.delete_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"])
    user.keys[1] = world.iam.create_access_key(UserName="alice")["AccessKey"]
    assert command(responder, "approve", request)["reports"][0]["verdict"] == "Contained"
    assert set(user.state()["keys"].values()) == {"Inactive"}


def test_another_identity_of_the_name_is_not_touched(world):
    responder = deploy(world)
    user = User(world)
    event = world.event("health-risk-credentials-exposed", user)
    [report] = responder.invoke(event)["reports"]
    request = report["request"]
    user.identify(id="AIDAREPLACED22EXAMPLE", created=LONG_AGO)
    reports = command(responder, "approve", request)["reports"]
    assert [it["verdict"] for it in reports][0] == "Refused" and user.key_works() and iam_writes(world) == []
    assert word(world, request) == "failed"
    # Whom the finding leads to now is another question.
    assert reports[1]["verdict"] == "Waiting" and reports[1]["request"] != request
    assert any("NOT CARRIED OUT" in it["Subject"] for it in world.alerts())


def test_it_expires_and_nothing_is_done(world):
    responder = deploy(world)
    user, table = User(world), Table(world)
    request = ask(world, responder, user)
    world.alerts()
    table.change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})
    assert command(responder, "approve", request)["decision"]["outcome"] == "expired"
    assert responder.invoke(DUE)["reports"] == []
    [alert] = world.alerts()
    assert "EXPIRED" in alert["Subject"] and '"contain"' in alert["Message"] and word(world, request) == "expired"
    assert command(responder, "approve", request)["decision"]["outcome"] == "expired"
    assert user.key_works() and iam_writes(world) == []
    # The next finding asks anew.
    assert ask(world, responder, user) != request


def test_a_decision_after_the_expiry_is_not_carried_out(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    written(world, request, expires_at={"N": "1"})
    responder.invoke(DUE)
    assert word(world, request) == "failed" and user.key_works() and iam_writes(world) == []
    assert "NOT CARRIED OUT" in world.alerts()[-1]["Subject"]


def test_what_the_ledger_has_must_be_what_was_asked(world):
    responder = deploy(world)
    user, other = User(world), User(world, name="bob", groups=())
    request = ask(world, responder, user)
    written(world, request, target_id={"S": other.id})
    responder.invoke(DUE)
    assert word(world, request) == "failed" and user.key_works() and other.key_works()


def test_two_approvers_are_two(world):
    responder = deploy(world, ApprovalsRequired="compromised-credential=2")
    user = User(world)
    request = ask(world, responder, user)
    assert command(responder, "approve", request)["decision"] == {"request": request, "outcome": "counted", "still_needed": 1}
    assert command(responder, "approve", request, by="Eve")["decision"]["outcome"] == "same-approver"
    assert user.key_works()
    table = Table(world)
    table.change(item(world, request), "SET approvers = :other", other={"SS": ["slack:T1/U1"]})
    assert command(responder, "approve", request)["decision"]["outcome"] == "approved" and not user.key_works()


def test_a_persons_contain_is_question_and_answer_where_one_approver_is_enough(world):
    responder = deploy(world)
    user = User(world)
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "seen"}
    assert responder.invoke(contain)["reports"][0]["verdict"] == "Contained" and not user.key_works()
    other = User(world, name="bob", groups=())
    two = world.responder(APPROVALS_REQUIRED="compromised-credential=2")
    [report] = two.invoke({**contain, "user": "bob"})["reports"]
    assert report["verdict"] == "Waiting" and other.key_works()
    assert command(two, "approve", report["request"])["decision"]["outcome"] == "same-approver"


def test_nobody_approves_what_is_about_themselves(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    for by in ("Alice", user.arn, user.id):
        assert "OwnRequest" in command(responder, "approve", request, by=by)["errorMessage"]
    assert "decision" not in item(world, request) and user.key_works()


def test_who_is_protected_is_never_asked_about(world):
    world.deploy(Mode="approve")
    user = User(world)
    responder = world.responder(PROTECTED_PRINCIPALS=user.arn)
    [report] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert report["verdict"] == "Refused" and "request" not in report
    assert Table(world).items("request#") == [] and len(world.alerts()) == 1
    # Protected since: nor is it carried out.
    request = ask(world, world.responder(), user)
    command(responder, "approve", request)
    assert word(world, request) == "failed" and user.key_works() and iam_writes(world) == []


def test_of_32_concurrent_decisions_one_wins_and_all_others_are_told_who(world):
    responder = deploy(world)
    user = User(world)
    request = ask(world, responder, user)
    deciders = [world.responder() for _ in range(4)]
    words = ["approve", "decline"] * 16
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        def several(n):
            return [command(deciders[n], words[n * 8 + it], request, by=f"person-{n}-{it}") for it in range(8)]
        answers = [it for some in pool.map(several, range(4)) for it in some]
    outcomes = [it["decision"]["outcome"] for it in answers]
    [winner] = [it for it in outcomes if it != "already-decided"]
    who = {it["decision"]["by"] for it in answers if it["decision"]["outcome"] == "already-decided"}
    assert len(who) == 1 and len(outcomes) == 32
    responder.invoke(DUE)
    assert user.key_works() == (winner == "declined")


def test_an_alert_that_failed_comes_later(world):
    responder = deploy(world)
    user, table = User(world), Table(world)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    assert responder.invoke(world.event(EXFILTRATION, user))["errorType"] == "ResponseIncomplete"
    assert world.alerts() == []
    table.change(table.item("request#"), "SET due_at = :zero", zero={"N": "0"})
    responder.invoke(DUE)
    [alert] = world.alerts()
    request = table.item("request#")["id"]["S"].split("#")[1]
    assert request in alert["Message"]
    responder.invoke(DUE)
    assert world.alerts() == [] and len(table.items("request#")) == 1


def test_the_end_is_told_later_where_it_could_not_be(world):
    responder = deploy(world)
    user, table = User(world), Table(world)
    request = ask(world, responder, user)
    world.alerts()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    assert command(responder, "approve", request)["errorType"] == "ResponseIncomplete"
    assert not user.key_works() and word(world, request) == "waiting"
    table.pass_time()
    table.change(item(world, request), "SET due_at = :zero", zero={"N": "0"})
    assert responder.invoke(DUE)["reports"][0]["verdict"] == "Contained"
    assert word(world, request) == "done" and len(world.alerts()) == 1


def test_who_can_not_be_asked_about_is_an_error_and_tried_again(world):
    responder = deploy(world)
    user = User(world)
    world.fault("dynamodb:UpdateItem", "AccessDeniedException", status=400, times=1)
    assert responder.invoke(world.event(EXFILTRATION, user))["errorType"] == "ResponseIncomplete"
    report = responder.last_report()
    assert report["verdict"] == "NotContained" and user.key_works() and iam_writes(world) == []
    world.alerts()
    assert ask(world, responder, user) and len(world.alerts()) == 1


def test_many_are_one_list_with_the_gravest_first_and_all_can_be_decided(world):
    responder = deploy(world)
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(8)]
    requests = []
    for n, user in enumerate(users):
        event = about(world, EXFILTRATION, user)
        event["detail"]["severity"] = {0: 9, 7: 8}.get(n, 7)
        [report] = responder.invoke(event)["reports"]
        requests.append(report["request"])
    assert len(world.alerts()) == 5
    responder.invoke(DUE)
    [alert] = world.alerts()
    named = [it for it in alert["Message"].splitlines() if it.startswith("- [")]
    assert [it.split(": ")[-1] for it in named] == [requests[7], requests[5], requests[6]]
    responder.invoke(DUE)
    assert world.alerts() == []
    listed = responder.invoke({"command": "requests"})["requests"]
    assert [it["request"] for it in listed][:2] == [requests[0], requests[7]] and {it["request"] for it in listed} == set(requests)
    assert {"account", "playbook", "severity", "since", "expires", "principal"} <= set(listed[0])
    assert command(responder, "approve", requests[7])["reports"][0]["verdict"] == "Contained"
    assert requests[7] not in [it["request"] for it in responder.invoke({"command": "requests"})["requests"]]


def test_what_is_in_place_is_not_asked(world):
    responder = deploy(world)
    user = User(world)
    command(responder, "approve", ask(world, responder, user))
    world.alerts()
    [report] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert report["verdict"] == "Observed" and world.alerts() == []


def test_a_restore_takes_back_what_was_approved(world):
    responder = deploy(world)
    user = User(world)
    command(responder, "approve", ask(world, responder, user))
    restored = world.responder(part="restorer").invoke(world.restore_command(user="alice"))["restore"]
    assert restored["verdict"] == "Restored" and not user.is_denied()
    [report] = responder.invoke(world.event(EXFILTRATION, user))["reports"]
    assert report["verdict"] == "Refused" and "restored" in report["reason"]
