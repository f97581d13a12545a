"""Organizations: an account that leaves is out of reach of the service control policies."""

from moto.organizations.responses import OrganizationsResponse

from .. import authorization


def leave_organization(self):
    authorization.CONTROL_POLICIES.pop(self.current_account, None)
    return "{}"


def install():
    OrganizationsResponse.leave_organization = leave_organization
