"""SSM Incident Manager and whom it engages, two services that moto does not have.

https://docs.aws.amazon.com/incident-manager/latest/APIReference/API_StartIncident.html
https://docs.aws.amazon.com/incident-manager/latest/APIReference/API_SSMContacts_ListEngagements.html
"""

import datetime as dt
import re
import sys
import types
import uuid

import moto.backend_index
import moto.backends
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.responses import ActionResult, BaseResponse

from . import state
from ..dispatch import SimulatedError


class Incidents(BaseResponse):
    def __init__(self):
        super().__init__(service_name="ssm-incidents")
        self.automated_parameter_parsing = True

    def _kept(self, kind):
        return state(self, kind, region="-")

    def create_replication_set(self):
        arn = f"arn:aws:ssm-incidents::{self.current_account}:replication-set/{uuid.uuid4()}"
        self._kept("replication-sets")[arn] = self.sim_params
        return ActionResult({"arn": arn})

    def create_response_plan(self):
        if not self._kept("replication-sets"):
            raise SimulatedError("ValidationException", "the account has no replication set")
        arn = f"arn:aws:ssm-incidents::{self.current_account}:response-plan/{self.sim_params['name']}"
        self._kept("plans")[arn] = self.sim_params
        return ActionResult({"arn": arn})

    def start_incident(self):
        params, incidents = self.sim_params, self._kept("incidents")
        plan = self._kept("plans").get(params["responsePlanArn"])
        if plan is None:
            raise SimulatedError("ResourceNotFoundException", "the response plan does not exist")
        source = (params.get("triggerDetails") or {}).get("source", "")
        if source.startswith("aws."):
            raise SimulatedError("ValidationException", "the trigger's source must not start with aws.")
        token = params.get("clientToken")
        for arn, incident in incidents.items():
            if token and incident["token"] == token:
                return ActionResult({"incidentRecordArn": arn})
        arn = f"arn:aws:ssm-incidents::{self.current_account}:incident-record/{plan['name']}/{uuid.uuid4()}"
        incidents[arn] = {**params, "token": token, "created": dt.datetime.now(dt.timezone.utc)}
        # By the service's own role: whoever starts an incident needs no permission for it.
        for contact in plan.get("engagements", []):
            self._kept("engagements")[f"{contact}/{uuid.uuid4()}".replace(":contact/", ":engagement/")] = (contact, arn)
        return ActionResult({"incidentRecordArn": arn})

    def _summary(self, arn, incident):
        template = self._kept("plans")[incident["responsePlanArn"]]["incidentTemplate"]
        return {
            "arn": arn,
            "title": incident.get("title", template["title"]),
            "impact": incident.get("impact", template["impact"]),
            "status": "OPEN",
            "creationTime": incident["created"],
            "incidentRecordSource": {
                "createdBy": self.sim_caller.arn,
                "source": (incident.get("triggerDetails") or {}).get("source", "aws.ssm-incidents.custom"),
            },
        }

    def list_incident_records(self):
        records = [self._summary(arn, incident) for arn, incident in self._kept("incidents").items()]
        return ActionResult({"incidentRecordSummaries": records})

    def list_related_items(self):
        incident = self._kept("incidents").get(self.sim_params["incidentRecordArn"])
        if incident is None:
            raise SimulatedError("ResourceNotFoundException", "the incident does not exist")
        return ActionResult({"relatedItems": incident.get("relatedItems", [])})


class Contacts(BaseResponse):
    def __init__(self):
        super().__init__(service_name="ssm-contacts")
        self.automated_parameter_parsing = True

    def list_engagements(self):
        wanted, engaged = self.sim_params.get("IncidentId"), state(self, "engagements", region="-")
        found = [
            {"EngagementArn": arn, "ContactArn": contact, "Sender": "Incident Manager", "IncidentId": incident}
            for arn, (contact, incident) in engaged.items()
            if wanted in (None, incident)
        ]
        return ActionResult({"Engagements": found})


def backend(name, responses, path):
    url = rf"https?://{name}\.(.+)\.amazonaws\.com"
    properties = {"url_bases": property(lambda _: [url]), "url_paths": property(lambda _: {path: responses.dispatch})}
    return type(f"{responses.__name__}Backend", (BaseBackend,), properties), url


def install():
    """moto finds its services by folder; these are put among them."""
    for name, responses, path in (("ssm-incidents", Incidents, "/.*$"), ("ssm-contacts", Contacts, "/$")):
        module, (kind, url) = name.replace("-", ""), backend(name, responses, path)
        package, models = types.ModuleType(f"moto.{module}"), types.ModuleType(f"moto.{module}.models")
        kind.__module__ = models.__name__
        backends, package.models = BackendDict(kind, "ec2"), models
        for it in (package, models):
            setattr(it, f"{module}_backends", backends)
        sys.modules.update({package.__name__: package, models.__name__: models})
        moto.backend_index.backend_url_patterns.append((module, re.compile(url)))
        services = [*moto.backends.list_of_moto_modules(), module]
        moto.backends.list_of_moto_modules = lambda services=services: services
