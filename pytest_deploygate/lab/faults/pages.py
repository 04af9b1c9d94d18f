"""Faults of the policy pages and the maintenance page."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import edge
from pytest_deploygate.lab.state import Lab


def _fault(name: str, what: str, item: str, says: str, scope: str, **switches: object) -> Fault:
    def breaks(lab: Lab) -> None:
        edge.change(lab, **switches)

    def heals(lab: Lab) -> None:
        edge.restore(lab, *switches)

    return Fault(name, what, {item: "fail"}, breaks, heals, says, needs=(edge.NAME,), scope=scope)


_COMPLIANCE = "preflight and compliance"
NO_PRIVACY = _fault(
    "privacy-policy-missing",
    "the privacy policy answers 404",
    "comp.privacy-policy",
    "404",
    _COMPLIANCE,
    privacy="missing",
)
OLD_PRIVACY = _fault(
    "privacy-policy-old",
    "the privacy policy still is the one of two years ago",
    "comp.privacy-policy",
    "before",
    _COMPLIANCE,
    privacy="old",
)
NO_TERMS = _fault(
    "terms-missing", "the terms of service answer 404", "comp.terms", "404", _COMPLIANCE, terms="missing"
)
OLD_TERMS = _fault(
    "terms-old",
    "the terms of service still are those of two years ago",
    "comp.terms",
    "before",
    _COMPLIANCE,
    terms="old",
)
OK_PAGE = _fault(
    "maintenance-page-200",
    "the maintenance page answers 200",
    "day.maintenance-page",
    "expected 503",
    "morning",
    maintenance="ok",
)
NEEDS_DATABASE = _fault(
    "maintenance-page-needs-database",
    "the maintenance page is made by the application from the database",
    "day.maintenance-page",
    "database",
    "morning",
    maintenance="application",
)
EXTERNAL = _fault(
    "maintenance-page-loads-others",
    "the maintenance page loads a style sheet and a script from elsewhere",
    "day.maintenance-page",
    "loads",
    "morning",
    maintenance="external",
)
