"""SSM OpsItems, with the deduplication string that keeps one item open for one matter.

https://docs.aws.amazon.com/systems-manager/latest/userguide/OpsCenter-working-deduplication.html
"""

import json
import uuid

from moto.core.responses import ActionResult
from moto.ssm.responses import SimpleSystemManagerResponse

from . import state
from ..dispatch import SimulatedError


def create_ops_item(self):
    params, items = self.sim_params, state(self, "ops-items")
    if params["Source"].lower().startswith(("aws", "amazon", "amzn")):
        raise SimulatedError("OpsItemInvalidParameterException", "the source must not begin with aws, amazon or amzn")
    wanted = _dedup(params)
    for item in items.values():
        if wanted and _dedup(item) == wanted and item["Status"] in ("Open", "InProgress"):
            raise SimulatedError("OpsItemAlreadyExistsException", f"OpsItem {item['OpsItemId']} exists")
    identifier = f"oi-{uuid.uuid4().hex[:12]}"
    items[identifier] = {**params, "OpsItemId": identifier, "Status": "Open"}
    return ActionResult({"OpsItemId": identifier})


def _dedup(item):
    data = item.get("OperationalData", {}).get("/aws/dedup")
    return json.loads(data["Value"])["dedupString"] if data else None


def describe_ops_items(self):
    return ActionResult({"OpsItemSummaries": list(state(self, "ops-items").values())})


def get_ops_item(self):
    item = state(self, "ops-items").get(self.sim_params["OpsItemId"])
    if item is None:
        raise SimulatedError("OpsItemNotFoundException", "not found")
    return ActionResult({"OpsItem": item})


def install():
    for operation in (create_ops_item, describe_ops_items, get_ops_item):
        setattr(SimpleSystemManagerResponse, operation.__name__, operation)
