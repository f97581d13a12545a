"""What a thief can do with the roles of the daily sweep: everything is tried, and nobody loses anything by it."""

import json

from .harness.ledger import Table
from .harness.requests import iam_writes
from .harness.sweeps import Organisation, day, rows
from .harness.victims import User, allowed
from .harness.world import EXTERNAL_ID
from .test_stolen_sessions import attempts, of_function, stage, stolen

REPORT = "iam:GenerateCredentialReport"


def test_a_stolen_session_of_the_sweep_role_changes_nothing(world):
    alice, bob, _, _ = stage(world)
    session = stolen(world, "SecuritySweepRole", "iam-responder-sweeper")
    assert {name for name, call, arguments in attempts(world, session, alice, bob) if allowed(call, **arguments)} == set()
    iam = session("iam")
    assert allowed(iam.generate_credential_report) and allowed(iam.list_mfa_devices, UserName="bob")
    for call, arguments in (
        (iam.get_user, {"UserName": "bob"}),
        (iam.list_attached_user_policies, {"UserName": "bob"}),
        (iam.get_account_authorization_details, {}),
        (iam.list_users, {}),
    ):
        assert not allowed(call, **arguments), call


def test_a_stolen_role_of_the_sweeper_gets_its_own_member_role_and_reaches_nobody_elses_items(world):
    world.deploy(SweepAccounts=world.member)
    sts = of_function(world, "iam-responder-sweeper", "sts")
    for role in ("SecurityRemediationRole", "SecurityRestoreRole"):
        arn = f"arn:aws:iam::{world.member}:role/{role}"
        assert not allowed(sts.assume_role, RoleArn=arn, RoleSessionName="thief", ExternalId=EXTERNAL_ID)
    dynamodb, table = of_function(world, "iam-responder-sweeper", "dynamodb"), Table(world).name
    every = ["asked#1#X", "due#x", "lock#1#x", "record#1#x", "released#1", "request#x", "slack#sweep", "slack#target#1#X", "sweep#1", "suspects#1#x"]
    key = {it: {"TableName": table, "Key": {"id": {"S": it}}} for it in every}
    update = {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"N": "1"}}}
    assert [it for it in every if allowed(dynamodb.get_item, **key[it])] == ["sweep#1"]
    assert [it for it in every if allowed(dynamodb.update_item, **key[it], **update)] == ["slack#sweep", "sweep#1"]
    [queue] = [it for it in world.client("sqs", world.security).list_queues()["QueueUrls"] if "HygieneQueue" in it]
    assert not allowed(of_function(world, "iam-responder-sweeper", "sqs").send_message, QueueUrl=queue, MessageBody="{}")
    functions = of_function(world, "iam-responder-sweeper", "lambda")
    assert not allowed(functions.invoke, FunctionName="iam-responder-hygiene", Payload=b"{}")
    states = of_function(world, "iam-responder-sweeper", "stepfunctions")
    [machine] = world.client("stepfunctions", world.security).list_state_machines()["stateMachines"]
    assert not allowed(states.start_execution, stateMachineArn=machine["stateMachineArn"], input="{}")


def entry(kind, user):
    problem = f"{kind}/{user}@1577836800"
    return {"kind": kind, "id": problem, "user": user, "arn": "x", "facts": "forged", "first": day(0), "step": "asked", "time": 1}


def forge(world, organisation, **summary):
    """The account's row, as whoever has the sweeper's role can write it."""
    dynamodb, table = of_function(world, "iam-responder-sweeper", "dynamodb"), Table(world).name
    head = rows(world)[f"sweep#{organisation.account.id}"]
    forged = json.loads(head["summary"]["S"]) | summary
    dynamodb.update_item(TableName=table, Key={"id": head["id"]}, UpdateExpression="SET summary = :s", ExpressionAttributeValues={":s": {"S": json.dumps(forged)}})


def test_rows_that_a_thief_of_the_sweepers_role_forges_lead_to_nobody_who_has_no_problem(world):
    """Also where everything is enforced: whoever has MFA, no password, keys in use or protection keeps everything."""
    organisation = Organisation(
        world,
        Mode="enforce",
        PlaybookModes="missing-mfa=enforce,unused-user=enforce,unauthorized-user=enforce",
        SweepActsOn="missing-mfa,unused-user,unseen-user",
        SweepMaxShare="100",
        ProtectedPrincipals=f"arn:aws:iam::{world.member}:user/protected",
    )
    account = organisation.account
    account.user("with-mfa", mfa=True)
    account.user("program", password=False)
    account.user("protected")
    account.user("busy", mfa=True)
    user = User(world, name="created")
    before = user.state()
    organisation.sweep(0)
    told = [entry("missing-mfa", it) for it in ("with-mfa", "program", "protected")] + [entry("unused-user", "busy"), entry("unseen-user", "created")]
    forge(world, organisation, told=told, asked=len(told))
    reports = [report for message in organisation.release(0) for report in organisation.act(message)]
    assert len(reports) == len(told)
    by_user = {it["principal"]["name"]: it["verdict"] for it in reports}
    # Whoever is called unseen is put to a person, who reads how old it is, and nothing that is only the row's.
    messages = [it["Message"] for it in world.alerts()]
    assert [it for it in messages if "user: created at 20" in it] and not [it for it in messages if "forged" in it]
    assert (by_user["protected"], by_user["busy"], by_user["created"]) == ("Refused", "Refused", "Waiting")
    for name in ("with-mfa", "program", "protected", "busy"):
        keys = account.iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        assert {it["Status"] for it in keys} == {"Active"}, name
    assert user.state() == before and [it for it in iam_writes(world) if it != REPORT] == []


def test_what_was_not_counted_is_not_acted_upon_whatever_the_row_says_by_then(world):
    organisation = Organisation(world, PlaybookModes="missing-mfa=enforce")
    account = organisation.account
    for name in ("alice", "bob"):
        account.user(name, mfa=name == "bob")
    organisation.day(0)
    [message] = organisation.sweep(7)
    account.user("carol")
    # As somebody writes it, or a sweep of that day by hand.
    forge(world, organisation, told=[entry("missing-mfa", it) for it in ("alice", "carol")], asked=2)
    assert organisation.act({**message, "problem": "missing-mfa/carol@1577836800"}) == [] and iam_writes(world).count("iam:UpdateAccessKey") == 0
    assert [it["principal"]["name"] for it in organisation.act(message)] == ["alice"]


def test_what_a_thief_forges_of_the_count_is_counted_again_by_who_asks(world):
    organisation = Organisation(world, SweepMaxActions="1", SweepMaxShare="100")
    for name in ("alice", "bob"):
        organisation.account.user(name)
    organisation.day(0)
    assert organisation.sweep(7) == []
    forge(world, organisation, asked=0)
    assert organisation.release(7) == []
