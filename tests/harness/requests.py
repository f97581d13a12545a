"""Requests for approval, as people and other functions handle them."""

from .ledger import Table, about

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def ask(world, responder, user, event=EXFILTRATION):
    """The request's ID."""
    [report] = responder.invoke(about(world, event, user))["reports"]
    assert report["verdict"] == "Waiting", report
    return report["request"]


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
