"""Reports that are due: what people are told of them, and when one is made again."""

import hashlib
import json


from .harness.intrusion import happened
from .harness.ledger import DUE, Table
from .harness.victims import Role, User
from .test_lease import killed
from .test_report import EXFILTRATION, later, report


def told(world):
    return [it for it in world.alerts() if it["Subject"].startswith("Evidence")]


def again(world):
    """The list asks for it once more."""
    table = Table(world)
    table.change(table.item("evidence#"), "SET due_at = :zero", zero={"N": "0"})
    world.responder().invoke(DUE)
    world.deliveries()


def test_news_that_could_not_be_told_are_told_with_the_next_report(world):
    """SNS fails once: the suspects that nobody has heard of yet are new to people, whatever the ledger has."""
    world.deploy(Evidence="true")
    user = User(world)
    Role(world)
    user.session().attach_role_policy(RoleName="app", PolicyArn="arn:aws:iam::aws:policy/IAMFullAccess")
    world.connected(part="investigator")
    # The alert of the containment is told; the report is not.
    world.fault("sns:Publish", "AuthorizationError", status=403, after=1, times=1)
    world.responder().invoke(world.event(EXFILTRATION, user))
    world.deliveries()
    item = Table(world).item("evidence#")
    assert told(world) == [] and "gist" not in item and json.loads(item["untold"]["S"])
    again(world)
    [alert] = told(world)
    assert "NEW SUSPECTS" in alert["Message"] and "attached a policy to role app" in alert["Message"], alert["Message"]
    item = Table(world).item("evidence#")
    assert json.loads(item["gist"]["S"])["revision"] == 2 and "untold" not in item


def test_a_report_that_could_not_read_the_ledger_is_made_again_and_does_not_say_that_nothing_was_contained(world):
    world.deploy(Evidence="true")
    user, responder, table = User(world), world.responder(), Table(world)
    user.session().create_user(UserName="mallory")
    world.connected(part="investigator")
    responder.invoke(world.event(EXFILTRATION, user))
    world.deliveries()
    told(world)
    # The last pass; the record, which is read again once IAM was, can't be read then, once.
    later(table, 121)
    world.fault("dynamodb:GetItem", "AccessDeniedException", text="record#", times=1, after=1)
    responder.invoke(DUE)
    world.deliveries()
    [alert] = told(world)
    message, item = alert["Message"], table.item("evidence#")
    assert "nothing was contained" not in message and "whether it is contained is not known" in message, message
    assert "administrator: not known, before yes" in message and "no more" not in message, message
    assert "due_bucket" in item and "is_final" not in item, item
    again(world)
    [alert] = told(world)
    assert "administrator: yes, before not known" in alert["Message"] and "is_final" in table.item("evidence#")


def test_a_bucket_that_takes_nothing_is_told_once_and_not_every_five_minutes(world):
    world.deploy(Evidence="true", EvidenceBucket="true")
    user, s3 = User(world), world.client("s3", account=world.security)
    world.connected(part="investigator")
    [bucket] = [it["Name"] for it in s3.list_buckets()["Buckets"] if "reports" in it["Name"]]
    s3.delete_bucket(Bucket=bucket)
    world.responder().invoke(world.event(EXFILTRATION, user))
    world.deliveries()
    [alert] = told(world)
    assert "Kept" not in alert["Message"]
    again(world)
    assert told(world) == [] and Table(world).item("evidence#")["revision"]["N"] == "2"
    # Once it takes something, people hear where that is.
    s3.create_bucket(Bucket=bucket)
    again(world)
    [alert] = told(world)
    assert f"evidence/{world.member}/{user.id}/000003-" in alert["Message"]


def test_a_report_that_was_announced_comes_though_the_function_is_killed_before_it_asks(world):
    world.deploy(Evidence="true")
    user, table = User(world), Table(world)
    world.connected(part="investigator")
    event = world.event(EXFILTRATION, user)
    # Listing it takes long; asking for it at once never succeeds.
    world.fault("dynamodb:UpdateItem", text="evidence#", delay_ms=1_000, times=1)
    world.fault("lambda:InvokeFunction", delay_ms=5_000, reset="before", times=1)
    announced = []

    def is_told():
        announced.extend(it for it in world.alerts() if "follows within minutes, as report" in it["Message"])
        return announced

    killed(world, event, is_told)
    # Lambda tries the event again, which has nothing to do.
    table.pass_time()
    world.responder().invoke(event)
    again(world)
    assert [it["Subject"] for it in told(world)] == [f"Evidence: user alice in {world.member}: risk high"], announced


def test_the_report_of_which_people_are_told_the_hash_is_kept_somewhere(world):
    """Without a bucket, which is the default, nobody has the answer of an asynchronous invocation: the log is all."""
    world.deploy(Evidence="true")
    user, investigator = User(world), world.connected(part="investigator")
    long = {field: "x" * 300 for field in ("policyName", "groupName", "versionId", "granteePrincipal", "principal", "policyArn")}
    requests = [{"keyName": f"key-{n}", **long} for n in range(150)]
    happened(world, user, "CreateKeyPair", count=150, source="ec2.amazonaws.com", is_read=False, requests=requests)
    world.responder().invoke(world.event(EXFILTRATION, user))
    world.deliveries()
    [alert] = told(world)
    sha256 = alert["Message"].rsplit("SHA-256 of its JSON: ", 1)[1].strip()
    # As `docs/evidence.md` has it.
    logged = [it for it in investigator.log_lines() if it.get("sha256") == sha256]
    parts = {it["part"]: it["evidence"] for it in logged}
    assert len(parts) == logged[0]["of"] > 1 and max(map(len, parts.values())) <= 100_000
    whole = "".join(parts[n] for n in sorted(parts))
    assert hashlib.sha256(whole.encode()).hexdigest() == sha256 and len(json.loads(whole)["left"]) == 150


def test_a_person_who_asks_gets_the_report_though_nobody_else_could_be_told(world):
    world.deploy()
    User(world)
    world.fault("sns:Publish", "AuthorizationError", status=403)
    answer = report(world, "alice")
    assert answer["evidence"]["report"]["summary"] and "telling people" in answer["evidence"]["failed"][0], answer
