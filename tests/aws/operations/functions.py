"""Lambda's Invoke, asynchronously: moto would run the function in a container."""

import json

from moto.awslambda.responses import LambdaResponse

from .. import eventbridge

_invoke = LambdaResponse.invoke


def invoke(self):
    if self.headers.get("X-Amz-Invocation-Type") != "Event":
        return _invoke(self)
    function = self.backend.get_function(self.path.rsplit("/", 2)[-2])
    eventbridge.invoke_in_background(function.function_arn, json.loads(self.body))
    return 202, {"status": 202}, ""


def install():
    LambdaResponse.invoke = invoke
