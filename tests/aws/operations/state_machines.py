"""Step Functions: moto runs the definition; its tasks call Lambda and SQS over HTTP with the state machine's own role.

A retry waits a moment instead of minutes.
"""

import json
import os
import re
import threading
import types

import boto3
from moto.core.config import default_user_config
from moto.iam.models import iam_backends
from moto.stepfunctions.models import StateMachine
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_lambda, state_task_service_sqs
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from .. import authorization

PAUSE = 0.2
_role = threading.local()


def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    properties = cloudformation_json["Properties"]
    # moto's grammar takes no percentage without a point.
    definition = re.sub(r'("ToleratedFailurePercentage": \d+)\b', r"\1.0", json.dumps(properties["Definition"], default=str))
    backend = stepfunctions_parser_backends[account_id][region_name]
    return backend.create_state_machine(properties.get("StateMachineName", resource_name), definition, properties["RoleArn"])


_valid = set()
_validate = StepFunctionsParserBackend._validate_definition


def validate_once(definition):
    """Every test deploys the same state machine in an account of its own, and to parse one takes as long as twenty calls."""
    shape = re.sub(r"\b\d{12}\b", "", definition)
    if shape not in _valid:
        _validate(definition)
        _valid.add(shape)


def client(region, service, state_credentials=None):
    account, partition = _role.arn.split(":")[4], get_partition(region)
    role = iam_backends[account][partition].get_role_by_arn(_role.arn)
    if not authorization.trusts_service(role, "states.amazonaws.com"):
        raise RuntimeError("the role's trust policy does not allow Step Functions")
    session = sts_backends[account][partition].assume_role(region, "execution", _role.arn, None, 3600, None)
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=f"http://127.0.0.1:{os.environ['MOTO_PORT']}",
        aws_access_key_id=session.access_key_id,
        aws_secret_access_key=session.secret_access_key,
        aws_session_token=session.session_token,
    )


def with_role(original):
    def execute(env, parameters, region, state_credentials):
        _role.arn = env.aws_execution_details.role_arn
        return original(env=env, parameters=parameters, region=region, state_credentials=state_credentials)

    return execute


def sending_with_role(original):
    def evaluate(self, env, resource_runtime_part, normalised_parameters, state_credentials):
        _role.arn = env.aws_execution_details.role_arn
        return original(self, env, resource_runtime_part, normalised_parameters, state_credentials)

    return evaluate


def install():
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    StateMachine.create_from_cloudformation_json = classmethod(create_from_cloudformation_json)
    StepFunctionsParserBackend._validate_definition = staticmethod(validate_once)
    lambda_eval_utils.boto_client_for = client
    execute = with_role(lambda_eval_utils.execute_lambda_function_integration)
    lambda_eval_utils.execute_lambda_function_integration = execute
    state_task_service_lambda.lambda_eval_utils.execute_lambda_function_integration = execute
    state_task_service_sqs.boto_client_for = client
    service = state_task_service_sqs.StateTaskServiceSqs
    service._eval_service_task = sending_with_role(service._eval_service_task)
    retrier_decl.time = types.SimpleNamespace(sleep=lambda seconds: threading.Event().wait(min(seconds, PAUSE)))
