"""Lambda's Invoke, of functions that run elsewhere and were registered with where they listen.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import json
import re
from urllib.parse import unquote

from moto.awslambda.models import lambda_backends
from moto.awslambda.responses import LambdaResponse

from .. import eventbridge
from ..dispatch import SimulatedError


def invoke(self):
    name = unquote(re.search(r"/functions/([^/]+)/invocations", self.path).group(1))
    functions = lambda_backends[self.current_account][self.region].list_functions(None)
    arn = next((it.function_arn for it in functions if name in (it.function_name, it.function_arn)), None)
    if arn not in eventbridge.FUNCTIONS:
        raise SimulatedError("ResourceNotFoundException", f"Function not found, or not running: {name}")
    payload = json.loads(self.sim_body or b"{}")
    kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
    if kind == "Event":
        eventbridge.invoke_in_background(arn, payload)
        return 202, {"status": 202}, ""
    answer = eventbridge.invoke(arn, payload)
    headers = {"status": 200, "content-type": "application/json"}
    if isinstance(answer, dict) and "errorType" in answer:
        headers["x-amz-function-error"] = "Unhandled"
    return 200, headers, json.dumps(answer)


def install():
    LambdaResponse.invoke = invoke
