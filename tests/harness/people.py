"""People in the loop, by HTTP: who clicks in Slack, and who reports with the form."""

import base64
import hashlib
import hmac
import http.client
import json
import random
import re
import time
import urllib.parse

from .function_url import FunctionUrl
from .ledger import Table

APP, TEAM = "A0RESPONDER", "T0SECURITY"
DANA, EVE = "U0DANA", "U0EVE"
SIGNING_PARAMETER = "/iam-responder/slack-signing-secret"
SECRET_PARAMETER, KEY_PARAMETER = "/iam-responder/form-secret", "/iam-responder/form-key"


def generated():
    """As `openssl rand -hex 16` writes it."""
    return f"{random.SystemRandom().getrandbits(128):032x}"


def put(world, name, value):
    world.client("ssm", world.security).put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


class Door:
    """A function behind its URL. Before `world.deploy(**door.parameters)`; `open` after it."""

    part = None

    def __init__(self, world):
        self.world = world

    def open(self, count=1, **changes):
        self.front = FunctionUrl()
        changes = {**self.settings(), **changes}
        self.emulators = [self.world.responder(part=self.part, **changes) for _ in range(count)]
        self.front.add(*self.emulators)
        self.world.servers.append(self.front)
        return self

    def settings(self):
        return {}

    def send(self, method, path, headers=None, body=b""):
        """The answer's status, its headers and its body."""
        connection = http.client.HTTPConnection(self.front.url.removeprefix("http://"), timeout=60)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()

    def logged(self):
        return "".join(it.output() for it in self.emulators)


class SlackDoor(Door):
    part = "slack"

    def __init__(self, world, approvers=f"{DANA},{EVE}", identities=""):
        super().__init__(world)
        self.secret = generated()
        put(world, SIGNING_PARAMETER, self.secret)
        self.parameters = {
            "SlackSigningSecretParameter": SIGNING_PARAMETER,
            "SlackAppId": APP,
            "SlackTeamId": TEAM,
            "Approvers": approvers,
            "ApproverIdentities": identities,
        }

    def payload(self, request, decision="approve", user=DANA, **changes):
        """What Slack sends of a click on a button of the request."""
        plan_hash = changes.pop("plan_hash", None) or Table(self.world).item(f"request#{request}")["plan_hash"]["S"]
        value = f"v1|{request}|{plan_hash}|{decision}"
        action = {"type": "button", "block_id": "decide", "action_id": decision, "value": value, "action_ts": "1.3"}
        return {
            "type": "block_actions",
            "api_app_id": APP,
            "team": {"id": TEAM, "domain": "ours"},
            "user": {"id": user, "username": user.lower(), "name": user.lower()[2:], "team_id": TEAM},
            "container": {"type": "message", "message_ts": "1.2", "channel_id": "C1", "is_ephemeral": False},
            "response_url": "https://hooks.slack.com/actions/T1/1/x",
            "actions": [action],
            **changes,
        }

    def signed(self, payload, at=None, secret=None):
        """The request as Slack signs it."""
        body = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
        at = str(int(time.time() if at is None else at))
        digest = hmac.new((secret or self.secret).encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={digest}"}
        return {**headers, "content-type": "application/x-www-form-urlencoded"}, body

    def click(self, request, decision="approve", user=DANA, at=None, secret=None, **changes):
        """What Slack shows: anything but 200 is an error beside the button."""
        headers, body = self.signed(self.payload(request, decision, user, **changes), at, secret)
        return self.send("POST", "/slack/interactions", headers, body)[0]


class FormDoor(Door):
    part = "form"

    def __init__(self, world, secret=None):
        super().__init__(world)
        self.secret = secret or generated()
        put(world, SECRET_PARAMETER, self.secret)
        put(world, KEY_PARAMETER, generated())
        self.password = self.secret
        self.parameters = {"FormSecretParameter": SECRET_PARAMETER, "FormKeyParameter": KEY_PARAMETER, "FormAccounts": f"{world.member}=Shop"}

    def settings(self):
        """A browser says where a form comes from."""
        return {"FORM_ORIGIN": self.front.url}

    def login(self, password=None, user="report"):
        given = base64.b64encode(f"{user}:{password or self.password}".encode()).decode()
        return {"authorization": f"Basic {given}"}

    def page(self, **login):
        return self.send("GET", "/", self.login(**login))

    def submit(self, token=None, headers=None, **fields):
        """The answer to a report, sent from a page that was opened for it."""
        token = token or re.search('name="token" value="([^"]+)"', self.page()[2])[1]
        fields = {"account": self.world.member, "user": "alice", "text": "I pushed my key to GitHub", **fields, "token": token}
        body = urllib.parse.urlencode({name.replace("_", "-"): value for name, value in fields.items()}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.send("POST", "/", {**self.login(), **kind, **(headers or {})}, body)

    def report(self, **fields):
        """The address of the report's state."""
        status, headers, body = self.submit(**fields)
        assert status == 303, (status, body)
        return headers["location"]

    def state(self, location):
        """What the page says, in short."""
        status, _, body = self.send("GET", location)
        assert status == 200, (status, body)
        return re.search('<p class="state" role="status">([^<]+)</p>', body)[1]


def request_of(location):
    return location.removeprefix("/state/").split(".")[0]
