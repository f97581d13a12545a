"""The ledger as an administrator sees it, and time that passes in it."""

import json
import time

DUE = {"command": "due"}


class Table:
    def __init__(self, world):
        self.client = world.client("dynamodb", world.security)
        [self.name] = self.client.list_tables()["TableNames"]

    def items(self, prefix=""):
        pages = self.client.get_paginator("scan").paginate(TableName=self.name)
        return [item for page in pages for item in page["Items"] if item["id"]["S"].startswith(prefix)]

    def item(self, prefix):
        [item] = self.items(prefix)
        return item

    def change(self, item, expression, names=None, **values):
        values = {f":{name}": value for name, value in values.items()}
        options = {"ExpressionAttributeValues": values} if values else {}
        options |= {"ExpressionAttributeNames": names} if names else {}
        self.client.update_item(TableName=self.name, Key={"id": item["id"]}, UpdateExpression=expression, **options)

    def due(self):
        """The findings that are on the list."""
        return [json.loads(it["finding"]["S"]) for it in self.items("due#") if "due_bucket" in it]

    def keeps_a_finding(self):
        """A lease that a response has, or left."""
        return any(name.startswith("finding ") for it in self.items("lock#") for name in it)

    def pass_time(self):
        """Every lease runs out, and whatever has a time is due."""
        for item in self.items():
            if "lease_until" in item:
                self.change(item, "SET lease_until = :zero", zero={"N": "0"})
            if item.get("due_bucket", {}).get("S") in ("due", "due lesser"):
                self.change(item, "SET due_at = :zero", zero={"N": "0"})
            if "again_at" in item:
                self.change(item, "SET again_at = :zero", zero={"N": "0"})

    def begun_at(self, item, millis):
        """As if what was approved had been approved then, and begun."""
        begun = json.dumps({**json.loads(item["begun"]["S"]), "at": millis})
        self.change(item, "SET begun = :begun", begun={"S": begun})

    def next_hour(self):
        """The breaker's windows are over."""
        for item in self.items("breaker#"):
            if "principals" in item:
                self.change(item, "REMOVE principals")


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def renamed(event, old, new):
    """The same event about another user."""
    return json.loads(json.dumps(event).replace(f'"{old}"', f'"{new}"'))


def about(world, name, user):
    """A sample about a user of another name than alice, with an ID of its own."""
    event = renamed(world.event(name, user), "alice", user.name)
    event["detail"]["id"] = event["detail"].get("id", "") + user.name
    return event
