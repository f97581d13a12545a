"""An organisation as docs/deploy.md leaves it, for `make preflight`: a security account, two others, and an operator who
may only read."""

import contextlib
import io
import json
import os
import time
from unittest import mock

import tools.preflight.__main__ as preflight

from . import templates
from .processes import ROOT
from .slack import Slack
from .world import EXTERNAL_ID, World, random_account

READ_ROLE = "Auditor"
STACK_SET = "iam-responder-member"
BACKUP = "us-west-2"
POLICY = json.loads((ROOT / "tools/preflight/policy.json").read_text())
MEMBER_POLICY = json.loads((ROOT / "tools/preflight/member-policy.json").read_text())
SERVICES = ["guardduty.amazonaws.com", "securityhub.amazonaws.com", "member.org.stacksets.cloudformation.amazonaws.com"]


class Organisation:
    def __init__(self, url):
        self.world = world = World(url)
        self.third = random_account()
        self.accounts = [world.member, self.third, world.security]
        self.slack = Slack(world)
        world.deploy(members=[self.third], rotation=True, DrillAccount=world.member, **self.slack.parameters)
        self.cloudformation = world.client("cloudformation", world.security)
        self.parameters = self.of_stack(world.member)
        self.make_member_stacks()
        self.enable_services()
        self.pass_drill(days_ago=1)
        self.key = self.make_operator()
        world.client("sns", world.security).subscribe(TopicArn=world.topic, Protocol="email", Endpoint="dana@example.com")

    def of_stack(self, account):
        stack = self.world.client("cloudformation", account).describe_stacks(StackName="iam-responder")["Stacks"][0]
        return {it["ParameterKey"]: it["ParameterValue"] for it in stack["Parameters"]}

    def make_member_stacks(self):
        """Where the world has none: in the security account, and in the region where AWS Health repeats itself."""
        world, given = self.world, [{"ParameterKey": k, "ParameterValue": v} for k, v in self.parameters.items()]
        for account in self.accounts:
            for region in [BACKUP, *(["us-east-1"] if account == world.security else [])]:
                client = world.client("cloudformation", account, region=region)
                client.create_stack(StackName="member", TemplateBody=templates.member(), Parameters=given, Capabilities=["CAPABILITY_NAMED_IAM"])
        instances = [[account, region, "CURRENT"] for account in self.accounts for region in ("us-east-1", BACKUP)]
        hidden = {**self.parameters, "ExternalId": "****"}
        self.see(stack_sets={STACK_SET: {"parameters": hidden, "instances": instances}})

    def enable_services(self):
        world, others = self.world, self.accounts[:2]
        every = [{"Id": it, "Name": f"account-{it[:3]}", "Status": "ACTIVE"} for it in self.accounts]
        world.control("organization", {"account": world.security, "accounts": every})
        world.client("guardduty", world.security).create_detector(Enable=True)
        aggregator = {"region": "us-east-1", "mode": "ALL_REGIONS"}
        trail = {"IsOrganizationTrail": True, "IsMultiRegionTrail": True}
        self.see(administers=SERVICES, guardduty=others, hub=others, aggregator=aggregator, buttons=["ContainIdentity"], trails=[trail])

    def pass_drill(self, days_ago, kinds=("last", "created")):
        at = {":at": {"N": str(int((time.time() - days_ago * 86_400) * 1000))}}
        for kind in kinds:
            self.dynamodb().update_item(
                TableName=self.table(), Key={"id": {"S": f"drill#{kind}"}}, UpdateExpression="SET passed_at = :at", ExpressionAttributeValues=at
            )

    def dynamodb(self):
        return self.world.client("dynamodb", self.world.security)

    def table(self):
        [table] = self.dynamodb().list_tables()["TableNames"]
        return table

    def make_operator(self):
        world = self.world
        iam = world.client("iam", world.security)
        iam.create_user(UserName="operator")
        self.let()
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{world.security}:root"}, "Action": "sts:AssumeRole"}
        for account in self.accounts[:2]:
            member = world.client("iam", account)
            member.create_role(RoleName=READ_ROLE, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
            member.put_role_policy(RoleName=READ_ROLE, PolicyName="read", PolicyDocument=json.dumps(MEMBER_POLICY))
        return iam.create_access_key(UserName="operator")["AccessKey"]

    def let(self, *more):
        """What the operator may do: what policy.json says, and more."""
        document = json.dumps({"Version": "2012-10-17", "Statement": [*POLICY["Statement"], *more]}).replace("role/READ_ROLE", f"role/{READ_ROLE}")
        iam = self.world.client("iam", self.world.security)
        iam.put_user_policy(UserName="operator", PolicyName="preflight", PolicyDocument=document)

    def see(self, **fields):
        self.world.control("overview", {"account": self.world.security, **fields})

    def preflight(self, *options, read_role=READ_ROLE, code=None):
        """The lines, as state, what and detail. In this process: a start of Python takes longer than the calls."""
        role = ["--read-role", read_role] if read_role else []
        printed = io.StringIO()
        with mock.patch.dict(os.environ, self.environment()), contextlib.redirect_stdout(printed):
            ended = preflight.main(["--region", "us-east-1", *role, *options])
        return self.read(printed.getvalue(), ended, code)

    def environment(self):
        return {
            "AWS_ENDPOINT_URL": self.world.url,
            "AWS_ACCESS_KEY_ID": self.key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self.key["SecretAccessKey"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def read(self, printed, ended, code):
        for secret in (EXTERNAL_ID, self.slack.token):
            assert secret not in printed
        assert code is None or ended == code, printed
        return [(line[:14].strip(), line[14:38].strip(), line[38:]) for line in printed.splitlines()]

    def off(self, *options, **more):
        """What is not ok."""
        return [line for line in self.preflight(*options, **more) if line[0] != "ok"]
