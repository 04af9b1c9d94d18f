"""Faults of integrations: a partner that refuses our credential, and a credential that runs out."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import platform

_ALL = dict.fromkeys(("phase3.integrations", "after.integrations", "crit.integrations"), "fail")
_NEEDS = (platform.BALANCER, platform.PARTNER)
_INVENTORY = "lab-application"

REVOKED = Fault(
    "integration-revoked",
    "the partner has revoked our credential",
    _ALL,
    lambda lab: platform.change(lab, partner_revoked=True),
    platform.as_started,
    says="our credential is refused (401",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
EXPIRES = Fault(
    "integration-expires",
    "our credential at the partner runs out in three days",
    _ALL,
    lambda lab: platform.change(lab, partner_days_left=3),
    platform.as_started,
    says="at least 14 d are required: renew it",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
