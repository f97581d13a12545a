"""What botocore writes of policies that IAM's simulator is to leave out: for `policies.rs`.

    python -m tests.exclusions '[{"PolicyType": "inline"}]'      the fields of the form, as JSON
"""

import json
import sys

import botocore.awsrequest
import botocore.serialize
import botocore.session


def fields(exclusions):
    service = botocore.session.get_session().get_service_model("iam")
    operation = service.operation_model("SimulatePrincipalPolicy")
    parameters = {"PolicySourceArn": "arn:aws:iam::111122223333:user/alice", "ActionNames": ["iam:GetUser"], "PolicyExclusionList": exclusions}
    written = botocore.serialize.create_serializer(service.metadata["protocol"]).serialize_to_request(parameters, operation)
    request = botocore.awsrequest.AWSRequest(method="POST", url="https://iam.amazonaws.com/", data=written["body"]).prepare()
    body = request.body.decode() if isinstance(request.body, bytes) else request.body
    return sorted(it for it in body.split("&") if it.startswith("PolicyExclusionList"))


if __name__ == "__main__":
    json.dump(fields(json.loads(sys.argv[1])), sys.stdout)
