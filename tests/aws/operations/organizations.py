"""Organizations: an account that leaves is out of reach of the service control policies; and which accounts there are,
in short pages, some of them empty, for whom may ask.

https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
"""

import json

from moto.organizations.responses import OrganizationsResponse

from .. import authorization
from ..dispatch import SimulatedError

# By the account that may ask.
ACCOUNTS = {}
PAGE = 20


def leave_organization(self):
    authorization.CONTROL_POLICIES.pop(self.current_account, None)
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


def install():
    OrganizationsResponse.leave_organization = leave_organization
    OrganizationsResponse.list_accounts = list_accounts
