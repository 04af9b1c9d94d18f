"""Faults of the policy pages and the maintenance page."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.lab import drilling
from pytest_deploygate.lab.faults import Fault, keep_aside, put_back
from pytest_deploygate.lab.services import edge
from pytest_deploygate.lab.state import Lab, LabError


def _fault(
    name: str, what: str, item: str, says: str, scope: str, test: str = "", **switches: object
) -> Fault:
    def breaks(lab: Lab) -> None:
        edge.change(lab, **switches)

    def heals(lab: Lab) -> None:
        edge.restore(lab, *switches)

    tests = (test,) if test else ()
    return Fault(name, what, {item: "fail"}, breaks, heals, says, tests, needs=(edge.NAME,), scope=scope)


def _record(lab: Lab) -> Path:
    return Path(edge.values(lab)["pages.drill"])


def _drill_with_a_page_of_the_application(lab: Lab) -> None:
    """Let the application serve the page, run the drill, which stops the application, and restore the page."""
    keep_aside(_record(lab))
    edge.change(lab, maintenance="application")
    outcome = drilling.show_maintenance_page(lab)
    edge.restore(lab, "maintenance")
    if outcome == "good":
        raise LabError("the page was served although the application behind it had stopped")


def _put_record_back(lab: Lab) -> None:
    edge.restore(lab, "maintenance")
    put_back(_record(lab))


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
    "the privacy policy is still that of two years ago",
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
    "the terms of service are still those of two years ago",
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
    test="test_maintenance_page",
    maintenance="ok",
)
NEEDS_DATABASE = _fault(
    "maintenance-page-needs-database",
    "the application generates the maintenance page from the database",
    "day.maintenance-page",
    "database",
    "morning",
    test="test_maintenance_page",
    maintenance="application",
)
EXTERNAL = _fault(
    "maintenance-page-loads-others",
    "the maintenance page loads a style sheet and a script from elsewhere",
    "day.maintenance-page",
    "loads",
    "morning",
    test="test_maintenance_page",
    maintenance="external",
)
DRILL_FAILED = Fault(
    "maintenance-drill-failed",
    "the last drill failed: the application served the maintenance page then; it was fixed, but not drilled again",
    {"day.maintenance-page": "fail"},
    _drill_with_a_page_of_the_application,
    _put_record_back,
    says="with the application down the page answered",
    tests=("test_maintenance_drill",),
    needs=(edge.NAME,),
    scope="morning",
)
