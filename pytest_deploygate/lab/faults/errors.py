"""Faults of error rates: requests that fail in the application, and those that the balancer answers itself."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.faults.traffic import INVENTORY, NEEDS
from pytest_deploygate.lab.services import portal
from pytest_deploygate.lab.state import Lab


def _fail_two_percent(lab: Lab) -> None:
    """Fail 60 of 3,000 requests of the last five minutes: 1,500 were there, and 1,440 more come at once."""
    portal.disturb(lab)
    portal.send(lab, portal.BALANCER, "/", 1440)
    portal.send(lab, portal.BALANCER, "/fail", 60)
    portal.await_value(lab, 'http_requests_total{job="portal",code="500"}', 60)
    portal.await_value(lab, 'haproxy_frontend_http_responses_total{proxy="portal",code="5xx"}', 60)


def _balancer_answers_itself(lab: Lab) -> None:
    portal.disturb(lab)
    portal.send(lab, portal.BALANCER, "/nobody", 60)
    portal.await_value(lab, 'haproxy_frontend_http_responses_total{proxy="portal",code="5xx"}', 60)


TWO_PERCENT = Fault(
    "errors-two-percent",
    "2 % of the portal's requests of the last minutes end with 500, and the first of them make a new series",
    {"golive.errors": "fail"},
    _fail_two_percent,
    portal.as_before,
    says="60 of",
    needs=NEEDS,
    inventory=INVENTORY,
)
BALANCER = Fault(
    "balancer-answers-503",
    "the balancer answers sixty requests with 503 itself, and the portal sees none of them",
    {"golive.errors": "fail"},
    _balancer_answers_itself,
    portal.as_before,
    says="load balancer: 60 of",
    needs=NEEDS,
    inventory=INVENTORY,
)
