"""Faults of the API: answers that differ from its document."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import platform

_API = {"phase3.api": "fail"}
_NEEDS = (platform.BALANCER,)
_INVENTORY = "lab-application"

ERROR = Fault(
    "api-error",
    "the API answers 500 for an alert that does not exist",
    _API,
    lambda lab: platform.change(lab, api_error=500),
    platform.as_started,
    says="GET /api/alerts/{id} (getAlert): with an id that does not exist: answered 500",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
LACKS = Fault(
    "api-missing-field",
    "a device lacks its unit, which the API's document requires",
    _API,
    lambda lab: platform.change(lab, api_lacks="unit"),
    platform.as_started,
    says="lacks `unit` at $, which the document requires",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
CONTENT_TYPE = Fault(
    "api-content-type",
    "the list of reports is sent as HTML",
    _API,
    lambda lab: platform.change(lab, api_content_type="text/html"),
    platform.as_started,
    says="has the content type text/html, the document says application/json",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
