"""What Slack gets: a thread for each target, in order, whatever Slack does meanwhile; and what it can't do to a
containment."""

import json

import pytest

from .harness.ledger import DUE, Table, about
from .harness.slack import PARAMETER, Slack, kinds, shown
from .harness.victims import User, allowed
from .test_lease import killed
from .test_stolen_sessions import of_function

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
SILENT = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False, "mrkdwn": False}


@pytest.fixture
def slack(world):
    it = Slack(world)
    world.deploy(**it.parameters)
    return it


def contained(world, responder, event):
    [report] = responder.invoke(event)["reports"]
    assert report["verdict"] == "Contained", report
    return report


def posted(report):
    [notice] = [it for it in report["actions"] if it["action"] == "PostToSlack"]
    return notice


def again(event, number):
    """The same behaviour, reported anew."""
    event = json.loads(json.dumps(event))
    event["detail"]["id"] += f"-{number}"
    event["detail"]["service"]["eventLastSeen"] = f"2026-11-20T19:1{number}:48.000Z"
    return event


def test_a_containment_is_one_message_and_a_restore_answers_it(world, slack):
    user, responder = User(world), world.responder()
    report = contained(world, responder, world.event(EXFILTRATION, user))
    assert posted(report)["outcome"] == "applied"
    [message] = slack.messages()
    assert user.id in shown(message) and "AWSDenyAll" in shown(message) and message["flags"] == SILENT
    [alert] = world.alerts()  # The topic has it as ever.
    assert alert["Subject"] in message["text"]

    restored = world.responder(part="restorer").invoke(world.restore_command())["restore"]
    assert restored["verdict"] == "Restored"
    assert posted(restored)["outcome"] == "later" and len(slack.messages()) == 1  # Its role has no token.
    responder.invoke(DUE)
    [(_, [answer])] = slack.threads()
    assert answer.startswith("Restore: restored: user alice")
    assert "waiting" not in Table(world).item("slack#") and len(world.alerts()) == 1


LATER = {
    "a rate limit": {"retry_after": 30},
    "a fault of Slack's": {"error": "internal_error"},
    "a fault that may have done it": {"error": "fatal_error"},
    "a gateway's page": {"html": True, "status": 502},
    "a connection that breaks": {"reset": "before"},
    "a connection that breaks after Slack has it": {"reset": "after"},
}


@pytest.mark.parametrize("trouble", LATER)
def test_what_slack_does_not_take_now_it_gets_later(world, slack, trouble):
    user, responder = User(world), world.responder()
    slack.fault(times=1, **LATER[trouble])
    report = contained(world, responder, world.event(EXFILTRATION, user))
    assert posted(report)["outcome"] == "later" and len(world.alerts()) == 1
    responder.invoke(DUE)
    assert len(slack.calls()) == 1  # Not before its time.
    table = Table(world)
    slack.due(table)
    responder.invoke(DUE)
    # That it is there twice is better than that it is not.
    assert len(slack.messages()) == (2 if "Slack has it" in trouble else 1)
    assert "waiting" not in table.item("slack#") and world.alerts() == []


def test_a_channel_that_takes_one_message_a_second_gets_all_of_them(world, slack):
    """In one run of the schedule."""
    users = [User(world, name=name, groups=()) for name in ("alice", "bob", "carol")]
    responder = world.responder()
    slack.fault(times=1, error="internal_error")
    for user in users:
        contained(world, responder, about(world, EXFILTRATION, user) if user.name != "alice" else world.event(EXFILTRATION, user))
    slack.fault(times=2, retry_after=1)
    slack.due(Table(world))
    responder.invoke(DUE)
    assert len(slack.threads()) == 3


@pytest.mark.seconds(5)
def test_slack_that_hangs_holds_up_nothing_of_a_containment(world, slack):
    user, responder = User(world), world.responder()
    slack.fault(times=1, hold=True)
    report = contained(world, responder, world.event(EXFILTRATION, user))
    slack.release()
    [call] = slack.calls()
    of_iam = [it for it in world.journal() if it["action"].startswith("iam:") and it["is_ours"]]
    assert all(it["ended"] < call["began"] for it in of_iam)  # The deny, and what the verdict is from.
    assert report["round_trips"]["first_barrier"] == 3
    assert posted(report)["outcome"] == "later" and len(world.alerts()) == 1
    # The next one does not wait for it again.
    contained(world, responder, again(world.event(EXFILTRATION, user), 1))
    assert len(slack.calls()) == 1


def test_what_waits_is_sent_in_order(world, slack):
    alice, bob, responder = User(world), User(world, name="bob"), world.responder()
    slack.fault(times=1, error="service_unavailable")
    event = world.event(EXFILTRATION, alice)
    contained(world, responder, event)
    # While the first waits, the next of the same thread is behind it, and never before it.
    world.iam.update_access_key(UserName="alice", AccessKeyId=alice.keys[1]["AccessKeyId"], Status="Active")
    contained(world, responder, again(event, 1))
    restored = world.responder(part="restorer").invoke(world.restore_command())["restore"]
    assert restored["verdict"] == "Restored" and slack.messages() == []
    contained(world, responder, about(world, EXFILTRATION, bob))
    slack.due(Table(world))
    responder.invoke(DUE)
    threads = dict(slack.threads())
    of = {name: next(it for it in threads if f"contained: user {name}" in it) for name in ("alice", "bob")}
    assert len(threads) == 2 and threads[of["bob"]] == []
    second, third = threads[of["alice"]]
    assert "Seen: 2026-11-20T09:12:48Z" in of["alice"] and "Seen: 2026-11-20T19:11:48Z" in second
    assert third.startswith("Restore: restored")


CONFIGURATION = ["channel_not_found", "not_in_channel", "is_archived", "restricted_action_read_only_channel", "ekm_access_denied"]


@pytest.mark.parametrize("error", CONFIGURATION)
def test_people_are_told_once_when_slack_is_not_set_up(world, slack, error):
    user, responder, table = User(world), world.responder(), Table(world)
    slack.fault(times=2, error=error)
    report = contained(world, responder, world.event(EXFILTRATION, user))
    assert posted(report)["outcome"] == "later"
    slack.due(table)
    responder.invoke(DUE)
    alerts = {it["Subject"]: it for it in world.alerts()}
    assert len(alerts) == 2 and "SLACK_CHANNEL" in alerts[f"Slack does not take the alerts: {error}"]["Message"]
    assert slack.messages() == []
    slack.due(table)  # Somebody mended it.
    responder.invoke(DUE)
    assert len(slack.messages()) == 1 and world.alerts() == []


def reads_of_the_token(world):
    return [it for it in world.journal() if it["action"] == "ssm:GetParameter"]


def test_a_token_that_was_rotated_is_read_anew(world, slack):
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    contained(world, responder, event)
    assert len(reads_of_the_token(world)) == 1
    slack.rotate()
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"], Status="Active")
    report = contained(world, responder, again(event, 1))
    assert posted(report)["outcome"] == "applied" and len(reads_of_the_token(world)) == 2
    [(_, replies)] = slack.threads()
    assert len(replies) == 1


@pytest.mark.parametrize("error", ["invalid_auth", "token_expired", "missing_scope"])
def test_a_token_that_slack_refuses_is_read_once_more_and_then_an_alarm(world, slack, error):
    user, responder, table = User(world), world.responder(), Table(world)
    slack.fault(times=3, error=error)
    contained(world, responder, world.event(EXFILTRATION, user))
    for _ in range(2):
        slack.due(table)
        responder.invoke(DUE)
    # Whoever brings about refusals does not bring about reads.
    assert len(reads_of_the_token(world)) == 2
    alarms = [it for it in world.alerts() if "Slack" in it["Subject"]]
    assert len(alarms) == 1 and "SLACK_TOKEN_PARAMETER" in alarms[0]["Message"]
    slack.due(table)
    responder.invoke(DUE)
    assert len(slack.messages()) == 1


def test_a_token_that_is_not_there_holds_up_no_containment(world, slack):
    user, responder, table = User(world), world.responder(), Table(world)
    world.fault("ssm:GetParameter", "ParameterNotFound", times=1)
    report = contained(world, responder, world.event(EXFILTRATION, user))
    assert posted(report)["outcome"] == "later" and slack.calls() == []
    assert len([it for it in world.alerts() if "Slack" in it["Subject"]]) == 1
    world.fault("ssm:GetParameter", "ThrottlingException", times=4)
    slack.due(table)
    assert "errorType" not in responder.invoke(DUE) and slack.calls() == []
    slack.due(table)
    world.responder().invoke(DUE)
    assert len(slack.messages()) == 1


def test_what_slack_finds_unfit_is_sent_as_plain_text(world, slack):
    user, responder = User(world), world.responder()
    slack.fault(times=1, error="msg_blocks_too_long")
    assert posted(contained(world, responder, world.event(EXFILTRATION, user)))["outcome"] == "applied"
    [message] = slack.messages()
    assert message["blocks"] == [] and "user alice" in message["text"] and message["flags"] == SILENT


def test_what_slack_never_takes_does_not_stand_before_the_next(world, slack):
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    slack.fault(times=2, error="invalid_arguments")  # With blocks, and without.
    contained(world, responder, event)
    assert "Slack does not take the alerts: invalid_arguments" in [it["Subject"] for it in world.alerts()]
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"], Status="Active")
    contained(world, responder, again(event, 1))
    assert len(slack.messages()) == 1 and "waiting" not in Table(world).item("slack#")


def test_a_thread_that_somebody_deleted_begins_anew(world, slack):
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    contained(world, responder, event)
    table = Table(world)
    table.change(table.item("slack#"), "SET thread_ts = :gone", gone={"S": "1500000000.000001"})
    for number in (1, 2):
        world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"], Status="Active")
        contained(world, responder, again(event, number))
    assert [len(replies) for _, replies in slack.threads()] == [0, 1]


def test_another_channel_has_threads_of_its_own(world, slack):
    user = User(world)
    event = world.event(EXFILTRATION, user)
    contained(world, world.responder(), event)
    first, slack.channel = slack.channel, "C0987654321"
    slack.control("team", channels=[slack.channel])
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"], Status="Active")
    before = len(slack.messages())
    contained(world, world.responder(SLACK_CHANNEL=slack.channel), again(event, 1))
    assert first != slack.channel and "thread_ts" not in slack.messages()[before]


def test_a_function_that_is_killed_while_it_posts_loses_nothing(world, slack):
    user, table = User(world), Table(world)
    slack.fault(times=1, hold=True)
    killed(world, world.event(EXFILTRATION, user), slack.calls)
    slack.release()
    table.pass_time()
    slack.due(table)
    responder = world.responder()
    responder.invoke(DUE)
    texts = [it["text"] for it in slack.messages()]
    assert 1 <= len(texts) <= 3 and all("user alice" in it for it in texts)
    assert "waiting" not in table.item("slack#")


def test_a_finding_that_comes_again_is_no_second_message(world, slack):
    """Also where the topic's alert failed, and all of it is tried again."""
    user, responder = User(world), world.responder()
    event = world.event(EXFILTRATION, user)
    world.fault("sns:Publish", "AuthorizationError", status=403, times=1)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    contained(world, responder, event)
    contained(world, responder, event)
    assert len(slack.messages()) == 1 and len(world.alerts()) == 1


def test_without_a_topic_only_what_slack_has_counts_as_told(world, slack):
    user, table = User(world), Table(world)
    event = world.event("security-hub-guardduty-exfiltration-iam-user-anomalous-behavior", user)
    finding = world.finding(event)
    responder = world.responder(ALERT_TOPIC_ARN="", OPS_ITEMS="false")
    slack.fault(times=1, error="internal_error")
    contained(world, responder, event)
    assert finding()["Workflow"]["Status"] == "NEW" and len(table.due()) == 1
    table.pass_time()
    slack.due(table)
    responder.invoke(DUE)
    if table.due():  # Both are due at once: whichever came first.
        table.pass_time()
        responder.invoke(DUE)
    assert len(slack.messages()) == 1 and finding()["Workflow"]["Status"] == "NOTIFIED" and table.due() == []


def test_too_many_that_wait_are_counted(world, slack):
    user, responder, table = User(world), world.responder(), Table(world)
    event = world.event(EXFILTRATION, user)
    slack.fault(times=1, error="internal_error")
    contained(world, responder, event)
    item = table.item("slack#")
    table.change(item, "SET waiting = :many, due_at = :far", many={"L": item["waiting"]["L"] * 20}, far={"N": "9" * 13})
    world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"], Status="Active")
    assert posted(contained(world, world.responder(SLACK_TOKEN_PARAMETER="/not/there"), again(event, 1)))["outcome"] == "later"
    slack.due(table)
    responder.invoke(DUE)
    assert len(slack.messages()) == 21 and slack.messages()[-1]["text"].startswith("And 1 more messages")
    assert not {"waiting", "left_out"} & table.item("slack#").keys()


HOSTILE = "<!channel> <@U012AB3CD> *bold* `code` <https://evil.example|here> & \u202eevil\u200b :skull:"


def test_names_and_titles_are_inert(world, slack):
    user = User(world, name="@channel")
    event = json.loads(json.dumps(world.event(EXFILTRATION, user)).replace('"alice"', '"@channel"'))
    event["detail"]["title"] = HOSTILE
    contained(world, world.responder(), event)
    [message] = slack.messages()
    assert kinds(message) == {"plain_text", "text"}  # `text` is a run of rich text; no mrkdwn.
    assert "<!channel> <@U012AB3CD> *bold*" in shown(message)  # As it is written, and nothing more.
    assert "&lt;!channel&gt; &lt;@U012AB3CD&gt;" in message["text"] and not set("<>\u202e\u200b") & set(message["text"])
    assert "\u202e" not in shown(message) and message["flags"] == SILENT


def test_what_nobody_is_contained_for_is_posted_too(world, slack):
    user, responder = User(world), world.responder()
    tor = world.event("guardduty-unauthorized-access-iam-user-tor-ip-caller-medium", user)
    for _ in range(2):
        responder.invoke(tor)
    [message] = slack.messages()
    assert "not contained: user alice" in message["text"] and "| aws lambda invoke" in shown(message)
    responder.invoke(world.event("guardduty-discovery-iam-user-anomalous-behavior-low", user))
    responder.invoke({"command": "digest"})
    assert slack.messages()[1]["text"].startswith("Hourly digest: 1 findings") and "thread_ts" not in slack.messages()[1]
    # The same thread, by the unique ID.
    contained(world, responder, world.event(EXFILTRATION, user))
    assert slack.messages()[2]["thread_ts"] == message["ts"]


def test_what_is_contained_in_the_hygiene_function_is_posted_by_the_responder(world, slack):
    user = User(world)
    event = world.event("security-hub-iam-8-unused-credentials", user)
    world.finding(event)
    report = contained(world, world.responder(part="hygiene"), event)
    assert posted(report)["outcome"] == "later" and len(world.alerts()) == 1
    world.responder().invoke(DUE)
    assert len(slack.messages()) == 1


def test_in_observe_mode_nothing_is_posted(world, slack):
    user = User(world)
    [report] = world.responder(MODE="observe").invoke(world.event(EXFILTRATION, user))["reports"]
    assert posted(report)["outcome"] == "planned" and slack.calls() == []


@pytest.mark.seconds(16)
def test_a_drill_that_failed_is_posted(world):
    slack = Slack(world)
    world.deploy(DrillAccount=world.member, SettleSeconds="2", **slack.parameters)
    answer = world.responder(part="driller", timeout=25).invoke({"command": "drill"})
    assert answer["errorType"] == "ResponseIncomplete"
    world.responder().invoke(DUE)
    [message] = slack.messages()
    assert "DRILL FAILED" in message["text"]


def test_the_token_is_nowhere_but_in_the_request(world, slack):
    user, responder = User(world), world.responder(AWS_LAMBDA_LOG_LEVEL="TRACE")
    seen = []
    for error in ("invalid_auth", "channel_not_found", "invalid_blocks", "internal_error"):
        slack.fault(times=1, error=error)
        world.iam.update_access_key(UserName="alice", AccessKeyId=user.keys[1]["AccessKeyId"], Status="Active")
        seen.append(responder.invoke(again(world.event(EXFILTRATION, user), len(seen))))
        slack.due(Table(world))
        seen.append(responder.invoke(DUE))
    seen += [responder.output(), world.alerts(), slack.messages(), Table(world).items(), world.ops_items()]
    assert len(slack.messages()) >= 3
    assert slack.token not in json.dumps(seen, default=str) and slack.token[5:] not in json.dumps(seen, default=str)


def test_no_other_function_can_read_the_token(world, slack):
    for function in ("iam-responder-hygiene", "iam-responder-restorer"):
        ssm = of_function(world, function, "ssm")
        assert not allowed(ssm.get_parameter, Name=PARAMETER, WithDecryption=True)
    ssm = of_function(world, "iam-responder", "ssm")
    assert allowed(ssm.get_parameter, Name=PARAMETER, WithDecryption=True)
    assert not allowed(ssm.get_parameter, Name=f"{PARAMETER}-of-another", WithDecryption=True)
