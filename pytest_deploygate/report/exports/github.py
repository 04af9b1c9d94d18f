"""GitHub's workflow commands: an annotation for each target that is not good.

Source: GitHub, "Workflow commands for GitHub Actions", and `escapeData`, `escapeProperty` of actions/toolkit.
"""

from __future__ import annotations

from pytest_deploygate.model import Severity
from pytest_deploygate.report.exports import places
from pytest_deploygate.report.record import Record

_COMMAND = {Severity.CRITICAL: "error", Severity.MAJOR: "error", Severity.MINOR: "warning", None: "notice"}


def text(record: Record) -> str:
    """Return one command a line. GitHub shows the first ten of a step, so the decision and critical items come first."""
    return "".join(
        f"::{_COMMAND[place.severity]} file={_property(place.file)},line={place.line},"
        f"title={_property(place.item)}::{_data(place.text)}\n"
        for place in places.of(record)
    )


def _data(value: str) -> str:
    # A line break that stays one would let a server's answer begin a command of its own.
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
