"""Secrets live as long as the process, so that nothing prints them. Tests that compare what is printed begin without any."""

from __future__ import annotations

import pytest

from pytest_deploygate import redaction


def forget() -> None:
    """Forget secrets that tests of other folders made known: a word of the report among them would change it."""
    for name in ("_known", "_clues", "_without_clues"):
        setattr(redaction, name, ())
    for name in ("_weak", "_weak_anywhere", "_sources"):
        setattr(redaction, name, {})


@pytest.fixture(autouse=True)
def no_secrets() -> None:
    """Begin each test without secrets."""
    forget()
