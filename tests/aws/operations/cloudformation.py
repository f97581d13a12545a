"""CloudFormation: the partition of a stack is that of its region; moto always says `aws`."""

from moto.cloudformation.parsing import ResourceMap
from moto.utilities.utils import get_partition

_initialise = ResourceMap.__init__


def _with_partition(self, *args, **kwargs):
    _initialise(self, *args, **kwargs)
    self._parsed_resources["AWS::Partition"] = get_partition(self._region_name)


def install():
    ResourceMap.__init__ = _with_partition
