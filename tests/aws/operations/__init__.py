"""Operations that moto lacks, or has without the semantics that a responder depends on.

Inputs were checked against botocore's models before an operation runs. State is kept by account and
region and can be read back.
"""

import collections

STATE = collections.defaultdict(dict)


def state(response, kind, region=None):
    """What this account keeps of a kind, in the request's region or in `region`."""
    return STATE[response.current_account, region or response.region, kind]


def install():
    from .. import eventbridge
    from . import automation, bedrock, cloudformation, cloudtrail, credential_report, functions, iam, incidents, ops_items, organizations, overview, security_hub, simulator, state_machines, sts

    ours = (automation, bedrock, cloudformation, cloudtrail, credential_report, functions, iam, incidents, ops_items, organizations, overview, security_hub, simulator, state_machines, sts)
    for module in (eventbridge, *ours):
        module.install()
