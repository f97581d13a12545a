"""Reports in the bucket: created, never read, overwritten or deleted."""

import hashlib
import json

import pytest

from .harness import templates
from .harness.victims import User


def report(world):
    return world.responder(part="investigator").invoke({"command": "report", "account": world.member, "user": "alice"})


@pytest.fixture
def kept(world):
    """The bucket's name, and an administrator's client there."""
    world.deploy(EvidenceBucket="true")
    stack = world.client("cloudformation", account=world.security)
    outputs = [it for each in stack.describe_stacks()["Stacks"] for it in each.get("Outputs", [])]
    [bucket] = [it["OutputValue"] for it in outputs if it["OutputKey"] == "ReportsBucketName"]
    return bucket, world.client("s3", account=world.security)


def keys(kept):
    bucket, s3 = kept
    return [it["Key"] for it in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_each_form_of_each_revision_is_kept_and_linked(world, kept):
    bucket, s3 = kept
    user = User(world)
    world.alerts()
    for revision in (1, 2):
        evidence = report(world)["evidence"]
        start = f"evidence/{world.member}/{user.id}/{revision:06}-{evidence['sha256'][:16]}"
        forms = {it: s3.get_object(Bucket=bucket, Key=f"{start}.{it}") for it in ("json", "md", "html")}
        texts = {ending: it["Body"].read() for ending, it in forms.items()}
        assert hashlib.sha256(texts["json"]).hexdigest() == evidence["sha256"]
        assert json.loads(texts["json"]) == evidence["report"]
        assert texts["md"].decode() == evidence["markdown"] and texts["html"].decode() == evidence["html"]
        assert [forms[it]["ContentType"] for it in ("json", "html")] == ["application/json", "text/html; charset=utf-8"]
        [told] = [it["Message"] for it in world.alerts() if it["Subject"].startswith("Evidence")]
        assert f"{bucket}?region={world.region}&prefix={start}.html" in told and evidence["link"] in told
    assert len(keys(kept)) == 6


def test_without_a_bucket_nothing_is_kept_and_nothing_fails(world):
    world.deploy()
    User(world)
    answer = report(world)
    assert "evidence" in answer and "link" not in answer["evidence"]
    assert not [it for it in world.journal() if it["action"].startswith("s3:")]


def test_a_bucket_that_is_gone_fails_no_report_and_is_told(world, kept):
    bucket, s3 = kept
    User(world)
    s3.delete_bucket(Bucket=bucket)
    world.alerts()
    answer = report(world)
    # It is told, without a link, and whoever asked sees what failed.
    [told] = [it["Message"] for it in world.alerts() if it["Subject"].startswith("Evidence")]
    assert "SHA-256" in told and "console" not in told
    [failed] = answer["evidence"]["failed"]
    assert failed.startswith("keeping the report: NoSuchBucket")


def test_the_role_may_create_there_and_nothing_else(world, kept):
    bucket, _ = kept
    iam = world.client("iam", account=world.security)
    document = iam.get_role_policy(RoleName="iam-responder-investigator", PolicyName="investigator")["PolicyDocument"]
    of_s3 = [it for it in document["Statement"] if "s3:" in json.dumps(it["Action"]) or it["Action"] == "*"]
    assert [(it["Action"], it["Resource"]) for it in of_s3] == [("s3:PutObject", f"arn:aws:s3:::{bucket}/evidence/*")]


def test_the_bucket_outlives_the_stack_and_takes_no_overwriting():
    resources = templates.translated()["Resources"]
    bucket, policy = resources["Reports"], resources["ReportsPolicy"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    has = bucket["Properties"]
    assert has["VersioningConfiguration"] == {"Status": "Enabled"} and all(has["PublicAccessBlockConfiguration"].values())
    assert has["BucketEncryption"] and has["ObjectLockConfiguration"]["Fn::If"][1]["Rule"]["DefaultRetention"]["Mode"] == "GOVERNANCE"
    statements = {it["Sid"]: it for it in policy["Properties"]["PolicyDocument"]["Statement"]}
    assert statements["NothingIsOverwritten"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}
    assert statements["OnlyByTls"]["Effect"] == statements["NothingIsOverwritten"]["Effect"] == "Deny"
