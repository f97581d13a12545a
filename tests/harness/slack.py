"""A workspace of Slack for one world: its channel, its token in the parameter store, what stands in the channel."""

import json
import random

PARAMETER = "/iam-responder/slack-token"
SETTINGS = {"SlackTokenParameter": PARAMETER}


class Slack:
    """Before `world.deploy(**slack.parameters)`."""

    def __init__(self, world):
        self.world = world
        self.channel = f"C{random.SystemRandom().randrange(10**9, 10**10)}"
        self.parameters = {"SlackChannel": self.channel, **SETTINGS}
        self.token = None
        self.rotate()

    def rotate(self):
        """A new token in the parameter store; Slack takes the old one no more."""
        old, self.token = self.token, f"xoxb-{random.SystemRandom().randrange(10**20):020}-secret"
        self.control("team", token=self.token, channels=[self.channel])
        if old:
            self.control("team", token=old, revoked=True)
        ssm = self.world.client("ssm", self.world.security)
        ssm.put_parameter(Name=PARAMETER, Value=self.token, Type="SecureString", Overwrite=True)

    def person(self):
        """The ID of somebody whom the app can write to: one that no other test's messages stand with."""
        user = f"U{random.SystemRandom().randrange(10**9, 10**10)}"
        self.control("team", token=self.token, channels=[self.channel, user])
        return user

    def control(self, path, **body):
        return self.world.control(f"slack/{path}", {"token": self.token, **body})

    def fault(self, **fields):
        self.control("fault", token=self.token, **fields)

    def release(self):
        self.control("release")

    def calls(self):
        return self.world.control(f"slack/calls?token={self.token}")

    def messages(self, channel=None):
        return self.world.control(f"slack/channel?channel={channel or self.channel}")

    def told(self, person):
        """The messages that stand between the app and a person."""
        return self.messages("D" + person[1:])

    def cards(self, channel=None):
        """The messages about requests."""
        return [it for it in self.messages(channel) if "Asked by: " in shown(it) or buttons(it)]

    def delete(self, message):
        self.control("delete", channel=self.channel, ts=message["ts"])

    def threads(self):
        """The texts of the channel: what began each thread, and what was answered to it."""
        messages = self.messages()
        replies = lambda ts: [it["text"] for it in messages if it.get("thread_ts") == ts]  # noqa: E731
        return [(it["text"], replies(it["ts"])) for it in messages if "thread_ts" not in it]

    def due(self, table):
        """Whatever waits for Slack may be sent now."""
        for item in table.items("slack#"):
            if "due_bucket" in item:
                table.change(item, "SET due_at = :zero, lease_until = :zero", zero={"N": "0"})


def shown(message):
    """Everything that a reader of the blocks sees, one run after the other."""
    found = []

    def walk(it):
        if isinstance(it, dict):
            found.extend([it["text"]] if isinstance(it.get("text"), str) else [])
            [walk(value) for value in it.values()]
        elif isinstance(it, list):
            [walk(value) for value in it]

    walk(message.get("blocks", []))
    return "\n".join(found)


def buttons(message):
    """What each button says when it is clicked, by its action."""
    actions = [it for block in message.get("blocks", []) if block["type"] == "actions" for it in block["elements"]]
    return {it["action_id"]: it["value"] for it in actions}


def kinds(message):
    """The types of the elements that hold text."""
    return {it["type"] for it in _with_text(json.loads(json.dumps(message.get("blocks", []))))}


def _with_text(it):
    if isinstance(it, dict):
        if isinstance(it.get("text"), str):
            yield it
        for value in it.values():
            yield from _with_text(value)
    elif isinstance(it, list):
        for value in it:
            yield from _with_text(value)
