"""python -m tools.preflight: the package says what it is for."""

import argparse
import os
import sys

from botocore.exceptions import BotoCoreError

from . import after, before, members
from .answers import exit_code, unread
from .deployment import Deployment
from .reading import Reader, Refused, Unread, session


def main(arguments=None):
    options = parsed(arguments)
    try:
        home = Reader(session(options.profile), options.region)
        other = Reader(session(options.member_profile), options.region)
    except BotoCoreError as problem:
        sys.exit(f"{problem}. Sign in to the security account, or name its profile: AWS_PROFILE=…")
    options.member_reader = other if options.member_profile else home
    lines = []
    for line in answers(Deployment(home, options)):
        print(line, flush=True)
        lines.append(line)
    return exit_code(lines)


def answers(deployment):
    """Every line, in the order in which one would mend what is missing."""
    try:
        yield before.caller(deployment)
    except (Refused, Unread) as problem:
        yield unread("account", f"{problem}. Sign in to the security account, or name its profile: AWS_PROFILE=…")
        return
    for check in before.CHECKS:
        yield from answered(check, deployment)
    yield from answered(after.stack, deployment)
    try:
        is_deployed = deployment.is_deployed
    except (Refused, Unread):
        return
    if is_deployed:
        for check in (*after.CHECKS, *members.CHECKS):
            yield from answered(check, deployment)


def answered(check, deployment):
    """The lines of one check, where AWS lets us look."""
    what = check.__name__.replace("_", " ")
    try:
        yield from check(deployment)
    except Unread as problem:
        yield unread(what, str(problem))
    except Refused as refused:
        yield unread(what, str(refused))


def parsed(arguments):
    parser = argparse.ArgumentParser(prog="make preflight")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"), help="the responder's")
    parser.add_argument("--profile", default=os.environ.get("AWS_PROFILE"), help="of the AWS CLI's, in the security account")
    parser.add_argument("--stack", default="iam-responder")
    parser.add_argument("--stack-set", default="iam-responder-member")
    parser.add_argument("--accounts", default="", help="to be protected, separated by commas; all of the organisation where none are given")
    parser.add_argument("--read-role", default="", help="the name of a role of yours in the member accounts")
    parser.add_argument("--member-profile", help="a profile that may assume that role, where it is another")
    parser.add_argument("--ask", action="store_true", help="have the functions try the member roles (`status`)")
    options = parser.parse_args(arguments)
    options.region = options.region or session(options.profile).region_name
    if not options.region:
        parser.error("which region is the responder in, or is to be? REGION=…")
    options.endpoint_url = os.environ.get("AWS_ENDPOINT_URL")
    return options


if __name__ == "__main__":
    sys.exit(main())
