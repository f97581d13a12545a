"""What preflight looks at: the responder's stack in this account, and the accounts that it is for."""

import functools
import json

from .reading import Refused, Unread

DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


class Deployment:
    def __init__(self, home, options):
        self.home, self.options = home, options

    @functools.cached_property
    def identity(self):
        return self.home.read("sts", "get_caller_identity")

    @property
    def account(self):
        return self.identity["Account"]

    @property
    def partition(self):
        return self.identity["Arn"].split(":")[1]

    @functools.cached_property
    def organisation(self):
        """None outside of an organisation."""
        try:
            return self.home.read("organizations", "describe_organization")["Organization"]
        except Refused as refused:
            if refused.code == "AWSOrganizationsNotInUseException":
                return None
            raise

    @functools.cached_property
    def stack(self):
        """None before the first deployment."""
        try:
            return self.home.read("cloudformation", "describe_stacks", StackName=self.options.stack)["Stacks"][0]
        except Refused as refused:
            if refused.code == "ValidationError" and "does not exist" in refused.message:
                return None
            raise

    @property
    def is_deployed(self):
        return self.stack is not None and self.stack["StackStatus"] in DONE

    @property
    def parameters(self):
        return {it["ParameterKey"]: it.get("ParameterValue", "") for it in self.stack.get("Parameters", [])}

    @property
    def outputs(self):
        return {it["OutputKey"]: it["OutputValue"] for it in self.stack.get("Outputs", [])}

    @functools.cached_property
    def resources(self):
        """The type and the physical name of each resource of the stack, by its logical name."""
        found = self.home.pages("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=self.options.stack)
        return {it["LogicalResourceId"]: (it["ResourceType"], it.get("PhysicalResourceId", "")) for it in found}

    @functools.cached_property
    def settings(self):
        """The responder's variables, the external ID among them: never printed."""
        found = self.home.read("lambda", "get_function_configuration", FunctionName=self.outputs["FunctionName"])
        return found.get("Environment", {}).get("Variables", {})

    @functools.cached_property
    def names(self):
        """The active accounts of the organisation, by ID, with their names."""
        every = self.home.pages("organizations", "list_accounts", "Accounts")
        return {it["Id"]: it.get("Name", "") for it in every if it.get("State", it.get("Status")) == "ACTIVE"}

    @functools.cached_property
    def accounts(self):
        """Those that are to be protected: as asked, as the stack says, or all of the organisation."""
        given = self.options.accounts or (self.parameters.get("MemberAccounts", "") if self.is_deployed else "")
        if given:
            return [it for it in given.split(",") if it]
        try:
            return sorted(self.names)
        except Refused as refused:
            raise Unread(f"`{refused.action}`: this account administrates nothing for the organisation. Name them: ACCOUNTS=…") from refused

    @property
    def known_names(self):
        """For lines about accounts; where they can't be listed an ID alone says enough."""
        try:
            return self.names
        except (Refused, Unread):
            return {}

    @functools.cached_property
    def iam_regions(self):
        """Where IAM's events arrive, and where AWS Health repeats what it tells: as in member-role.yaml."""
        return {"aws": ("us-east-1", "us-west-2"), "aws-us-gov": ("us-gov-west-1",), "aws-cn": ("cn-north-1", "cn-northwest-1")}[self.partition]

    @functools.cached_property
    def stack_set(self):
        """The StackSet of the member accounts. None where there is none, or where another account has it."""
        try:
            return self.home.read("cloudformation", "describe_stack_set", StackSetName=self.options.stack_set, **self._call_as)["StackSet"]
        except Refused as refused:
            if refused.code == "StackSetNotFoundException":
                return None
            raise

    @functools.cached_property
    def instances(self):
        """The regions in which a member's stack is up to date, by account; and those in which it is not, with the status."""
        found = self.home.pages("cloudformation", "list_stack_instances", "Summaries", StackSetName=self.options.stack_set, **self._call_as)
        current, other = {}, {}
        for it in found:
            if it.get("Status") == "CURRENT":
                current.setdefault(it["Account"], set()).add(it["Region"])
            else:
                other[it["Account"], it["Region"]] = it.get("Status", "?")
        return current, other

    @property
    def _call_as(self):
        is_management = self.organisation and self.organisation.get("MasterAccountId") == self.account
        return {"CallAs": "SELF" if is_management else "DELEGATED_ADMIN"}


def document(policy):
    """A policy document as boto3 gives it: read already, or text."""
    return json.loads(policy) if isinstance(policy, str) else policy


def as_list(value):
    return value if isinstance(value, list) else [value]
