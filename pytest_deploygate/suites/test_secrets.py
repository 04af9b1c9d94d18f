"""Secrets: none lies open on a server, keys are protected, and databases ask everybody for a proper password."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.secrets import judge, probe


@pytest.mark.item("sec.secrets")
def test_servers_show_no_secret(gate, hosts, secrets, budget):
    """No secret stands in arguments, world-readable files, logs or names of files; keys have their modes and owners."""
    gate.judge(judge.judge, probe.look(hosts, secrets, budget), secrets, target="servers")


@pytest.mark.item("sec.secrets")
def test_database_asks_for_passwords(gate, postgres, node, database_logins, trusted_logins):
    """Other hosts log in to the database with scram or better; nobody without a password."""
    allowed = database_logins.beside(trusted_logins)
    gate.judge(judge.judge_database, probe.server_state(postgres, node), allowed)


@pytest.mark.item("sec.secrets")
def test_services_are_guarded(gate, secrets, guarded_services, default_logins):
    """Vaults are unsealed, and their tokens and leases do not end soon; ConfigMaps hold no secret; no service has a default password."""
    for vault in guarded_services.vaults:
        gate.judge(judge.judge_vault, probe.vault_state(vault), vault, target=vault.name)
    if cluster := guarded_services.kubernetes:
        gate.judge(judge.judge_config_maps, probe.config_maps(cluster, secrets), secrets, target="ConfigMaps")
    for tried in default_logins:
        gate.judge(judge.judge_default_login, tried, guarded_services, target=tried.service)
