"""Slack's Web API beside the simulated AWS: what it takes, how it refuses, and the messages of a channel.

Served under /_slack/api/METHOD, where a responder with ENDPOINT_URL looks for it; tests set it up and look into it
under /_sim/slack.

https://docs.slack.dev/reference/methods/chat.postMessage
https://docs.slack.dev/reference/methods/chat.update
"""

import collections
import itertools
import json
import re
import threading
import time

LOCK = threading.RLock()
# Told when a held call is let go.
RELEASED = threading.Condition(LOCK)
# By the token: {"channels": [...], "faults": [...], "calls": [...]}
TEAMS = {}
# By channel: its messages in the order in which they came.
MESSAGES = collections.defaultdict(list)
_NUMBERS = itertools.count(1)

LONGEST_BLOCKS = 13_200  # characters of all blocks
LONGEST_TEXT = 40_000


def team(body, _):
    """Makes a workspace with this token and these channels, or changes one: {"token", "channels", "archived"}."""
    with LOCK:
        known = TEAMS.setdefault(body["token"], {"channels": set(), "archived": set(), "faults": [], "calls": [], "revoked": False})
        known["channels"] |= set(body.get("channels", ()))
        known["archived"] = set(body.get("archived", known["archived"]))
        known["revoked"] = body.get("revoked", known["revoked"])
    return {}


def fault(body, _):
    """The next `times` calls with this token go wrong: {"token", "times", "status", "error", "retry_after", "html",
    "hold", "reset": "before"|"after"}."""
    with LOCK:
        TEAMS[body["token"]]["faults"].append({"times": -1, **body})
    return {}


def release(body, _):
    with RELEASED:
        for it in TEAMS[body["token"]]["faults"]:
            it["hold"], it["times"] = False, 0
        RELEASED.notify_all()
    return {}


def channel(_, query):
    with LOCK:
        return json.loads(json.dumps(MESSAGES[query["channel"][0]]))


def calls(_, query):
    """Every request with this token: when it began, the method, what it was answered."""
    with LOCK:
        return json.loads(json.dumps(TEAMS[query["token"][0]]["calls"]))


def delete(body, _):
    """Somebody deletes a message: {"channel", "ts"}."""
    with LOCK:
        MESSAGES[body["channel"]][:] = [it for it in MESSAGES[body["channel"]] if it["ts"] != body["ts"]]
    return {}


ROUTES = {
    ("POST", "/_sim/slack/team"): team,
    ("POST", "/_sim/slack/fault"): fault,
    ("POST", "/_sim/slack/release"): release,
    ("POST", "/_sim/slack/delete"): delete,
    ("GET", "/_sim/slack/channel"): channel,
    ("GET", "/_sim/slack/calls"): calls,
}


def serve(environ, raw, start_response):
    """One call of the Web API."""
    method = environ["PATH_INFO"].removeprefix("/_slack/api/")
    token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
    call = {"method": method, "began": time.time(), "channel": None}
    known = TEAMS.get(token)
    with LOCK:
        planned = next((it for it in known["faults"] if it["times"]), None) if known else None
        if planned:
            planned["times"] -= 1
        if known:
            known["calls"].append(call)
    planned = planned or {}
    with RELEASED:
        RELEASED.wait_for(lambda: not planned.get("hold"), 60)
    if planned.get("reset") == "before":
        return broken(start_response, call)
    if planned.get("html"):
        return answered(start_response, call, planned.get("status", 502), "<html><body>Bad Gateway</body></html>", "text/html")
    if planned.get("retry_after") is not None:
        headers = [("Retry-After", str(planned["retry_after"]))]
        return answered(start_response, call, 429, {"ok": False, "error": "ratelimited"}, headers=headers)
    if planned.get("error"):
        return answered(start_response, call, planned.get("status", 200), {"ok": False, "error": planned["error"]})
    answer = called(method, known, environ.get("CONTENT_TYPE", ""), raw, call)
    if planned.get("reset") == "after":
        return broken(start_response, call)
    return answered(start_response, call, 200, answer)


def called(method, known, content_type, raw, call):
    if known is None or known["revoked"]:
        return refusal("invalid_auth" if known is None else "token_revoked")
    if not content_type.startswith("application/json"):
        return refusal("invalid_post_type")
    try:
        body = json.loads(raw)
    except ValueError:
        return refusal("invalid_json")
    if method == "auth.test":
        return {"ok": True, "url": "https://simulated.slack.com/", "team_id": "T0SIMULATED"}
    place = call["channel"] = body.get("channel")
    if method == "chat.postMessage" and place in known["channels"] and place.startswith("U"):
        place = body["channel"] = "D" + place[1:]  # What is posted to a person is changed where it stands.
        known["channels"].add(place)
    if not re.fullmatch(r"[CGDUW][A-Z0-9]{8,}", place or "") or place not in known["channels"]:
        return refusal("channel_not_found")
    if place in known["archived"]:
        return refusal("is_archived")
    if method not in ("chat.postMessage", "chat.update"):
        return refusal("unknown_method")
    problem = unfit(body)
    if problem:
        return refusal(*problem)
    with LOCK:
        return post(body, place) if method == "chat.postMessage" else update(body, place)


def post(body, place):
    parent = body.get("thread_ts")
    if parent is not None and not any(it["ts"] == parent and "thread_ts" not in it for it in MESSAGES[place]):
        return refusal("thread_not_found")
    ts = f"{int(time.time())}.{next(_NUMBERS):06}"
    message = {key: body[key] for key in body if key not in ("channel", "parse", "link_names")} | {"ts": ts, "flags": flags(body)}
    MESSAGES[place].append(message)
    return {"ok": True, "channel": place, "ts": ts, "message": {"text": body["text"], "type": "message", "ts": ts}}


def update(body, place):
    message = next((it for it in MESSAGES[place] if it["ts"] == body.get("ts")), None)
    if message is None:
        return refusal("message_not_found")
    message |= {key: body[key] for key in ("text", "blocks") if key in body} | {"flags": flags(body)}
    message["changes"] = message.get("changes", 0) + 1
    return {"ok": True, "channel": place, "ts": message["ts"], "text": message["text"]}


def flags(body):
    return {name: body.get(name) for name in ("parse", "link_names", "unfurl_links", "unfurl_media", "mrkdwn")}


def refusal(error, *messages):
    return {"ok": False, "error": error} | ({"response_metadata": {"messages": list(messages)}} if messages else {})


def unfit(body):
    """What Slack refuses of a message, by its limits."""
    text, blocks = body.get("text", ""), body.get("blocks") or []
    if not text and not blocks:
        return ("no_text",)
    if len(text) > LONGEST_TEXT:
        return ("msg_too_long",)
    if len(blocks) > 50:
        return ("invalid_blocks", "no more than 50 items allowed [json-pointer:/blocks]")
    if len(json.dumps(blocks, ensure_ascii=False)) > LONGEST_BLOCKS:
        return ("msg_blocks_too_long",)
    problems = [problem for number, block in enumerate(blocks) for problem in wrong(block, f"/blocks/{number}")]
    return ("invalid_blocks", *problems) if problems else None


def wrong(block, path):
    kind = block.get("type")
    if kind == "header":
        yield from wrong_text(block.get("text", {}), 150, ("plain_text",), path)
    elif kind == "section":
        yield from wrong_text(block.get("text", {}), 3_000, ("plain_text", "mrkdwn"), path)
    elif kind == "context":
        if not 1 <= len(block["elements"]) <= 10:
            yield f"1 to 10 elements [json-pointer:{path}]"
        for it in block["elements"]:
            yield from wrong_text(it, 3_000, ("plain_text", "mrkdwn"), path)
    elif kind == "actions":
        if not 1 <= len(block["elements"]) <= 25:
            yield f"1 to 25 elements [json-pointer:{path}]"
        for it in block["elements"]:
            yield from wrong_text(it["text"], 75, ("plain_text",), path)
            if len(it.get("value", "")) > 2_000 or len(it["action_id"]) > 255:
                yield f"too long [json-pointer:{path}]"
    elif kind == "rich_text":
        if not block.get("elements"):
            yield f"no elements [json-pointer:{path}]"
        for it in block.get("elements", ()):
            if it["type"] not in ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"):
                yield f"unsupported type {it['type']} [json-pointer:{path}]"
            for run in it["elements"]:
                for one in run["elements"] if run["type"] == "rich_text_section" else [run]:
                    if one["type"] == "text" and not one["text"]:
                        yield f"empty text [json-pointer:{path}]"
    elif kind != "divider":
        yield f"unsupported type: {kind} [json-pointer:{path}]"


def wrong_text(text, longest, kinds, path):
    if text.get("type") not in kinds:
        yield f"must be one of {kinds} [json-pointer:{path}]"
    elif not 1 <= len(text.get("text", "")) <= longest:
        yield f"must be 1 to {longest} characters [json-pointer:{path}]"


def answered(start_response, call, status, body, kind="application/json; charset=utf-8", headers=()):
    data = (json.dumps(body) if isinstance(body, dict) else body).encode()
    call |= {"status": status, "error": body.get("error") if isinstance(body, dict) else "html"}
    reasons = {200: "OK", 429: "Too Many Requests", 502: "Bad Gateway", 503: "Service Unavailable"}
    start_response(f"{status} {reasons.get(status, 'Status')}", [("Content-Type", kind), ("Content-Length", str(len(data))), *headers])
    return [data]


def broken(start_response, call):
    """Announces more than is sent, then closes."""
    call |= {"status": 0, "error": "reset"}
    start_response("200 OK", [("Content-Length", "1000"), ("Connection", "close")])
    return [b'{"ok":true,']
