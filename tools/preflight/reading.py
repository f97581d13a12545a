"""Reading from AWS: what may not be read names the permission that it takes."""

import re
import threading

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
UNKNOWN_CALLER = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
# The IAM action, where it is not the operation's name.
ACTIONS = {"lambda:Invoke": "lambda:InvokeFunction"}
# An account that does not answer must not hold up the others.
# Each account has a session of its own, and AWS's models are read from the disk once for all of them.
MODELS = botocore.loaders.create_loader()
CONFIG = Config(connect_timeout=5, read_timeout=65, retries={"mode": "standard", "max_attempts": 4})


class Unread(Exception):
    """Why something can't be read, with the permission that would let us."""


class Refused(Exception):
    """AWS answered with an error that says something about the account."""

    def __init__(self, action, code, message):
        super().__init__(f"{action} answered `{code}`")
        self.action, self.code, self.message = action, code, message


def session(profile=None, **credentials):
    core = botocore.session.Session(profile=profile)
    core.register_component("data_loader", MODELS)
    return boto3.Session(botocore_session=core, **credentials)


class Reader:
    """Reads as one principal of one account, in a region unless told otherwise."""

    def __init__(self, session, region):
        self.session, self.region = session, region
        self._clients, self._lock = {}, threading.Lock()

    def client(self, service, region=None):
        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self.session.client(service, region_name=key[1], config=CONFIG)
            return self._clients[key]

    def read(self, service, operation, region=None, **parameters):
        client = self.client(service, region)
        with_errors = Errors(action_of(client, service, operation), region or self.region)
        return with_errors.call(lambda: getattr(client, operation)(**parameters))

    def pages(self, service, operation, member, region=None, **parameters):
        """The elements of every page."""
        client = self.client(service, region)
        with_errors = Errors(action_of(client, service, operation), region or self.region)
        pages = client.get_paginator(operation).paginate(**parameters)
        return with_errors.call(lambda: [element for page in pages for element in page.get(member, [])])

    def assume(self, role, external_id=None):
        """A reader in another account, with a role of the operator's own."""
        parameters = {"RoleArn": role, "RoleSessionName": "iam-responder-preflight"}
        found = self.read("sts", "assume_role", **parameters, **({"ExternalId": external_id} if external_id else {}))
        given = found["Credentials"]
        names = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey", "aws_session_token": "SessionToken"}
        return Reader(session(**{name: given[it] for name, it in names.items()}), self.region)


def action_of(client, service, operation):
    action = f"{service}:{client.meta.method_to_api_mapping[operation]}"
    return ACTIONS.get(action, action)


class Errors:
    """What the errors of one call mean."""

    def __init__(self, action, region):
        self.action, self.region = action, region

    def call(self, work):
        try:
            return work()
        except ClientError as error:
            code, message = error.response["Error"].get("Code", "?"), error.response["Error"].get("Message", "")
            # Organizations says so to whoever is neither the management account nor a delegated administrator.
            if code in DENIED and "You don't have permissions to access this resource" in message:
                raise Refused(self.action, "NotAnAdministrator", message) from error
            if code in DENIED:
                raise Unread(f"it needs `{self.needed(message)}`") from error
            if code in UNKNOWN_CALLER:
                raise Unread(f"AWS does not know these credentials (`{code}`)") from error
            raise Refused(self.action, code, message) from error
        except NoCredentialsError as error:
            raise Unread("there are no credentials") from error
        except BotoCoreError as error:
            raise Unread(f"`{self.action}` in {self.region}: {type(error).__name__}") from error

    def needed(self, message):
        """What AWS says that it takes: reading a secret takes its key too."""
        named = re.search(r"not authorized to perform: ([\w-]+:\w+)", message)
        return named.group(1) if named else self.action
