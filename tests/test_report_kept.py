"""Reports in the bucket: created, never read, overwritten or deleted."""

import base64
import datetime as dt
import hashlib
import json

import pytest
from botocore.exceptions import ClientError

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
    # Without its policy it would take what overwrites a report.
    for resource in (bucket, policy):
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    has = bucket["Properties"]
    assert has["VersioningConfiguration"] == {"Status": "Enabled"} and all(has["PublicAccessBlockConfiguration"].values())
    assert has["BucketEncryption"] and has["ObjectLockConfiguration"]["Fn::If"][1]["Rule"]["DefaultRetention"]["Mode"] == "GOVERNANCE"
    statements = {it["Sid"]: it for it in policy["Properties"]["PolicyDocument"]["Statement"]}
    assert statements["NothingIsOverwritten"]["Condition"] == {"Null": {"s3:if-none-match": "true"}}
    assert statements["OnlyByTls"]["Effect"] == statements["NothingIsOverwritten"]["Effect"] == "Deny"


def test_what_was_kept_and_what_guards_it_are_there_after_the_stack_is_deleted(world, kept):
    """And the next deployment has a bucket of its own: the name of the one that stayed is in nobody's way."""
    bucket, s3 = kept
    User(world)
    assert report(world)["evidence"]["link"]
    before, policy = keys(kept), s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert len(before) == 3 and {it["Sid"] for it in json.loads(policy)["Statement"]} == {"OnlyByTls", "NothingIsOverwritten"}
    cloudformation = world.client("cloudformation", account=world.security)
    cloudformation.delete_stack(StackName="iam-responder")
    assert cloudformation.describe_stacks()["Stacks"] == []
    assert keys(kept) == before and s3.get_bucket_policy(Bucket=bucket)["Policy"] == policy
    assert s3.get_object(Bucket=bucket, Key=before[0])["Body"].read()
    again = world.deploy_responder(EvidenceBucket="true")["ReportsBucketName"]
    assert again != bucket and keys((again, s3)) == [] and keys(kept) == before


def with_lock(world, days):
    """A bucket as the template makes it with `EvidenceLockDays`: moto's CloudFormation knows nothing of locks."""
    has = templates.translated()["Resources"]["Reports"]["Properties"]
    enabled, lock = has["ObjectLockEnabled"]["Fn::If"][1], has["ObjectLockConfiguration"]["Fn::If"][1]
    retention = {**lock["Rule"]["DefaultRetention"], "Days": days}
    s3, bucket = world.client("s3", account=world.security), f"locked-{world.member}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=enabled)
    configuration = {"ObjectLockEnabled": lock["ObjectLockEnabled"], "Rule": {"DefaultRetention": retention}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)
    return bucket, s3


def test_a_bucket_that_locks_takes_each_form_by_its_checksum_and_gives_none_up(world):
    """S3 refuses what comes without one: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"""
    world.deploy()
    User(world)
    bucket, s3 = with_lock(world, days=30)
    command = {"command": "report", "account": world.member, "user": "alice"}
    evidence = world.responder(part="investigator", EVIDENCE_BUCKET=bucket).invoke(command)["evidence"]
    assert "failed" not in evidence and evidence["link"]
    made = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert len(made) == 3
    for it in made:
        named = {"Bucket": bucket, "Key": it["Key"], "VersionId": it["VersionId"]}
        found = s3.get_object(**named, ChecksumMode="ENABLED")
        assert found["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(found["Body"].read()).digest()).decode()
        left = found["ObjectLockRetainUntilDate"] - dt.datetime.now(dt.timezone.utc)
        assert found["ObjectLockMode"] == "GOVERNANCE" and dt.timedelta(days=29) < left <= dt.timedelta(days=30)
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(**named)
    assert [it["VersionId"] for it in s3.list_object_versions(Bucket=bucket)["Versions"]] == [it["VersionId"] for it in made]
    # A person with the right to bypass it can.
    s3.delete_object(Bucket=bucket, Key=made[0]["Key"], VersionId=made[0]["VersionId"], BypassGovernanceRetention=True)
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2
