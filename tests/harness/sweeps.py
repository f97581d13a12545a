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


def run(world, number, name=None, seconds=60, **given):
    """The state machine, from its start to its end; `given`: what a person adds to its input."""
    states = world.client("stepfunctions", world.security)
    [machine] = states.list_state_machines()["stateMachines"]
    given = {"scheduled": f"{day(number)}T06:00:00Z", **given}
    started = states.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(given), name=name or str(uuid.uuid4()))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        execution = states.describe_execution(executionArn=started["executionArn"])
        if execution["status"] != "RUNNING":
            history = states.get_execution_history(executionArn=started["executionArn"])["events"] if execution["status"] == "FAILED" else []
            return {**execution, "last": history[-2:]}
        time.sleep(0.1)
    raise AssertionError(f"the execution did not end: {execution}")


class Organisation:
    """One account that is swept and asked about without the state machine, step by step."""

    def __init__(self, world, **parameters):
        self.world = world
        world.deploy(SweepAccounts=world.member, **parameters)
        self.account = Account(world)
        self.sweeper, self.hygiene, self.responder = (world.responder(part=it) for it in ("sweeper", "hygiene", "responder"))

        self.execution = None

    def of_day(self, number):
        return {"day": day(number), "execution": self.execution or f"execution-{number}"}

    def begin(self, number):
        """The accounts that are to be swept; none where another execution has the day."""
        return self.sweeper.invoke({"command": "sweep-accounts", **self.of_day(number)})["sweep"]["accounts"]

    def sweep(self, number):
        """The day's sweep up to what is to be asked: the messages of the queue."""
        assert self.begin(number) == [self.account.id]
        assert sweep(self.sweeper, self.account, number)["is_recorded"]
        return self.release(number)

    def release(self, number, **release):
        answer = self.hygiene.invoke({"command": "sweep-release", **self.of_day(number), "release": release})
        assert "sweep" in answer, answer
        return self.messages(number, answer["sweep"]["accounts"])

    def messages(self, number, accounts):
        """What the state machine sends to the queue of these accounts' shares."""
        of_account = lambda it: {"day": day(number), "account": it}  # noqa: E731
        shares = {it: self.hygiene.invoke({"command": "sweep-share", **of_account(it)})["sweep"]["problems"] for it in accounts}
        return [{"command": "sweep-act", **of_account(it), "problem": problem} for it in accounts for problem in shares[it]]

    def act(self, message):
        answer = self.hygiene.invoke({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": json.dumps(message)}]})
        assert "reports" in answer, answer
        return answer["reports"]

    def day(self, number):
        """The whole of a day: the reports of what was asked or done, and the digest."""
        reports = [report for message in self.sweep(number) for report in self.act(message)]
        return reports, self.tell(number)

    def tell(self, number, unsent=False):
        answer = self.sweeper.invoke({"command": "sweep-digest", **self.of_day(number), "unsent": unsent})
        assert "sweep" in answer, answer
        return digest(self.world, number)

    def up_to(self, number):
        """Warned on the first day, asked about on this one: the requests."""
        self.day(0)
        return [it["request"] for it in self.day(number)[0]]


def told(digest):
    """By user: the step, and how the last request ended."""
    return {it["user"]: (it["step"], (it.get("ending") or it.get("last") or {}).get("how")) for _, it in digest["told"]}
