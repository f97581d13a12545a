"""Two accounts of an organisation: the security account with the responder's stack, and a member
with the remediation role and, if wanted, a victim. Set up and inspected with boto3, as an
administrator; the responder itself runs with the roles that the stacks created."""

import functools
import json
import random
import urllib.request

import boto3
from botocore.config import Config

from . import templates
from .processes import ROOT, Emulator

EXTERNAL_ID = "an-external-id-of-the-tests"
ORGANIZATION = "o-simulated00"
POLICIES = ["AdministratorAccess", "AmazonS3FullAccess", "IAMFullAccess"]
RUNBOOK = "RotateIAMKeysRunbook"
PLAN_TEMPLATE = {"title": "Compromised identity", "impact": 2}


def random_account():
    return str(random.SystemRandom().randrange(10**11, 10**12))


class World:
    def __init__(self, url, region="us-east-1", member=None, security=None):
        self.url, self.region = url, region
        self.security, self.member = security or random_account(), member or random_account()
        self.emulators = []
        self.servers = []
        self.listening = set()
        self.clients = {}

    def client(self, service, account=None, region=None, **credentials):
        """A boto3 client: an administrator of the member account unless told otherwise. Making one takes
        longer than most calls, so that it is kept."""
        key = {"aws_access_key_id": f"SIMADMIN{account or self.member}", "aws_secret_access_key": "any"}
        options = {"region_name": region or self.region, **(credentials or key)}
        known = (service, *sorted(options.items()))
        if known not in self.clients:
            config = Config(retries={"max_attempts": 1}, inject_host_prefix=False)
            self.clients[known] = boto3.client(service, endpoint_url=self.url, config=config, **options)
        return self.clients[known]

    @functools.cached_property
    def iam(self):
        return self.client("iam")

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    @property
    def partition(self):
        return self.iam.meta.partition

    def identify(self, **fields):
        """Gives one of the member's identities the ID, key or age that an event names."""
        self.control("identify", {"account": self.member, "partition": self.partition, **fields})

    def fault(self, action, code=None, **fields):
        """From now on, or `times` times, our calls of the action fail so, or take `delay_ms`."""
        self.control("fault", {"action": action, "code": code, "accounts": [self.member, self.security], **fields})

    def release(self):
        """The calls that a fault with `hold` keeps waiting go on."""
        self.control("release", {"account": self.member})

    def faults(self):
        """What is left of each fault: `times`, and how many calls are `through` with it."""
        return self.control(f"faults?account={self.member}")

    def let_leases_run_out(self):
        """As if the time that every claim was made for had passed."""
        dynamodb = self.client("dynamodb", self.security)
        [table] = dynamodb.list_tables()["TableNames"]
        for item in dynamodb.scan(TableName=table)["Items"]:
            if "lease_until" in item:
                dynamodb.update_item(
                    TableName=table,
                    Key={"id": item["id"]},
                    UpdateExpression="SET lease_until = :past",
                    ExpressionAttributeValues={":past": {"N": "1"}},
                )

    def deliveries(self):
        """What the rules handed to functions, when all that was under way has ended."""
        return [each for account in (self.member, self.security) for each in self.control(f"deliveries?account={account}")]

    def journal(self):
        """Every call that a principal of either account made, without the administrators'."""
        entries = [e for account in (self.member, self.security) for e in self.control(f"journal?account={account}")]
        return sorted((e for e in entries if not e["key"].startswith("SIMADMIN")), key=lambda e: e["began"])

    def sessions(self, role="SecurityRemediationRole"):
        """Every session that our code took of a role in the member account: its policy, what was done with it, its keys."""
        return [it for it in self.control(f"sessions?account={self.member}") if it["role"] == role]

    def deploy(self, member_external_id=EXTERNAL_ID, members=(), **parameters):
        """Both stacks, as docs/deploy.md says, with CloudFormation; the member's in other accounts too, if wanted."""
        outputs = self.deploy_responder(**parameters)
        for account in [self.member, *members]:
            self.deploy_member(account, outputs, member_external_id)
        self.inbox = self.client("sqs", self.security).create_queue(QueueName="inbox")["QueueUrl"]
        queue_arn = f"arn:{self.partition}:sqs:{self.region}:{self.security}:inbox"
        self.client("sns", self.security).subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue_arn)
        return self

    def deploy_responder(self, response_plan=False, engaged=(), rotation=False, **parameters):
        """`engaged`: the contacts of the response plan."""
        if response_plan:
            incidents = self.client("ssm-incidents", self.security)
            incidents.create_replication_set(regions={self.region: {}})
            plan = incidents.create_response_plan(name="identity", incidentTemplate=PLAN_TEMPLATE, engagements=list(engaged))
            parameters["ResponsePlanArn"] = plan["arn"]
        if rotation:
            parameters["RotationDocument"] = RUNBOOK
        self.client("securityhub", self.security).enable_security_hub()
        parameters = {"ExternalId": EXTERNAL_ID, "OrganizationId": ORGANIZATION, "Mode": "enforce", "SettleSeconds": "0", "Evidence": "false", **parameters}
        outputs = self.stack(self.security, json.dumps(templates.translated(), default=str), parameters)
        self.responder_role = outputs["ResponderRoleArn"]
        self.topic = outputs["AlertTopicArn"]
        return {**parameters, **outputs}

    def deploy_member(self, account, given, external_id=EXTERNAL_ID):
        """`given` are the parameters and outputs of the responder's stack."""
        self.stack(
            account,
            templates.member(),
            {
                "ResponderRoleArn": self.responder_role,
                "RestorerRoleArn": given["RestorerRoleArn"],
                "HygieneRoleArn": given["HygieneRoleArn"],
                "SweeperRoleArn": given["SweeperRoleArn"],
                "InvestigatorRoleArn": given["InvestigatorRoleArn"],
                "EventBusArn": given["EventBusArn"],
                "DrillAccount": given.get("DrillAccount", ""),
                "DrillerRoleArn": given.get("DrillerRoleArn", ""),
                "ResponderRegion": self.region,
                "ExternalId": external_id,
                "OrganizationId": ORGANIZATION,
                "RotationDocument": given.get("RotationDocument", ""),
            },
        )
        # A role that is as young as the response would be a suspect.
        pages = self.client("iam", account).get_paginator("list_roles").paginate()
        for role in [role for page in pages for role in page["Roles"]]:
            self.identify(account=account, role=role["RoleName"], created="2020-01-01T00:00:00")

    def stack(self, account, body, parameters):
        cloudformation = self.client("cloudformation", account)
        given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
        cloudformation.create_stack(
            StackName="iam-responder", TemplateBody=body, Parameters=given, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        stack = cloudformation.describe_stacks(StackName="iam-responder")["Stacks"][0]
        assert stack["StackStatus"] == "CREATE_COMPLETE", stack
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def responder(self, timeout=None, binary=None, part="responder", **changes):
        """The binary under the emulator, with the environment, the timeout and the role of the
        deployed function for that part; `changes` go on top."""
        function, variables, credentials = self.function(part)
        environment = {**variables, **credentials}
        environment |= {"AWS_REGION": self.region, "ENDPOINT_URL": self.url, "AWS_LAMBDA_FUNCTION_NAME": function["FunctionName"], **changes}
        options = {} if binary is None else {"binary": binary}
        emulator = Emulator(environment, timeout or function["Timeout"], **options)
        emulator.arn, emulator.name = function["FunctionArn"], function["FunctionName"]
        emulator.variables, emulator.credentials = variables, credentials
        self.emulators.append(emulator)
        return emulator

    def function(self, part="responder"):
        """What was deployed for that part: the function, its variables and a session of its role."""
        functions = self.client("lambda", self.security).list_functions()["Functions"]
        function = next(it for it in functions if it["Environment"]["Variables"]["PART"] == part)
        variables = {k: str(v) for k, v in function["Environment"]["Variables"].items()}
        return function, variables, self.control("role-credentials", {"role_arn": function["Role"], "region": self.region})

    def connected(self, **options):
        """A function that the deployed rules call."""
        responder = self.responder(**options)
        self.listen(responder)
        return responder

    def listen(self, *emulators):
        """The deployed rules and queues call these emulators of one function."""
        self.control("function", {"arn": emulators[0].arn, "urls": [emulator.url for emulator in emulators]})
        self.listening.add(emulators[0].arn)

    def event(self, name, user=None, role=None, folder="events"):
        """A sample, about these accounts and this user or role instead of those it was written for."""
        text = (ROOT / folder / f"{name}.json").read_text()
        swaps = {"111122223333": self.member, "999988887777": self.security}
        if user:
            swaps |= dict.fromkeys(("AIDACKCEVSQ6C2EXAMPLE", "AIDABACKDOOR22EXAMPLE", "AIDADRILL2USER2EXAMPL"), user.id)
            swaps |= {"AKIAIOSFODNN7EXAMPLE": user.keys[0]["AccessKeyId"]}
        if role:
            swaps |= {"AROADBQP57FF2AEXAMPLE": role.id}
        for old, new in swaps.items():
            text = text.replace(old, new)
        return json.loads(text)

    def restore_command(self, **fields):
        return {"command": "restore", "account": self.member, "user": "alice", "reason": "a drill", "by": "Dana", **fields}

    def finding(self, event, number=0):
        """Imports the event's Security Hub finding, so that there is one to update."""
        finding = event["detail"]["findings"][number]
        # Who imports a finding may leave its region out: it is the product's.
        region = finding.get("Region") or finding["ProductArn"].split(":")[3]
        hub = self.client("securityhub", self.security, region=region)
        answer = hub.batch_import_findings(Findings=[finding])
        assert answer["FailedCount"] == 0, answer
        return lambda: hub.get_findings(Filters={"Id": [{"Value": finding["Id"], "Comparison": "EQUALS"}]})["Findings"][0]

    def incidents(self):
        return self.client("ssm-incidents", self.security).list_incident_records()["incidentRecordSummaries"]

    def ops_items(self):
        return self.client("ssm", self.security).describe_ops_items()["OpsItemSummaries"]

    def rotations(self):
        ssm = self.client("ssm")
        listed = ssm.describe_automation_executions()["AutomationExecutionMetadataList"]
        return [ssm.get_automation_execution(AutomationExecutionId=it["AutomationExecutionId"])["AutomationExecution"] for it in listed]

    def writes(self):
        """The actions of every call that changes something, whoever of ours made it."""
        reads = ("iam:Get", "iam:List", "iam:Simulate", "dynamodb:Get", "dynamodb:Query", "sts:AssumeRole", "sts:GetCallerIdentity")
        return [entry["action"] for entry in self.journal() if not entry["action"].startswith(reads)]

    def alerts(self):
        """The messages that a subscriber of the topic got."""
        sqs = self.client("sqs", self.security)
        messages = sqs.receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    def close(self):
        for arn in self.listening:
            self.control("function", {"arn": arn, "urls": []})
        for server in self.servers:
            server.close()
        for emulator in self.emulators:
            emulator.close()
