"""What the checks of this subject need beside privileges in a database."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.postgres.facts import SHOW_RULES
from pytest_deploygate.fields.grants import BesideSql, Need, Statement
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    for statement in SHOW_RULES if sections.get("secrets") and sections.get("postgres") else ():
        yield Statement(statement, ("sec.secrets",), "to see how pg_hba.conf asks for passwords")
    if sections.get("secrets") and sections.get("hosts"):
        yield BesideSql(
            ("sec.secrets",),
            "root on each server (`run_as: root`) to see environments of other users' processes, and logs that they may "
            "not read",
        )
