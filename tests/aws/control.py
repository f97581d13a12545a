"""The control plane: what a test needs and AWS has no API for.

POST /_sim/fault             {"action", "code", "status", "times", "delay_ms", "hold", "reset", "after", "accounts"};
                              with "text": only calls in whose body it is
POST /_sim/release           {"account"}: the calls that a fault holds go on
POST /_sim/identify          {"account", "user" | "role", "id", "key", "new_key", "created"}
POST /_sim/role-credentials  {"role_arn", "region", "service"}: what the service would hand its function
POST /_sim/lag               {"account", "low", "high"}: how late IAM enforces its users' changes
POST /_sim/control-policies  {"account", "documents"}: the service control policies of an account
POST /_sim/packed            {"account", "bytes"}: how much of a packed session policy STS takes there
POST /_sim/crowd             {"account", "users"}: so many users, in an account that lists as many as are asked for
POST /_sim/used              {"account", "role", "at"}: when IAM says that the role was used last
POST /_sim/organization      {"account", "accounts"}: what Organizations lists when that account asks
POST /_sim/policies          {"management", "members", "policies", …}: an organisation with service control policies, as
                              operations/organizations.py has its fields; the same again changes them
POST /_sim/credential-report {"account", "forget", "waits", "age", "text"}: of the report that is there, or is to be made
POST /_sim/credential        {"account", "user", "key", "created", "used"}: of a key, or without one of the password
POST /_sim/overview          {"account", …}: what an operator sees of the organisation (operations/overview.py)
POST /_sim/event             {"account", "region", "source", "detail_type", "detail"}: a service speaks
POST /_sim/function          {"arn", "urls"}: where a function listens, for the rules and queues that call it
POST /_sim/throttle          {"account", "per_second", "together"}: how many calls IAM answers, of each kind or of all together
POST /_sim/hub-administrator {"account", "administrator"}: who sees the findings of the account
POST /_sim/cloudtrail        {"account", "seconds"}: how late CloudTrail tells of the account
POST /_sim/simulator         {"account", "unknown"}: actions of which IAM's policy simulator has not heard there
POST /_sim/model             {"account", "text", "stop"}: what Bedrock's model says from now on, and why it stops
GET  /_sim/model?account=N   what the model was asked
POST /_sim/slack/…           Slack's stand-in: tests/aws/slack.py has its routes
POST /_sim/history           {"account", "older_by", "delay", "per_second"}: CloudTrail's event history: what is there is so much
                             older, what comes is there so late, and is looked up so often a second;
                             "events" in "region" are added as they are
GET  /_sim/actions           what each role was let do for our code
GET  /_sim/sessions?account=N every session that our code took of a role there, as a thief finds it; without an account, all
GET  /_sim/faults?account=N  what is left of the faults of an account
GET  /_sim/journal?account=N every call that account's principals made
GET  /_sim/deliveries?account=N what rules handed to its functions; answered when nothing is under way
"""

import datetime as dt
import io
import json
import time
from urllib.parse import parse_qs

from moto.iam.models import AccessKeyLastUsed, iam_backends
from moto.sts.models import sts_backends

from . import authorization, callers, dispatch, eventbridge, lag, queues, slack
from .operations import STATE, bedrock, iam, organizations, overview, security_hub, simulator, sts
from .operations import cloudtrail as trail


def fault(body, _):
    with dispatch.LOCK:
        fault = {"times": -1, **body}
        for account in set(fault["accounts"]):
            dispatch.FAULTS[account].append(fault)
    return {}


def release(body, _):
    with dispatch.RELEASED:
        for fault in dispatch.FAULTS[body["account"]]:
            fault["hold"] = False
        dispatch.RELEASED.notify_all()
    return {}


def identify(body, _):
    """Gives an identity the unique ID, the key ID and the age that an event names."""
    backend = iam_backends[body["account"]][body.get("partition", "aws")]
    if "user" in body:
        found = backend.users[body["user"]]
    else:
        found = next(role for role in backend.roles.values() if role.name == body["role"])
    if "id" in body:
        found.id = body["id"]
    if "created" in body:
        found.create_date = dt.datetime.fromisoformat(body["created"]).replace(tzinfo=None)
    if "key" in body:
        key = next(key for key in found.access_keys if key.access_key_id == body["key"])
        backend.access_keys[body["new_key"]] = backend.access_keys.pop(body["key"])
        key.access_key_id = body["new_key"]
    return {}


def role_credentials(body, _):
    arn = body["role_arn"]
    account, partition = arn.split(":")[4], arn.split(":")[1]
    role = iam_backends[account][partition].get_role_by_arn(arn)
    if not authorization.trusts_service(role, body.get("service", "lambda.amazonaws.com")):
        raise ValueError("the role's trust policy does not allow the service")
    session = sts_backends[account][partition].assume_role(body["region"], "function", arn, None, 12 * 3600, None)
    return {
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
    }


def enforcement_lag(body, _):
    lag.set_lag(body["account"], body["low"], body["high"])
    return {}


def control_policies(body, _):
    authorization.CONTROL_POLICIES[body["account"]] = body["documents"]
    return {}


def faults(_, query):
    with dispatch.LOCK:
        return list(dispatch.FAULTS[query["account"][0]])


def crowd(body, _):
    backend = iam_backends[body["account"]][body.get("partition", "aws")]
    for number in range(body["users"]):
        user = backend.create_user(body.get("region", "us-east-1"), f"employee-{number:05}")
        user.create_date = dt.datetime(2020, 1, 1)
    iam.LONG_PAGES.add(body["account"])
    return {}


def packed(body, _):
    sts.PACKED_OF_ACCOUNT[body["account"]] = body["bytes"]
    return {}


def used(body, _):
    roles = iam_backends[body["account"]][body.get("partition", "aws")].roles.values()
    role = next(role for role in roles if role.name == body["role"])
    role.last_used = dt.datetime.fromisoformat(body["at"]).replace(tzinfo=None)
    return {}


def policies(body, _):
    organizations.configure(body)
    return {}


def organization(body, _):
    organizations.ACCOUNTS[body["account"]] = body["accounts"]
    return {}


def what_is_seen(body, _):
    overview.SEEN.setdefault(body.pop("account"), {}).update(body)
    return {}


def credential_report(body, _):
    kept = STATE[body["account"], "-", "credential-report"]
    if body.get("forget"):
        kept.clear()
    if "age" in body:
        kept["made"] -= dt.timedelta(seconds=body["age"])
    kept.update({name: body[name] for name in ("waits", "text") if name in body})
    return {}


def credential(body, _):
    user = iam_backends[body["account"]][body.get("partition", "aws")].users[body["user"]]
    time = {name: dt.datetime.fromisoformat(body[name]).replace(tzinfo=None) for name in ("created", "used") if body.get(name)}
    if "key" in body:
        key = next(it for it in user.access_keys if it.access_key_id == body["key"])
        key.create_date = time.get("created", key.create_date)
        key.last_used = AccessKeyLastUsed(time["used"], "s3", "us-east-1") if "used" in time else key.last_used
    else:
        user.sim_password_changed = time.get("created", user.create_date)
        user.password_last_used = time.get("used", user.password_last_used)
    return {}


def function(body, _):
    eventbridge.register(body["arn"], body["urls"])
    return {}


def event(body, _):
    eventbridge.emit(*(body[name] for name in ("account", "region", "source", "detail_type", "detail")))
    return {}


def throttle(body, _):
    dispatch.throttle(body["account"], body["per_second"], body.get("together", False))
    return {}


def waiting(_, query):
    """How many messages a function's queue holds, those in flight included."""
    return queues.waiting(query["function"][0])


def cloudtrail(body, _):
    eventbridge.CLOUDTRAIL_SECONDS[body["account"]] = body["seconds"]
    return {}


def history(body, _):
    account = body["account"]
    if "older_by" in body:
        trail.age(account, body["older_by"])
    if "delay" in body:
        trail.DELAYS[account] = body["delay"]
    if "per_second" in body:
        trail.RATES[account] = body["per_second"]
    for event in body.get("events", []):
        trail.keep(account, body["region"], event, time.time())
    return {}


def deliveries(_, query):
    return eventbridge.deliveries(query["account"][0])


def hub_administrator(body, _):
    security_hub.ADMINISTRATORS[body["account"]] = body["administrator"]
    return {}


def actions(_, __):
    """What each role was let do for our code, by the role's name."""
    with dispatch.LOCK:
        entries = [entry for account in dispatch.JOURNAL.values() for entry in account]
    done = {}
    for entry in entries:
        if entry["is_ours"] and entry.get("decision") == "allow" and ":assumed-role/" in (entry.get("principal") or ""):
            done.setdefault(entry["principal"].split("/")[1], set()).add(entry["action"])
    return dispatch.plain(done)


def sessions(_, query):
    """Our code's, by their name: with what each may do, and what it did."""
    done = {}
    with dispatch.LOCK:
        for entry in [entry for account in dispatch.JOURNAL.values() for entry in account]:
            if entry["is_ours"] and entry.get("decision") == "allow":
                done.setdefault(entry["key"], set()).add(entry["action"])
    found = [
        {
            "role": session.role_arn.split("/")[-1],
            "policy": json.loads(session.policy) if session.policy else None,
            "actions": sorted(done.get(key, ())),
            "AccessKeyId": key,
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
        }
        for key, session in callers.every_session()
        if session.session_name == "iam-responder" and session.account_id in query.get("account", [session.account_id])
    ]
    return dispatch.plain(found)


def journal(_, query):
    with dispatch.LOCK:
        entries = list(dispatch.JOURNAL.get(query["account"][0], ()))
    return dispatch.plain(entries)


ROUTES = {
    ("POST", "/_sim/fault"): fault,
    ("POST", "/_sim/release"): release,
    ("POST", "/_sim/identify"): identify,
    ("POST", "/_sim/role-credentials"): role_credentials,
    ("POST", "/_sim/lag"): enforcement_lag,
    ("POST", "/_sim/control-policies"): control_policies,
    ("POST", "/_sim/crowd"): crowd,
    ("POST", "/_sim/packed"): packed,
    ("POST", "/_sim/used"): used,
    ("POST", "/_sim/organization"): organization,
    ("POST", "/_sim/policies"): policies,
    ("POST", "/_sim/overview"): what_is_seen,
    ("POST", "/_sim/credential-report"): credential_report,
    ("POST", "/_sim/credential"): credential,
    ("POST", "/_sim/event"): event,
    ("POST", "/_sim/function"): function,
    ("POST", "/_sim/throttle"): throttle,
    ("GET", "/_sim/waiting"): waiting,
    ("POST", "/_sim/hub-administrator"): hub_administrator,
    ("POST", "/_sim/cloudtrail"): cloudtrail,
    ("POST", "/_sim/history"): history,
    ("POST", "/_sim/simulator"): lambda body, _: simulator.UNKNOWN.update({body["account"]: body["unknown"]}) or {},
    ("POST", "/_sim/model"): lambda body, _: bedrock.ANSWERS.update({body["account"]: body}) or {},
    ("GET", "/_sim/model"): lambda _, query: bedrock.ASKED.get(query["account"][0], []),
    ("GET", "/_sim/deliveries"): deliveries,
    ("GET", "/_sim/actions"): actions,
    ("GET", "/_sim/faults"): faults,
    ("GET", "/_sim/sessions"): sessions,
    ("GET", "/_sim/journal"): journal,
    **slack.ROUTES,
}


def breaking(start_response):
    """Announces more than is sent, then closes: what a client sees when the connection is reset."""

    def start(status, headers, *rest):
        if any(name.lower() == "x-sim-reset" for name, _ in headers):
            headers = [("Content-Length", "1000"), ("Connection", "close")]
        return start_response(status, headers, *rest)

    return start


class Application:
    """Our routes in front of moto's."""

    def __init__(self, moto):
        self.moto = moto

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if "REQUEST_URI" in environ:  # moto checks signatures over the path as it was sent.
            environ.setdefault("RAW_URI", environ["REQUEST_URI"])
        raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ["REQUEST_METHOD"] == "HEAD" and path == "/" and "HTTP_AUTHORIZATION" not in environ:
            # What AWS's services answer to whoever only looks.
            start_response("302 Found", [("Location", "https://aws.amazon.com/"), ("Content-Length", "0")])
            return []
        if path.startswith("/_slack/api/"):
            return slack.serve(environ, raw, start_response)
        if not path.startswith("/_sim/"):
            # moto parses forms and forgets how they were written; signatures are over the bytes.
            environ.update({"wsgi.input": io.BytesIO(raw), "sim.body": raw})
            return self.moto(environ, breaking(start_response))
        try:
            body = json.loads(raw or b"{}")
            answer = ROUTES[environ["REQUEST_METHOD"], path](body, parse_qs(environ.get("QUERY_STRING", "")))
            status = "200 OK"
        except Exception as problem:
            answer, status = {"error": repr(problem)}, "400 Bad Request"
        data = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
        return [data]
