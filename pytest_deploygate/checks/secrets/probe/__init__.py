"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.postgres.probe import server_state
from pytest_deploygate.checks.secrets.probe.config_maps import config_maps
from pytest_deploygate.checks.secrets.probe.hosts import look
from pytest_deploygate.checks.secrets.probe.vault import vault_state

__all__ = ["config_maps", "look", "server_state", "vault_state"]
