"""Whom an event names, by the function's own word, and identities like them to contain."""

import json
import re
import time

from .victims import Role, User, allowed
from .world import World, random_account

SECURITY, MEMBER = "999988887777", "111122223333"

# Everything that a rehearsal may send counts here; on AWS each of these is the operator's choice.
SIMULATION_PROFILE = {
    "Simulation": "true",
    "TrustedProducts": "product/aws/*,product/prowler/prowler,product/*/default",
    "GeneratorPlaybooks": "automated-remediation-test=overprivileged-user",
    "PlaybookModes": "missing-mfa=enforce",
    "MaxContainmentsPerHour": "100,100",
}
DRILLS = "/iam-responder-drill/"


def as_event(payload):
    """What EventBridge makes of the entries of `put-events` and of the findings of `batch-import-findings`;
    anything else is what it is."""
    first = payload[0] if isinstance(payload, list) and payload and isinstance(payload[0], dict) else {}
    envelope = {"version": "0", "id": "00000000-0000-4000-8000-000000000000", "account": SECURITY, "region": "us-east-1"}
    envelope |= {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "resources": []}
    try:
        if {"Source", "DetailType", "Detail"} <= first.keys():
            return {**envelope, "source": first["Source"], "detail-type": first["DetailType"], "detail": json.loads(first["Detail"])}
    except (TypeError, ValueError):
        return payload
    if {"ProductArn", "GeneratorId"} <= first.keys():
        return {**envelope, "source": "aws.securityhub", "detail-type": "Security Hub Findings - Imported", "detail": {"findings": payload}}
    return payload


def fields(payload, *names):
    """What is at the end of these names, where all of them are objects."""
    for name in names:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload


def command(event):
    return fields(event, "command") if isinstance(fields(event, "command"), str) else None


def findings(event):
    """The findings of an event that Security Hub can be asked to update."""
    listed = fields(event, "detail", "findings")
    if not isinstance(listed, list) or not str(fields(event, "detail-type")).startswith("Security Hub Findings"):
        return []
    text = lambda it, name: isinstance(fields(it, name), str)  # noqa: E731
    return [n for n, it in enumerate(listed) if text(it, "Id") and text(it, "ProductArn") and it["ProductArn"].count(":") >= 5]


def parts(event):
    """Whom the deployed rules give the event to."""
    if command(event) == "restore":
        return ["restorer"]
    if fields(event, "source") == "aws.iam":
        return ["hygiene"]
    imported = fields(event, "detail-type") in ("Security Hub Findings - Imported", "Findings Imported V2")
    return ["responder", "hygiene"] if imported else ["responder"]


def merged(answers):
    """What the functions answered, as if they were one."""
    failed = [answer for answer in answers if "errorType" in answer]
    if failed or len(answers) == 1:
        return (failed or answers)[0]
    ignored = {it["reason"]: it for answer in answers for it in answer["ignored"] if not it["reason"].endswith("responds to it")}
    told = [it for answer in answers for it in answer.get("told", [])]
    return {"reports": [it for answer in answers for it in answer["reports"]], "ignored": list(ignored.values()), "told": told}


class Functions:
    """The functions that an event goes to, one after the other as if they were one."""

    def __init__(self, emulators):
        self.emulators = emulators

    def invoke(self, event):
        return merged([emulator.invoke(event) for emulator in self.emulators])

    def output(self):
        return "".join(emulator.output() for emulator in self.emulators)

    def log_lines(self):
        return [line for emulator in self.emulators for line in emulator.log_lines()]


class Stage:
    """The accounts that an event is about, with the identities that it names in them."""

    def __init__(self, url, event, security=SECURITY):
        self.url, self.event = url, event
        self.text = json.dumps(event)
        self.region = self._region()
        self.told = []
        self.reports = self._scout()
        accounts = list(dict.fromkeys(it["account"] for it in [*self.reports, *self.told])) or [MEMBER]
        button = re.search(r":(\d{12}):action/custom/", self.text)
        free = [it for it in ([button.group(1)] if button else []) + [security, "222233334444"] if it not in accounts]
        self.world = World(url, region=self.region, member=accounts[0], security=free[0])
        self.others = accounts[1:]

    def _region(self):
        """IAM of another partition is another IAM."""
        for word, region in (("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1")):
            if f"arn:{word}:" in self.text or f'"{word}"' in self.text:
                return region
        return "us-east-1"

    def _scout(self):
        """What the function makes of the event where it can reach no account: its reports say whom it means."""
        event = self.event
        if command(event) in ("restore", "status"):
            event = {key: value for key, value in event.items() if key in ("account", "user", "role")} | {"command": "contain", "reason": "scouting"}
        world = World(self.url, region=self.region, security=random_account())
        world.deploy_responder(**SIMULATION_PROFILE, **self.drill())
        try:
            button = re.search(r'"(arn:aws[a-z-]*:securityhub:[a-z0-9-]+:\d{12}:action/custom/ContainIdentity)"', self.text)
            changes = {"MODE": "observe", **({"CUSTOM_ACTION_ARN": button.group(1)} if button else {})}
            responder = Functions([world.responder(part=part, **changes) for part in parts(event)])
            answer = responder.invoke(event)
            self.told = answer.get("told", [])
            # The log comes a moment after the answer, and only of findings.
            if "ignored" in answer and not answer.get("reports") or answer.get("errorType") == "MalformedEvent":
                return []
            end = time.monotonic() + 1
            while time.monotonic() < end:
                reports = [json.loads(line["report"]) for line in responder.log_lines() if "report" in line]
                if len(reports) >= max(1, len(answer.get("reports", []))):
                    break
                time.sleep(0.05)
            return reports
        finally:
            world.close()

    def drill(self):
        account = fields(self.event, "detail", "account")
        is_drill = fields(self.event, "detail-type") == "Drill" and isinstance(account, str)
        return {"DrillAccount": account} if is_drill and re.fullmatch(r"\d{12}", account) else {}

    def deploy(self, **parameters):
        self.world.deploy(members=self.others, response_plan=True, rotation=True, **SIMULATION_PROFILE, **self.drill(), **parameters)

    def plant(self):
        """The identities, and a sentence about each principal that none can be made for."""
        planted, said = [], []
        # Whoever has a name gets it, before those of whom only an ID or a key is known.
        for report in sorted(self.reports, key=lambda it: it["principal"]["name"] is None):
            principal, world = report["principal"], self._at(report["account"])
            where = f"account {report['account']}"
            if principal["type"] == "root":
                said.append(f"The event is about the root user of {where}, whom no IAM call can contain: nothing is made, and what you see is who is told.")
            elif principal["type"] != "role" and report["verdict"] == "Refused":
                said.append(f"The event names nobody who can be contained: {report['reason']}.")
            else:
                make = self._role if principal["type"] == "role" else self._user
                try:
                    planted.append(make(world, principal, report))
                except world.iam.exceptions.EntityAlreadyExistsException:
                    who = principal["name"] or "of that ID"
                    said.append(f"There is a {principal['type']} {who} in {where} already, and IAM has no two of a name: no other one is made.")
        if self.told and not self.reports:
            said.append("The event is told to people, and nobody is contained for it: nothing is made.")
        return planted, said

    def _at(self, account):
        return self.world if account == self.world.member else World(self.url, region=self.region, member=account, security=self.world.security)

    @staticmethod
    def _user(world, principal, report):
        name, key = principal["name"] or free_name(world), report["access_key"] or ""
        drill = report["source"] == "drill"
        options = {"path": DRILLS, "policies": ["IAMReadOnlyAccess"]} if drill else {}
        user = User(world, name=name, id=principal["id"], key=key if key.startswith("AKIA") else None, groups=() if drill else ("developers",), **options)
        if report["playbook"] == "missing-mfa":
            world.iam.create_login_profile(UserName=name, Password="Correct-horse-9")
        return Planted(f"user {name}", user.session(), user.state, user)

    @staticmethod
    def _role(world, principal, _):
        role = Role(world, name=principal["name"] or "app", id=principal["id"])
        return Planted(f"role {role.name}", role.session(), role.state)


def free_name(world):
    """For a user of whom only an ID or a key is known."""
    taken = {user["UserName"] for user in world.iam.list_users()["Users"]}
    return next(name for name in ("alice", *(f"alice-{number}" for number in range(2, 1_000))) if name not in taken)


class Planted:
    """An identity, with the session or key that a thief would use."""

    def __init__(self, title, use, state, user=None):
        self.title, self.use, self.state, self.user = title, use, state, user

    def rows(self):
        rows = {"may list users": "yes" if allowed(self.use.list_users) else "no"}
        for what, value in self.state().items():
            if isinstance(value, dict):
                shown = [f"{key} {inner}" if isinstance(inner, str) else key for key, inner in value.items()]
            else:
                shown = value if isinstance(value, list) else [value or "-"]
            rows[what] = "\n".join(shown) or "-"
        return rows
