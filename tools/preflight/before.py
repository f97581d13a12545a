"""What must be there before a deployment: the account, the organisation, and the services that raise the alarm."""

from .answers import missing, of_accounts, ok
from .reading import Refused

# Under which names Organizations has the administrators of each service.
ADMINISTERS = {
    "GuardDuty": ("guardduty.amazonaws.com", "aws guardduty enable-organization-admin-account --admin-account-id {account}"),
    "Security Hub": ("securityhub.amazonaws.com", "aws securityhub enable-organization-admin-account --admin-account-id {account}"),
    "StackSets": (
        "member.org.stacksets.cloudformation.amazonaws.com",
        "aws organizations register-delegated-administrator --account-id {account} --service-principal member.org.stacksets.cloudformation.amazonaws.com",
    ),
}
# What AWS keeps for the functions without a reservation of their own.
UNRESERVED = 100


def caller(deployment):
    return ok("account", f"{deployment.account} in {deployment.home.region}, as {deployment.identity['Arn'].split(':', 5)[-1]}")


def organisation(deployment):
    found = deployment.organisation
    if found is None:
        yield missing("organisation", "this account is in none: create one, or move the account into it")
    elif found["MasterAccountId"] == deployment.account:
        yield missing("organisation", "this is the management account, which service control policies do not reach: deploy into a security account")
    elif found.get("FeatureSet") != "ALL":
        yield missing("organisation", f"{found['Id']} has only consolidated billing: enable all features (aws organizations enable-all-features)")
    else:
        yield ok("organisation", found["Id"])


def administrator(deployment):
    try:
        given = deployment.home.pages("organizations", "list_delegated_services_for_account", "DelegatedServices", AccountId=deployment.account)
        services = {it["ServicePrincipal"] for it in given}
    except Refused as refused:
        if refused.code not in ("NotAnAdministrator", "AccountNotRegisteredException"):
            raise
        services = set()
    for name, (principal, command) in ADMINISTERS.items():
        if principal in services:
            yield ok("administrator", f"of {name} for the organisation")
        else:
            yield missing("administrator", f"not of {name}: in the management account, {command.format(account=deployment.account)}")


def guardduty(deployment):
    what, home = "GuardDuty", deployment.home
    detectors = home.pages("guardduty", "list_detectors", "DetectorIds")
    status = home.read("guardduty", "get_detector", DetectorId=detectors[0])["Status"] if detectors else "absent"
    if status != "ENABLED":
        yield missing(what, f"the detector in {home.region} is {status.lower()}: aws guardduty create-detector --enable")
        return
    members = home.pages("guardduty", "list_members", "Members", DetectorId=detectors[0])
    enabled = [it["AccountId"] for it in members if it["RelationshipStatus"] == "Enabled"]
    remedy = "add them in the console under Accounts, or aws guardduty create-members"
    yield of_accounts(what, [*enabled, deployment.account], deployment.accounts, deployment.known_names, remedy)


def security_hub(deployment):
    what, home = "Security Hub", deployment.home
    try:
        home.read("securityhub", "describe_hub")
    except Refused as refused:
        if refused.code not in ("InvalidAccessException", "ResourceNotFoundException"):
            raise
        yield missing(what, f"not enabled in {home.region}: aws securityhub enable-security-hub")
        return
    members = home.pages("securityhub", "list_members", "Members", OnlyAssociated=True)
    enabled = [it["AccountId"] for it in members if it["MemberStatus"] == "Enabled"]
    remedy = "add them in the console under Configuration, or aws securityhub create-members"
    yield of_accounts(what, [*enabled, deployment.account], deployment.accounts, deployment.known_names, remedy)
    yield from aggregation(home)


def aggregation(home):
    what = "aggregation"
    found = home.pages("securityhub", "list_finding_aggregators", "FindingAggregators")
    if not found:
        command = "aws securityhub create-finding-aggregator --region-linking-mode ALL_REGIONS"
        yield missing(what, f"findings of other regions do not come to {home.region}: {command}")
        return
    arn = found[0]["FindingAggregatorArn"]
    aggregator = home.read("securityhub", "get_finding_aggregator", FindingAggregatorArn=arn)
    region, mode = aggregator["FindingAggregationRegion"], aggregator["RegionLinkingMode"]
    if region != home.region:
        yield missing(what, f"findings of all regions go to {region}, not to {home.region}: deploy there, or move the aggregation here")
    elif mode == "ALL_REGIONS":
        yield ok(what, f"of all regions, in {region}")
    else:
        regions = ", ".join(aggregator.get("Regions", []))
        words = f"all regions but {regions}" if mode == "ALL_REGIONS_EXCEPT_SPECIFIED" else f"no other regions than {regions or region}"
        yield ok(what, f"of {words}, in {region}")


def trail(deployment):
    """EventBridge gets what a trail logs: without one no CreateUser is told.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html"""
    what, home = "trail", deployment.home
    found = home.read("cloudtrail", "describe_trails", includeShadowTrails=True)["trailList"]
    fit = [it for it in found if it.get("IsOrganizationTrail") and it.get("IsMultiRegionTrail") and it.get("IncludeGlobalServiceEvents")]
    if not fit:
        yield missing(what, "no trail of the organisation in all regions: without one no `CreateUser` is told (docs/deploy.md, step 1)")
        return
    on = [it for it in fit if home.read("cloudtrail", "get_trail_status", region=it.get("HomeRegion"), Name=it["TrailARN"])["IsLogging"]]
    if on:
        yield ok(what, f"{on[0]['Name']} logs, of the organisation in all regions")
    else:
        yield missing(what, f"{fit[0]['Name']} is switched off: aws cloudtrail start-logging --name {fit[0]['TrailARN']}")


def room(deployment):
    """Whether `ReservedConcurrency` can be had. What is reserved already counts as had."""
    what = "Lambda's limit"
    limits = deployment.home.read("lambda", "get_account_settings")["AccountLimit"]
    limit, free = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    if deployment.is_deployed:
        yield ok(what, f"{limit} executions at once, {free} of them unreserved")
        return
    # Beside the responder's, five each for the report form and for Slack's clicks, where they are wanted.
    wanted = 100 + 10
    if free - wanted >= UNRESERVED:
        yield ok(what, f"{limit} executions at once, room for ReservedConcurrency=100")
    else:
        quota = "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000"
        yield missing(what, f"{limit} executions at once leave no room for 100 reserved: deploy with ReservedConcurrency=0, or first {quota}")


CHECKS = (organisation, administrator, guardduty, security_hub, trail, room)
