"""CloudFormation: the partition of a stack is that of its region (moto always says `aws`), and policies of queues and
buckets and functions' URLs, which moto leaves out.

moto also reads a template anew for every stack and makes an RSA key pair for every KMS key, which takes
longer than a response.
"""

import copy
import functools
import json
import types

from moto.cloudformation.models import Stack
from moto.cloudformation.parsing import ResourceMap
from moto.core.common_models import CloudFormationModel
from moto.kms import models as kms
from moto.s3.models import FakeBucket, s3_backends
from moto.sqs.models import sqs_backends
from moto.utilities.utils import get_partition

_initialise = ResourceMap.__init__


def _with_partition(self, *args, **kwargs):
    _initialise(self, *args, **kwargs)
    self._parsed_resources["AWS::Partition"] = get_partition(self._region_name)


class QueuePolicy(CloudFormationModel):
    @staticmethod
    def cloudformation_name_type():
        return None

    @staticmethod
    def cloudformation_type():
        return "AWS::SQS::QueuePolicy"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        properties = cloudformation_json["Properties"]
        for url in properties["Queues"]:
            name = url.split("/")[-1]
            document = json.dumps(properties["PolicyDocument"], default=str)
            sqs_backends[account_id][region_name].set_queue_attributes(name, {"Policy": document})
        policy = cls()
        policy.physical_resource_id = resource_name
        return policy


class BucketPolicy(CloudFormationModel):
    @staticmethod
    def cloudformation_name_type():
        return None

    @staticmethod
    def cloudformation_type():
        return "AWS::S3::BucketPolicy"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        properties = cloudformation_json["Properties"]
        document = json.dumps(properties["PolicyDocument"], default=str).encode()
        s3_backends[account_id][get_partition(region_name)].put_bucket_policy(properties["Bucket"], document)
        policy = cls()
        policy.physical_resource_id = properties["Bucket"]
        return policy

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        s3_backends[account_id][get_partition(region_name)].delete_bucket_policy(resource_name)


def knowing_conditions(original):
    """What a bucket's policy says under a condition, moto takes for what it always says: it would refuse everything."""

    def get_permission(self, action, resource):
        if self.policy is None:
            return original(self, action, resource)
        policy = json.loads(self.policy)
        statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        unconditional = {**policy, "Statement": [it for it in statements if "Condition" not in it]}
        return original(types.SimpleNamespace(policy=json.dumps(unconditional).encode()), action, resource)

    return get_permission


class FunctionUrl(CloudFormationModel):
    """Its address; who wants to be answered there asks `harness/function_url.py` to listen."""

    @staticmethod
    def cloudformation_name_type():
        return None

    @staticmethod
    def cloudformation_type():
        return "AWS::Lambda::Url"

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr == "FunctionUrl"

    def get_cfn_attribute(self, name):
        return f"https://{self.physical_resource_id.lower()}.lambda-url.{self.region}.on.aws/"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        url = cls()
        url.physical_resource_id, url.region = resource_name, region_name
        return url


def parsed_once(original):
    parse = functools.lru_cache(original)
    return staticmethod(lambda template: copy.deepcopy(parse(template)))


def install():
    ResourceMap.__init__ = _with_partition
    Stack.parse_template = parsed_once(Stack.parse_template)
    FakeBucket.get_permission = knowing_conditions(FakeBucket.get_permission)
    # Our keys only encrypt; the pair is for signing.
    kms.generate_private_key = functools.lru_cache(kms.generate_private_key)
