"""An organisation whose operator allows the guardrail on demand: both stacks, the role in the management account, and
the policy, attached to nobody."""

import threading

from botocore.exceptions import ClientError

from . import templates
from .fight import DENY_ALL
from .processes import ROOT
from .victims import User
from .world import EXTERNAL_ID, ORGANIZATION, random_account

POLICY = "p-guardrail0"
SCP = (ROOT / "guardrail-scp.json").read_text()
NOTHING = '{"Version": "2012-10-17", "Statement": []}'
HOUR = 3_600_000


class Guardrail:
    def __init__(self, world, binds=(0, 0), members=(), **parameters):
        self.world, self.management = world, random_account()
        role = f"arn:aws:iam::{self.management}:role/SecurityGuardrailRole"
        world.deploy(members=members, GuardrailPolicyId=POLICY, GuardrailRoleArn=role, **parameters)
        self.configure(members=[world.member, world.security, *members], binds=list(binds), policies={POLICY: SCP, "p-other0000": NOTHING})
        given = {"ResponderRoleArn": world.responder_role, "ExternalId": EXTERNAL_ID, "OrganizationId": ORGANIZATION, "GuardrailPolicyId": POLICY}
        assert world.stack(self.management, templates.guardrail(), given) == {"GuardrailRoleArn": role}
        self.organizations = world.client("organizations", self.management)

    def configure(self, **fields):
        self.world.control("policies", {"management": self.management, **fields})

    def attached(self, account=None):
        """What is attached to the account, but for AWS's own."""
        pages = self.organizations.get_paginator("list_policies_for_target").paginate(TargetId=account or self.world.member, Filter="SERVICE_CONTROL_POLICY")
        return [it["Id"] for page in pages for it in page["Policies"] if not it["AwsManaged"]]

    def calls(self):
        """Of our code, in the management account."""
        return [it for it in self.world.control(f"journal?account={self.management}") if not it["key"].startswith("SIMADMIN")]

    def actions(self):
        return [it["action"] for it in self.calls()]

    def item(self, table):
        """What the ledger has of the member's guardrail."""
        [item] = table.items(f"guardrail#{self.world.member}") or [{}]
        return item

    def hours_pass(self, table, hours):
        """As if the guardrail had been attached, and all had been held, so much longer ago."""
        for item in table.items():
            for name in ("held_at", "attached_at", "intent_at", "told_at", "lease_until", "due_at"):
                if name in item:
                    earlier = int(item[name]["N"]) - int(hours * HOUR)
                    table.change(item, "SET #name = :earlier", {"#name": name}, earlier={"N": str(earlier)})


class Accomplice(threading.Thread):
    """An administrator, of long ago unless told otherwise, so that nobody suspects it: detaches the deny, again and again."""

    def __init__(self, world, *victims, every=0.1, session=None):
        super().__init__(daemon=True)
        self.victims, self.every, self.over = victims, every, threading.Event()
        self.session = session or User(world, name="mallory", groups=()).session()
        self.stripped, self.denied = 0, 0

    def run(self):
        while not self.over.wait(self.every):
            for victim in self.victims:
                try:
                    self.session.detach_user_policy(UserName=victim.name, PolicyArn=DENY_ALL)
                    self.stripped += 1
                except ClientError as error:
                    self.denied += "service control policy" in str(error)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
