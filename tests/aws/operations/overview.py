"""What an operator reads of an organisation and our functions do not: who administrates what, whose findings come, the
StackSet of the member accounts, Lambda's limits. What there is, a test says by `/_sim/overview`.

https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListDelegatedServicesForAccount.html
https://docs.aws.amazon.com/guardduty/latest/APIReference/API_ListMembers.html
https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_GetFindingAggregator.html
https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html
"""

import datetime as dt
import json
from urllib.parse import unquote

import moto.awslambda.urls
import moto.guardduty.urls
import moto.securityhub.urls
from moto.awslambda.responses import LambdaResponse
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.responses import ActionResult
from moto.guardduty.responses import GuardDutyResponse
from moto.organizations.responses import OrganizationsResponse
from moto.securityhub.responses import SecurityHubResponse

from ..dispatch import SimulatedError
from ..facts import ORGANISATION
from . import organizations

# By account; what is not said there is not there.
SEEN = {}
MANAGEMENT = "100000000001"


def seen(response, what, default=None):
    return SEEN.get(response.current_account, {}).get(what, default)


def describe_organization(self):
    if seen(self, "is_alone"):
        raise SimulatedError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
    own = organizations.ORGANIZATIONS.get(self.current_account)
    management = own.management if own else seen(self, "management", MANAGEMENT)
    found = {"Id": ORGANISATION, "FeatureSet": seen(self, "features", "ALL"), "MasterAccountId": management}
    return json.dumps({"Organization": found})


def list_delegated_services_for_account(self):
    services = seen(self, "administers", [])
    if not services:
        raise SimulatedError("AccessDeniedException", "You don't have permissions to access this resource.")
    since = dt.datetime(2026, 1, 1).timestamp()
    return json.dumps({"DelegatedServices": [{"ServicePrincipal": it, "DelegationEnabledDate": since} for it in services]})


def list_guardduty_members(self):
    members = [member(it, relationshipStatus="Enabled") for it in seen(self, "guardduty", [])]
    return json.dumps({"members": [{key[0].lower() + key[1:]: value for key, value in it.items()} for it in members]})


def list_hub_members(self):
    return json.dumps({"Members": [member(it, MemberStatus="Enabled") for it in seen(self, "hub", [])]})


def member(account, **status):
    return {"AccountId": account, "Email": "", "InvitedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z", "MasterId": "", **status}


def list_finding_aggregators(self):
    found = seen(self, "aggregator")
    return json.dumps({"FindingAggregators": [{"FindingAggregatorArn": aggregator(self, found)}] if found else []})


def get_finding_aggregator(self):
    found = seen(self, "aggregator")
    arn = unquote(self.path.split("/findingAggregator/get/")[1])
    if not found or arn != aggregator(self, found):
        raise SimulatedError("ResourceNotFoundException", f"no aggregator {arn}")
    return json.dumps(
        {"FindingAggregatorArn": arn, "FindingAggregationRegion": found["region"], "RegionLinkingMode": found["mode"], "Regions": found.get("regions", [])}
    )


def aggregator(response, found):
    return f"arn:aws:securityhub:{found['region']}:{response.current_account}:finding-aggregator/one"


def describe_action_targets(self):
    wanted = self.sim_params.get("ActionTargetArns", [])
    there = [it for it in wanted if it.split("/")[-1] in seen(self, "buttons", [])]
    if wanted and not there:
        raise SimulatedError("ResourceNotFoundException", "no such action target")
    return json.dumps({"ActionTargets": [{"ActionTargetArn": it, "Name": "Contain identity", "Description": "-"} for it in there]})


def get_account_settings(self):
    limit, reserved = seen(self, "executions", 1000), seen(self, "reserved", 0)
    return json.dumps({"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": limit - reserved}})


def describe_trails(self):
    trails = [{"Name": "organisation", "HomeRegion": self.region, "IncludeGlobalServiceEvents": True, **it} for it in seen(self, "trails", [])]
    for it in trails:
        it.setdefault("TrailARN", f"arn:aws:cloudtrail:{self.region}:{self.current_account}:trail/{it['Name']}")
    return json.dumps({"trailList": [{key: value for key, value in it.items() if key != "IsLogging"} for it in trails]})


def get_trail_status(self):
    name = self.sim_params["Name"].split("/")[-1]
    trail = next(it for it in seen(self, "trails", []) if it.get("Name", "organisation") == name)
    return json.dumps({"IsLogging": trail.get("IsLogging", True)})


def must_be_called_as(self, wanted="DELEGATED_ADMIN"):
    """A StackSet of an organisation is the management account's; a delegated administrator says that it is one."""
    found = seen(self, "stack_sets", {}).get(self.sim_params["StackSetName"])
    if found is None or self.sim_params.get("CallAs", "SELF") != wanted:
        raise SimulatedError("StackSetNotFoundException", f"StackSet {self.sim_params['StackSetName']} not found")
    return found


def describe_stack_set(self):
    found = must_be_called_as(self)
    automatic = {"Enabled": found.get("automatic", True), "RetainStacksOnAccountRemoval": False}
    return ActionResult(
        {
            "StackSet": {
                "StackSetName": self.sim_params["StackSetName"],
                "Status": "ACTIVE",
                "Parameters": found["parameters"],
                "AutoDeployment": automatic,
                "Tags": {},
            }
        }
    )


def list_stack_instances(self):
    found = must_be_called_as(self)
    named = [{"Account": account, "Region": region, "Status": status} for account, region, status in found["instances"]]
    return ActionResult({"Summaries": named})


def dispatched_at(urls, response, *paths):
    for path in paths:
        urls.url_paths[path] = response.dispatch


def install():
    dispatched_at(moto.guardduty.urls, GuardDutyResponse, "{0}/detector/(?P<detector_id>[^/]+)/member$")
    dispatched_at(moto.awslambda.urls, LambdaResponse, r"{0}/(?P<api_version>[^/]+)/account-settings/?$")
    hub = ("{0}/findingAggregator/list$", "{0}/findingAggregator/get/(?P<arn>.+)$", "{0}/actionTargets/get$")
    dispatched_at(moto.securityhub.urls, SecurityHubResponse, *hub)
    for operation in (describe_organization, list_delegated_services_for_account):
        setattr(OrganizationsResponse, operation.__name__, operation)
    GuardDutyResponse.list_members = list_guardduty_members
    SecurityHubResponse.list_members = list_hub_members
    for operation in (list_finding_aggregators, get_finding_aggregator, describe_action_targets):
        setattr(SecurityHubResponse, operation.__name__, operation)
    LambdaResponse.get_account_settings = get_account_settings
    for operation in (describe_trails, get_trail_status):
        setattr(CloudTrailResponse, operation.__name__, operation)
    for operation in (describe_stack_set, list_stack_instances):
        setattr(CloudFormationResponse, operation.__name__, operation)
