"""The command line that runs a command on a host, as ssh(1), testinfra and the programs of containers read it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys

import pytest
import testinfra
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.clients.host import connection
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.model import CannotTell

COMMAND = "printf '%s' \"$HOME\" | wc -c; echo 50%"


def words(name: str, command: str = COMMAND) -> list[str]:
    return shlex.split(connection.line(name, command))


def by_testinfra(name: str) -> list[str]:
    """Return the words of testinfra's own line."""
    backend = testinfra.get_host(name).backend
    lines = []

    def note(line: str, *arguments: str) -> object:
        lines.append(backend.quote(line, *arguments))
        return backend.result(0, b"", b"", b"")

    backend.run_local = note
    backend.run(COMMAND)
    return shlex.split(lines[0])


@pytest.mark.parametrize(
    "name",
    [
        "docker://web1",
        "docker://app@web1",
        "podman://web1",
        "podman://0:0@web1",
        "lxc://web1",
        "kubectl://web-0",
        "kubectl://web-0?namespace=shop",
        "kubectl://web-0?kubeconfig=/etc/kube&context=prod",
        "openshift://web-0?namespace=shop&kubeconfig=/etc/kube",
    ],
)
def test_containers_are_reached_as_testinfra_reaches_them(name):
    assert [word.strip('"') for word in sorted(words(name))] == sorted(
        part for word in by_testinfra(name) for part in _flag(word)
    )


def _flag(word: str) -> list[str]:
    flag, equals, value = word.partition("=")
    return [flag, value] if equals and flag in ("--kubeconfig", "--context") else [word]


def test_a_container_of_a_pod_is_named_behind_exec():
    found = words("kubectl://deploy/web?namespace=shop&container=app")
    assert found == [
        "kubectl",
        "-n",
        "shop",
        "exec",
        "deploy/web",
        "-c",
        "app",
        "--",
        "/bin/sh",
        "-c",
        COMMAND,
    ]


def test_names_are_written_as_in_an_address():
    """As those of an Ansible inventory are: a colon would otherwise begin a port or a password."""
    assert words("docker://app%3Astaff@web1")[:5] == ["docker", "exec", "-u", "app:staff", "web1"]


def test_a_folder_is_a_root():
    assert words("chroot:///srv/root") == ["chroot", "/srv/root", "/bin/sh", "-c", COMMAND]


#: A connection, and what `ssh -G` must say of it.
SSH = [
    ("ssh://db1", {"hostname": "db1", "connecttimeout": "10", "controlpersist": "30", "batchmode": "yes"}),
    ("ssh://deploy@db1:2222", {"hostname": "db1", "user": "deploy", "port": "2222"}),
    ("ssh://dom%5Cdeploy@db1", {"user": "dom\\deploy"}),
    ("ssh://a@b@db1", {"user": "a@b", "hostname": "db1"}),
    ("ssh://[fe80::1%25eth0]:2222", {"hostname": "fe80::1%eth0", "port": "2222"}),
    ("ssh://[::1]", {"hostname": "::1", "port": "22"}),
    ("ssh://db1?timeout=3", {"connecttimeout": "3"}),
    ("ssh://db1?ssh_extra_args=-o%20ConnectTimeout=4", {"connecttimeout": "4"}),
    ("ssh://db1?ssh_extra_args=-J%20bastion", {"proxyjump": "bastion"}),
    ("ssh://db1?ssh_extra_args=-o%20ControlPath=/x", {"controlmaster": "auto"}),
    ("ssh://db1?controlpersist=7", {"controlpersist": "7"}),
    ("ssh://db1?controlpersist=0", {"controlmaster": "false"}),
    ("ssh://db1?ssh_identity_file=/etc/passwd", {"identityfile": "/etc/passwd"}),
    ("ssh://db1/", {"hostname": "db1"}),
]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's client")
@pytest.mark.parametrize(("name", "expected"), SSH, ids=[name for name, _ in SSH])
def test_ssh_reads_what_we_mean(name, expected):
    line = words(name)
    assert line[-1] == COMMAND
    done = subprocess.run([line[0], "-G", *line[1:-1]], capture_output=True, text=True, check=True)
    # The first of several values counts.
    told = dict(each.partition(" ")[::2] for each in reversed(done.stdout.splitlines()))
    assert {key: told.get(key) for key in expected} == expected


def test_another_file_of_ssh_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config").write_text("Host db1\n  HostName db1.internal\n")
    line = words("ssh://db1?ssh_config=~/config")
    done = subprocess.run([line[0], "-G", *line[1:-1]], capture_output=True, text=True, check=True)
    assert "hostname db1.internal\n" in done.stdout


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_command_arrives_whole(command):
    for name in ("ssh://db1", "docker://web1", "kubectl://web-0"):
        assert words(name, command)[-1] == command


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("db1", "'db1' does not say how to connect: write ssh://db1, or local://"),
        ("shh://db1", "no kind of connection is named 'shh'; did you mean 'ssh'?"),
        (
            "ssh://deploy:hunter2@db1",
            "ssh://deploy:…@db1 has a password, which is not used: log in with a key",
        ),
        ("ssh://", "ssh:// names no host: write ssh://NAME"),
        ("docker://app@", "docker:// names no host: write docker://NAME"),
        ("ssh://db1?sudo_usr=app", "a connection has no option 'sudo_usr'; did you mean 'sudo_user'?"),
    ],
)
def test_what_is_no_connection(name, says):
    with pytest.raises(CannotTell) as found:
        shell(name)("true")
    assert says in str(found.value)
    assert "hunter2" not in str(found.value)


def test_sudo_of_a_connection():
    assert (
        connection.as_user("ssh://db1?sudo=true&sudo_user=app", "id -u") == "sudo -u app /bin/sh -c 'id -u'"
    )
    assert connection.as_user("ssh://db1?sudo=True", "id") == "sudo /bin/sh -c id"
    assert connection.as_user("ssh://db1", "id") == "id"


def test_hosts_are_reached_without_testinfra():
    """It is an extra: its pytest plugin and pytest-ansible's cannot be loaded together."""
    script = """
import sys
sys.modules["testinfra"] = None
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.model import CannotTell
print(shell("local://")("echo %s", "a b")[1], end="")
try:
    shell("paramiko://db1")("true")
except CannotTell as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "a b\nparamiko://db1 is reached by testinfra, which is not installed here: "
        "pip install 'pytest-deploygate[testinfra]'\n"
    )
