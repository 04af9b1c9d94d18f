"""The result files of a change: their names, and how each is rendered from a record."""

from __future__ import annotations

from pytest_deploygate.report import html, junit, verdicts
from pytest_deploygate.report.record import Record

REPORT = "signoff.html"
_RENDERERS = {"verdicts.json": verdicts.text, "junit.xml": junit.build, REPORT: html.render}
NAMES = tuple(_RENDERERS)


def render(record: Record) -> dict[str, str]:
    """Return the text of each file by name: redacted, and identical for the same record and version."""
    return {name: text(record) for name, text in _RENDERERS.items()}
