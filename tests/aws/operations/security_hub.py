"""Security Hub: BatchUpdateFindings on imported findings, GetFindings by ID, and the events of imports.

https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html
"""

import copy
import datetime as dt

import moto.securityhub.urls
from moto.core.responses import ActionResult
from moto.securityhub.models import Finding, securityhub_backends
from moto.securityhub.responses import SecurityHubResponse

from ..dispatch import plain
from ..eventbridge import emit

MERGED = ("Workflow", "Severity")
# The account that sees the findings of another, and gets their events.
ADMINISTRATORS = {}


def batch_update_findings(self):
    params, done, left = self.sim_params, [], []
    now = dt.datetime.now(dt.timezone.utc).isoformat()
    for identifier in params["FindingIdentifiers"]:
        finding = _find(self, identifier)
        if finding is None:
            left.append({"FindingIdentifier": identifier, "ErrorCode": "FindingNotFound", "ErrorMessage": "Finding Not Found"})
            continue
        for member in MERGED:
            if member in params:
                finding[member] = {**finding.get(member, {}), **params[member]}
        if "Note" in params:
            finding["Note"] = {**params["Note"], "UpdatedAt": now}
        done.append(identifier)
    return ActionResult({"ProcessedFindings": done, "UnprocessedFindings": left})


def telling(original):
    """Every imported finding is an event of its account, and of the one that administrates it."""

    def batch_import_findings(self):
        answer = original(self)
        seen_by = [self.current_account, *filter(None, [ADMINISTRATORS.get(self.current_account)])]
        for given in self.sim_params["Findings"]:
            finding = completed(plain(given), self.region)
            for account in seen_by:
                keep(securityhub_backends[account][self.region], finding)
                emit(account, self.region, "aws.securityhub", "Security Hub Findings - Imported", {"findings": [finding]})
        return answer

    return batch_import_findings


def completed(finding, region):
    """With what Security Hub adds to a finding.
    https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html"""
    return {"Region": region, "RecordState": "ACTIVE", "Workflow": {"Status": "NEW"}, "WorkflowState": "NEW", **finding}


def keep(backend, finding):
    """The one of the same ID and product is replaced."""
    same = [it for it in backend.findings if (it.data["Id"], it.data["ProductArn"]) == (finding["Id"], finding["ProductArn"])]
    backend.findings = [it for it in backend.findings if it not in same] + [Finding(finding["Id"], copy.deepcopy(finding))]


def _find(self, identifier):
    for finding in self.securityhub_backend.findings:
        if (finding.data["Id"], finding.data["ProductArn"]) == (identifier["Id"], identifier["ProductArn"]):
            return finding.data
    return None


def get_findings(self):
    """moto ignores filters; only equality by ID is used here."""
    wanted = {condition["Value"] for condition in self.sim_params.get("Filters", {}).get("Id", [])}
    every = [finding.data for finding in self.securityhub_backend.findings]
    return ActionResult({"Findings": [it for it in every if not wanted or it["Id"] in wanted]})


def install():
    moto.securityhub.urls.url_paths["{0}/findings/batchupdate$"] = SecurityHubResponse.dispatch
    SecurityHubResponse.batch_update_findings = batch_update_findings
    SecurityHubResponse.get_findings = get_findings
    SecurityHubResponse.batch_import_findings = telling(SecurityHubResponse.batch_import_findings)
