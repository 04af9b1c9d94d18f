"""Faults of who is on call: a night without anybody, and somebody whom no list knows."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import desk

NOBODY = Fault(
    "on-call-nobody",
    "the series of the night shift ended with its first night",
    {"day.support": "fail"},
    lambda lab: desk.on_call(lab, nights=1),
    desk.as_started,
    says="nobody is on call from",
    needs=(desk.NAME,),
    inventory="lab-people",
)
STRANGER = Fault(
    "on-call-stranger",
    "the night shift is taken by somebody who is not in the contact list",
    {"day.support": "fail"},
    lambda lab: desk.on_call(lab, night="stranger@example.com"),
    desk.as_started,
    says="stranger@example.com is on call from",
    needs=(desk.NAME,),
    inventory="lab-people",
)
