"""What a sweep asks for becomes a request as any other: who is asked about, what is done once it is approved, and what
the next sweep makes of the answer."""

import json

import pytest

from .harness.ledger import DUE, Table
from .harness.requests import command, item, word
from .harness.slack import Slack, buttons, shown
from .harness.sweeps import PASSWORD, Organisation, day, rows, told

MFA_CONTROL = "security-hub-iam-5-console-user-without-mfa"


def active(account, user):
    keys = account.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    return [it["AccessKeyId"] for it in keys if it["Status"] == "Active"]


def iam_writes(world):
    return [it for it in world.writes() if it.startswith("iam:") and it != "iam:GenerateCredentialReport"]


def subjects(world):
    return [it["Subject"] for it in world.alerts()]


def test_who_does_nothing_is_asked_about_and_loses_the_keys_once_it_is_approved(world):
    organisation = Organisation(world)
    account = organisation.account
    account.user("alice")
    account.user("bob", mfa=True)
    [request] = organisation.up_to(7)
    assert word(world, request) == "waiting" and active(account, "alice") and iam_writes(world) == []
    alerts = world.alerts()
    [alert] = [it for it in alerts if "WAITING FOR APPROVAL" in it["Subject"]]
    assert request in alert["Message"] and "Asked by: sweep" in alert["Message"] and "the console stays open" in alert["Message"]
    assert [it for it in alerts if "1 to decide" in it["Subject"]]
    [report] = command(organisation.responder, "approve", request)["reports"]
    assert (report["playbook"], report["verdict"], report["source"]) == ("missing-mfa", "Contained", "sweep")
    assert active(account, "alice") == [] and len(active(account, "bob")) == 1 and word(world, request) == "done"
    reports, digest = organisation.day(8)
    assert reports == [] and told(digest) == {"alice": ("ended", "done")}
    assert told(organisation.day(9)[1]) == {}


def test_a_request_lives_until_the_next_sweep_which_asks_again(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    [first] = organisation.up_to(7)
    day = 24 * 3600 * 1000
    asked = item(world, first)
    assert day < int(asked["expires_at"]["N"]) - int(asked["asked_at"]["N"]) < 2 * day
    world.alerts()
    reports, digest = organisation.day(8)
    [second] = [it["request"] for it in reports]
    assert second != first and (word(world, first), word(world, second)) == ("expired", "waiting")
    assert told(digest) == {"alice": ("asked", "open")}
    alerts = world.alerts()
    # Whom the digest tells nobody else tells.
    assert not [it for it in alerts if "EXPIRED" in it["Subject"]]
    [text] = [it["Message"] for it in alerts if "sweep" in it["Subject"] and "WAITING" not in it["Subject"]]
    assert "request 2; the last one: without an outcome" in text
    late = command(organisation.responder, "approve", first)["decision"]
    assert late["outcome"] != "approved" and active(organisation.account, "alice")
    assert command(organisation.responder, "approve", second)["reports"][0]["verdict"] == "Contained"


def test_a_decline_holds_for_thirty_days_and_is_told_once(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    [request] = organisation.up_to(7)
    assert command(organisation.responder, "decline", request, by="Dana")["decision"]["outcome"] == "declined"
    world.alerts()
    reports, digest = organisation.day(8)
    assert reports == [] and told(digest) == {"alice": ("ended", "declined")}
    [text] = [it["Message"] for it in world.alerts()]
    assert "declined by Dana (as stated with the command): looked at it" in text
    for number in (9, 37):
        assert told(organisation.day(number)[1]) == {}
    assert told(organisation.day(38)[1]) == {"alice": ("warned", None)}
    assert iam_writes(world) == []


def test_mfa_turned_on_since_it_was_asked_and_nothing_is_done(world):
    organisation = Organisation(world)
    account = organisation.account
    account.user("alice")
    [request] = organisation.up_to(7)
    account.turn_mfa_on("alice")
    world.alerts()
    [report] = command(organisation.responder, "approve", request)["reports"]
    assert "MFA was turned on since: nothing is done" in report["notes"] and active(account, "alice")
    [alert] = world.alerts()
    assert "MFA was turned on since: nothing is done" in alert["Message"]
    assert told(organisation.day(8)[1]) == {"alice": ("left", None)}


def test_mfa_turned_on_between_the_sweep_and_the_question_and_nobody_is_asked(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    organisation.day(0)
    [message] = organisation.sweep(7)
    organisation.account.turn_mfa_on("alice")
    world.alerts()
    [report] = organisation.act(message)
    assert report["verdict"] == "Observed" and "request" not in report and world.alerts() == []


def test_a_user_without_a_password_by_then_is_left_alone(world):
    organisation = Organisation(world)
    account = organisation.account
    account.user("alice")
    [request] = organisation.up_to(7)
    account.iam.delete_login_profile(UserName="alice")
    [report] = command(organisation.responder, "approve", request)["reports"]
    assert any("no console password" in it for it in report["notes"]) and active(account, "alice")


def test_a_namesake_is_not_asked_about_and_an_approval_is_not_for_it(world):
    organisation = Organisation(world)
    account = organisation.account
    account.user("alice")
    [request] = organisation.up_to(7)
    for key in active(account, "alice"):
        account.iam.delete_access_key(UserName="alice", AccessKeyId=key)
    account.iam.delete_login_profile(UserName="alice")
    account.iam.delete_user(UserName="alice")
    account.user("alice")
    report = command(organisation.responder, "approve", request)["reports"][0]
    assert report["verdict"] == "Refused" and active(account, "alice") and iam_writes(world) == []


@pytest.mark.parametrize("protected", [True, False])
def test_whoever_was_protected_or_exempted_meanwhile_is_not_touched(world, protected):
    organisation = Organisation(world)
    account = organisation.account
    account.user("alice")
    [request] = organisation.up_to(7)
    unique_id = account.iam.get_user(UserName="alice")["User"]["UserId"]
    changed = {"PROTECTED_PRINCIPALS": unique_id} if protected else {"EXEMPT": "arn:aws:iam::*:user/alice=2099-01-31 on leave"}
    [report] = command(world.responder(**changed), "approve", request)["reports"]
    assert report["verdict"] == "Refused" and active(account, "alice")
    assert ("PROTECTED_PRINCIPALS" if protected else "it is exempt until 2099-01-31: on leave") in report["reason"]


@pytest.mark.parametrize("mode", ["approve", "enforce"])
def test_who_is_protected_by_the_unique_id_is_told_as_protected_and_not_asked_about_every_day(world, mode):
    """A credential report has no unique IDs."""
    organisation = Organisation(world, PlaybookModes=f"missing-mfa={mode}")
    account = organisation.account
    account.user("alice")
    unique_id = account.iam.get_user(UserName="alice")["User"]["UserId"]
    organisation.hygiene = world.responder(part="hygiene", PROTECTED_PRINCIPALS=unique_id)
    organisation.day(0)
    assert [it["verdict"] for it in organisation.day(7)[0]] == ["Refused"]
    world.alerts()
    reports, digest = organisation.day(8)
    assert reports == [] and told(digest) == {"alice": ("ended", "refused")}
    [text] = [it["Message"] for it in world.alerts()]
    assert "PROTECTED" in text and "nobody is asked: it is in PROTECTED_PRINCIPALS" in text and "WAITS FOR" not in text
    assert told(organisation.day(9)[1]) == {} and active(account, "alice")


def test_who_takes_another_name_while_it_is_to_be_asked_about_is_asked_about_by_the_next_sweep(world):
    """What refuses and is of the user's own doing ends nothing."""
    organisation = Organisation(world)
    account = organisation.account
    account.user("alice")
    organisation.day(0)
    [message] = organisation.sweep(7)
    account.iam.update_user(UserName="alice", NewUserName="bob")
    assert [it["verdict"] for it in organisation.act(message)] == ["Refused"]
    account.iam.update_user(UserName="bob", NewUserName="alice")
    reports, digest = organisation.day(8)
    assert [it["verdict"] for it in reports] == ["Waiting"] and told(digest) == {"alice": ("asked", "failed")}


@pytest.mark.parametrize("first", ["sweep", "security-hub"])
def test_one_user_on_two_lists_is_asked_about_once(world, first):
    organisation = Organisation(world)
    account = organisation.account
    account.user("alice")
    organisation.day(0)
    message = organisation.sweep(7)[0]
    event = json.loads(json.dumps(world.event(MFA_CONTROL)))
    resource = event["detail"]["findings"][0]["Resources"][0]
    user = account.iam.get_user(UserName="alice")["User"]
    resource["Id"] = user["Arn"]
    resource["Details"] = {"AwsIamUser": {"UserName": "alice", "UserId": user["UserId"]}}
    world.finding(event)
    world.alerts()
    asks = [lambda: organisation.act(message), lambda: organisation.hygiene.invoke(event)["reports"]]
    if first == "security-hub":
        asks.reverse()
    [one], [other] = (ask() for ask in asks)
    assert one["request"] == other["request"] and other["verdict"] == "Waiting", (one, other)
    assert len([it for it in subjects(world) if "WAITING" in it]) == 1
    # Whichever it was asked under, the sweep learns what became of it.
    command(organisation.responder, "decline", one["request"])
    assert told(organisation.day(8)[1]) == {"alice": ("ended", "declined")}


def test_what_is_enforced_is_done_without_asking_and_told(world):
    organisation = Organisation(world, PlaybookModes="missing-mfa=enforce")
    account = organisation.account
    account.user("alice")
    organisation.day(0)
    reports, digest = organisation.day(7)
    assert [it["verdict"] for it in reports] == ["Contained"] and active(account, "alice") == []
    assert (digest["release"]["asked"], digest["release"]["enforced"]) == (0, 1)
    assert any("0 to decide, 1 done unasked" in it for it in subjects(world))
    assert told(organisation.day(8)[1]) == {"alice": ("ended", "done")}


def test_what_only_observes_asks_nobody(world):
    organisation = Organisation(world, PlaybookModes="missing-mfa=observe")
    organisation.account.user("alice")
    organisation.day(0)
    reports, digest = organisation.day(7)
    assert reports == [] and told(digest) == {"alice": ("asked", None)}
    [text] = [it["Message"] for it in world.alerts() if "2026-12-06" in it["Subject"]]
    assert "the mode of the others is `observe`" in text


def test_too_much_stops_before_the_first_action_and_a_person_releases_it(world):
    organisation = Organisation(world, SweepMaxActions="1", SweepMaxShare="100", PlaybookModes="missing-mfa=enforce")
    account = organisation.account
    for name in ("alice", "bob"):
        account.user(name)
    organisation.day(0)
    reports, digest = organisation.day(7)
    assert reports == [] and "SWEEP_MAX_ACTIONS is 1" in digest["release"]["stopped"] and iam_writes(world) == []
    [text] = [it["Message"] for it in world.alerts() if "STOPPED" in it["Subject"]]
    assert '"release":{"by":"YOUR NAME","reason":"WHY"}' in text
    # Whoever sends what was not released gets nothing.
    forged = {"command": "sweep-act", "day": day(7), "account": account.id, "problem": "missing-mfa/alice@1577836800"}
    assert organisation.act(forged) == [] and iam_writes(world) == []
    messages = organisation.release(7, by="Dana", reason="a migration")
    assert [organisation.act(it)[0]["verdict"] for it in messages] == ["Contained", "Contained"]
    assert active(account, "alice") + active(account, "bob") == []


@pytest.mark.parametrize("change", [{"problem": "missing-mfa/bob@1577836800"}, {"day": "2026-12-07"}, {"account": "111122223333"}])
def test_a_message_about_what_is_not_in_the_rows_does_nothing(world, change):
    organisation = Organisation(world, PlaybookModes="missing-mfa=enforce")
    organisation.account.user("alice")
    organisation.account.user("bob")
    organisation.account.turn_mfa_on("bob")
    organisation.day(0)
    [message] = organisation.sweep(7)
    assert organisation.act({**message, **change}) == [] and iam_writes(world) == []
    for broken in ({"command": "sweep-act"}, {**message, "mode": "enforce"}, {**message, "day": "today"}):
        assert organisation.hygiene.invoke(broken)["errorType"] == "MalformedEvent"
    assert organisation.responder.invoke(message)["errorType"] == "MalformedEvent"


def test_a_message_that_comes_twice_or_to_two_at_once_asks_once(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    organisation.day(0)
    [message] = organisation.sweep(7)
    world.alerts()
    answers = {organisation.act(message)[0]["request"] for _ in range(3)}
    assert len(answers) == 1 and len([it for it in subjects(world) if "WAITING" in it]) == 1
    command(organisation.responder, "decline", answers.pop())
    # Also after the answer.
    organisation.act(message)
    assert told(organisation.day(8)[1]) == {"alice": ("ended", "declined")}


def test_without_a_key_there_is_nothing_to_ask_for(world):
    organisation = Organisation(world)
    organisation.account.user("alice", keys=0)
    organisation.day(0)
    reports, digest = organisation.day(7)
    assert reports == [] and told(digest) == {"alice": ("overdue", None)}


def test_a_request_that_ran_out_by_itself_is_over_without_a_word(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    [request] = organisation.up_to(7)
    world.alerts()
    Table(world).change(item(world, request), "SET expires_at = :past, due_at = :past", past={"N": "1"})
    organisation.responder.invoke(DUE)
    assert word(world, request) == "expired" and world.alerts() == []
    assert told(organisation.day(8)[1]) == {"alice": ("asked", "expired")}


def test_an_unused_user_that_is_used_again_by_then_keeps_its_keys(world):
    organisation = Organisation(world, SweepActsOn="unused-user", Mode="approve")
    account = organisation.account
    account.user("robot", password=False, key_age=300)
    [key] = active(account, "robot")
    world.control("credential", {"account": account.id, "user": "robot", "key": key, "created": "2026-01-01T00:00:00", "used": "2026-02-01T00:00:00"})
    account.report(forget=True)
    organisation.day(0)
    [report] = organisation.day(7)[0]
    assert report["verdict"] == "Waiting", report["reason"]
    request = report["request"]
    world.control("credential", {"account": account.id, "user": "robot", "key": key, "created": "2026-01-01T00:00:00", "used": "2026-11-28T00:00:00"})
    [report] = command(organisation.responder, "approve", request)["reports"]
    assert report["verdict"] == "Refused" and "used" in report["reason"] and active(account, "robot") == [key]


def test_no_secret_and_no_key_is_in_the_rows(world):
    organisation = Organisation(world)
    organisation.account.user("alice")
    organisation.up_to(7)
    text = json.dumps(rows(world))
    assert "AKIA" not in text and PASSWORD not in text


def test_the_digest_and_the_owners_are_told_in_slack_too(world):
    """Whoever may tag chooses the address: what is sent there has no button and no secret."""
    slack = Slack(world)
    owner, nobody = slack.person(), "U0000000002"
    organisation = Organisation(world, OwnerTag="SecurityOwner", **slack.parameters)
    account = organisation.account
    for name, address in (("alice", owner), ("bob", nobody), ("carol", "carol@example.com")):
        account.user(name)
        account.iam.tag_user(UserName=name, Tags=[{"Key": "securityowner", "Value": address}])
    organisation.day(0)
    table = Table(world)
    slack.due(table)
    world.alerts()
    organisation.responder.invoke(DUE)
    [digest] = [it for it in slack.messages() if "iam-responder sweep" in it["text"]]
    assert "3 warned" in digest["text"] and not buttons(digest)
    [message] = slack.told(owner)
    assert "Your IAM user alice can sign in to the console without MFA" in message["text"] and "7 days" in shown(message)
    assert not buttons(message) and "AKIA" not in json.dumps(message)
    # Whom nobody finds is nobody's alarm, and waits no more.
    assert world.alerts() == [] and not [it for it in table.items("slack#person#") if "waiting" in it]
    organisation.day(1)
    slack.due(table)
    organisation.responder.invoke(DUE)
    assert len(slack.told(owner)) == 1
