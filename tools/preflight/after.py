"""What must be there after a deployment, in the responder's own account."""

import datetime as dt

from .answers import missing, ok, unread
from .reading import Refused, Unread
from .slack import tried


def always(_):
    return True


# Rules that are off unless a parameter says otherwise: by their name in the template.
OFF_UNLESS = {
    "ResponderSimulation": lambda given: given.get("Simulation") == "true",
    "ResponderDrill": lambda given: bool(given.get("DrillAccount")),
}

# A drill is held once a week; the alarm comes on the eighth day.
DRILL_DAYS = 8


def stack(deployment):
    what, name = "stack", deployment.options.stack
    if deployment.stack is None:
        yield missing(what, f"no stack `{name}` in {deployment.home.region}: docs/deploy.md, step 3 (another name or region: STACK=… REGION=…)")
    elif deployment.stack["StackStatus"].endswith("_IN_PROGRESS"):
        yield missing(what, f"`{name}` is {deployment.stack['StackStatus']}: wait, and ask again")
    elif not deployment.is_deployed:
        status = deployment.stack["StackStatus"]
        events = f"aws cloudformation describe-stack-events --stack-name {name}"
        yield missing(what, f"`{name}` is {status}: look for the first failure in {events}")
    else:
        yield ok(what, f"`{name}` is {deployment.stack['StackStatus']}")


def mode(deployment):
    given, organisation = deployment.parameters, deployment.organisation
    if organisation and given["OrganizationId"] != organisation["Id"]:
        yield missing("mode", f"OrganizationId is {given['OrganizationId']}, and this account is in {organisation['Id']}: deploy with that")
        return
    single = f", but {given['PlaybookModes']}" if given.get("PlaybookModes") else ""
    words = {"observe": "observe: nothing is contained", "approve": "approve: people are asked", "enforce": "enforce: it contains"}
    yield ok("mode", words[given["Mode"]] + single)


def rules(deployment):
    what, off, empty = "rules", [], []
    wanted = expected_rules(deployment)
    there = standing(deployment, wanted)
    for name, (state, bus) in sorted(there.items()):
        if state == "DISABLED":
            off.append(f"aws events enable-rule --name {name} --event-bus-name {bus}")
        elif not deployment.home.pages("events", "list_targets_by_rule", "Targets", Rule=name, EventBusName=bus):
            empty.append(name)
    gone = wanted - set(there)
    if off:
        yield missing(what, f"{len(off)} of {len(wanted)} are switched off: {'; '.join(off)}")
    if gone or empty:
        names = ", ".join(sorted([*gone, *empty]))
        yield missing(what, f"{len(gone) + len(empty)} of {len(wanted)} are gone or have no target: {names}. Deploy the stack again")
    if not (off or gone or empty):
        yield ok(what, f"{len(wanted)} enabled")


def expected_rules(deployment):
    """The names of the rules that are to be on. CloudFormation writes the bus before the name of one that is not on
    the default bus: `bus|name`."""
    found = {logical: physical for logical, (kind, physical) in deployment.resources.items() if kind == "AWS::Events::Rule"}
    return {physical.split("|")[-1] for logical, physical in found.items() if OFF_UNLESS.get(logical, always)(deployment.parameters)}


def standing(deployment, wanted):
    """The state and the bus of each of these rules that is there."""
    buses = ("default", deployment.outputs["EventBusArn"].split("/")[-1])
    every = [(it, bus) for bus in buses for it in deployment.home.pages("events", "list_rules", "Rules", EventBusName=bus)]
    return {it["Name"]: (it["State"], bus) for it, bus in every if it["Name"] in wanted}


def topic(deployment):
    what, arn = "alert topic", deployment.outputs["AlertTopicArn"]
    found = deployment.home.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)
    confirmed = [it for it in found if it["SubscriptionArn"].startswith("arn:")]
    waiting = len(found) - len(confirmed)
    if confirmed:
        more = f", {waiting} not confirmed yet" if waiting else ""
        yield ok(what, f"{len(confirmed)} confirmed{more}")
    elif waiting:
        yield missing(what, f"nobody has confirmed: {waiting} have a mail of AWS's with a link to click")
    else:
        yield missing(what, f"nobody gets alerts: aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint …")


def slack(deployment):
    what, name = "Slack", deployment.parameters.get("SlackTokenParameter", "")
    if not name:
        yield ok(what, "not set up, and not asked for (docs/people.md)")
        return
    try:
        token = deployment.home.read("ssm", "get_parameter", Name=name, WithDecryption=True)["Parameter"]["Value"]
    except Refused as refused:
        if refused.code != "ParameterNotFound":
            raise
        yield missing(what, f"there is no parameter {name}: put the app's bot token into it (docs/people.md)")
        return
    problem, is_reached = tried(token.strip(), deployment.options.endpoint_url)
    if problem is None:
        yield ok(what, "takes the token; whether the app is in the channel only a message shows")
    elif is_reached:
        yield missing(what, f"does not take the token (`{problem}`): write a new one into {name}")
    else:
        yield unread(what, f"was not reached from here ({problem})")


def dead_letters(deployment):
    what, url = "dead letters", deployment.outputs["DeadLetterQueueUrl"]
    found = deployment.home.read("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    count = int(found["Attributes"]["ApproximateNumberOfMessages"])
    if count:
        yield missing(what, f"{count} events failed for good: docs/operations.md, `DeadLettersAlarm`")
    else:
        yield ok(what, "none")


def drill(deployment):
    what, given = "last drill", deployment.parameters
    if not given.get("DrillAccount"):
        if given["Mode"] == "enforce":
            yield missing(what, "none are held: set DrillAccount (docs/operations.md, Drills)")
        else:
            yield ok(what, "none are held before Mode=enforce")
        return
    yield last_drill(deployment, what, "drill#last", "DrillAlarm")
    yield last_drill(deployment, "last creation drill", "drill#created", "CreationDrillAlarm")


def last_drill(deployment, what, key, alarm):
    table = deployment.resources["Ledger"][1]
    item = deployment.home.read("dynamodb", "get_item", TableName=table, Key={"id": {"S": key}}).get("Item", {})
    if "passed_at" not in item:
        return missing(what, "none has passed: hold one (docs/operations.md, Drills) and read its answer")
    age = dt.datetime.now(dt.timezone.utc) - dt.datetime.fromtimestamp(int(item["passed_at"]["N"]) / 1000, dt.timezone.utc)
    days = age.total_seconds() / 86_400
    if days < DRILL_DAYS:
        return ok(what, f"passed {days:.1f} days ago")
    return missing(what, f"passed {days:.0f} days ago: docs/operations.md, `{alarm}`")


def button(deployment):
    what = "button"
    arn = f"arn:{deployment.partition}:securityhub:{deployment.home.region}:{deployment.account}:action/custom/ContainIdentity"
    command = 'aws securityhub create-action-target --id ContainIdentity --name "Contain identity" --description "Quarantine the identity"'
    try:
        found = deployment.home.pages("securityhub", "describe_action_targets", "ActionTargets", ActionTargetArns=[arn])
    except Refused as refused:
        if refused.code == "InvalidAccessException":
            raise Unread("Security Hub is not enabled") from refused
        if refused.code != "ResourceNotFoundException":
            raise
        found = []
    yield ok(what, "Contain identity, in Security Hub") if found else missing(what, f"none in Security Hub: {command}")


CHECKS = (mode, rules, topic, slack, dead_letters, drill, button)
