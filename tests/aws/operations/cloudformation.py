"""CloudFormation: the partition of a stack is that of its region; moto always says `aws`.

moto also reads a template anew for every stack and makes an RSA key pair for every KMS key, which takes
longer than a response.
"""

import copy
import functools

from moto.cloudformation.models import Stack
from moto.cloudformation.parsing import ResourceMap
from moto.kms import models as kms
from moto.utilities.utils import get_partition

_initialise = ResourceMap.__init__


def _with_partition(self, *args, **kwargs):
    _initialise(self, *args, **kwargs)
    self._parsed_resources["AWS::Partition"] = get_partition(self._region_name)


def parsed_once(original):
    parse = functools.lru_cache(original)
    return staticmethod(lambda template: copy.deepcopy(parse(template)))


def install():
    ResourceMap.__init__ = _with_partition
    Stack.parse_template = parsed_once(Stack.parse_template)
    # Our keys only encrypt; the pair is for signing.
    kms.generate_private_key = functools.lru_cache(kms.generate_private_key)
