"""template.yaml as CloudFormation: what SAM makes of it, without AWS.

    python -m tests.harness.templates      prints the translated template as JSON
"""

import functools
import json
import sys

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from .processes import ROOT


@functools.cache
def translated():
    """The responder's template; its code is an S3 object, since there is nothing to upload."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://code/responder.zip"
    session = boto3.Session(region_name="us-east-1")
    return Translator({}, Parser(), boto_session=session).translate(sam_template=template, parameter_values={})


def member():
    return (ROOT / "member-role.yaml").read_text()


def guardrail():
    return (ROOT / "guardrail-role.yaml").read_text()


def runbook():
    return yaml_parse(member())["Resources"]["RotationRunbook"]["Properties"]["Content"]


if __name__ == "__main__":
    documents = {"template": translated(), "member": yaml_parse(member()), "guardrail": yaml_parse(guardrail())}
    json.dump(documents, sys.stdout, indent=1, default=str)
