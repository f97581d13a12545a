"""Users to sweep, and days that pass: all through boto3 and the simulated AWS's control plane."""

import datetime as dt
import json
import time
import uuid

TODAY = dt.date(2026, 11, 29)
LONG_AGO = "2020-01-01T00:00:00"
PASSWORD = "Correct-horse-9"


def day(number):
    return (TODAY + dt.timedelta(days=number)).isoformat()


class Account:
    """A member account whose users are swept; the world's own unless told otherwise."""

    def __init__(self, world, account=None):
        self.world, self.id = world, account or world.member
        self.iam = world.client("iam", self.id)

    def user(self, name, password=True, mfa=False, keys=1, key_age=10, path="/"):
        """One that was made long ago and uses what it has every day."""
        self.iam.create_user(UserName=name, Path=path)
        self.world.control("identify", {"account": self.id, "user": name, "created": LONG_AGO})
        used = (dt.datetime.combine(TODAY, dt.time()) - dt.timedelta(days=1)).isoformat()
        if password:
            self.iam.create_login_profile(UserName=name, Password=PASSWORD)
            self.world.control("credential", {"account": self.id, "user": name, "created": LONG_AGO, "used": used})
        made = (dt.datetime.combine(TODAY, dt.time()) - dt.timedelta(days=key_age)).isoformat()
        for _ in range(keys):
            key = self.iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
            self.world.control("credential", {"account": self.id, "user": name, "key": key, "created": made, "used": used})
        if mfa:
            self.turn_mfa_on(name)

    def turn_mfa_on(self, name):
        serial = f"arn:aws:iam::{self.id}:u2f/user/{name}/passkey"
        self.iam.enable_mfa_device(UserName=name, SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321")

    def report(self, **fields):
        """What becomes of the account's credential report: `forget`, `waits`, `age`, `text`."""
        self.world.control("credential-report", {"account": self.id, **fields})

    def calls(self):
        """The actions of every call of ours about the account, the ledger's and Organizations' apart."""
        made = [it["action"] for it in self.world.journal()]
        return [it for it in made if it.startswith(("iam:", "sts:"))]


def sweep(function, account, number=None):
    """The day's sweep of an account, as the state machine asks for it; without a day, as a person does."""
    command = {"command": "sweep", "account": account.id, **({} if number is None else {"day": day(number)})}
    answer = function.invoke(command)
    assert "sweep" in answer, answer
    return answer["sweep"]


def steps(report):
    """By user and kind."""
    return {(it.get("user"), it["kind"]): it["step"] for it in report["entries"]}


def rows(world, prefix="sweep#"):
    dynamodb = world.client("dynamodb", world.security)
    [table] = dynamodb.list_tables()["TableNames"]
    return {it["id"]["S"]: it for it in dynamodb.scan(TableName=table)["Items"] if it["id"]["S"].startswith(prefix)}


def summary(world, account):
    return json.loads(rows(world)[f"sweep#{account.id}"]["summary"]["S"])


def digest(world, number):
    """The day's digest as JSON."""
    return json.loads(rows(world)[f"sweep#digest#{day(number)}"]["digest"]["S"])


def run(world, number, name=None, seconds=60):
    """The state machine, from its start to its end."""
    states = world.client("stepfunctions", world.security)
    [machine] = states.list_state_machines()["stateMachines"]
    given = {"scheduled": f"{day(number)}T06:00:00Z"}
    started = states.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(given), name=name or str(uuid.uuid4()))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        execution = states.describe_execution(executionArn=started["executionArn"])
        if execution["status"] != "RUNNING":
            history = states.get_execution_history(executionArn=started["executionArn"])["events"] if execution["status"] == "FAILED" else []
            return {**execution, "last": history[-2:]}
        time.sleep(0.1)
    raise AssertionError(f"the execution did not end: {execution}")
