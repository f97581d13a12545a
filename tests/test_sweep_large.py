"""An account of 5,000 users, the most that IAM has: how many calls, how long, how much memory."""

import json
import pathlib
import time

import pytest

from .aws.operations.credential_report import HEADER
from .harness.ledger import Table
from .harness.sweeps import Account, Organisation, day, rows, summary

USERS, CANDIDATES = 5_000, 50


def report(account, candidates):
    """Everybody has a password, MFA and a key that is old; the candidates have no MFA."""
    key = ["true", "2024-01-01T10:00:00+00:00", "2026-11-28T10:00:00+00:00", "eu-central-1", "s3"]
    none = ["false", "N/A", "N/A", "N/A", "N/A"]
    lines = [HEADER]
    for number in range(USERS):
        name = f"employee-with-a-long-name-{number:05}"
        who = [name, f"arn:aws:iam::{account}:user/department/{name}", "2020-01-01T00:00:00+00:00"]
        password = ["true", "2026-11-28T10:00:00+00:00", "2026-10-01T10:00:00+00:00", "N/A", "false" if name in candidates else "true"]
        lines.append([*who, *password, *key, *none, "false", "N/A", "false", "N/A"])
    return "\n".join(",".join(line) for line in lines)


def most_memory(emulator):
    """Of the function's own process, in megabytes, so far."""
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        if fields["Name"].strip().startswith("iam-responder"[:15]) and int(fields["PPid"]) == emulator.process.pid:
            return int(fields["VmHWM"].split()[0]) / 1024
    raise AssertionError("the function's process was not found")


@pytest.mark.seconds(20)
def test_five_thousand_users_take_ten_calls_and_three_for_each_candidate(world):
    world.deploy()
    account, sweeper = Account(world), world.responder(part="sweeper")
    names = {f"employee-with-a-long-name-{number:05}" for number in range(0, USERS, USERS // CANDIDATES)}
    for name in names:
        account.user(name)
    account.report(text=report(account.id, names))
    began = time.monotonic()
    answer = sweeper.invoke({"command": "sweep", "account": account.id, "day": day(0)})["sweep"]
    seconds, memory = time.monotonic() - began, most_memory(sweeper)
    assert answer["is_recorded"] and answer["users"] == USERS, answer
    assert answer["kinds"] == {"missing-mfa": {"now": CANDIDATES, "new": CANDIDATES, "left": 0}, "old-key": {"now": USERS, "new": USERS, "left": 0}}
    of_aws = account.calls()
    assert len(of_aws) < answer["calls"] <= 10 + 3 * CANDIDATES
    assert seconds < 60 and memory < 128, (seconds, memory)
    kept = summary(world, account)
    assert len(kept["told"]) == CANDIDATES and kept["more"] == 0
    # The next day begins with what this one left, in as many parts as it takes.
    again = sweeper.invoke({"command": "sweep", "account": account.id, "day": day(1)})["sweep"]
    assert again["kinds"]["old-key"] == {"now": USERS, "new": 0, "left": 0}
    print(f"{len(of_aws)} calls of IAM and STS, {answer['calls']} in all, {seconds:.1f} s, {memory:.0f} MB, {len(rows(world))} rows")


def test_three_thousand_questions_are_handed_on_account_by_account(world):
    """All of them together are more than a state machine's state holds."""
    organisation, table = Organisation(world), Table(world)
    organisation.begin(7)
    accounts = [f"{100_000_000_000 + number}" for number in range(60)]
    table.change(table.item("sweep#run#"), "SET accounts = :accounts", accounts={"S": ",".join(accounts)})
    problems = [f"missing-mfa/firstname.lastname-{number}@1577836800" for number in range(50)]
    asked = {"kind": "missing-mfa", "arn": "x", "facts": "f" * 100, "first": day(0), "step": "asked", "time": 1}
    told = [{**asked, "id": it, "user": it.split("/")[1].split("@")[0]} for it in problems]
    one = json.dumps({"as_of": f"{day(7)}T00:00:00Z", "is_baseline": False, "users": 50, "kinds": {}, "asked": 50, "told": told})
    for account in accounts:
        table.client.put_item(TableName=table.name, Item={"id": {"S": f"sweep#{account}"}, "day": {"S": day(7)}, "summary": {"S": one}})
    answers = [{}, {"by": "Dana", "reason": "a migration"}]
    answers = [organisation.hygiene.invoke({"command": "sweep-release", **organisation.of_day(7), "release": it})["sweep"] for it in answers]
    assert "SWEEP_MAX_ACTIONS" in answers[0]["outcome"] and answers[0]["accounts"] == []
    answer = answers[1]
    assert answer["outcome"] == "3000 are asked about, 0 are done unasked" and answer["accounts"] == accounts
    # At ten thousand accounts the state holds it, as it holds those that are swept.
    assert len(json.dumps(answer)) < 20 * len(accounts) + 1_000
    messages = organisation.messages(7, [accounts[0], accounts[-1]])
    assert [it["problem"] for it in messages] == problems * 2
