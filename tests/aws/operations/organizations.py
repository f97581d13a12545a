"""Organizations: an account that leaves is out of reach of the service control policies; which accounts there are, in
short pages, some of them empty, for whom may ask; and which policies are attached to an account, which binds later.

https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
https://docs.aws.amazon.com/organizations/latest/APIReference/API_AttachPolicy.html
"""

import dataclasses
import json
import random
import time

from moto.organizations.responses import OrganizationsResponse

from .. import authorization
from ..dispatch import SimulatedError

# By the account that may ask.
ACCOUNTS = {}
PAGE = 20
NEVER = float("inf")


@dataclasses.dataclass
class Organization:
    """One with service control policies, by their IDs. Attached ones bind, and detached ones let go, so many seconds
    later: each draws its own from a range, 5 to 60 s unless a test says otherwise."""

    management: str
    members: list
    policies: dict
    delegated: list = dataclasses.field(default_factory=list)
    enabled: bool = True
    most: int = 5
    binds: tuple = (5, 60)
    # By account: [policy, when it binds, when it lets go].
    attached: dict = dataclasses.field(default_factory=dict)

    def lag(self):
        return time.time() + random.uniform(*self.binds)

    def at(self, account):
        return [it for it in self.attached.get(account, []) if it[2] == NEVER]


# By every account of it.
ORGANIZATIONS = {}


def configure(fields):
    before = ORGANIZATIONS.get(fields["management"])
    if before is not None:
        for name, value in fields.items():
            setattr(before, name, value)
    organization = before or Organization(**fields)
    for account in [organization.management, *organization.members]:
        ORGANIZATIONS[account] = organization


def in_force(account):
    """What binds now. In the management account nothing does."""
    organization = ORGANIZATIONS.get(account)
    if organization is None or account == organization.management:
        return []
    now = time.time()
    return [organization.policies[policy] for policy, binds, ends in organization.attached.get(account, []) if binds <= now < ends]


def leave_organization(self):
    authorization.CONTROL_POLICIES.pop(self.current_account, None)
    organization = ORGANIZATIONS.pop(self.current_account, None)
    if organization is not None:
        organization.attached.pop(self.current_account, None)
    return "{}"


def list_accounts(self):
    if self.current_account not in ACCOUNTS:
        raise SimulatedError("AccessDeniedException", "You don't have permissions to access this resource.")
    accounts, token = ACCOUNTS[self.current_account], self.sim_params.get("NextToken")
    if token is None and len(accounts) > 0:
        return json.dumps({"Accounts": [], "NextToken": "0"})
    start = int(token or 0)
    end = start + PAGE
    return json.dumps({"Accounts": accounts[start:end], **({"NextToken": str(end)} if end < len(accounts) else {})})


def _target(self):
    """The organisation and the account, for whom may change policies."""
    organization, target = ORGANIZATIONS.get(self.current_account), self.sim_params["TargetId"]
    if organization is None:
        raise SimulatedError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    if self.current_account not in (organization.management, *organization.delegated):
        raise SimulatedError("AccessDeniedException", "You don't have permissions to access this resource.")
    if target not in (organization.management, *organization.members):
        raise SimulatedError("TargetNotFoundException", "You specified a target that doesn't exist.")
    return organization, target


def _policy(self, organization):
    policy = self.sim_params["PolicyId"]
    if policy not in organization.policies:
        raise SimulatedError("PolicyNotFoundException", "You specified a policy that doesn't exist.")
    return policy


def attach_policy(self):
    organization, account = _target(self)
    policy, attached = _policy(self, organization), organization.at(account)
    if not organization.enabled:
        raise SimulatedError("PolicyTypeNotEnabledException", "This operation can be performed only for enabled policy types.")
    if any(it[0] == policy for it in attached):
        raise SimulatedError("DuplicatePolicyAttachmentException", "A policy with the specified name and type is already attached.")
    # AWS's own, that allows everything, is one of them.
    if len(attached) + 1 >= organization.most:
        raise SimulatedError("ConstraintViolationException", "You have attached the maximum number of policies to the specified target.")
    organization.attached.setdefault(account, []).append([policy, organization.lag(), NEVER])
    return "{}"


def detach_policy(self):
    organization, account = _target(self)
    policy = _policy(self, organization)
    found = next((it for it in organization.at(account) if it[0] == policy), None)
    if found is None:
        raise SimulatedError("PolicyNotAttachedException", "The policy isn't attached to the specified target.")
    found[2] = organization.lag()
    return "{}"


def list_policies_for_target(self):
    organization, account = _target(self)
    known = ["p-FullAWSAccess", *(it[0] for it in organization.at(account))]
    start = int(self.sim_params.get("NextToken") or 0)
    summaries = [{"Id": it, "Name": it, "Type": "SERVICE_CONTROL_POLICY", "AwsManaged": it == "p-FullAWSAccess"} for it in known[start : start + 2]]
    return json.dumps({"Policies": summaries, **({"NextToken": str(start + 2)} if start + 2 < len(known) else {})})


def install():
    for operation in (leave_organization, list_accounts, attach_policy, detach_policy, list_policies_for_target):
        setattr(OrganizationsResponse, operation.__name__, operation)
    authorization.ATTACHED.append(in_force)
