"""What Cloud Custodian puts into every function that it deploys (c7n/mu.py)."""

from c7n import handler


def run(event, context):
    return handler.dispatch_event(event, context)
