"""Requests for approval, as people and other functions handle them."""

import json
import time

from .ledger import Table, about
from .victims import User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def deploy(world, **parameters):
    world.deploy(Mode="approve", **parameters)
    return world.responder()


def ask(world, responder, user, event=EXFILTRATION):
    """The request's ID."""
    [report] = responder.invoke(about(world, event, user))["reports"]
    assert report["verdict"] == "Waiting", report
    return report["request"]


def struck(world, **parameters):
    """A user that is denied everything while people are asked."""
    responder = deploy(world, StrikeWhileWaiting="true", **parameters)
    user = User(world)
    return responder, user, ask(world, responder, user)


def command(responder, word, request, by="Dana", reason="looked at it"):
    return responder.invoke({"command": word, "request": request, "by": by, "reason": reason})


def item(world, request):
    return Table(world).item(f"request#{request}")


def word(world, request):
    return item(world, request)["state"]["S"]


def wake_up(world, request, **changes):
    event = {**world.event("front-request"), "detail": {"request": request}}
    return {**event, "account": world.security, **changes}


def iam_writes(world):
    return [it for it in world.writes() if it.startswith("iam:")]


def written(world, request, decision="approve", **changes):
    """A decision as another function writes it, of whom nobody was woken."""
    values = {"decision": {"S": decision}, "decided_by": {"S": "slack Dana"}, "decided_at": {"N": str(int(time.time() * 1000))}, "due_at": {"N": "0"}, "approvers": {"SS": ["slack:T1/U9"]}, **changes}
    table = Table(world)
    expression = "SET " + ", ".join(f"{name} = :{name}" for name in values)
    table.change(item(world, request), expression, **values)


def report(world, request="b" * 26, **fields):
    """A report as the form's function keeps it."""
    reported = {"account": world.member, "text": "I pushed my key", "by": "dana", "network": "192.0.2.0/24", "at": int(time.time() * 1000), **fields}
    table = Table(world)
    item = {"id": {"S": f"report#{request}"}, "reported": {"S": json.dumps(reported)}, "unread_bucket": {"S": "report"}, "unread_since": {"N": "0"}}
    table.client.put_item(TableName=table.name, Item=item)
    return request
