"""What Slack gets: a thread for each target, in order, whatever Slack does meanwhile; and what it can't do to a
containment."""

import json

import pytest

from .harness.ledger import DUE, Table
from .harness.slack import Slack, kinds, shown
from .harness.victims import User

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
