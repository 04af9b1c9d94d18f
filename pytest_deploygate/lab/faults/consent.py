"""Faults of consent: pages that do not wait for it."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import platform

_INVENTORY = "lab-application"
_ITEMS = {"comp.gdpr": "fail"}

FONT = Fault(
    "consent-font-before",
    "pages load a font from a third party before anybody has agreed",
    _ITEMS,
    lambda lab: platform.change(lab, consent_font_before=True),
    lambda lab: platform.change(lab, consent_font_before=None),
    says="before consent the third party metrics.example.test is asked",
    tests=("test_nothing_is_kept_without_consent",),
    needs=(platform.BALANCER,),
    inventory=_INVENTORY,
)
COOKIE = Fault(
    "consent-cookie-before",
    "pages set the cookie that counts visits before anybody has agreed",
    _ITEMS,
    lambda lab: platform.change(lab, consent_cookie_before=True),
    lambda lab: platform.change(lab, consent_cookie_before=None),
    says="before consent the cookie analytics of 127.0.0.1 is set",
    tests=("test_nothing_is_kept_without_consent",),
    needs=(platform.BALANCER,),
    inventory=_INVENTORY,
)
