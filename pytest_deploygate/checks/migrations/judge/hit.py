"""One harm that a migration would do."""

from __future__ import annotations

from pytest_deploygate.checks.migrations.facts import Step
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Hit:
    """Where it is, the names of rules by which it can be allowed, and what is said. Not `certain`: it is unknown.

    `statement` is the statement's text; empty where it is about none.
    """

    file: str
    line: int
    rules: frozenset[str]
    text: str
    certain: bool = True
    statement: str = ""

    @classmethod
    def of(cls, read: tuple[Step, str, str]) -> Hit:
        """Return what was found by reading."""
        step, rule, text = read
        return cls(step.file, step.statement.line, frozenset({rule}), text, statement=step.statement.text)
