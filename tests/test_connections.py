"""Connections on the way to the deny: opened ahead, kept from event to event, and not trusted once they
were idle for long."""

import time
from urllib.parse import urlparse

import pytest

from .harness.proxy import Proxy
from .harness.victims import User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


@pytest.fixture
def proxy(world):
    address = urlparse(world.url)
    proxy = Proxy((address.hostname, address.port), delay=0.02)
    yield proxy
    proxy.close()


def denied(world, responder, user):
    """Seconds from the event to the deny, and when both were."""
    event = world.event(EXFILTRATION, user)
    event["detail"]["resource"]["accessKeyDetails"] |= {"userName": user.name}
    seen = len(world.journal())
    sent = time.time()
    answer = responder.invoke(event)
    assert answer["reports"][0]["verdict"] == "Contained", answer
    deny = next(call for call in world.journal()[seen:] if call["action"] == "iam:AttachUserPolicy")
    return deny["ended"] - sent, sent, deny["ended"]


PATH = ("GetUser", "ListAccessKeys", "ListAttachedUserPolicies", "AttachUserPolicy", "UpdateAccessKey")


def on_path(proxy, user, before):
    """Every call on the way to the user's deny went over a connection that was open before."""
    for action in PATH:
        opened = proxy.opened_for(f"Action={action}&Version=2010-05-08&UserName={user}")
        assert opened and min(opened) < before, (action, opened, before)
    assert min(proxy.opened_for("Action=AssumeRole")) < before
    assert min(proxy.opened_for("DynamoDB_20120810.UpdateItem")) < before


def test_a_warm_response_opens_no_connection_before_its_deny(world, proxy):
    world.deploy()
    responder = world.responder(ENDPOINT_URL=proxy.url)
    users = [User(world, name=name, groups=()) for name in ("alice", "bob")]
    denied(world, responder, users[0])
    _, sent, _ = denied(world, responder, users[1])
    on_path(proxy, "bob", sent)


def test_the_connections_to_the_first_deny_are_open_before_the_event(world, proxy):
    world.deploy()
    responder = world.responder(ENDPOINT_URL=proxy.url)
    denied(world, responder, User(world))
    # The emulator starts the process with the first event: the connections come first.
    [first] = proxy.opened_for("Action=AssumeRole")
    on_path(proxy, "alice", first + 0.02)


@pytest.mark.seconds(10)
@pytest.mark.parametrize("breaks", ["reset", "drop"])
def test_connections_that_died_between_two_events_hold_nothing_up(world, proxy, breaks):
    world.deploy()
    users = [User(world, name=name, groups=()) for name in ("alice", "bob")]
    responder = world.responder(ENDPOINT_URL=proxy.url)
    cold, _, _ = denied(world, responder, users[0])
    getattr(proxy, breaks)()
    # As long as nothing is trusted any more; Lambda's freezes are longer.
    time.sleep(4.1)
    again, _, _ = denied(world, responder, users[1])
    assert again < cold * 1.2 + 0.05, (again, cold)
