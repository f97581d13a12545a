"""The credential report as AWS makes it: at most every four hours, with root's row, quoted names, and the states in between.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
"""

import csv
import datetime as dt
import io

from moto.core.responses import ActionResult
from moto.iam.models import AccountSummary
from moto.iam.responses import IamResponse

from . import state
from ..dispatch import SimulatedError

LIFE = dt.timedelta(hours=4)
HEADER = (
    "user arn user_creation_time password_enabled password_last_used password_last_changed password_next_rotation mfa_active "
    "access_key_1_active access_key_1_last_rotated access_key_1_last_used_date access_key_1_last_used_region access_key_1_last_used_service "
    "access_key_2_active access_key_2_last_rotated access_key_2_last_used_date access_key_2_last_used_region access_key_2_last_used_service "
    "cert_1_active cert_1_last_rotated cert_2_active cert_2_last_rotated"
).split()


def _now():
    return dt.datetime.now(dt.timezone.utc)


def _date(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ") if time else "N/A"


def _bool(value):
    return "true" if value else "false"


def _row(user):
    keys = [*user.access_keys, None, None][:2]
    row = [user.name, user.arn, _date(user.create_date), _bool(user.password)]
    used = _date(user.password_last_used) if user.password_last_used else "no_information"
    changed = getattr(user, "sim_password_changed", user.create_date)
    row += [used, _date(changed), "not_supported"] if user.password else ["N/A", "N/A", "N/A"]
    row.append(_bool(user.mfa_devices))
    for key in keys:
        if key is None:
            row += ["false", "N/A", "N/A", "N/A", "N/A"]
        else:
            where = ["us-east-1", "s3"] if key.last_used else ["N/A", "N/A"]
            row += [_bool(key.status == "Active"), _date(key.create_date), _date(key.last_used), *where]
    return [*row, "false", "N/A", "false", "N/A"]


def content(self):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    root = f"arn:aws:iam::{self.current_account}:root"
    none = ["false", "N/A", "N/A", "N/A", "N/A"]
    writer.writerow(["<root_account>", root, "2019-01-01T00:00:00+00:00", "false", "N/A", "not_supported", "not_supported", "true", *none, *none, "false", "N/A", "false", "N/A"])
    for user in self.backend.users.values():
        writer.writerow(_row(user))
    return text.getvalue().rstrip("\n")


def report(self):
    """What there is of an account: `wanted` since somebody asked, `waits` calls that still hear that it is being made."""
    return state(self, "credential-report", region="-")


def _is_making(kept):
    """Whether it is still being made; each call that asks brings it nearer."""
    if kept.get("waits", 0) > 0:
        kept["waits"] -= 1
        return True
    return False


def _finish(self, kept):
    if kept.pop("wanted", False):
        kept["content"] = kept.get("text") or content(self)
        kept["made"] = _now()


def generate_credential_report(self):
    kept = report(self)
    if kept.get("wanted"):
        if _is_making(kept):
            return ActionResult({"State": "INPROGRESS"})
        _finish(self, kept)
    if "content" in kept and _now() - kept["made"] < LIFE:
        return ActionResult({"State": "COMPLETE"})
    kept["wanted"] = True
    return ActionResult({"State": "STARTED", "Description": "No report exists. Starting a new report generation task"})


def get_credential_report(self):
    kept = report(self)
    if kept.get("wanted"):
        if _is_making(kept):
            raise SimulatedError("ReportInProgress", "Report is being generated")
        _finish(self, kept)
    if "content" not in kept:
        raise SimulatedError("ReportNotPresent", "No report exists")
    if _now() - kept["made"] >= LIFE:
        raise SimulatedError("ReportExpired", "The report has expired")
    return ActionResult({"Content": kept["content"], "ReportFormat": "text/csv", "GeneratedTime": kept["made"]})


def with_root(original):
    """As the report says: root has MFA and no keys. moto knows of no root."""

    @property
    def summary(self):
        return {**original.fget(self), "AccountMFAEnabled": 1}

    return summary


def install():
    AccountSummary.summary_map = with_root(AccountSummary.summary_map)
    IamResponse.generate_credential_report = generate_credential_report
    IamResponse.get_credential_report = get_credential_report
