"""Amazon Bedrock's Converse, which moto does not have: it says what a test wants said, and keeps what it was asked.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from moto.bedrockruntime.responses import BedrockRuntimeResponse
from moto.core.responses import ActionResult

from ..dispatch import SimulatedError

# By account: {"text", "stop", "blocks"} of the next answers; and every question.
ANSWERS = {}
ASKED = {}


def converse(self):
    params, account = self.sim_params, self.current_account
    ASKED.setdefault(account, []).append(params)
    # Models of today have no on-demand ID: a profile's begins with where it may run.
    if not params["modelId"].startswith(("global.", "us.", "eu.", "apac.")):
        raise SimulatedError("ValidationException", f"Invocation of model ID {params['modelId']} with on-demand throughput isn't supported.")
    answer = ANSWERS.get(account, {})
    text = answer.get("text", "IDENTITY-1 was contained.")
    # What a model thinks comes first, and is for nobody.
    content = [{"reasoningContent": {"reasoningText": {"text": "thinking"}}}, {"text": text}]
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    message = {"role": "assistant", "content": content}
    return ActionResult({"output": {"message": message}, "stopReason": answer.get("stop", "end_turn"), "usage": usage, "metrics": {"latencyMs": 1}})


def install():
    BedrockRuntimeResponse.converse = converse
