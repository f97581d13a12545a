"""STS: what it takes of a session policy.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

import json
import zlib

from moto.sts.responses import TokenResponse

from ..dispatch import SimulatedError

PLAIN = 2048
# AWS packs a policy in a way that it does not document, and says only by how much it is too large. So many bytes,
# deflated, are what this one takes; a test may ask for fewer in an account.
PACKED = 2048
PACKED_OF_ACCOUNT = {}


def check(policy, account):
    if len(policy) > PLAIN:
        message = f"1 validation error detected: Value '{policy}' at 'policy' failed to satisfy constraint: Member must have length less than or equal to {PLAIN}"
        raise SimulatedError("ValidationError", message)
    try:
        document = json.loads(policy)
        statements = document["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            if statement["Effect"] not in ("Allow", "Deny") or not {"Action", "NotAction"} & set(statement):
                raise ValueError(statement)
            if not {"Resource", "NotResource"} & set(statement):
                raise ValueError(statement)
    except (ValueError, KeyError, TypeError):
        raise SimulatedError("MalformedPolicyDocument", "This policy contains invalid Json") from None
    percent = 100 * len(zlib.compress(policy.encode(), 9)) // PACKED_OF_ACCOUNT.get(account, PACKED)
    if percent > 100:
        message = f"Packed policy consumes {percent}% of allotted space, please use smaller policy."
        raise SimulatedError("PackedPolicyTooLarge", message)


def _checking(original):
    def assume_role(self):
        policy = self.sim_params.get("Policy")
        if policy is not None:
            check(policy, self.sim_params["RoleArn"].split(":")[4])
        return original(self)

    return assume_role


def install():
    TokenResponse.assume_role = _checking(TokenResponse.assume_role)
