"""Personal data at rest is encrypted where the inventory names it."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.encryption import judge, probe


@pytest.mark.item("comp.gdpr")
def test_personal_data_is_encrypted(gate, encryption, postgres_if_named, inventory_hosts):
    """Values of the named columns cannot be read without a key, and the named folders are on encrypted volumes."""
    gate.judge(judge.judge, probe.at_rest(encryption, postgres_if_named, inventory_hosts), encryption)
