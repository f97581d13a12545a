"""CloudFormation: the partition of a stack is that of its region (moto always says `aws`), and queues'
policies, which moto leaves out."""

import json

from moto.cloudformation.parsing import ResourceMap
from moto.core.common_models import CloudFormationModel
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


def install():
    ResourceMap.__init__ = _with_partition
