"""Hosts over a real sshd on loopback: each way in which one does not answer has a reason of its own, and none hangs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ssh_server import serving

from pytest_deploygate.checks.hosts import probe
from pytest_deploygate.checks.hosts.facts import Answer
from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.clients import reach
from pytest_deploygate.judging.silent_hosts import Cause, Failure

#: What runs in place of the command that was asked for.
_ASKED = "$SSH_ORIGINAL_COMMAND"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("sshd")
    with serving(folder) as connection:
        yield folder, connection


@pytest.fixture
def ask(server: tuple[Path, str], tmp_path: Path) -> Iterator[Callable[..., Answer]]:
    """Return a function that asks the host; afterwards it is as before.

    `instead` is a shell command that the server runs in place of ours. Each test has a copy of the client's
    configuration of its own, since the path is part of what names a shared connection.
    """
    folder, connection = server
    key, known = folder / "client.pub", folder / "known_hosts"
    public, hosts = key.read_text(), known.read_text()
    own = tmp_path / "ssh_config"
    own.write_text((folder / "ssh_config").read_text())

    def one(instead: str = "", timeout: str = "20s", **keys: object) -> Answer:
        if instead:
            quoted = instead.replace('"', '\\"')
            key.write_text(f'command="{quoted}" {public}')
        place = connection.replace(str(folder / "ssh_config"), str(own))
        return asked(place, timeout, **keys)

    reach.begin()
    yield one
    key.write_text(public)
    known.write_text(hosts)


def asked(connection: str, timeout: str = "20s", **keys: object) -> Answer:
    """Ask one host."""
    servers = [{"name": "db1", "connection": connection, **keys}]
    return probe.fleet(Hosts.model_validate({"servers": servers, "timeout": timeout})).answers[0]


def failed(answer: Answer) -> Failure:
    """Return why it did not answer."""
    assert answer.failure is not None, answer.machine
    return answer.failure


def test_a_host_tells_what_it_is(ask):
    machine = ask().machine
    assert machine is not None
    assert machine.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert machine.kernel == os.uname().release
    assert machine.clock is not None
    assert machine.clock.low_s <= 0 <= machine.clock.high_s


def test_a_banner_in_every_command(ask):
    assert ask(f"echo Welcome; eval {_quoted()}").machine is not None


def test_a_host_whose_language_is_not_english(ask):
    machine = ask(f"export LC_ALL=de_DE.UTF-8 LANGUAGE=de; eval {_quoted()}").machine
    assert machine is not None
    assert machine.file_systems


def test_a_host_that_prints_bytes_of_another_encoding(ask):
    """testinfra would ask the host for its encoding, with one more command, and fail."""
    machine = ask(f"printf 'Gr\\374\\337e\\n\\377'; eval {_quoted()}").machine
    assert machine is not None
    assert machine.file_systems


def test_a_host_that_asks_for_a_password(ask, server):
    """Nobody is there to answer: ssh is told not to ask."""
    (server[0] / "client.pub").write_text("")
    began = time.monotonic()
    assert failed(ask()).cause is Cause.LOGIN
    assert time.monotonic() - began < 15


def test_another_user(ask):
    if os.getuid():
        pytest.skip("only root can become another user without a password")
    assert ask(run_as="nobody").machine is not None


def test_a_user_who_is_not_there(ask):
    if os.getuid():
        pytest.skip("only root can become another user without a password")
    assert "nobody-here" in failed(ask(run_as="nobody-here")).said


def test_sudo_that_asks_for_a_password(ask):
    why = failed(ask("echo 'sudo: a password is required' >&2; exit 1"))
    assert why.cause is Cause.LOGIN
    assert "allow the gate's user `sudo -n`" in why.said


def test_a_host_that_hangs_in_the_middle(ask):
    began = time.monotonic()
    why = failed(ask(f"eval {_quoted()} | head -n 20; sleep 60", timeout="3s"))
    assert why.cause is Cause.ANSWER
    assert "did not end within 3 s" in why.said
    assert time.monotonic() - began < 30


def test_an_answer_that_is_cut_off(ask):
    why = failed(ask(f"eval {_quoted()} | head -n 12"))
    assert why.cause is Cause.ANSWER
    assert re.search("its answer was cut off after [a-z_]+;", why.said)


def test_a_host_without_a_posix_shell(ask):
    why = failed(ask("echo \"'sh' is not recognized as an internal or external command\" >&2; exit 1"))
    assert why.cause is Cause.ANSWER
    assert "no POSIX shell" in why.said
    assert "is not recognized" in why.said


def test_a_connection_that_is_closed(ask):
    assert failed(ask("kill -9 $PPID")).cause is Cause.ANSWER


def test_a_key_that_is_refused(server, ask):
    (server[0] / "client.pub").write_text("")
    why = failed(ask())
    assert (why.cause, why.said[:19]) == (Cause.LOGIN, "it refuses our key:")


def test_a_host_key_that_is_not_known(server, ask):
    (server[0] / "known_hosts").write_text("")
    assert "host key is not known" in failed(ask()).said


def test_a_host_key_that_has_changed(server, ask):
    known = server[0] / "known_hosts"
    place = known.read_text().split()[0]
    known.write_text(f"{place} {(server[0] / 'client.pub').read_text()}")
    why = failed(ask())
    assert why.cause is Cause.LOGIN
    assert "host key has changed" in why.said


def test_a_port_that_nothing_listens_on():
    why = failed(asked("ssh://root@127.0.0.1:1"))
    assert (why.cause, why.said) == (Cause.DOWN, "it refuses the connection: start its SSH server")


def test_a_name_that_does_not_resolve():
    assert failed(asked("ssh://root@no-such-host.invalid")).cause is Cause.ROUTE


def test_this_machine_itself():
    assert asked("local://").machine is not None


def _quoted() -> str:
    return f'"{_ASKED}"'
