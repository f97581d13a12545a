"""The one place every request goes through: faults, authorisation, validation, the journal."""

import collections
import contextlib
import datetime as dt
import fnmatch
import functools
import itertools
import json
import threading
import time
import traceback
import uuid
from xml.sax.saxutils import escape

import moto.core.responses
import moto.iam.models
from moto.core.base_backend import BackendDict
from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from . import authorization, callers, eventbridge, lag, model

LOCK = threading.RLock()
# By account; a call that never reached the account it was for is kept under None.
JOURNAL = collections.defaultdict(list)
# By account, each fault with all that it is for.
FAULTS = collections.defaultdict(list)
# Of every call, in the order in which they ended.
_NUMBERS = itertools.count(1)
# Told when a fault lets go of the calls it holds.
RELEASED = threading.Condition(LOCK)
# What keeps the history of what callers did: CloudTrail's.
TRAIL = None
# moto checks a condition and then writes; AWS does both at once.
ONE_AT_A_TIME = collections.defaultdict(threading.RLock)


class SimulatedError(Exception):
    """What a simulated operation answers with instead of a result."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


# Of each account: how many calls IAM answers in a second, of each kind or of all together, and what is left of them.
_RATES = {}
_TOKENS = {}


def throttle(account, per_second, together=False):
    with LOCK:
        _RATES[account] = per_second, together


def is_throttled(action, account):
    """A refused call takes nothing."""
    rate, together = _RATES.get(account, (None, False))
    if rate is None or not action.startswith("iam:"):
        return False
    if together:
        action = None
    with LOCK:
        now = time.monotonic()
        left, since = _TOKENS.get((account, action), (rate, now))
        left = min(rate, left + (now - since) * rate)
        _TOKENS[account, action] = (left - 1 if left >= 1 else left, now)
        return left < 1


# An answer that the control plane turns into a connection that breaks.
RESET = (200, {"x-sim-reset": "true"}, "")

# The prefix in IAM actions, where it is not moto's name of the service.
PREFIXES = {"awslambda": "lambda"}
# The action, where it is not the operation's name.
ACTIONS = {"lambda:Invoke": "lambda:InvokeFunction", "bedrock-runtime:Converse": "bedrock:InvokeModel"}
JSON_CODES = {
    "AccessDenied": "AccessDeniedException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "ExpiredToken": "ExpiredTokenException",
    "Throttling": "ThrottlingException",
    "ValidationError": "ValidationException",
}


def dispatch(self, request, full_url=None, headers=None):
    began = time.time()
    self.setup_class(request, full_url, headers)
    try:
        name = self._get_action()
    except Exception:
        name = None
    service = self.service_name or "?"
    if not name or service in ("?", "moto_api"):
        return self.call_action()
    action = f"{PREFIXES.get(service, service)}:{name}"
    action = ACTIONS.get(action, action)
    operation = get_service_model(self.boto3_service_name).operation_model(name)
    self.sim_body = request.environ["sim.body"]
    entry = {"action": action, "began": began, "region": self.region, "key": self.get_access_key()}
    # A thief's session of one of our roles is the tests' own, which speak by boto3.
    entry["is_ours"] = (self.headers.get("User-Agent") or "").startswith("aws-sdk-rust/")
    fault = planned_fault(action, self)
    answer = answered(self, action, operation, entry, fault)
    if TRAIL is not None and not entry["is_ours"] and entry.get("decision") != "fault":
        TRAIL(action, operation, entry, callers.find(entry["key"], get_partition(self.region)), answer, self.headers.get("User-Agent") or "")
    if entry.pop("reset_after", False):
        answer = RESET
    entry.update(ended=time.time(), status=int(answer[0]), error=answer[2][:400] if int(answer[0]) >= 400 else None)
    with LOCK:
        entry["seq"] = next(_NUMBERS)
        JOURNAL[entry.get("account")].append(entry)
        if fault:
            fault["through"] = fault.get("through", 0) + 1
    return answer


def answered(self, action, operation, entry, fault):
    service, name = action.split(":")
    if fault:
        time.sleep(fault.get("delay_ms", 0) / 1000)
        with RELEASED:
            RELEASED.wait_for(lambda: not fault.get("hold"), 60)
        if fault.get("reset") == "before":
            entry["decision"] = "fault"
            return RESET
        if fault.get("code"):
            entry["decision"] = "fault"
            return error(self, fault["code"], fault.get("message", "injected"), fault.get("status", 400))
        entry["reset_after"] = fault.get("reset") == "after"
    if not callers.ADMINISTRATOR.match(self.get_access_key() or "") and is_throttled(action, self.current_account):
        entry["decision"] = "throttled"
        return error(self, "Throttling", "Rate exceeded", 400)
    params = {}
    try:
        params = model.parameters(self, operation)
        entry["params"] = params
        caller, entry["resources"] = authorization.authorise(self, action, params)
        entry.update(account=caller.account, principal=caller.arn, decision="allow")
    except authorization.Denied as denied:
        caller = callers.find(self.get_access_key(), authorization.get_partition(self.region))
        entry.update(account=caller.account, principal=caller.arn, decision=denied.code)
        return error(self, denied.code, denied.message, denied.status)
    violations = list(model.errors(operation.input_shape, params)) if operation.input_shape is not None else []
    if violations:
        entry["decision"] = "invalid"
        return error(self, "ValidationException", "; ".join(violations), 400)
    self.sim_params, self.sim_caller = params, caller
    try:
        # A function takes its time, and calls others meanwhile.
        one = contextlib.nullcontext() if action == "lambda:InvokeFunction" else ONE_AT_A_TIME[service, self.current_account]
        with one:
            answer = self.call_action()
            if action.startswith("iam:") and not name.startswith(("Get", "List", "Simulate")):
                lag.remember(self.current_account)
        if action == "iam:CreateUser" and caller.kind != "administrator":
            user = iam_backends[caller.account][get_partition(self.region)].users[params["UserName"]]
            eventbridge.created_user(caller, self.region, user, params)
        return answer
    except SimulatedError as simulated:
        return error(self, simulated.code, simulated.message, http_status(operation, simulated.code))
    except Exception as crash:
        traceback.print_exc()
        return error(self, "SimCrash", f"{type(crash).__name__}: {crash}", 500)


def planned_fault(action, response):
    """Administrators are spared: a test must still be able to look."""
    if callers.ADMINISTRATOR.match(response.get_access_key() or ""):
        return None
    with LOCK:
        for fault in FAULTS[response.current_account]:
            if fault["times"] == 0:
                continue
            if fnmatch.fnmatchcase(action, fault["action"]) and fault.get("text", "") in f"{response.body}{response.sim_body}":
                if fault.get("after", 0) > 0:
                    fault["after"] -= 1
                    return None
                fault["times"] -= 1
                return fault
    return None


def http_status(operation, code):
    try:
        return operation.service_model.shape_for(code).metadata.get("error", {}).get("httpStatusCode", 400)
    except Exception:
        return 400


def error(response, code, message, status):
    protocol = get_service_model(response.boto3_service_name).protocol
    request_id = str(uuid.uuid4())
    if protocol in ("json", "rest-json"):
        code = JSON_CODES.get(code, code)
        headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code, "x-amzn-requestid": request_id}
        return status, headers, json.dumps({"__type": code, "message": message})
    if response.service_name == "sns" and code == "AccessDenied":
        code = "AuthorizationError"
    if code == "ValidationException":
        code = "ValidationError"
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return status, {"Content-Type": "text/xml"}, body


def account_of_key(key):
    """moto's own search builds an IAM backend for every partition of every account: 1.5 s at first."""
    return callers.account_of(key) or "123456789012"


_current_account = BaseResponse.get_current_account


def current_account(self):
    administrator = callers.ADMINISTRATOR.match(self.get_access_key() or "")
    return administrator.group(1) if administrator else _current_account(self)


_new_account = BackendDict._create_account_specific_backend


def in_account(self, account):
    """moto goes through every account that there is, at each call: of some thousand tests that is most of what it does."""
    if not dict.__contains__(self, account):
        _new_account(self, account)


def install():
    BackendDict._create_account_specific_backend = in_account
    moto.core.responses.method_names_from_class = functools.cache(moto.core.responses.method_names_from_class)
    moto.iam.models.get_account_id_from = account_of_key
    BaseResponse.get_current_account = current_account
    BaseResponse._dispatch = dispatch


def plain(value):
    """For JSON."""
    if isinstance(value, dict):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(element) for element in value]
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
