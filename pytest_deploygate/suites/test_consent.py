"""Before consent, and after a refusal, pages keep nothing and ask no third party."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.consent import judge, probe


@pytest.mark.item("comp.gdpr")
def test_nothing_is_kept_without_consent(gate, browser, consent, budget):
    """Before consent and after a refusal only what is necessary is kept or asked, after consent what is declared."""
    gate.judge(judge.judge, probe.watched(browser, consent, budget), consent)
