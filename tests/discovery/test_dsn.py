"""A DSN becomes the words of an inventory, with libpq's own defaults; no password is in any message."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.discovery.postgres import dsn
from pytest_deploygate.discovery.postgres.dsn import DsnError

_VARIABLES = (
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLMODE",
)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path))


def test_uri_with_several_hosts() -> None:
    found = dsn.read("postgresql://gate@db1.example.com:5433,db2.example.com:5434/platform?sslmode=require")
    assert found.hosts == (("db1.example.com", 5433), ("db2.example.com", 5434))
    assert (found.database, found.user, found.sslmode, found.password) == (
        "platform",
        "gate",
        "require",
        None,
    )


def test_key_and_value_with_one_port_for_all() -> None:
    found = dsn.read("host=a,b port=6000 dbname=x user=gate password='top secret words'")
    assert found.hosts == (("a", 6000), ("b", 6000))
    assert found.password
    assert found.password.reveal() == "top secret words"
    assert "top secret" not in repr(found)


def test_service_of_the_dsn_and_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "services").write_text(
        "[prod]\nhost=db9.example.com\nport=6543\ndbname=shop\nuser=gate\npassword=of-service\n"
    )
    by_dsn = dsn.read("service=prod")
    monkeypatch.setenv("PGSERVICE", "prod")
    by_variable = dsn.read("")
    assert by_dsn.hosts == by_variable.hosts == (("db9.example.com", 6543),)
    assert by_dsn.database == by_variable.database == "shop"
    assert by_dsn.password is not None


def test_a_service_that_is_not_there_is_said() -> None:
    notes = dsn.read("service=nowhere dbname=x user=gate").notes
    assert "the service nowhere names no host" in notes[0]


@pytest.mark.parametrize("text", ["dbname=x user=gate", "host=/var/run/postgresql dbname=x user=gate"])
def test_a_socket_becomes_localhost_and_is_said(text: str) -> None:
    found = dsn.read(text)
    assert found.hosts == (("localhost", 5432),)
    assert "an inventory names hosts" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("postgresql://gate:secret-words@[db1/platform", "the DSN cannot be read"),
        ("host='x password=secret-words", "the DSN cannot be read"),
        ("host=a,b port=1,2,3 dbname=x", "2 hosts and 3 ports"),
        ("host=a port=70000 dbname=x", "'70000' is not a port"),
        ("host=a dbname=x sslmode=sometimes password=secret-words", "sslmode sometimes is not known"),
    ],
)
def test_what_cannot_be_read_is_said_without_its_password(text: str, says: str) -> None:
    with pytest.raises(DsnError) as caught:
        dsn.read(text)
    assert says in str(caught.value)
    assert "secret-words" not in str(caught.value)
    assert caught.value.__cause__ is None
