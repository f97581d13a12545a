"""A hostile read of people in the loop: each test says what ought to be, and fails where it is not so."""

import json
import time

import botocore.exceptions

from .harness.ledger import DUE, Table, about, renamed
from .harness.people import DANA, SECRET_PARAMETER, SIGNING_PARAMETER, generated, put, request_of
from .harness.requests import EXFILTRATION, ask, command, iam_writes, item, wake_up, word
from .harness.victims import Role, User, allowed, stripped
from .test_approvals import deploy, report, struck, written
from .test_flood import SIMULATION, handed_on
from .test_front import form, slack
from .test_drift import OUTSIDE
from .test_lease import killed
from .test_stolen_sessions import of_function

UNUSED = "security-hub-iam-8-unused-credentials"
LIFT = {"command": "lift-declined"}


def expire(world, request):
    Table(world).change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})


# A report first, then a finding that strikes.


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


# What was done by somebody else while it waited.


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


# A decline that takes back what somebody else did.


def test_a_decline_does_not_lift_a_persons_containment_of_a_user_without_keys(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    user = User(world)
    for key in user.keys:
        world.iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "stolen, I am sure"}
    assert responder.invoke(contain)["reports"][0]["verdict"] == "Contained" and user.is_denied()
    # The intruder makes a key, and is seen: people are asked about the rest.
    world.iam.delete_access_key(UserName="alice", AccessKeyId=world.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["AccessKeyId"])
    user.keys[0] = world.iam.create_access_key(UserName="alice")["AccessKey"]
    request = ask(world, responder, user)
    command(responder, "decline", request)
    lifted = world.responder(part="restorer").invoke(LIFT)
    assert user.is_denied(), (lifted, item(world, request).get("lifted"))


# Reports that get lost.


def test_a_second_report_after_the_first_ones_request_was_declined_is_asked(world):
    door, responder = form(world, mode="approve")
    user = User(world)
    asked = ask(world, responder, user)
    key = user.keys[0]["AccessKeyId"]
    first = door.report(access_key=key)
    world.deliveries()
    command(responder, "decline", asked, by="Eve")
    world.alerts()
    second = door.report(access_key=key, text="It is STILL used: somebody makes instances")
    world.deliveries()
    responder.invoke(DUE)
    alerts = world.alerts()
    assert request_of(second) != request_of(first), door.state(second)
    assert any("STILL used" in it["Message"] for it in alerts)


# Floods.


def test_a_report_about_an_account_that_is_none_of_ours_is_told_once(world):
    responder = deploy(world)
    request = report(world, account="123456789012", user="alice")
    table = Table(world)
    for _ in range(4):
        table.pass_time()
        table.change(item(world, request), "SET due_at = :zero", zero={"N": "0"})
        responder.invoke(DUE)
    alerts = world.alerts()
    assert len(alerts) <= 1, [it["Subject"] for it in alerts]


def junk(world, client, name, count):
    for n in range(count):
        client.update_item(
            TableName=name, Key={"id": {"S": f"request#{n:026d}".replace("0", "a").replace("1", "b").replace("8", "c").replace("9", "d")}},
            UpdateExpression="SET due_bucket = :b, due_at = :z, report_of = :x, reported = :x",
            ExpressionAttributeValues={":b": {"S": "request"}, ":z": {"N": "0"}, ":x": {"S": "x"}},
        )


def test_what_a_thief_of_the_forms_role_writes_does_not_bury_a_decision_for_ever(world):
    door, responder = form(world, mode="approve")
    user = User(world)
    request = ask(world, responder, user)
    junk(world, of_function(world, "iam-responder-form", "dynamodb"), Table(world).name, 520)
    written(world, request, due_at={"N": "1"})
    for _ in range(2):
        responder.invoke(DUE)
    assert not user.key_works()


def test_a_thief_of_the_forms_role_reads_not_whom_a_request_is_about(world):
    _, responder = form(world, mode="approve")
    request = ask(world, responder, User(world))
    stolen, seen = of_function(world, "iam-responder-form", "dynamodb"), {}
    try:
        stolen.update_item(
            TableName=Table(world).name, Key={"id": {"S": f"request#{request}"}}, UpdateExpression="SET due_at = :x",
            ConditionExpression="attribute_not_exists(id)", ExpressionAttributeValues={":x": {"N": "0"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except botocore.exceptions.ClientError as error:
        seen = error.response.get("Item", {})
    assert not {"target_name", "target_arn", "plan_words", "finding", "plan_hash"} & set(seen), sorted(seen)


# The breaker, and who is not asked.


def test_who_is_beyond_the_breaker_is_asked_about_all_the_same(world):
    world.deploy(Mode="approve", StrikeWhileWaiting="true", MaxContainmentsPerHour="1,1")
    responder = world.responder()
    users = [User(world, name=f"user-{n}", groups=(), policies=()) for n in range(3)]
    verdicts = [responder.invoke(about(world, EXFILTRATION, it))["reports"][0]["verdict"] for it in users]
    assert verdicts == ["Waiting"] * 3 and len(Table(world).items("request#")) == 3, verdicts


# What is said of whom stays denied.


def test_an_approval_that_came_too_late_says_that_it_stays_denied(world):
    responder, user, request = struck(world)
    written(world, request, expires_at={"N": str(int(time.time() * 1000) - 600_000)}, decided_at={"N": str(int(time.time() * 1000) - 700_000)})
    world.alerts()
    responder.invoke(DUE)
    [alert] = world.alerts()
    assert user.is_denied() and "denied everything" in alert["Message"], alert["Message"]


# Killed before people were asked, and fights.


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


def snapshots_are(table):
    return any(name.startswith("snapshot ") for it in table.items("record#") for name in it)


def test_who_was_half_contained_when_the_mode_became_approve_is_not_forgotten(world):
    world.deploy(SettleSeconds="5")
    user, table = User(world), Table(world)
    killed(world, world.event(EXFILTRATION, user), lambda: user.is_denied() and table.keeps_a_finding())
    responder = world.responder(MODE="approve")
    for _ in range(3):
        table.pass_time()
        responder.invoke(DUE)
    assert table.items("request#") or world.alerts()


def test_who_fights_the_strike_does_not_put_off_the_question(world):
    world.deploy(Mode="approve", StrikeWhileWaiting="true", SettleSeconds="3", Simulation="true")
    user = User(world)
    responder = world.connected(timeout=18)
    event = world.event(SIMULATION, user)
    with stripped(user, every=0.4):
        world.client("events", world.security).put_events(
            Entries=[{"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}]
        )
        end = time.monotonic() + 45
        while time.monotonic() < end and not Table(world).items("request#") and len(handed_on(world)) < 2:
            time.sleep(0.3)
        handed, asked, alerts = len(handed_on(world)), Table(world).items("request#"), world.alerts()
    assert asked and alerts, (handed, [it["verdict"] for it in responder.reports()])


# Failing for a day.


def test_an_approved_containment_that_fails_is_not_an_alert_a_minute(world):
    responder = deploy(world)
    user, table = User(world), Table(world)
    request = ask(world, responder, user)
    world.alerts()
    world.fault("iam:UpdateAccessKey", "AccessDenied", status=403)
    command(responder, "approve", request)
    for _ in range(5):
        table.pass_time()
        table.change(item(world, request), "SET due_at = if_not_exists(due_bucket_none, :zero)", zero={"N": "0"})
        responder.invoke(DUE)
    subjects = [it["Subject"] for it in world.alerts()]
    assert len(subjects) <= 2, subjects


# Reports as decoys.


def test_five_reports_do_not_take_the_incident_of_a_critical_finding(world):
    world.deploy(Mode="approve", response_plan=True)
    responder = world.responder()
    decoys = [User(world, name=f"decoy-{n}", groups=(), policies=()) for n in range(5)]
    for n, decoy in enumerate(decoys):
        responder.invoke(wake_up(world, report(world, request="abcde"[n] * 26, user=decoy.name)))
    before = len(world.incidents())
    world.alerts()
    user = User(world)
    event = about(world, EXFILTRATION, user)
    event["detail"]["severity"] = 9
    responder.invoke(event)
    responder.invoke(DUE)
    after = len(world.incidents())
    assert after > before or "alice" in str(world.incidents()), (before, after, [it["Subject"] for it in world.alerts()])


def test_a_persons_contain_counts_as_an_approval_of_what_is_asked_already(world):
    """docs/people.md: with two it is the first of them."""
    responder = deploy(world, ApprovalsRequired="compromised-credential=2")
    user = User(world)
    request = ask(world, responder, user)
    contain = {"command": "contain", "account": world.member, "user": "alice", "reason": "seen"}
    [found] = responder.invoke(contain)["reports"]
    assert found["request"] == request and item(world, request)["still_needed"]["N"] == "1", item(world, request)["still_needed"]


# Roles, names, and what the page says.


def test_of_a_role_whose_old_sessions_were_revoked_nobody_says_that_it_is_denied_everything(world):
    responder = deploy(world, StrikeWhileWaiting="true")
    role = Role(world, name="app")
    responder.invoke(world.event(OUTSIDE, role=role))
    [alert] = world.alerts()
    assert set(role.state()["inline"]) == {"AWSRevokeOlderSessions"}
    # Half a minute later whoever may assume it has a session that works.
    assert "denied everything" not in alert["Message"], alert["Message"]


def test_an_approver_who_renamed_her_user_does_not_decide_about_herself(world):
    door, responder = slack(world, identities=f"{DANA}=arn:aws:iam::{world.member}:user/alice")
    user = User(world)
    world.iam.update_user(UserName="alice", NewUserName="bob")
    [found] = responder.invoke(renamed(world.event(EXFILTRATION, user), "alice", "bob"))["reports"]
    assert found["verdict"] == "Waiting", found
    assert door.click(found["request"], "decline", user=DANA) == 403, item(world, found["request"]).get("decision")


def test_an_approver_whose_arn_was_written_in_other_letters_does_not_decline_about_herself(world):
    door, responder = slack(world, identities=f"{DANA}=arn:aws:iam::{world.member}:user/Alice")
    request = ask(world, responder, User(world))
    assert door.click(request, "decline", user=DANA) == 403


def test_the_page_does_not_say_that_nothing_was_changed_of_whom_is_denied_everything(world):
    door, responder = form(world, mode="approve", StrikeWhileWaiting="true")
    user = User(world)
    ask(world, responder, user)
    location = door.report(access_key=user.keys[0]["AccessKeyId"])
    world.deliveries()
    assert user.is_denied() and "Nothing was changed so far" not in door.send("GET", location)[2]


def test_a_report_of_whom_is_contained_already_is_not_called_unclear(world):
    door, responder = form(world, mode="enforce")
    user = User(world)
    responder.invoke(world.event(EXFILTRATION, user))
    assert user.is_denied()
    world.alerts()
    location = door.report(user="alice")
    world.deliveries()
    page, alerts = door.send("GET", location)[2], world.alerts()
    assert "was not found, or may not be touched" not in page, (door.state(location), [it["Subject"] for it in alerts])


def test_whoever_declines_again_what_stayed_denied_has_it_lifted_or_is_told(world):
    responder, user, first = struck(world)
    expire(world, first)
    responder.invoke(DUE)
    event = about(world, EXFILTRATION, user)
    event["detail"]["id"] += "2"
    [found] = responder.invoke(event)["reports"]
    assert found["verdict"] == "Waiting", found
    world.alerts()
    command(responder, "decline", found["request"])
    world.responder(part="restorer").invoke(LIFT)
    alerts = world.alerts()
    assert not user.is_denied() or any("STILL" in it["Subject"] for it in alerts), [it["Message"] for it in alerts]


# Reports, by the subject's own item.


def test_a_thief_of_the_forms_role_does_not_swallow_a_report(world):
    """SECURITY.md: report, put off, let expire. To have others' reports answered by another request is not among it."""
    door, responder = form(world, mode="approve")
    alice, bob = User(world), User(world, name="bob", groups=())
    done = ask(world, responder, bob)
    command(responder, "approve", done, by="Eve")
    world.alerts()
    of_function(world, "iam-responder-form", "dynamodb").update_item(
        TableName=Table(world).name, Key={"id": {"S": f"request#of#{world.member}#user/alice"}},
        UpdateExpression="SET request_id = :id, runs_until = :u", ExpressionAttributeValues={":id": {"S": done}, ":u": {"N": "9999999999999"}},
    )
    location = door.report(user="alice")
    world.deliveries()
    responder.invoke(DUE)
    assert world.alerts() and not door.state(location).startswith("Contained"), door.state(location)


def test_a_request_that_lasts_for_longer_than_a_report_is_joined(world):
    """APPROVAL_MINUTES above 60, and a second report after the first hour."""
    door, responder = form(world, mode="approve", ApprovalMinutes="600")
    user = User(world)
    first = door.report(user="alice")
    world.deliveries()
    table = Table(world)
    table.change(table.item("request#of#"), "SET runs_until = :past", past={"N": "1"})
    second = door.report(user="alice", text="again")
    world.deliveries()
    assert item(world, request_of(second))["joined"]["S"] == request_of(first)
    # What the first comes to frees the subject; the joined one must not keep it.
    command(responder, "decline", request_of(first), by="Eve")
    world.alerts()
    third = door.report(user="alice", text="and again")
    world.deliveries()
    assert world.alerts(), door.state(third)


# Taken up, and not.


def test_what_was_approved_in_time_and_killed_is_not_said_to_be_not_carried_out(world):
    responder = deploy(world, SettleSeconds="5")
    user, table = User(world), Table(world)
    request = ask(world, responder, user)
    killed(world, {"command": "approve", "request": request, "by": "Dana", "reason": "x"}, user.is_denied, timeout=120)
    past = int(time.time() * 1000) - 600_000
    table.pass_time()
    # Ten minutes later, and the hour is over: a crash, Lambda's time-out, a lease.
    table.change(item(world, request), "SET expires_at = :e, decided_at = :d, due_at = :z", e={"N": str(past)}, d={"N": str(past - 1_000)}, z={"N": "0"})
    world.alerts()
    responder.invoke(DUE)
    alerts = world.alerts()
    assert user.is_denied() and not any("NOT CARRIED OUT" in it["Subject"] for it in alerts), [it["Message"] for it in alerts]


def test_that_a_deny_was_lifted_is_told_though_the_topic_failed_once(world):
    responder, user, request = struck(world)
    command(responder, "decline", request)
    world.alerts()
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    restorer = world.responder(part="restorer")
    first = restorer.invoke(LIFT)
    for _ in range(2):
        restorer.invoke(LIFT)
        responder.invoke(DUE)
    assert not user.is_denied() and (world.alerts() or "errorType" in first), first


def test_a_thief_of_the_forms_role_makes_no_approval_void(world):
    """SECURITY.md: put off or let expire what waits."""
    _, responder = form(world, mode="approve")
    user = User(world)
    request = ask(world, responder, user)
    of_function(world, "iam-responder-form", "dynamodb").update_item(
        TableName=Table(world).name, Key={"id": {"S": f"request#{request}"}}, UpdateExpression="REMOVE due_bucket, due_at",
    )
    world.alerts()
    answer = command(responder, "approve", request)
    responder.invoke(wake_up(world, request))
    responder.invoke(DUE)
    assert not user.key_works() or world.alerts(), answer


def test_the_gravest_is_told_though_decoys_were_listed_a_moment_ago(world):
    responder = deploy(world)
    for n in range(6):
        responder.invoke(about(world, EXFILTRATION, User(world, name=f"decoy-{n}", groups=(), policies=())))
    responder.invoke(DUE)
    world.alerts()
    event = about(world, EXFILTRATION, User(world))
    event["detail"]["severity"] = 9
    responder.invoke(event)
    responder.invoke(DUE)
    assert world.alerts()


# Counters that are used up, and secrets that were changed.


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


def test_reports_about_nobody_are_not_an_alert_each(world):
    responder = deploy(world)
    for n in range(12):
        responder.invoke(wake_up(world, report(world, request=f"{n:02d}".translate(str.maketrans("0123456789", "abcdefghij")) * 13, user=f"nobody-{n}")))
    assert len(world.alerts()) <= 6


def test_a_click_signed_with_a_secret_that_was_replaced_decides_nothing(world):
    """SECURITY.md: who finds one of these roles stolen changes the secrets in the parameters."""
    door, responder = slack(world)
    request = ask(world, responder, User(world))
    assert door.click("a" * 26, plan_hash="0" * 64) == 403
    put(world, SIGNING_PARAMETER, generated())
    time.sleep(2)
    assert door.click(request) == 401


def test_a_password_that_was_replaced_lets_nobody_in(world):
    door, _ = form(world)
    old = door.secret
    assert door.page()[0] == 200
    put(world, SECRET_PARAMETER, generated())
    assert door.page(password=old)[0] == 401


def test_a_thief_of_slacks_role_makes_no_request_vanish(world):
    """SECURITY.md: approve or decline what waits, put it off. All of that is told."""
    _, responder = slack(world)
    user = User(world)
    request = ask(world, responder, user)
    of_function(world, "iam-responder-slack", "dynamodb").update_item(
        TableName=Table(world).name, Key={"id": {"S": f"request#{request}"}}, UpdateExpression="SET #s = :done, expires_at = :past, due_at = :past",
        ExpressionAttributeNames={"#s": "state"}, ExpressionAttributeValues={":done": {"S": "done"}, ":past": {"N": "1"}},
    )
    world.alerts()
    for _ in range(2):
        responder.invoke(DUE)
    assert world.alerts()


def test_after_a_graver_request_was_declined_the_lesser_one_is_not_asked_twice(world):
    responder, hygiene = deploy(world), world.responder(part="hygiene")
    user = User(world)
    event = world.event(UNUSED, user)
    world.finding(event)
    lesser = hygiene.invoke(event)["reports"][0]["request"]
    command(responder, "decline", ask(world, responder, user))
    world.alerts()
    again = hygiene.invoke(event)["reports"][0]["request"]
    assert again == lesser and world.alerts() == []


def test_what_a_second_reporter_says_is_shown_or_kept(world):
    door, responder = form(world, mode="approve")
    User(world)
    door.report(user="alice", text="a test, please ignore")
    world.deliveries()
    second = door.report(user="alice", text="REAL: somebody deletes our buckets")
    world.deliveries()
    responder.invoke(DUE)
    shown = [it["Message"] for it in world.alerts()]
    assert "deletes our buckets" in str(shown) + json.dumps(item(world, request_of(second)))


def test_a_decline_lifts_what_was_struck_before_the_setting_was_switched_off(world):
    """The stack as it is after StrikeWhileWaiting went back to false, with a request that was struck before."""
    deploy(world)
    user = User(world)
    request = ask(world, world.responder(STRIKE_WHILE_WAITING="true"), user)
    assert user.is_denied()
    world.alerts()
    command(world.responder(), "decline", request)
    answer = world.responder(part="restorer").invoke(LIFT)
    says = [it["Message"] for it in world.alerts()]
    assert not user.is_denied() or not any("is lifted by the restoring function" in it for it in says), (answer, says)


def test_a_thief_of_the_forms_role_bars_no_approver(world):
    """`reported` names who asked; an approver of that name neither approves nor declines."""
    door, responder = slack(world)
    user = User(world)
    request = report(world, user="alice", by="slack:T0SECURITY/U0DANA")
    responder.invoke(wake_up(world, request))
    assert door.click(request, user=DANA) == 200 and not user.key_works()
