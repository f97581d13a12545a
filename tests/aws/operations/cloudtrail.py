"""CloudTrail's event history, which moto does not have: what every caller but the tests' administrators did.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

import base64
import collections
import datetime as dt
import json
import time
import uuid

import botocore.parsers
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.responses import ActionResult
from moto.utilities.utils import get_partition

from .. import dispatch
from ..dispatch import SimulatedError

UTC = dt.timezone.utc
# By account and region, the oldest first.
_EVENTS = collections.defaultdict(list)
# By account: seconds until an event is there to be looked up.
DELAYS = {}
# By account: how many look-ups a second it answers in each region.
RATES = {}
_CALLS = collections.defaultdict(collections.deque)
_TOKENS = {}
IAM_REGION = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}
# What the event history has none of.
_DATA = ("s3:GetObject", "s3:PutObject", "dynamodb:", "lambda:InvokeFunction", "sns:Publish", "sqs:", "logs:Put")
_WITH_ANSWER = ("sts:AssumeRole", "sts:GetSessionToken", "sts:GetFederationToken")
_RESOURCES = {"userName": "AWS::IAM::User", "roleName": "AWS::IAM::Role", "groupName": "AWS::IAM::Group", "policyArn": "AWS::IAM::Policy"}


def _plain(value):
    """As CloudTrail writes a request: names begin with a small letter."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dt.datetime):
        return value.strftime("%b %d, %Y, %I:%M:%S %p")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _answered(operation, answer):
    status, headers, body = answer
    parser = botocore.parsers.create_parser(operation.service_model.resolved_protocol)
    body = body.encode() if isinstance(body, str) else body
    parsed = parser.parse({"status_code": int(status), "headers": headers, "body": body}, operation.output_shape)
    parsed.pop("ResponseMetadata", None)
    return _plain(parsed) or None


def record(action, operation, entry, caller, answer, user_agent):
    """Keeps what a caller did, unless it is no management event."""
    if caller.kind not in ("user", "assumed-role") or action.startswith(_DATA):
        return
    service, name = action.split(":")
    is_read = name.startswith(("Get", "List", "Describe", "Lookup", "Simulate")) or action.startswith("sts:Assume")
    failed = int(answer[0]) >= 400
    partition = get_partition(entry["region"])
    region = IAM_REGION.get(partition, entry["region"]) if service == "iam" else entry["region"]
    response = None
    if not failed and (not is_read or action.startswith(_WITH_ANSWER)) and operation.output_shape is not None:
        response = _answered(operation, answer)
    identity = {
        "type": "IAMUser" if caller.kind == "user" else "AssumedRole",
        "principalId": caller.user_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": caller.key,
    }
    if caller.kind == "user":
        identity["userName"] = caller.name
    else:
        issuer = {"type": "Role", "principalId": caller.user_id.split(":")[0], "arn": caller.principal_arn, "accountId": caller.account}
        identity["sessionContext"] = {"sessionIssuer": issuer}
    request = _plain({key: value for key, value in entry.get("params", {}).items() if "assword" not in key})
    event = {
        "eventVersion": "1.10",
        "userIdentity": identity,
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": "198.51.100.7",
        "userAgent": user_agent,
        "requestParameters": request or None,
        "responseElements": response,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": is_read,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": caller.account,
        "eventCategory": "Management",
    }
    if failed:
        event["errorCode"] = entry.get("decision") if entry.get("decision") != "allow" else "Error"
    resources = _resources(action, request or {}, response or {})
    # A role of another account is assumed in both.
    other = request["roleArn"].split(":")[4] if action == "sts:AssumeRole" and response else caller.account
    keep(caller.account, region, event, entry["began"], resources)
    if other != caller.account:
        # There it is an event of its own, which tells less of who called, and shares an ID with this one.
        event["sharedEventID"] = str(uuid.uuid4())
        foreign = {"type": "AWSAccount", "principalId": caller.user_id, "accountId": caller.account}
        keep(other, region, {**event, "eventID": str(uuid.uuid4()), "recipientAccountId": other, "userIdentity": foreign}, entry["began"], resources)


def _resources(action, request, response):
    found = [{"ResourceType": kind, "ResourceName": request[field]} for field, kind in _RESOURCES.items() if field in request]
    if action == "sts:AssumeRole" and response:
        session = response["assumedRoleUser"]
        found += [
            {"ResourceType": "AWS::IAM::AccessKey", "ResourceName": response["credentials"]["accessKeyId"]},
            {"ResourceType": "AWS::STS::AssumedRole", "ResourceName": session["arn"]},
            {"ResourceType": "AWS::STS::AssumedRole", "ResourceName": session["assumedRoleId"]},
            {"ResourceType": "AWS::STS::AssumedRole", "ResourceName": session["arn"].split("/")[-1]},
            {"ResourceType": "AWS::IAM::Role", "ResourceName": request["roleArn"]},
        ]
    return found


def keep(account, region, event, at, resources=()):
    _EVENTS[account, region].append({"at": at, "kept": time.time(), "event": event, "resources": list(resources)})


def age(account, seconds):
    """As if everything so far had been done earlier."""
    for (owner, _), events in list(_EVENTS.items()):
        if owner == account:
            for it in events:
                it["at"] -= seconds


def _user_name(event):
    """Of a session its name, and never the role's."""
    identity = event["userIdentity"]
    if identity["type"] == "AWSAccount":
        return None
    return identity.get("userName") or identity["principalId"].split(":")[-1]


def _has(it, key, value):
    event = it["event"]
    if key == "ResourceName":
        return any(resource["ResourceName"] == value for resource in it["resources"])
    found = {
        "EventId": event["eventID"],
        "EventName": event["eventName"],
        "ReadOnly": str(event["readOnly"]).lower(),
        "Username": _user_name(event),
        "EventSource": event["eventSource"],
        "AccessKeyId": event["userIdentity"].get("accessKeyId"),
    }
    return found.get(key) == value


def _throttle(account, region):
    calls, now = _CALLS[account, region], time.monotonic()
    while calls and now - calls[0] >= 1:
        calls.popleft()
    if len(calls) >= RATES.get(account, 2):
        raise SimulatedError("ThrottlingException", "Rate exceeded")
    calls.append(now)


def lookup_events(self):
    params, account = self.sim_params, self.current_account
    _throttle(account, self.region)
    attributes = params.get("LookupAttributes") or []
    if len(attributes) > 1:
        raise SimulatedError("InvalidLookupAttributesException", "You can specify only one attribute.")
    start, end = params.get("StartTime"), params.get("EndTime")
    if start and end and start > end:
        raise SimulatedError("InvalidTimeRangeException", "The start time is after the end time.")
    if not 1 <= params.get("MaxResults", 50) <= 50:
        raise SimulatedError("InvalidMaxResultsException", "1 to 50")
    asked = json.dumps([attributes, str(start), str(end), params.get("MaxResults")])
    offset = 0
    if token := params.get("NextToken"):
        # A token goes with the parameters that it was given for.
        known, offset = _TOKENS.get(token, (None, 0))
        if known != asked:
            raise SimulatedError("InvalidNextTokenException", "The token does not fit the parameters.")
    visible = time.time() - DELAYS.get(account, 0)
    oldest = max(time.time() - 90 * 86_400, _seconds(start) if start else 0)
    found = [
        it
        for it in _EVENTS[account, self.region]
        if oldest <= int(it["at"]) + 1 and it["kept"] <= visible
        and (not end or int(it["at"]) <= _seconds(end))
        and all(_has(it, each["AttributeKey"], each["AttributeValue"]) for each in attributes)
    ]
    found.sort(key=lambda it: it["at"], reverse=True)
    page = found[offset : offset + params.get("MaxResults", 50)]
    answer = {"Events": [_shown(it) for it in page]}
    if offset + len(page) < len(found):
        token = str(uuid.uuid4())
        _TOKENS[token] = (asked, offset + len(page))
        answer["NextToken"] = token
    return ActionResult(answer)


def _seconds(when):
    return when.timestamp() if isinstance(when, dt.datetime) else float(when)


def _shown(it):
    at = dt.datetime.fromtimestamp(int(it["at"]), UTC)
    event = {**it["event"], "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {
        "EventId": event["eventID"],
        "EventName": event["eventName"],
        "ReadOnly": str(event["readOnly"]).lower(),
        "AccessKeyId": event["userIdentity"].get("accessKeyId"),
        "EventTime": at,
        "EventSource": event["eventSource"],
        "Username": _user_name(event),
        "Resources": it["resources"],
        "CloudTrailEvent": json.dumps(event),
    }


def install():
    CloudTrailResponse.lookup_events = lookup_events
    dispatch.TRAIL = record
