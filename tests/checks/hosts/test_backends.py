"""Other ways to a host than ssh: a container of podman with busybox alone in it, and what Ansible reaches itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ssh_server import serving

from pytest_deploygate.checks.hosts import probe
from pytest_deploygate.checks.hosts.facts import Answer
from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host.machine import machine
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
    assert (why.cause, why.said[:34]) == (Cause.DOWN, "there is no such container or pod:")


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let docker's own client talk to podman, which has the same interface as Docker's daemon."""
    if shutil.which("docker") is None or shutil.which("podman") is None:
        pytest.skip("needs docker's client, and podman")
    socket = tmp_path / "d.sock"
    command = ["podman", "system", "service", "--time=300", f"unix://{socket}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as service:
        try:
            deadline = time.monotonic() + 30
            while not socket.exists() and service.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
            yield
        finally:
            service.kill()


@pytest.mark.usefixtures("daemon")
def test_a_container_of_docker(container):
    """Docker's own client, with podman in place of the daemon."""
    found = asked(f"docker://{container}", timeout="60s")
    assert found.machine is not None, found.failure
    assert found.machine.kernel == os.uname().release
    assert found.machine.file_systems
    host = machine(f"docker://0@{container}", 60.0)
    assert host.check_output("id -u") == "0"
    assert host.run("exit 3").rc == 3
    assert host.file("/bin/busybox").exists
    why = asked(f"docker://{container}-not", timeout="60s").failure
    assert why is not None
    assert (why.cause, why.said[:34]) == (Cause.DOWN, "there is no such container or pod:")
    with pytest.raises(CannotTell, match="see that the container has the user of the connection"):
        assert not machine(f"docker://nobody-here@{container}", 60.0).file("/bin/busybox").exists


def test_docker_without_a_daemon():
    if shutil.which("docker") is None or Path("/var/run/docker.sock").exists():
        pytest.skip("needs docker's client, and no daemon")
    why = asked("docker://web1").failure
    assert why is not None
    assert (why.cause, why.said[:30]) == (Cause.ROUTE, "the Docker daemon of this mach")


def test_kubectl_without_a_cluster(monkeypatch, tmp_path):
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl here")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    why = asked("kubectl://web-0?namespace=shop&container=app").failure
    assert why is not None
    assert (why.cause, why.said[:35]) == (Cause.ROUTE, "kubectl does not reach the cluster:")


#: Stand-ins that take the documented arguments and run the command here: no cluster is at hand, and podman alone has
#: docker's interface.
_EXEC = {
    "docker": '[ "$1 $2 $3 $4 $5 $6" = "exec -u app web1 /bin/sh -c" ] && [ $# = 7 ] && exec /bin/sh -c "$7"',
    "kubectl": (
        '[ "$1 $2 $3 $4 $5 $6 $7 $8 $9" = "-n shop exec web-0 -c app -- /bin/sh -c" ] && [ $# = 10 ] && '
        'echo "Defaulted container" >&2 && exec /bin/sh -c "${10}"'
    ),
}
_PLACES = {"docker": "docker://app@web1", "kubectl": "kubectl://web-0?namespace=shop&container=app"}


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, script: str) -> None:
    """Put a program of this name first."""
    (folder / program).write_text(f'#!/bin/sh\n{script}\necho wrong arguments: "$*" >&2; exit 64\n')
    (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize("program", ["docker", "kubectl"])
def test_a_container_of_a_stand_in(tmp_path, monkeypatch, program):
    stand_in(tmp_path, monkeypatch, program, _EXEC[program])
    found = asked(_PLACES[program])
    assert found.machine is not None, found.failure
    assert found.machine.kernel == os.uname().release
    host = machine(_PLACES[program], 20.0)
    assert host.run("exit 3").rc == 3
    assert host.file("/bin/sh").exists


@pytest.mark.parametrize(
    ("program", "code", "prints", "cause", "says"),
    [
        (
            "docker",
            1,
            "Error response from daemon: No such container: web1",
            Cause.DOWN,
            "there is no such container",
        ),
        (
            "docker",
            1,
            "Error response from daemon: container 0f1e is not running",
            Cause.DOWN,
            "does not run",
        ),
        (
            "docker",
            1,
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            Cause.LOGIN,
            "refuses us",
        ),
        (
            "docker",
            127,
            'OCI runtime exec failed: exec: "/bin/sh": stat /bin/sh: no such file',
            Cause.ANSWER,
            "no POSIX shell",
        ),
        (
            "docker",
            126,
            "OCI runtime exec failed: unable to find user app: no matching entries in passwd file",
            Cause.LOGIN,
            "the container has no user app",
        ),
        (
            "docker",
            1,
            "Error response from daemon: something else",
            Cause.ANSWER,
            "docker could not run a command there (Error response from daemon: something else)",
        ),
        (
            "kubectl",
            1,
            'Error from server (NotFound): pods "web-0" not found',
            Cause.DOWN,
            "there is no such container or pod",
        ),
        (
            "kubectl",
            1,
            'error: unable to upgrade connection: container not found ("app")',
            Cause.ANSWER,
            "no running container of that name",
        ),
        (
            "kubectl",
            1,
            'Error from server (Forbidden): pods "web-0" is forbidden: User "gate" cannot create resource "pods/exec"',
            Cause.LOGIN,
            "allow the gate's user `create` on `pods/exec`",
        ),
        (
            "kubectl",
            1,
            "error: You must be logged in to the server (Unauthorized)",
            Cause.LOGIN,
            "log kubectl in",
        ),
        (
            "kubectl",
            1,
            "error: cannot exec into a container in a completed pod; current phase is Succeeded",
            Cause.DOWN,
            "does not run",
        ),
    ],
)
def test_why_a_container_cannot_be_asked(tmp_path, monkeypatch, program, code, prints, cause, says):
    """What docker and kubectl print according to their documentation, by a stand-in."""
    stand_in(tmp_path, monkeypatch, program, f"cat >&2 <<'EOF'\n{prints}\nEOF\nexit {code}")
    why = asked(_PLACES[program]).failure
    assert why is not None
    assert why.cause is cause
    assert says in why.said
    if cause is not Cause.ANSWER or code == 1:
        # Exit code 1 would be "no" to `test -e`.
        with pytest.raises(CannotTell, match=re.escape(says)):
            assert not machine(_PLACES[program], 20.0).file("/etc/passwd").exists


@pytest.mark.parametrize("program", ["docker", "kubectl", "podman"])
def test_a_program_that_is_not_installed(tmp_path, monkeypatch, program):
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    why = asked(f"{program}://web1").failure
    assert why is not None
    assert (why.cause, why.said) == (Cause.ROUTE, f"{program} is not installed on this machine")


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


@pytest.mark.long
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
