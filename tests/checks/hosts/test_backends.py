"""testinfra's other ways to a host: a container of podman with busybox alone in it, and what Ansible reaches itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ssh_server import serving

from pytest_deploygate.checks.hosts import probe
from pytest_deploygate.checks.hosts.facts import Answer
from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host.shell import machine
from pytest_deploygate.judging.silent_hosts import Cause
from pytest_deploygate.model import CannotTell

_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--network=none")


def asked(connection: str, timeout: str = "20s", **keys: object) -> Answer:
    """Ask one host."""
    reach.begin()
    servers = [{"name": "web1", "connection": connection, **keys}]
    return probe.fleet(Hosts.model_validate({"servers": servers, "timeout": timeout})).answers[0]


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a container that has busybox and nothing else, from an image made here; give its name."""
    busybox = shutil.which("busybox")
    if busybox is None or shutil.which("podman") is None:
        pytest.skip("needs busybox and podman: apt install busybox podman runc")
    folder = tmp_path_factory.mktemp("podman")
    name = f"deploygate-test-{os.getpid()}"
    archive = folder / "root.tar"
    _pack(archive, busybox)
    image = f"localhost/{name}:test"
    subprocess.run(["podman", "import", "--quiet", archive, image], check=True, capture_output=True)
    said = ""
    try:
        for runtime in ([], ["--runtime=runc"]):  # which of them works depends on the machine's cgroups
            command = ["podman", *runtime, "run", "--detach", f"--name={name}", *_LIMITS, image]
            done = subprocess.run(
                [*command, "/bin/sleep", "600"], capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                yield name
                return
            said += done.stderr
            subprocess.run(["podman", "rm", "--force", name], capture_output=True, check=False)
        pytest.skip(f"podman runs no container here: {said[:300]}")
    finally:
        subprocess.run(["podman", "rm", "--force", "--time=0", name], capture_output=True, check=False)
        subprocess.run(["podman", "rmi", "--force", image], capture_output=True, check=False)


def _pack(archive: Path, busybox: str) -> None:
    libraries = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stdout
    with tarfile.open(archive, "w") as tar:
        for library in re.findall(r"(/\S+) \(0x", libraries):
            tar.add(os.path.realpath(library), library.lstrip("/"))
        tar.add(busybox, "bin/busybox")
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout
        for applet in set(applets.split()) - {"busybox"}:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)


def test_a_container_of_podman_with_busybox_alone(container):
    found = asked(f"podman://{container}").machine
    assert found is not None
    assert found.kernel == os.uname().release
    assert found.file_systems
    assert found.clock is not None
    assert found.machine_id is None
    assert found.details.load is not None
    assert found.details.listening == 0
    assert "packages" in found.details.not_told


def test_peoples_own_tests_in_a_container(container):
    host = machine(f"podman://{container}", 20.0)
    assert host.file("/bin/busybox").exists
    assert host.check_output("id -u") == "0"


def test_a_container_that_is_not_there(container):
    why = asked(f"podman://{container}-not").failure
    assert why is not None
    assert "no such container" in why.said


def test_docker_without_a_daemon():
    if shutil.which("docker") is None or Path("/var/run/docker.sock").exists():
        pytest.skip("needs docker's client, and no daemon")
    why = asked("docker://web1").failure
    assert why is not None
    assert "docker daemon" in why.said.lower()


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An Ansible inventory with an sshd of our own."""
    pytest.importorskip("ansible", reason="needs ansible-core")
    folder = tmp_path_factory.mktemp("sshd")
    with serving(folder) as connection:
        user, port = re.match(r"ssh://(.+)@127.0.0.1:(\d+)", connection).groups()
        words = f"ansible_host=127.0.0.1 ansible_port={port} ansible_user={user}"
        (folder / "hosts.ini").write_text(
            f"web1 {words} ansible_ssh_extra_args='-F {folder}/ssh_config'\n"
            "gone ansible_host=127.0.0.1 ansible_port=1\n"
        )
        yield folder / "hosts.ini"


def test_a_host_of_ansible(ansible):
    found = asked(f"ansible://web1?ansible_inventory={ansible}").machine
    assert found is not None
    assert found.kernel == os.uname().release
    assert machine(f"ansible://web1?ansible_inventory={ansible}", 20.0).run("false").rc == 1


def test_a_host_that_ansible_does_not_reach(ansible):
    why = asked(f"ansible://gone?ansible_inventory={ansible}").failure
    assert why is not None
    assert (why.cause, why.said) == (Cause.DOWN, "it refuses the connection: start its SSH server")


def test_a_command_through_ansible_is_bounded(ansible):
    host = machine(f"ansible://web1?ansible_inventory={ansible}", 3.0)
    with pytest.raises(CannotTell, match="did not end within 3 s"):
        host.run("sleep 60")


def test_a_listed_host_is_reached(ansible):
    from pytest_deploygate.checks.hosts import listing

    section = Hosts.model_validate({"ansible": {"inventory": ansible, "pattern": "web1"}})
    whole = listing.complete(section, listing.ask(section))
    reach.begin()
    assert probe.fleet(whole).answers[0].machine is not None


def test_a_jump_host(ansible):
    """The same server as both: the way leads over one more login."""
    user, port = re.search(r"ansible_port=(\d+) ansible_user=(\w+)", ansible.read_text()).groups()[::-1]
    config = ansible.parent / "jump_config"
    config.write_text(
        f"Host behind gate\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias [127.0.0.1]:{port}\n"
        f"Host behind\n  ProxyJump {user}@gate\n{(ansible.parent / 'ssh_config').read_text()}"
    )
    assert asked(f"ssh://{user}@behind?ssh_config={config}").machine is not None
    config.write_text(config.read_text().replace(f"ProxyJump {user}@gate", "ProxyJump nobody-here@gate"))
    assert asked(f"ssh://{user}@behind?ssh_config={config}&again").failure is not None
