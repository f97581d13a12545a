"""EventBridge: what services and PutEvents say reaches the rules' targets: functions, and the buses of
other accounts.

A function is there when a test registered where it listens. Lambda's asynchronous invocation follows:
retries, without AWS's minutes between them, then the on-failure destination.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import collections
import copy
import datetime as dt
import json
import queue
import re
import threading
import urllib.error
import urllib.request
import uuid

from moto.awslambda.models import lambda_backends
from moto.core.common_models import CloudFormationModel
from moto.events.models import EventBus, EventsBackend, Rule, events_backends
from moto.iam.models import iam_backends
from moto.sqs.models import sqs_backends
from moto.utilities.utils import get_partition

from . import authorization, queues
from .facts import ORGANISATION
from .policy import evaluate

# Where functions listen, by ARN.
FUNCTIONS = {}
# What a function does with events that it failed on, by its name.
INVOKE_CONFIGS = {}
BUS_POLICIES = {}
# CloudTrail takes seconds to minutes. By account; nothing is waited for where it is not set.
CLOUDTRAIL_SECONDS = {}
# The events that functions were handed, by the functions' account.
_DELIVERIES = collections.defaultdict(list)
# How much is going on behind an account's calls.
_UNDER_WAY = collections.Counter()
_ENDED = threading.Condition()


def matches(pattern, event):
    """AND over fields, OR over values; fields of a list's objects are looked for in all of them.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html"""
    for key, wanted in pattern.items():
        found = [node[key] for node in _objects(event) if key in node]
        if isinstance(wanted, dict):
            if not any(matches(wanted, it) for it in found):
                return False
        else:
            values = [value for it in found for value in (it if isinstance(it, list) else [it])]
            if not any(_one(condition, values) for condition in wanted):
                return False
    return True


def _objects(node):
    return [it for it in (node if isinstance(node, list) else [node]) if isinstance(it, dict)]


def _one(condition, values):
    if not isinstance(condition, dict):
        return condition in values
    [(operator, argument)] = condition.items()
    texts = [value for value in values if isinstance(value, str)]
    if operator == "exists":
        return bool(values) == argument
    if operator == "prefix":
        return any(text.startswith(argument) for text in texts)
    if operator == "wildcard":
        pattern = ".*".join(map(re.escape, argument.split("*")))
        return any(re.fullmatch(pattern, text, re.S) for text in texts)
    if operator == "suffix":
        return any(text.endswith(argument) for text in texts)
    if operator == "anything-but":
        # A field must be there, and one of its values none of these; what is no text is none of any text.
        [(inner, excluded)] = argument.items() if isinstance(argument, dict) else [(None, argument)]
        excluded = excluded if isinstance(excluded, list) else [excluded]
        conditions = [{inner: it} if inner else it for it in excluded]
        return any(not any(_one(condition, [value]) for condition in conditions) for value in values)
    raise NotImplementedError(f"the pattern operator {operator}")


def _in_background(account, work, *arguments, after=0):
    def run():
        try:
            work(*arguments)
        finally:
            with _ENDED:
                _UNDER_WAY[account] -= 1
                _ENDED.notify_all()

    with _ENDED:
        _UNDER_WAY[account] += 1
    timer = threading.Timer(after, run)
    timer.daemon = True
    timer.start()


def deliveries(account):
    """The events that the account's functions were handed, once all that is under way has ended."""
    with _ENDED:
        _ENDED.wait_for(lambda: not _UNDER_WAY[account], 60)
        return list(_DELIVERIES[account])


def emit(account, region, source, detail_type, detail):
    """A service speaks: to the default bus of the account."""
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": _iso(dt.datetime.now(dt.timezone.utc)),
        "region": region,
        "resources": [],
        "detail": detail,
    }
    _to_bus(account, region, "default", event)


def _iso(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _to_bus(account, region, name, event):
    for rule in list(events_backends[account][region].describe_event_bus(name).rules.values()):
        rule.send_to_targets(event)


def send_to_targets(rule, original_event, transform_input=True):
    event = {key: value for key, value in original_event.items() if key != "ingestion-time"}
    if isinstance(event["time"], (int, float)):
        event["time"] = _iso(dt.datetime.fromtimestamp(event["time"], dt.timezone.utc))
    pattern = rule.event_pattern.get_pattern()
    if rule.state == "DISABLED" or not pattern or not matches(pattern, event):
        return
    for target in rule.targets:
        if ":event-bus/" in target["Arn"]:
            if not _forward(target, event):
                _keep_undelivered(rule, target, event)
        elif ":sqs:" in target["Arn"]:
            if not queues.send(rule.arn, target["Arn"], event):
                _keep_undelivered(rule, target, event)
        elif target["Arn"] in FUNCTIONS:
            account = target["Arn"].split(":")[4]
            _DELIVERIES[account].append({"function": target["Arn"], "event": event["id"]})
            _in_background(account, invoke_later, target["Arn"], copy.deepcopy(event))


def _forward(target, event):
    """Whether it got there: only if the rule's role may, and the bus is there and lets it. An event
    keeps its account, region and ID."""
    arn = target["Arn"]
    _, partition, _, region, account, resource = arn.split(":", 5)
    role = iam_backends[target["RoleArn"].split(":")[4]][partition].get_role_by_arn(target["RoleArn"])
    known = {"aws:sourceaccount": event["account"], "aws:principalorgid": ORGANISATION}
    trusted = evaluate([role.assume_role_policy_document], "sts:AssumeRole", [role.arn], known, {"service": "events.amazonaws.com"})
    may = authorization.role_may(role, "events:PutEvents", arn)
    lets = evaluate([BUS_POLICIES.get(arn, {"Statement": []})], "events:PutEvents", [arn], known, {"arns": {role.arn}})
    if not (trusted == "allow" and may and lets == "allow"):
        return False
    _to_bus(account, region, resource.removeprefix("event-bus/"), event)
    return True


def _keep_undelivered(rule, target, event):
    """In the target's dead-letter queue, if that lets the rule.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"""
    queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if queue_arn:
        queues.send(rule.arn, queue_arn, event)


def invoke(arn, event):
    """What the function answers: by the first of its emulators that is free."""
    return _call(FUNCTIONS.get(arn), event)


def invoke_in_background(arn, event):
    """An asynchronous invocation, which `deliveries` waits for."""
    _in_background(arn.split(":")[4], invoke_later, arn, event)


def invoke_later(arn, event):
    account, name = arn.split(":")[4], arn.split(":")[6]
    config = INVOKE_CONFIGS.get((account, name), {})
    answer = None
    for _ in range(1 + int(config.get("MaximumRetryAttempts", 2))):
        answer = invoke(arn, event)
        if answer is not None and "errorType" not in answer:
            return
    destination = config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if destination:
        _keep(arn, destination, event, answer)


class Pool:
    """The emulators of a function. Each takes one invocation at a time."""

    def __init__(self, urls):
        self.size, self.closed = len(urls), False
        self._free = queue.SimpleQueue()
        for url in urls:
            self._free.put(url)

    def call(self, event):
        url = self._free.get()
        try:
            return None if self.closed else _post(url, event)
        finally:
            self._free.put(url)


def register(arn, urls):
    """From now on the function listens there, or nowhere."""
    old = FUNCTIONS.pop(arn, None)
    if old:
        old.closed = True
    if urls:
        FUNCTIONS[arn] = Pool(urls)
        queues.poll(arn, FUNCTIONS[arn], _call, _DELIVERIES[arn.split(":")[4]])


def _call(pool, event):
    return None if pool is None else pool.call(event)


def _post(url, event):
    request = urllib.request.Request(url, json.dumps(event).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=320) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return {"errorType": "Http", "errorMessage": error.read().decode()}
    except (OSError, ValueError, TypeError):
        return None


def _keep(arn, destination, event, answer):
    _, _, _, region, account, name = destination.split(":")
    function = lambda_backends[account][region].get_function(arn)
    role = iam_backends[account][get_partition(region)].get_role_by_arn(function.role)
    if not authorization.role_may(role, "sqs:SendMessage", destination):
        return
    record = {
        "version": "1.0",
        "timestamp": _iso(dt.datetime.now(dt.timezone.utc)),
        "requestContext": {"functionArn": arn, "condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": event,
        "responsePayload": answer,
    }
    sqs_backends[account][region].send_message(name, json.dumps(record))


def created_user(caller, region, user, request):
    """What CloudTrail tells of a CreateUser, in the one region where IAM's events arrive."""
    home = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}[get_partition(region)]
    kind = {"user": "IAMUser", "assumed-role": "AssumedRole"}[caller.kind]
    identity = {"type": kind, "principalId": caller.user_id, "arn": caller.arn, "accountId": caller.account, "accessKeyId": caller.key}
    if caller.kind == "user":
        identity["userName"] = caller.name
    else:
        issuer = {"type": "Role", "principalId": caller.user_id.split(":")[0], "arn": caller.principal_arn, "accountId": caller.account, "userName": caller.name}
        identity["sessionContext"] = {"sessionIssuer": issuer}
    time = _iso(dt.datetime.now(dt.timezone.utc))
    detail = {
        "eventVersion": "1.10",
        "userIdentity": identity,
        "eventTime": time,
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "awsRegion": home,
        "requestParameters": {"userName": request["UserName"]},
        "responseElements": {
            "user": {"path": user.path, "arn": user.arn, "userName": user.name, "userId": user.id, "createDate": time}
        },
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": caller.account,
        "eventCategory": "Management",
    }
    tell = (caller.account, home, "aws.iam", "AWS API Call via CloudTrail", detail)
    _in_background(caller.account, emit, *tell, after=CLOUDTRAIL_SECONDS.get(caller.account, 0))


class EventInvokeConfig(CloudFormationModel):
    """moto's CloudFormation leaves it out."""

    @staticmethod
    def cloudformation_name_type():
        return None

    @staticmethod
    def cloudformation_type():
        return "AWS::Lambda::EventInvokeConfig"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        properties = cloudformation_json["Properties"]
        INVOKE_CONFIGS[account_id, properties["FunctionName"]] = properties
        config = cls()
        config.physical_resource_id = resource_name
        return config


def without_forged_sources(original):
    def put_events(self, events):
        refused = {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
        return [refused if (it.get("Source") or "").startswith("aws.") else original(self, [it])[0] for it in events]

    return put_events


def with_policy(original):
    @classmethod
    def create(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        bus = original.__func__(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
        BUS_POLICIES[bus.arn] = cloudformation_json["Properties"].get("Policy", {"Statement": []})
        return bus

    return create


def install():
    queues.install()
    Rule.send_to_targets = send_to_targets
    EventsBackend.put_events = without_forged_sources(EventsBackend.put_events)
    EventBus.create_from_cloudformation_json = with_policy(EventBus.create_from_cloudformation_json)
