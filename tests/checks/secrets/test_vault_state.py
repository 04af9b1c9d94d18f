"""A vault's state over its documented API, and how it is judged."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import vault_server
from no_secrets import forget

from pytest_deploygate.checks.secrets import judge, probe
from pytest_deploygate.checks.secrets.section import Vault
from pytest_deploygate.clients import reach
from pytest_deploygate.model import Judgement, Verdict


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[vault_server.Vault]:
    forget()
    reach.begin()
    monkeypatch.setenv("TOKEN_OF_TESTS", vault_server.TOKEN)
    with vault_server.serving() as found:
        yield found
    forget()


def judged(server: vault_server.Vault, **keys: object) -> Judgement:
    """Return the judgement of a server."""
    given = {"name": "vault", "url": server.address, "token": "env:TOKEN_OF_TESTS", **keys}
    vault = Vault.model_validate({key: value for key, value in given.items() if value is not None})
    return judge.judge_vault(probe.vault_state(vault), vault)


def test_an_unsealed_vault_passes(server):
    result = judged(server)
    assert result.verdict is Verdict.PASS, result.reason
    assert result.reason == "vault is unsealed (version 1.18.0); our token holds for at least 60 min"
    assert [reading.value for reading in result.readings if reading.name == "our token holds for"] == [7200]


def test_without_a_token_only_its_state_is_known(server):
    result = judged(server, token=None)
    assert result.verdict is Verdict.PASS
    assert "without a `token`, tokens and leases are not looked at" in result.reason
    assert server.asked == ["GET sys/seal-status"]


def test_a_sealed_vault_fails(server):
    server.sealed = True
    result = judged(server)
    assert result.verdict is Verdict.FAIL
    assert "the vault is sealed: unseal it" in result.reason


def test_a_vault_that_is_not_initialized_fails(server):
    server.initialized, server.sealed = False, True
    assert "vault operator init" in judged(server).reason


def test_a_token_that_ends_soon_fails(server):
    server.token["ttl"] = 120
    result = judged(server)
    assert result.verdict is Verdict.FAIL
    assert "our token ends in 2 min, at least 60 min are required" in result.reason
    assert judged(server, min_ttl="1m").verdict is Verdict.PASS


def test_a_root_token_fails(server):
    server.token |= {"policies": ["root"], "ttl": 0, "expire_time": None}
    result = judged(server)
    assert result.verdict is Verdict.FAIL
    assert "the policy root" in result.reason


def test_a_token_without_an_end_is_a_note(server):
    server.token |= {"ttl": 0, "expire_time": None}
    result = judged(server)
    assert result.verdict is Verdict.PASS
    assert any("has no end" in note for note in result.notes)


def test_the_age_of_a_token(server):
    server.token["creation_time"] = int(time.time()) - 40 * 86400
    assert judged(server).verdict is Verdict.PASS
    result = judged(server, max_token_age="30d")
    assert result.verdict is Verdict.FAIL
    assert "our token is 40 d old, allowed are 30 d" in result.reason


def test_a_token_that_is_refused_is_unknown(server, monkeypatch):
    monkeypatch.setenv("TOKEN_OF_TESTS", "hvs.another-token-of-tests")
    result = judged(server)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "it answers 403 to auth/token/lookup-self (1 error occurred: * permission denied)" in result.reason


def test_leases(server):
    server.leases = {"database/creds/app/1": 7200, "database/creds/app/2": 60}
    assert judged(server, leases=["database/creds/app/1"]).verdict is Verdict.PASS
    result = judged(server, leases=list(server.leases))
    assert result.verdict is Verdict.FAIL
    assert "the lease database/creds/app/2 ends in 60 s" in result.reason
    gone = judged(server, leases=["database/creds/app/3"])
    assert gone.verdict is Verdict.INCONCLUSIVE
    assert "the lease database/creds/app/3 cannot be looked up: it answers 400" in gone.reason
    with pytest.raises(ValueError, match="can only be looked up with a `token"):
        judged(server, token=None, leases=["x"])


def test_a_namespace(server):
    server.namespace = "team"
    assert judged(server).verdict is Verdict.INCONCLUSIVE
    assert judged(server, namespace="team").verdict is Verdict.PASS


def test_nothing_listens_there(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = judged(server, url=url)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "the vault does not tell its state" in result.reason


def test_another_server_is_no_vault(server, monkeypatch):
    monkeypatch.setattr(vault_server.Vault, "answer", lambda *_: (200, {"status": "ok"}))
    result = judged(server)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "it does not answer as a vault" in result.reason
