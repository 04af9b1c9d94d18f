"""`vault:` and `keyring:`: what is read, and a sentence for each reason why it cannot be."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import vault_server
from click.testing import CliRunner

from pytest_deploygate.cli import main
from pytest_deploygate.fields import references
from pytest_deploygate.fields.sources import Absent, vault
from pytest_deploygate.inventory.loader import InventoryError, load

_NAMES = ("ADDR", "TOKEN", "NAMESPACE", "CACERT", "CLIENT_TIMEOUT")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine, and nothing remembered."""
    for name in _NAMES:
        monkeypatch.delenv(f"VAULT_{name}", raising=False)
        monkeypatch.delenv(f"BAO_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(vault, "_recent", {})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[vault_server.Vault]:
    """A server that the environment names."""
    with vault_server.serving() as found:
        monkeypatch.setenv("VAULT_ADDR", found.address)
        monkeypatch.setenv("VAULT_TOKEN", vault_server.TOKEN)
        yield found


def read(reference: str) -> str:
    """Return what a reference stands for."""
    return references.as_secret(reference).reveal()


def test_a_field_of_version_2_and_of_version_1(server):
    assert read("vault:secret/platform/db#password") == "s3cret-of-the-vault"
    assert read("vault:secret/platform/db#port") == "5432"
    assert read("vault:kv1/app#key") == "old-but-long-enough"


def test_one_secret_is_asked_for_once(server):
    for field in ("password", "port"):
        read(f"vault:secret/platform/db#{field}")
    assert server.asked == ["GET sys/internal/ui/mounts/secret/platform/db", "GET secret/data/platform/db"]


def test_token_and_address_of_openbao_and_of_the_login(server, monkeypatch, tmp_path):
    monkeypatch.setenv("BAO_ADDR", server.address)
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    monkeypatch.delenv("VAULT_TOKEN")
    (tmp_path / ".vault-token").write_text(f"{vault_server.TOKEN}\n")
    assert read("vault:kv1/app#key") == "old-but-long-enough"


def test_a_namespace(server, monkeypatch):
    server.namespace = "team"
    monkeypatch.setenv("VAULT_NAMESPACE", "team")
    assert read("vault:kv1/app#key") == "old-but-long-enough"


def test_a_server_with_tls_is_trusted_by_its_authority(tmp_path, monkeypatch):
    with vault_server.serving(tmp_path) as found:
        monkeypatch.setenv("VAULT_ADDR", found.address)
        monkeypatch.setenv("VAULT_TOKEN", vault_server.TOKEN)
        with pytest.raises(ValueError, match=r"its certificate is not trusted .*; set VAULT_CACERT"):
            read("vault:kv1/app#key")
        vault._recent.clear()
        monkeypatch.setenv("VAULT_CACERT", str(tmp_path / "nope.pem"))
        with pytest.raises(ValueError, match=r"VAULT_CACERT names .*nope\.pem, which does not exist"):
            read("vault:kv1/app#key")
        vault._recent.clear()
        monkeypatch.setenv("VAULT_CACERT", str(tmp_path / "ca.pem"))
        assert read("vault:kv1/app#key") == "old-but-long-enough"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (
            "vault:secret/platform/db",
            "needs mount, path and field; write for example vault:secret/platform/db#password",
        ),
        ("vault:secret#x", "needs mount, path and field"),
        (
            "vault:secret/platform/nope#x",
            "the secret secret/platform/nope in the vault at http://.* does not exist",
        ),
        (
            "vault:secret/platform/db#pasword",
            "has no field 'pasword'; did you mean 'password'.*it has more, password, port",
        ),
        ("vault:secret/platform/db#more", "the field 'more' of secret/platform/db in the vault is not text"),
        ("vault:other/app#x", r"refuses to read other/app with our token \(403\): it has expired"),
        ("vault:pki/app#x", "is of kind pki: only secrets of kind kv can be read"),
    ],
)
def test_what_cannot_be_read(server, reference, says):
    with pytest.raises(ValueError, match=says):
        read(reference)


def test_a_deleted_version(server):
    server.deleted.add("platform/db")
    with pytest.raises(ValueError, match="was deleted at 2026-01-01T00:00:00Z"):
        read("vault:secret/platform/db#password")


def test_a_sealed_server(server):
    server.sealed = True
    with pytest.raises(ValueError, match="is sealed; unseal it before the run"):
        read("vault:secret/platform/db#password")


def test_policies_that_do_not_grant_it(server):
    server.forbidden.add("secret/data/platform/db")
    with pytest.raises(ValueError, match="refuses to read secret/data/platform/db with our token"):
        read("vault:secret/platform/db#password")


def test_a_server_that_does_not_answer_is_waited_for_once(server, monkeypatch):
    server.delay_s = 1.5
    monkeypatch.setenv("VAULT_CLIENT_TIMEOUT", "300ms")
    for path in ("kv1/app", "secret/platform/db"):
        with pytest.raises(ValueError, match=r"cannot be reached: no answer within 0\.3 s"):
            read(f"vault:{path}#key")
    assert len(server.asked) <= 1


def test_nothing_listens_there(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("VAULT_TOKEN", vault_server.TOKEN)
    with pytest.raises(ValueError, match="cannot be reached: Connection refused"):
        read("vault:kv1/app#key")


def test_no_address_and_no_token(monkeypatch):
    with pytest.raises(
        ValueError, match="VAULT_ADDR is not set, so vault:kv1/app#key cannot be read; export it"
    ):
        read("vault:kv1/app#key")
    monkeypatch.setenv("VAULT_ADDR", "vault.example.com")
    with pytest.raises(ValueError, match="must begin with https://"):
        read("vault:kv1/app#key")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    with pytest.raises(ValueError, match=r"VAULT_TOKEN is not set and there is no ~/\.vault-token"):
        read("vault:kv1/app#key")


INVENTORY = """name: staging
database:
  name: platform
  user: gate
  password: {}
  primary: db1.example.com
"""


def test_a_mistake_has_file_and_line_and_ends_with_4(server, tmp_path):
    server.sealed = True
    file = tmp_path / "staging.yml"
    file.write_text(INVENTORY.format("vault:secret/platform/db#password"))
    with pytest.raises(
        InventoryError, match=r"staging\.yml:5: database\.password: the vault at .* is sealed"
    ):
        load(str(file), tmp_path)
    done = CliRunner().invoke(main, ["grants", "--inventory", str(file)])
    assert done.exit_code == 4, done.output
    assert "is sealed" in done.output
    assert "Traceback" not in done.output


def test_its_value_is_among_those_that_a_run_digests_and_a_plan_needs_none(server, tmp_path):
    file = tmp_path / "staging.yml"
    file.write_text(INVENTORY.format("vault:secret/platform/db#password"))
    assert ("vault:secret/platform/db#password", "s3cret-of-the-vault") in load(str(file), tmp_path).values
    server.sealed = True
    vault._recent.clear()
    missing: list[str] = []
    load(str(file), tmp_path, missing)
    assert [text for text in missing if "is sealed" in text]


def test_without_the_library_for_keyrings(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ValueError, match=r"pip install 'pytest-deploygate\[keyring\]'"):
        read("keyring:platform/gate")


def test_a_name_without_user():
    with pytest.raises(
        ValueError, match="needs service and user; write for example keyring:platform/deploygate"
    ):
        read("keyring:platform")


def test_a_password_of_a_keyring():
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend
    from keyring.backends import fail
    from keyring.errors import KeyringLocked

    class Own(KeyringBackend):
        """A keyring in memory, of which one entry is locked."""

        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            if username == "locked":
                raise KeyringLocked("the keyring is locked")
            return {("team/platform", "gate"): "a-password-in-a-keyring"}.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    try:
        keyring.set_keyring(Own())
        assert read("keyring:team/platform/gate") == "a-password-in-a-keyring"
        with pytest.raises(
            ValueError, match="the keyring has no password for platform/gate; run: keyring set platform gate"
        ):
            read("keyring:platform/gate")
        with pytest.raises(ValueError, match="the keyring is locked; unlock it"):
            read("keyring:platform/locked")
        keyring.set_keyring(fail.Keyring())
        with pytest.raises(ValueError, match="this machine has no keyring that can be used"):
            read("keyring:platform/gate")
    finally:
        keyring.set_keyring(before)


def test_absent_is_what_both_raise():
    with pytest.raises(Absent):
        vault.SOURCE.secret("kv1/app#key", Path())
