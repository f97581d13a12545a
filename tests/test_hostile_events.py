"""Promises about events, digests and the newcomer's way that a hostile read found broken."""

import copy
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from .harness.processes import ROOT
from .harness.victims import Role, User
from .harness.world import World, random_account

SEQUENCE = "guardduty-attack-sequence-iam-compromised-credentials"
TOR = "guardduty-unauthorized-access-iam-user-tor-ip-caller-medium"
LOW = "guardduty-discovery-iam-user-anomalous-behavior-low"
S3 = "guardduty-exfiltration-s3-anomalous-behavior-by-role"
HEALTH = "health-risk-credentials-exposed"
NAME_ONLY = "security-hub-v2-guardduty-exfiltration-iam-user-anomalous-behavior-name-without-type"
FEDERATED = "guardduty-exfiltration-iam-user-anomalous-behavior-federated"


def told(answer):
    return [(it["how"], it["outcome"]) for it in answer.get("told", [])]


def verdicts(answer):
    return [it["verdict"] for it in answer.get("reports", [])]


def everything_said(world):
    return "\n".join(f"{it['Subject']}\n{it['Message']}" for it in world.alerts())


def ledger(world):
    return [name for name in world.client("dynamodb", world.security).list_tables()["TableNames"] if "Ledger" in name][0]


# Never another identity.


@pytest.mark.parametrize("kind, key", [("IAMUser", None), ("IAMUser", "ASIAIOSFODNN7EXAMPLE"), ("AssumedRole", "ASIAI44QH8DHBEXAMPLE")])
def test_an_actor_of_another_account_is_contained_only_by_its_unique_id(world, kind, key):
    """GuardDuty's documentation: the actor's account is not necessarily the one that owns the identity."""
    other = random_account()
    world.deploy(members=[other])
    there = World(world.url, member=other, security=world.security)
    namesake = User(there, name="alice") if kind == "IAMUser" else Role(there, name="alice")
    event = world.event(SEQUENCE)
    sequence = event["detail"]["service"]["detection"]["sequence"]
    user = {"name": "alice", "type": kind, "account": {"uid": other}}
    if key:
        user["credentialUid"] = key
    sequence["actors"] = [{"id": "a", "user": user}]
    sequence["resources"] = []
    answer = world.responder().invoke(event)
    written = [it for it in world.client("iam", other).list_user_tags(UserName="alice")["Tags"]] if kind == "IAMUser" else (
        world.client("iam", other).list_role_policies(RoleName="alice")["PolicyNames"]
    )
    assert written == [], (verdicts(answer), written)
    assert namesake


@pytest.mark.parametrize("principal_id", ["{account}:", "{account}:ce"])
def test_a_damaged_principal_id_makes_no_user_of_a_federated_sessions_name(world, principal_id):
    """Its caller chose the name: nobody who merely bears it may be contained for it."""
    world.deploy()
    boss = User(world, name="ceo")
    event = world.event(FEDERATED)
    details = event["detail"]["resource"]["accessKeyDetails"]
    details.update(userName="ceo", principalId=f"{world.member}:ceo")
    responder = world.responder()
    assert verdicts(responder.invoke(event)) == ["Refused"]
    details["principalId"] = principal_id.format(account=world.member)
    answer = responder.invoke(event)
    assert boss.key_works(), verdicts(answer)


# Never silent.


def test_an_exposed_key_is_deactivated_though_the_event_lists_the_account_as_affected(world):
    world.deploy()
    user = User(world)
    event = world.event(HEALTH, user)
    event["detail"]["affectedEntities"] = [{"entityValue": world.member, "status": "IMPAIRED"}]
    answer = world.responder().invoke(event)
    assert not user.key_works(), verdicts(answer)


def test_of_two_exposed_keys_none_is_forgotten(world):
    world.deploy()
    alice, bob = User(world), User(world, name="bob")
    event = world.event(HEALTH, alice)
    exposed = bob.keys[0]["AccessKeyId"]
    event["detail"]["eventMetadata"] = {"publicKey": exposed, "accountId": world.member}
    answer = world.responder().invoke(event)
    assert not bob.key_works() or exposed in everything_said(world), verdicts(answer)


def test_every_stolen_credential_is_told_of_though_it_has_no_key_and_no_iam_name(world):
    """Two people of Identity Center, each with sessions in somebody else's hands."""
    world.deploy()
    responder = world.responder()
    for person in ("carol", "dave"):
        event = world.event(TOR)
        event["id"] = f"event-of-{person}"
        event["detail"]["arn"] += person
        event["detail"]["title"] = f"API GetObject was invoked by {person} from a Tor exit node."
        event["detail"]["resource"]["accessKeyDetails"] = {"userType": "IdentityCenterUser", "userName": person, "principalId": person}
        responder.invoke(event)
    said = everything_said(world)
    assert "carol" in said and "dave" in said, said


def test_every_foreign_reader_of_buckets_is_told_of(world):
    """HIGH findings about anonymous callers or principals of other accounts: no key, no name of ours."""
    world.deploy()
    responder = world.responder()
    answers = []
    for number, bucket in enumerate(("payroll", "backups")):
        event = world.event(S3)
        event["id"] = f"event-{number}"
        event["detail"]["arn"] += str(number)
        event["detail"]["title"] = f"bucket {bucket}"
        event["detail"]["resource"]["accessKeyDetails"] = {"userType": "AWSAccount", "userName": "ANONYMOUS_PRINCIPAL"}
        answers.append(told(responder.invoke(event)))
    said = everything_said(world)
    assert "payroll" in said and "backups" in said, answers


def test_nobody_hides_in_the_digest_behind_a_decoys_noise(world):
    """One cheap key that does odd things in every region, and then the user that matters."""
    world.deploy()
    decoy, matters = User(world, name="decoy"), User(world, name="payroll-admin")
    responder = world.responder()
    event = world.event(LOW, decoy)
    event["detail"]["severity"] = 5
    text = json.dumps(event).replace('"alice"', '"decoy"')
    for number in range(20):
        one = json.loads(text)
        one["detail"]["arn"] = f"arn:aws:guardduty:us-east-1:{world.member}:detector/d/finding/{number:032x}"
        assert told(responder.invoke(one)) == [("hourly-digest", "applied")]
    real = world.event(LOW, matters)
    real["detail"]["severity"] = 6.9
    real = json.loads(json.dumps(real).replace('"alice"', '"payroll-admin"'))
    responder.invoke(real)
    responder.invoke({"command": "digest"})
    said = everything_said(world)
    assert "payroll-admin" in said, said[-900:]


def test_what_was_only_counted_while_a_digest_was_sent_is_in_the_next_one(world):
    world.deploy()
    user, responder, other = User(world), world.responder(), world.responder()
    event = world.event(LOW, user)
    for number in range(20):
        event["detail"]["arn"] = f"arn:aws:guardduty:us-east-1:{world.member}:detector/d/finding/{number:032x}"
        responder.invoke(event)
    other.invoke({"command": "due"})
    world.fault("sns:Publish", delay_ms=2_000, times=1)
    sending = threading.Thread(target=responder.invoke, args=({"command": "digest"},))
    sending.start()
    end = time.monotonic() + 20
    while time.monotonic() < end and not any(it.get("times") == 0 for it in world.faults()):
        time.sleep(0.02)
    event["detail"]["arn"] += "-late"
    assert told(other.invoke(event)) == [("hourly-digest", "applied")]
    sending.join(60)
    assert world.alerts()
    world.client("dynamodb", world.security).update_item(
        TableName=ledger(world),
        Key={"id": {"S": "digest#hourly"}},
        UpdateExpression="SET sent_at = :then",
        ExpressionAttributeValues={":then": {"N": str(int(time.time() * 1_000) - 3_600_000)}},
    )
    responder.invoke({"command": "digest"})
    item = world.client("dynamodb", world.security).get_item(TableName=ledger(world), Key={"id": {"S": "digest#hourly"}})["Item"]
    assert len(world.alerts()) == 1, item


def test_nobody_is_said_to_have_been_told_who_was_not(world):
    """A copy of the finding arrives while the first one's alert fails."""
    world.deploy()
    user, responder = User(world), world.responder()
    event = world.event(TOR, user)
    world.fault("sns:Publish", "InternalError", status=500, times=100)
    assert responder.invoke(event)["errorType"] == "ResponseIncomplete"
    copied = copy.deepcopy(event)
    copied["id"] = "the-copy"
    answer = responder.invoke(copied)
    assert world.alerts() == []
    assert "people were told of it" not in json.dumps(answer), answer


def test_an_attack_sequence_with_an_empty_list_of_actors_contains_whom_its_key_names(world):
    world.deploy()
    user = User(world)
    event = world.event("guardduty-attack-sequence-iam-compromised-credentials-without-detection", user)
    details = event["detail"]["resource"].get("accessKeyDetails")
    assert details, "the sample has them"
    event["detail"]["service"]["detection"] = {"sequence": {"actors": []}}
    answer = world.responder().invoke(event)
    assert not user.key_works(), (verdicts(answer), details)


@pytest.mark.parametrize("kind", ["Exfiltration:DynamoDB/AnomalousBehavior", "CredentialAccess:SecretsManager/AnomalousBehavior", "Impact:Bedrock/CostHarvesting"])
def test_a_type_that_is_not_known_yet_reaches_the_function(world, kind):
    """README: types that are not known yet are an alert from HIGH on."""
    world.deploy()
    role = Role(world)
    event = world.event(S3, role=role)
    event["detail"]["type"] = kind
    responder = world.connected()
    assert told(responder.invoke(event)) == [("alert", "applied")]  # the function knows what to do
    world.alerts()
    event["detail"]["type"] = kind + ".Other"
    fields = {"account": world.security, "region": "us-east-1", "source": event["source"], "detail_type": event["detail-type"]}
    known = copy.deepcopy(event["detail"])
    known["type"] = "Exfiltration:S3/AnomalousBehavior"
    world.control("event", {**fields, "detail": known})
    assert len(world.deliveries()) == 1
    world.control("event", {**fields, "detail": event["detail"]})
    assert len(world.deliveries()) == 2


def test_a_user_that_is_called_root_is_not_taken_for_the_root_user(world):
    """The intruder chooses the name; Security Hub's second format has a name and no type."""
    world.deploy()
    user = User(world, name="root")
    event = json.loads(json.dumps(world.event(NAME_ONLY)).replace('"alice"', '"root"'))
    answer = world.responder().invoke(event)
    said = everything_said(world)
    assert not user.key_works() or "user root" in said, (verdicts(answer), said[:300])


def test_an_unreadable_event_whose_account_is_blank_is_an_alert_too(world):
    world.deploy()
    event = world.event(TOR)
    event["detail"]["accountId"] = " "
    answer = world.responder().invoke(event)
    assert "errorType" in answer
    assert len(world.alerts()) == 1, answer


@pytest.mark.parametrize("setting", ["IAM=digest", "IAM=count"])
def test_what_is_set_for_custom_rules_leaves_attack_sequences_alone(world, setting):
    """README: `IAM` is the family of custom detection rules; every AttackSequence is a credential in other hands."""
    world.deploy()
    user = User(world)
    event = world.event(SEQUENCE, user)
    sequence = event["detail"]["service"]["detection"]["sequence"]
    sequence["actors"] = sequence["actors"][:1]
    answer = world.responder(FINDING_RESPONSES=setting).invoke(event)
    assert verdicts(answer) == ["Contained"], answer


def test_an_unreadable_event_is_told_where_only_its_playbook_enforces(world):
    """The way of a careful operator: observe everything, enforce one playbook."""
    world.deploy(Mode="observe", PlaybookModes="compromised-credential=enforce")
    user, responder = User(world), world.responder()
    assert told(responder.invoke(world.event(TOR, user))) == [("alert", "applied")]
    world.alerts()
    event = world.event(TOR, user)
    event["detail"]["accountId"] = 7
    answer = responder.invoke(event)
    assert "errorType" in answer
    assert len(world.alerts()) == 1, answer


@pytest.mark.parametrize("agent", ['"cut in half \\ud83d"', "1e400", "[" * 130 + "]" * 130])
def test_an_odd_value_in_a_field_that_nothing_needs_leaves_nobody_free(world, agent):
    """A user agent that was cut in the middle of a pair; a number or a depth that JSON allows."""
    world.deploy()
    user = User(world)
    event = world.event("guardduty-exfiltration-iam-user-anomalous-behavior", user)
    text = json.dumps(event).replace('"aws-cli/2.31.0"', agent)
    assert text != json.dumps(event)
    responder = world.responder()
    answer = responder.invoke(text.encode())
    assert not user.key_works() or len(world.alerts()) == 1, answer


# The newcomer's way.


def demo(*arguments):
    command = [sys.executable, "-m", "tests.demo", "--settle", "0", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def sample(name):
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def of_a_role(name):
    event = sample("guardduty-unauthorized-access-iam-user-instance-credential-exfiltration-outside-aws")
    event["detail"]["resource"]["accessKeyDetails"]["userName"] = name
    return event


def of_actors(*changes):
    event = sample(SEQUENCE)
    actors = event["detail"]["service"]["detection"]["sequence"]["actors"]
    actors[:] = [{**actors[0], "user": {**actors[0]["user"], **change}} for change in changes]
    return event


def hub_finding(change):
    event = sample("security-hub-iam-8-unused-credentials")
    change(event["detail"]["findings"][0])
    return event


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(of_a_role("SecurityRemediationRole"), id="the-responders-own-role"),
        pytest.param({"command": "contain", "account": "111122223333", "role": "SecurityRemediationRole"}, id="a-command-about-it"),
        pytest.param(of_actors({}, {"uid": "AIDAZZZZZZZZZZEXAMPLE", "credentialUid": None}), id="a-name-and-two-ids"),
        pytest.param(of_actors({}, {"uid": "AIDAZZZZZZZZZZEXAMPLE", "name": None, "credentialUid": None}), id="a-name-and-an-id"),
        pytest.param(hub_finding(lambda it: it.pop("Description")), id="a-finding-without-its-description"),
        pytest.param(hub_finding(lambda it: it.pop("SchemaVersion")), id="a-finding-without-its-schema-version"),
        pytest.param(hub_finding(lambda it: it.update(Id="")), id="a-finding-without-an-id"),
        pytest.param("[" * 3_000 + "]" * 3_000, id="deep"),
    ],
)
def test_a_demo_of_any_event_ends_with_the_functions_word_and_no_traceback(tmp_path, event):
    path = tmp_path / "mine.json"
    path.write_text(event if isinstance(event, str) else json.dumps(event))
    ended = demo(path)
    assert "Traceback" not in ended.stderr, ended.stderr[-300:]


def test_a_reader_of_the_answer_who_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m tests.demo --plain | true"
    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "BrokenPipe" not in ended.stderr, ended.stderr[-300:]


def test_the_command_of_an_alert_works_in_the_cli_that_this_project_installs(world, tmp_path):
    """`local/env.sh` puts it on the PATH; README's own commands work in both of AWS's CLIs."""
    world.deploy()
    user = User(world)
    responder = world.connected()
    responder.invoke(world.event(TOR, user))
    [command] = [line for line in everything_said(world).splitlines() if line.startswith("aws lambda invoke")]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": f"SIMADMIN{world.security}", "AWS_SECRET_ACCESS_KEY": "any"}
    environment |= {"AWS_ENDPOINT_URL": world.url, "AWS_DEFAULT_REGION": world.region, "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    ended = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr[-200:]
    assert not user.key_works()
