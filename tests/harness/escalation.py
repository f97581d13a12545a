"""Whom a critical alert is repeated to: the operator's own topic, with a subscriber."""

import json
import time

from .ledger import Table


class Escalation:
    """Before `world.deploy(**escalation.parameters)`."""

    def __init__(self, world):
        self.world = world
        self.topic = world.client("sns", world.security).create_topic(Name="pagers")["TopicArn"]
        self.inbox = world.client("sqs", world.security).create_queue(QueueName="pagers")["QueueUrl"]
        queue = f"arn:{world.partition}:sqs:{world.region}:{world.security}:pagers"
        world.client("sns", world.security).subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue)
        self.parameters = {"EscalationTopicArn": self.topic}

    def pages(self):
        """What the subscriber got since the last time."""
        messages = self.world.client("sqs", self.world.security).receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10)
        return [json.loads(it["Body"]) for it in messages.get("Messages", [])]

    def items(self):
        return Table(self.world).items("ack#")

    def alert(self):
        """The ID of the one critical alert."""
        [item] = self.items()
        return item["id"]["S"].removeprefix("ack#")

    def pass_time(self, minutes=0):
        """A quarter of an hour, so many minutes more, and every lease."""
        for item in self.items():
            values = {"zero": {"N": "0"}, "past": {"N": str(int(time.time() * 1000) - 1 - minutes * 60_000)}}
            due = ", due_at = :zero" if "due_at" in item else ""
            Table(self.world).change(item, f"SET repeats_at = :past, lease_until = :zero{due}", **values)

    def fall_due(self):
        """Each is listed now, whenever it is to be repeated."""
        for item in self.items():
            Table(self.world).change(item, "SET due_at = :zero", zero={"N": "0"})
