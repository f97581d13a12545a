"""A compromised access key contained by a Lambda of one's own, as an experienced engineer writes it with boto3.

For each finding of an imported Security Hub event about an IAM user: denies the user everything, deactivates its
keys, marks the finding and tells people; once for each finding, whoever delivers it again. What can be made before
an event is made then, what can go out together does, and the sessions of member accounts are kept.
"""

import json
import logging
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

DENY = "arn:aws:iam::aws:policy/AWSDenyAll"
LEASE_SECONDS = 120

logging.getLogger().setLevel(logging.INFO)
logger = logging.getLogger(__name__)

config = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=50,
    tcp_keepalive=True,
)
session = boto3.Session()
sts = session.client("sts", config=config)
dynamodb = session.client("dynamodb", config=config)
securityhub = session.client("securityhub", config=config)
sns = session.client("sns", config=config)
# Its description of IAM, 300 KB of JSON, is read now and not before the first deny.
session.client("iam", config=config)

findings_pool = ThreadPoolExecutor(8)
calls_pool = ThreadPoolExecutor(48)
members, members_lock = {}, threading.Lock()


def handler(event, context):
    if event.get("detail-type") != "Security Hub Findings - Imported":
        return {"ignored": event.get("detail-type")}
    wanted = [finding for finding in event["detail"]["findings"] if counts(finding)]
    results, errors = [], []
    for future in [findings_pool.submit(respond, finding, context.aws_request_id) for finding in wanted]:
        try:
            results.append(future.result())
        except Exception as error:
            logger.exception("a finding could not be answered")
            errors.append(str(error))
    if errors:
        # Lambda tries again; whatever was done is done once.
        raise RuntimeError("; ".join(errors))
    return {"results": results, "ignored": len(event["detail"]["findings"]) - len(wanted)}


def counts(finding):
    return (
        finding.get("ProductName") == "GuardDuty"
        and finding.get("RecordState") == "ACTIVE"
        and finding["Workflow"]["Status"] == "NEW"
        and not finding.get("Sample")
        and finding["Severity"]["Normalized"] >= 70
        and user_of(finding) is not None
    )


def user_of(finding):
    for resource in finding["Resources"]:
        details = resource.get("Details", {}).get("AwsIamAccessKey", {})
        if resource["Type"] == "AwsIamAccessKey" and details.get("PrincipalType") == "IAMUser":
            return details["PrincipalName"], re.sub(r"^AWS::IAM::AccessKey:", "", resource["Id"])
    return None


def respond(finding, request_id):
    user, named_key = user_of(finding)
    account = finding["AwsAccountId"]
    claimed = calls_pool.submit(claim, finding["Id"], request_id)
    iam = member(account)
    if not claimed.result():
        return {"finding": finding["Id"], "user": user, "outcome": "already answered"}

    deny = calls_pool.submit(iam.attach_user_policy, UserName=user, PolicyArn=DENY)
    first = calls_pool.submit(deactivate, iam, user, named_key)
    listed = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    others = [key["AccessKeyId"] for key in listed if key["Status"] == "Active" and key["AccessKeyId"] != named_key]
    rest = [calls_pool.submit(deactivate, iam, user, key) for key in others]
    problems = [str(error) for error in (it.exception() for it in [deny, first, *rest]) if error]

    outcome = "failed: " + "; ".join(problems) if problems else "contained"
    told = [calls_pool.submit(alert, finding, account, user, [named_key, *others], outcome)]
    if not problems:
        told.append(calls_pool.submit(mark, finding))
    problems += [str(error) for error in (it.exception() for it in told) if error]
    finish(finding["Id"], outcome, done=not problems)
    if problems:
        raise RuntimeError("; ".join(problems))
    return {"finding": finding["Id"], "user": user, "outcome": outcome}


def member(account):
    """IAM of the account that owns the user, by a session that is kept until shortly before it ends."""
    with members_lock:
        iam, until = members.get(account, (None, 0))
        if time.time() >= until:
            iam, until = assumed(account)
            members[account] = iam, until
        return iam


def assumed(account):
    role = f"arn:aws:iam::{account}:role/{os.environ['REMEDIATION_ROLE_NAME']}"
    answer = sts.assume_role(RoleArn=role, RoleSessionName="baseline", ExternalId=os.environ["EXTERNAL_ID"], DurationSeconds=3600)
    keys = answer["Credentials"]
    iam = session.client(
        "iam",
        config=config,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    return iam, keys["Expiration"].timestamp() - 300


def claim(finding, request_id):
    """Whether it is ours: nobody answered the finding, and nobody is at it. Our own second try may go on."""
    now = int(time.time())
    try:
        dynamodb.update_item(
            TableName=os.environ["LEDGER_TABLE"],
            Key={"id": {"S": f"finding#{finding}"}},
            UpdateExpression="SET request_id = :request, lease_until = :until",
            ConditionExpression="attribute_not_exists(done) AND (attribute_not_exists(id) OR lease_until < :now OR request_id = :request)",
            ExpressionAttributeValues={":request": {"S": request_id}, ":until": {"N": str(now + LEASE_SECONDS)}, ":now": {"N": str(now)}},
        )
        return True
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise


def deactivate(iam, user, key):
    iam.update_access_key(UserName=user, AccessKeyId=key, Status="Inactive")


def mark(finding):
    answer = securityhub.batch_update_findings(
        FindingIdentifiers=[{"Id": finding["Id"], "ProductArn": finding["ProductArn"]}],
        Workflow={"Status": "NOTIFIED"},
        Note={"Text": "The user is denied everything, its keys are inactive.", "UpdatedBy": "baseline"},
    )
    if answer["UnprocessedFindings"]:
        raise RuntimeError(f"Security Hub did not take the update: {answer['UnprocessedFindings'][0]['ErrorMessage']}")


def alert(finding, account, user, keys, outcome):
    said = {"finding": finding["Id"], "title": finding["Title"], "account": account, "user": user, "keys": keys, "outcome": outcome}
    logger.info(json.dumps(said))
    sns.publish(TopicArn=os.environ["ALERT_TOPIC_ARN"], Subject=f"{user} in {account}: {outcome}"[:100], Message=json.dumps(said, indent=2))


def finish(finding, outcome, done):
    """Without `done` the next delivery tries again, as soon as the lease has run out or under the same request."""
    values = {":outcome": {"S": outcome}, ":now": {"N": str(int(time.time()))}}
    dynamodb.update_item(
        TableName=os.environ["LEDGER_TABLE"],
        Key={"id": {"S": f"finding#{finding}"}},
        UpdateExpression="SET outcome = :outcome" + (", done = :now" if done else ", lease_until = :now"),
        ExpressionAttributeValues=values,
    )
