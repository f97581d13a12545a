"""Runs the steps of an SSM Automation runbook against the simulated AWS, as the role that started it.

Knows the actions and fields that our runbook uses and refuses the rest.
https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-actions.html
"""

import json
import os
import re
import subprocess
import sys

from botocore import xform_name

RUNNER = """
import json, os, sys
payload, handler, script = json.load(sys.stdin)
scope = {}
exec(script, scope)
print(json.dumps(scope[handler](payload, None)))
"""


class Failed(Exception):
    """A step that ended the execution."""


class Execution:
    def __init__(self, content, parameters, client, environment):
        """`client` makes a boto3 client of a service, `environment` is what a script runs with."""
        self.client, self.environment = client, environment
        defaults = {name: it["default"] for name, it in content["parameters"].items() if "default" in it}
        self.values = {**defaults, **parameters}
        for name, it in content["parameters"].items():
            value = self.values[name]
            allowed = re.match(it.get("allowedPattern", ""), value) and value in it.get("allowedValues", [value])
            assert allowed, f"{name} is not allowed to be {value}"
        assert set(parameters) <= set(content["parameters"])
        # What AWS keeps with the execution, for everybody who may read it.
        self.kept = []
        self.run(content["mainSteps"])

    def run(self, steps):
        names, at = [step["name"] for step in steps], 0
        while at is not None and at < len(steps):
            step = steps[at]
            chosen = getattr(self, step["action"].removeprefix("aws:"))(step, self.filled(step["inputs"], step["action"]))
            at = names.index(chosen) if chosen else None if step.get("isEnd") else at + 1

    def filled(self, inputs, action):
        """`{{ X }}` becomes its value; the steps of a loop and scripts are left for later."""
        if isinstance(inputs, dict):
            return {key: value if key in ("Steps", "Script") else self.filled(value, action) for key, value in inputs.items()}
        if isinstance(inputs, list):
            return [self.filled(each, action) for each in inputs]
        found = re.fullmatch(r"{{ *([\w.]+) *}}", inputs) if isinstance(inputs, str) else None
        return self.values[found.group(1)] if found else inputs

    def call(self, inputs):
        fields = {key: value for key, value in inputs.items() if key not in ("Service", "Api", "PropertySelector", "DesiredValues")}
        answer = getattr(self.client(inputs["Service"]), xform_name(inputs["Api"]))(**fields)
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}

    def outputs(self, step, payload):
        for output in step.get("outputs", []):
            self.values[f"{step['name']}.{output['Name']}"] = select(output["Selector"], payload)

    def executeAwsApi(self, step, inputs):
        payload = self.call(inputs)
        self.kept.append(payload)
        self.outputs(step, payload)

    def assertAwsResourceProperty(self, step, inputs):
        value = select(inputs["PropertySelector"], self.call(inputs))
        if value not in inputs["DesiredValues"]:
            raise Failed(step["name"])

    def loop(self, step, inputs):
        for value in inputs["Iterators"]:
            self.values[f"{step['name']}.CurrentIteratorValue"] = value
            self.run(inputs["Steps"])

    def branch(self, step, inputs):
        for choice in inputs["Choices"]:
            if choice["Variable"] == choice["StringEquals"]:
                return choice["NextStep"]
        return None

    def executeScript(self, step, inputs):
        given = json.dumps([inputs["InputPayload"], inputs["Handler"], inputs["Script"]])
        ended = subprocess.run(
            [sys.executable, "-c", RUNNER], input=given, env={**os.environ, **self.environment}, capture_output=True, text=True
        )
        self.kept.append(ended.stdout + ended.stderr)
        if ended.returncode:
            raise Failed(f"{step['name']}: {ended.stderr}")
        self.outputs(step, {"Payload": json.loads(ended.stdout)})


def select(selector, payload):
    """The JSONPath that we use: `$.a.b`, and `$.list..field` for that field of all."""
    path, _, every = selector.removeprefix("$.").partition("..")
    for key in path.split("."):
        payload = payload[key]
    return [each[every] for each in payload] if every else payload
