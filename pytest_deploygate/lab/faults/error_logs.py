"""Faults of the application's log: errors of the last night that the week before did not have."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import logs
from pytest_deploygate.lab.services.logs import AGGREGATOR
from pytest_deploygate.lab.state import Lab

_INVENTORY = "lab-monitoring"


def _errors(more: Mapping[str, int]) -> Change:
    return lambda lab: logs.write_nights(lab, more)


def _as_usual(lab: Lab) -> None:
    logs.write_nights(lab)


NEW_TRACE = Fault(
    "error-log-new-trace",
    "the application logged a stack trace of a new place in its code 18 times in the night",
    {"after.error-logs": "fail"},
    _errors({logs.NEW_TRACE: 18}),
    _as_usual,
    says="new error, 18 times",
    needs=(AGGREGATOR,),
    inventory=_INVENTORY,
)
RISE = Fault(
    "error-log-rise",
    "the application logged four times as many errors of mail in the night as a week before",
    {"after.error-logs": "fail"},
    _errors({logs.MAIL: 150}),
    _as_usual,
    says="198 times after 48, more than 2 times as often",
    needs=(AGGREGATOR,),
    inventory=_INVENTORY,
)
SILENT = Fault(
    "error-log-silent",
    "the application logged nothing at all in the night",
    {"after.error-logs": "inconclusive"},
    lambda lab: logs.application(lab).write_text(""),
    _as_usual,
    says="it has no entry from",
    needs=(AGGREGATOR,),
    inventory=_INVENTORY,
)
