"""SQS between rules and functions: what a queue's policy lets in, and how Lambda polls it.

Polled is a queue whose function a test registered: by as many at once as there are emulators, at most the
mapping's maximum concurrency. A message whose function failed is visible again when its time is up, and
in the dead-letter queue after as many tries as the queue says.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import json
import threading
import time

from moto.awslambda.models import LambdaBackend, lambda_backends
from moto.iam.models import iam_backends
from moto.sqs.models import sqs_backends
from moto.utilities.utils import get_partition

from . import authorization
from .policy import evaluate

# By the function's ARN.
MAPPINGS = {}
POLLING = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def send(rule_arn, queue_arn, event):
    """Whether it got there: only if the queue's policy lets the rule."""
    _, _, _, region, account, name = queue_arn.split(":")
    policy = sqs_backends[account][region].get_queue(name).policy or {"Statement": []}
    facts = {"aws:sourcearn": rule_arn, "aws:sourceaccount": rule_arn.split(":")[4]}
    if evaluate([policy], "sqs:SendMessage", [queue_arn], facts, {"service": "events.amazonaws.com"}) == "allow":
        sqs_backends[account][region].send_message(name, json.dumps(event))
        return True
    return False


def poll(function_arn, pool, invoke, delivered):
    """Until the pool is no longer the function's: `invoke` answers with what the function did, or none."""
    mapping = MAPPINGS.get(function_arn)
    if mapping is None:
        return
    for _ in range(min(pool.size, mapping["maximum"])):
        threading.Thread(target=_poll, args=(function_arn, mapping, pool, invoke, delivered), daemon=True).start()


def _poll(function_arn, mapping, pool, invoke, delivered):
    _, partition, _, region, account, name = mapping["queue"].split(":")
    backend = sqs_backends[account][region]
    role = iam_backends[account][get_partition(region)].get_role_by_arn(lambda_backends[account][region].get_function(function_arn).role)
    if not all(authorization.role_may(role, action, mapping["queue"]) for action in POLLING):
        return
    while not pool.closed:
        queue = backend.get_queue(name)
        messages = backend.receive_message(name, mapping["batch"], 0, queue.visibility_timeout) if queue._messages else []
        if not messages:
            time.sleep(0.02)
            continue
        records = [
            {
                "messageId": message.id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.approximate_receive_count)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": mapping["queue"],
                "awsRegion": region,
            }
            for message in messages
        ]
        delivered.extend({"function": function_arn, "message": record["messageId"]} for record in records)
        answer = invoke(pool, {"Records": records})
        if answer is not None and "errorType" not in answer:
            for message in messages:
                backend.delete_message(name, message.receipt_handle)


def waiting(function_arn):
    _, _, _, region, account, name = MAPPINGS[function_arn]["queue"].split(":")
    return len(sqs_backends[account][region].get_queue(name)._messages)


def _mapped(original):
    def create(self, spec):
        esm = original(self, spec)
        _, _, _, region, account, name = esm.event_source_arn.split(":")
        # moto would run the function in a container, with each message that is sent.
        sqs_backends[account][region].get_queue(name).lambda_event_source_mappings.clear()
        scaling = esm.scaling_config or {}
        MAPPINGS[esm.function_arn] = {
            "queue": esm.event_source_arn,
            "batch": int(esm.batch_size),
            "maximum": int(scaling.get("MaximumConcurrency", 1000)),
        }
        return esm

    return create


def install():
    LambdaBackend.create_event_source_mapping = _mapped(LambdaBackend.create_event_source_mapping)
