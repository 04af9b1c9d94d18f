"""Becoming another user with a real sudo: an sshd in a mount namespace with passwd, shadow and sudoers of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import server_folder

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host.asking import Told, ask
from pytest_deploygate.clients.host.machine import machine
from pytest_deploygate.judging.silent_hosts import Cause, Failure
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret

PASSWORD = "correct-horse-battery"
LECTURE = "Defaults lecture=always, timestamp_timeout=0\n"
ASKS = f"{LECTURE}gate ALL=(ALL) ALL\n"
_SSHD = """ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
PidFile none
StrictModes no
UsePAM no
Banner {folder}/banner
"""
_CLIENT = """Host *
  IdentityFile {folder}/client
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
"""
pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("sudo") or not shutil.which("unshare"),
    reason="needs root, sudo and unshare: apt install sudo util-linux",
)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Path, str]]:
    """A host with a user `gate` whose password sudo asks for."""
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None:
        pytest.skip("there is no sshd here: apt install openssh-server")
    # Not below pytest's own folder, which each start of pytest closes for others: sshd reads the key as the user.
    folder = server_folder("sudo-")
    folder.chmod(0o711)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "banner").write_text("Authorised use only. sudo: not for you.\n")
    (folder / "sshd_config").write_text(_SSHD.format(port=port, folder=folder))
    (folder / "ssh_config").write_text(_CLIENT.format(folder=folder))
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, text=True, capture_output=True, check=True
    ).stdout.strip()
    own = {
        "passwd": Path("/etc/passwd").read_text() + "gate:x:4711:4711::/tmp:/bin/sh\n",
        "group": Path("/etc/group").read_text() + "gate:x:4711:\n",
        "shadow": Path("/etc/shadow").read_text() + f"gate:{hashed}:19000:0:99999:7:::\n",
        "sudoers": ASKS,
    }
    lines = ["set -e"]
    for name, text in own.items():
        (folder / name).write_text(text)
        (folder / name).chmod({"shadow": 0o640, "sudoers": 0o440}.get(name, 0o644))
        lines.append(f"mount --bind {folder / name} /etc/{name}")
    lines.append(f"exec {sshd} -D -e -f {folder}/sshd_config")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["unshare", "--mount", "/bin/sh", "-c", "\n".join(lines)], stderr=log)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as there:
            if there.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    else:
        pytest.skip(f"no mount namespace with an sshd can be had here: {(folder / 'log').read_text()}")
    yield folder, f"ssh://gate@127.0.0.1:{port}?ssh_config={folder}/ssh_config"
    process.terminate()
    process.wait(10)
    shutil.rmtree(folder)


@pytest.fixture
def become(server: tuple[Path, str]) -> Iterator[Callable[..., Told | Failure]]:
    """Return a function that asks the host as another user; `sudoers` replaces the file."""
    folder, connection = server
    reach.begin()

    def one(
        password: str | None = PASSWORD, user: str = "root", sudoers: str = ASKS, command: str = "id -un"
    ) -> Told | Failure:
        (folder / "sudoers").write_text(sudoers)
        secret = Secret(password, "env:SUDO") if password else None
        return ask(connection, user, {"who": command}, 20.0, secret)

    yield one
    (folder / "sudoers").write_text(ASKS)


def parts(told: Told | Failure) -> str:
    assert isinstance(told, Told), told
    return told.parts["who"]


def failed(told: Told | Failure) -> Failure:
    assert isinstance(told, Failure), told
    return told


def test_sudo_with_a_password_that_lectures_first(become):
    assert parts(become()) == "root"


def test_another_user_than_root(become):
    assert parts(become(user="nobody")) == "nobody"


def test_sudo_that_does_not_ask_although_a_password_is_given(become):
    assert parts(become(sudoers="gate ALL=(ALL) NOPASSWD: ALL\n")) == "root"


def test_the_user_that_one_is_already(become):
    assert parts(become(user="gate", sudoers="")) == "gate"


def test_the_password_is_in_no_argument_and_no_environment(become):
    seen = parts(become(command="ps axeww; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline"))
    assert "sudo -S" in seen
    assert PASSWORD not in seen


REFUSALS = {
    "a wrong password": ({"password": "wrong-wrong-wrong"}, "sudo refuses the password of `run_as_password`"),
    "no password": ({"password": None}, "sudo asks for a password"),
    "not in sudoers": ({"sudoers": LECTURE}, "sudo does not allow the gate's user to become `run_as`"),
    "another user only": ({"sudoers": f"{LECTURE}gate ALL=(nobody) ALL\n"}, "sudo does not allow"),
    "a terminal": ({"sudoers": f"Defaults requiretty\n{ASKS}"}, "sudo wants a terminal"),
    "no such user": ({"user": "nobody-here"}, "sudo knows no user"),
    "sudoers with an error": ({"sudoers": "gate ALL=(\n"}, "sudo does not allow"),
}


@pytest.mark.parametrize(("how", "says"), REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_has_its_reason(become, how, says):
    why = failed(become(**how))
    assert why.cause is Cause.LOGIN
    assert says in why.said
    assert "lecture" not in why.said
    assert "wrong-wrong" not in why.said


def test_peoples_own_tests_become_the_user_too(server):
    host = machine(server[1], 20.0, "root", Secret(PASSWORD, "env:SUDO"))
    assert host.check_output("id -un") == "root"
    assert host.file("/etc/shadow").contains("gate:")


def test_a_refusal_in_peoples_own_tests_is_not_a_failed_assertion(server):
    with pytest.raises(CannotTell, match="refuses the password"):
        machine(server[1], 20.0, "root", Secret("wrong-wrong", "env:SUDO")).run("id -un")
