"""Sessions to a MariaDB server with TLS: which of them are encrypted, and which certificates are believed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mariadb_server import MariaDbServer

from pytest_deploygate.comparison.servers import server
from pytest_deploygate.fields.any_server import AnyServer
from pytest_deploygate.lab import authority
from pytest_deploygate.model import CannotTell


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority of the server's certificate in `ca.pem`, and another one in `other.pem`."""
    into = tmp_path_factory.mktemp("authorities")
    for name in ("ca", "other"):
        made = authority.make("http://127.0.0.1/crl", "http://127.0.0.1/ocsp", datetime.now(UTC))
        (into / f"{name}.pem").write_bytes(made.root.public_bytes(Encoding.PEM))
        if name == "ca":
            key = ec.generate_private_key(ec.SECP256R1())
            leaf = authority.leaf(made, key, ["127.0.0.1"])
            chain = [leaf, made.intermediate]
            (into / "server.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
            (into / "server.key").write_bytes(
                key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            )
    return into


@pytest.fixture(scope="module")
def maria(folder: Path) -> Iterator[MariaDbServer]:
    made = MariaDbServer()
    for name in ("server.pem", "server.key"):
        (made.folder / name).write_bytes((folder / name).read_bytes())
        if made.user:
            os.chown(made.folder / name, made.user.pw_uid, made.user.pw_gid)
    made.options = (f"--ssl-cert={made.folder}/server.pem", f"--ssl-key={made.folder}/server.key")
    try:
        made.start()
        made.sql("CREATE USER secret@'%' REQUIRE SSL; GRANT SELECT ON plant.* TO secret@'%'")
        yield made
    finally:
        made.stop()


def cipher(maria: MariaDbServer, **how: object) -> str:
    login = AnyServer.model_validate(maria.login(**how))
    connection = server(login, "source", 60.0).connect()
    try:
        return str(connection.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1])
    finally:
        connection.close()


def test_which_sessions_are_encrypted(maria, folder):
    assert cipher(maria, sslmode="disable") == ""
    for mode in ("prefer", "require"):
        assert cipher(maria, sslmode=mode, user="secret") != "", mode
    for mode in ("verify-ca", "verify-full"):
        assert cipher(maria, sslmode=mode, user="secret", sslrootcert=folder / "ca.pem") != "", mode


def test_a_comparison_reads_over_it(maria, folder):
    maria.sql("CREATE TABLE seen (id INT PRIMARY KEY); INSERT INTO seen VALUES (1)")
    login = maria.login(sslmode="verify-full", sslrootcert=folder / "ca.pem", user="secret")
    found = server(AnyServer.model_validate(login), "source", 60.0)
    assert list(found.catalog().tables) == [("plant", "seen")]


def test_what_is_not_believed_is_refused(maria, folder):
    for mode in ("verify-ca", "verify-full"):
        with pytest.raises(CannotTell, match="certificate verify failed"):
            cipher(maria, sslmode=mode, sslrootcert=folder / "other.pem")
    node = {"name": "old", "host": "localhost", "port": maria.port}
    with pytest.raises(CannotTell, match=r"certificate is not valid for|[Hh]ostname mismatch"):
        cipher(maria, sslmode="verify-full", sslrootcert=folder / "ca.pem", primary=node)
    assert cipher(maria, sslmode="verify-ca", sslrootcert=folder / "ca.pem", primary=node)
    with pytest.raises(CannotTell, match="refuses the login"):
        cipher(maria, sslmode="disable", user="secret")
