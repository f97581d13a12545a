"""SSM Automation: starting an execution, and reading it back. Executions stay InProgress.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html
"""

import datetime as dt
import json
import uuid

import yaml
from moto.core.responses import ActionResult
from moto.ssm.models import Document
from moto.ssm.responses import SimpleSystemManagerResponse

from . import state
from ..dispatch import SimulatedError


def start_automation_execution(self):
    params = self.sim_params
    name = params["DocumentName"].split("/")[-1]
    document = self.ssm_backend._documents.get(name)
    if document is None:
        raise SimulatedError("AutomationDefinitionNotFoundException", f"{name} not found")
    _check_parameters(document, params.get("Parameters", {}))
    executions, token = state(self, "automation"), params.get("ClientToken")
    for execution in executions.values():
        if token and execution["token"] == token:
            if execution["Parameters"] != params.get("Parameters", {}):
                raise SimulatedError("IdempotentParameterMismatch", "the token was used with other parameters")
            return ActionResult({"AutomationExecutionId": execution["AutomationExecutionId"]})
    identifier = str(uuid.uuid4())
    executions[identifier] = {
        "AutomationExecutionId": identifier,
        "DocumentName": name,
        "DocumentVersion": "1",
        "ExecutionStartTime": dt.datetime.now(dt.timezone.utc),
        "AutomationExecutionStatus": "InProgress",
        "Parameters": params.get("Parameters", {}),
        "ExecutedBy": self.sim_caller.arn,
        "Outputs": {},
        "token": token,
    }
    return ActionResult({"AutomationExecutionId": identifier})


def _check_parameters(document, given):
    declared = yaml.safe_load(document.versions[document.default_version].content).get("parameters", {})
    unknown = set(given) - set(declared)
    missing = {name for name, value in declared.items() if "default" not in value} - set(given)
    if unknown or missing:
        message = f"unknown: {sorted(unknown)}, missing: {sorted(missing)}"
        raise SimulatedError("InvalidAutomationExecutionParametersException", message)


def get_automation_execution(self):
    execution = state(self, "automation").get(self.sim_params["AutomationExecutionId"])
    if execution is None:
        raise SimulatedError("AutomationExecutionNotFoundException", "not found")
    return ActionResult({"AutomationExecution": {k: v for k, v in execution.items() if k != "token"}})


def describe_automation_executions(self):
    executions = state(self, "automation").values()
    return ActionResult({"AutomationExecutionMetadataList": [{k: v for k, v in e.items() if k not in ("token", "Parameters")} for e in executions]})


_initialise = Document.__init__


def _text_content(self, *args, **kwargs):
    """CloudFormation hands moto a document's content as a dict, which it then fails to hash."""
    _initialise(self, *args, **kwargs)
    if isinstance(self.content, dict):
        self.content = json.dumps(self.content)


def install():
    Document.__init__ = _text_content
    for operation in (start_automation_execution, get_automation_execution, describe_automation_executions):
        setattr(SimpleSystemManagerResponse, operation.__name__, operation)
