"""The restore drill on another host, over a real sshd on loopback: the same commands, with a lease in place of our process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ssh_server import serving
from test_probe_backup import Archived, archived, leftovers

from pytest_deploygate.checks.backups.probe import drill, scratch
from pytest_deploygate.checks.backups.probe.seen import Backups, verified
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.model import CannotTell

__all__ = ["archived"]  # a fixture


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("sshd")) as there:
        yield there


def there(archived: Archived, host: str, **more: object) -> Backups:
    folder = {"folder": archived.path("scratch"), "programs": str(archived.server.bin), "spare": "1MB"}
    return archived.base(host=host, archived_within="60s", scratch={**folder, "host": host, **more})


def test_a_backup_on_another_host_is_restored_there(archived: Archived, host: str) -> None:
    """Listed, verified, restored to the marker, compared and removed, all through ssh; the evidence names the host."""
    backups = there(archived, host)
    assert [b.label for b in backups.listed()] == ["one"]
    assert verified(backups, full=True).verification.problems == ()  # type: ignore[union-attr]
    found = drill.restore_drill(archived.cluster, backups).record
    assert found is not None
    assert found.outcome == "good", found.reason
    assert found.facts.marker_found
    assert found.facts.rows >= 20_000
    assert found.facts.isolation["listen_addresses"] == ""
    assert leftovers(archived) == []


def test_a_folder_whose_lease_ran_out_is_removed_there(archived: Archived, host: str) -> None:
    """A killed run does not renew its lease: its guard on the other host stops the server and removes the folder."""
    place = Place(host, archived.server.user)
    instance = scratch.Instance(place, archived.path("scratch"))
    instance.__enter__()
    instance._over.set()  # no longer renewed
    lease, guard = Path(instance.root, "lease"), Path(instance.root, "guard")
    deadline = time.monotonic() + 60
    while not guard.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert Path(instance.root).exists()
    long_ago = time.time() - 3600
    os.utime(lease, (long_ago, long_ago))
    while Path(instance.root).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert leftovers(archived) == []


def test_a_host_that_cannot_be_reached_is_named(archived: Archived, host: str) -> None:
    """Neither a traceback nor a pass: the error names the host and ssh's message, but no connection options."""
    closed = host.replace(host.rpartition(":")[2].partition("?")[0], "1")
    with pytest.raises(CannotTell, match=r"127\.0\.0\.1:1 .*refused") as unknown:
        there(archived, closed).listed()
    assert "ssh_config" not in str(unknown.value)


def test_a_key_that_is_not_taken_is_said(archived: Archived, host: str, tmp_path: Path) -> None:
    """A host that refuses our key is inconclusive, with ssh's message."""
    other = tmp_path / "config"
    known = host.partition("ssh_config=")[2].replace("ssh_config", "known_hosts")
    other.write_text(
        f"Host *\n  IdentityFile {tmp_path}/none\n  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n"
    )
    with pytest.raises(CannotTell, match="Permission denied"):
        there(archived, f"{host.partition('?')[0]}?ssh_config={other}").listed()
