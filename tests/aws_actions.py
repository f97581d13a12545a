"""Every action that AWS has, and the resources that it is done to: from AWS's own list, as cfn-lint carries it.

    python -m tests.aws_actions      as JSON, for `policies.rs`
"""

import importlib.resources
import json
import sys

# What an ARN has between `arn:aws:` and its end, as the catalogue of the reports writes it.
WORDS = {"${Partition}": "aws", "${Region}": "*", "${Account}": "{a}", "${AccountId}": "{a}", ".*": "*"}


def written(arn):
    for theirs, ours in WORDS.items():
        arn = arn.replace(theirs, ours)
    return arn.removeprefix("arn:aws:")


def actions():
    services = json.loads((importlib.resources.files("cfnlint") / "data/AdditionalSpecs/Policies.json").read_text())
    found = {}
    for service, has in services.items():
        arns = {name.lower(): [written(it) for it in resource.get("ARNFormats", [])] for name, resource in has["Resources"].items()}
        for name, action in has["Actions"].items():
            found[f"{service}:{name}"] = [arn for it in action.get("Resources", []) for arn in arns.get(it.lower(), [])]
    return found


if __name__ == "__main__":
    json.dump(actions(), sys.stdout)
