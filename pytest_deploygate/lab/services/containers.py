"""A container of the lab, run by Podman from an image made here: busybox, and a file that says a version.

Everything of Podman is in the lab's folder. The container shares the namespaces of this machine, and ends by itself when the
lab's supervisor does, so that nothing is left after `kill -9`. Only root can run it; for others the lab has none.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import signal
import socket
import subprocess
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from pytest_deploygate.files import sha256
from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

API = "containers"
NAME = "orders-worker"
VERSION, NEXT = "2.4.1", "2.5.0"
_SHARED = ("--network=host", "--pid=host", "--ipc=host", "--uts=host")
#: The defaults of Podman need more than a container of ours may have.
_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
#: Podman takes no longer path of what is there while containers run; that of a lab in a deep folder is elsewhere.
_LONGEST = 50
#: It ends with the process of this number. The folder is an argument, so that `lab down` finds it.
_RUNS = "while [ -d /proc/$1 ]; do sleep $2; done"


def where(lab: Lab) -> Path:
    """Return the folder of Podman's images and containers."""
    return lab.private / "podman"


def podman(folder: Path) -> list[str]:
    """Return the program with its options."""
    running = folder / "run"
    if len(str(running)) > _LONGEST:
        running = Path(f"/run/dg-podman-{sha256(str(folder).encode())[:8]}")
    places = [f"--root={folder / 'root'}", f"--runroot={running}"]
    return ["podman", *places, "--runtime=runc", "--storage-driver=vfs", "--cgroup-manager=cgroupfs"]


def image(version: str) -> str:
    """Return the name of the image of a version."""
    return f"localhost/orders:{version}"


def run(lab: Lab, *arguments: str) -> str:
    """Run Podman. Raises LabError."""
    return processes.run([*podman(where(lab)), *arguments], user=None)


def begin(lab: Lab, version: str = VERSION, *, lives_s: float | None = None) -> None:
    """Run the container in a version, in place of the one before; with `lives_s` it ends after that time, again and again."""
    run(lab, "rm", "--force", "--ignore", "--time=0", NAME)
    supervisor = client.status(lab.folder)["pid"]
    # A loop of restarts ends by itself: nobody may be left to end it.
    policy, script = ("no", _RUNS) if lives_s is None else ("on-failure:100", f"sleep {lives_s}; exit 7")
    arguments = ["/bin/busybox", "sh", "-c", script, str(lab.folder), str(supervisor), "0.5"]
    run(
        lab,
        "run",
        "--detach",
        f"--name={NAME}",
        f"--restart={policy}",
        *_SHARED,
        *_LIMITS,
        image(version),
        *arguments,
    )


def start(lab: Lab) -> None:
    """Make both images, run the container, and start Podman's API. Raises LabError."""
    folder = where(lab)
    folder.mkdir(mode=0o700)
    for version in (VERSION, NEXT):
        archive = folder / f"{version}.tar"
        _pack(archive, lab.programs["busybox"], version)
        run(lab, "import", "--quiet", str(archive), image(version))
        archive.unlink()
    begin(lab)
    argv = [*podman(folder), "system", "service", "--time=0", f"tcp:{HOST}:{lab.ports[API]}"]
    client.start(lab, API, Program(argv, None, death_signal=signal.SIGKILL))
    try:
        sql.wait_until("Podman's API", lambda: _answers(lab), 15.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, API)}") from None


def _answers(lab: Lab) -> bool:
    try:
        socket.create_connection((HOST, lab.ports[API]), 1.0).close()
    except OSError:
        return False
    return True


def _pack(archive: Path, busybox: str, version: str) -> None:
    """Write the files of an image: busybox with its libraries, and a version."""
    libraries = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stdout
    with tarfile.open(archive, "w") as tar:
        for library in re.findall(r"(/\S+) \(0x", libraries):
            tar.add(os.path.realpath(library), library.lstrip("/"))
        tar.add(busybox, "bin/busybox")
        for applet in ("sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        text = f"{version}\n".encode()
        file = tarfile.TarInfo("version")
        file.size = len(text)
        tar.addfile(file, BytesIO(text))


def values(lab: Lab) -> dict[str, str]:
    """Return Podman with its options, and the digest of the image that is to run."""
    digest = run(lab, "image", "inspect", "--format={{.Digest}}", image(VERSION)).strip()
    return {"containers.program": shlex.join(podman(where(lab))), "containers.image": digest}


@functools.cache
def _works() -> bool:
    """Return whether Podman runs a container here: a machine may have the program and not the permission."""
    busybox = tool("busybox")
    with tempfile.TemporaryDirectory(prefix="dg-podman-") as folder:
        place = Path(folder)
        _pack(place / "a.tar", busybox or "", VERSION)
        base = podman(place)
        for words in (
            ["import", "--quiet", str(place / "a.tar"), "localhost/try:1"],
            ["run", "--rm", *_SHARED, *_LIMITS, "localhost/try:1", "/bin/busybox", "true"],
        ):
            done = subprocess.run([*base, *words], capture_output=True, check=False, timeout=30)
            if done.returncode:
                return False
    return True


def _find(name: str) -> str | None:
    path = tool(name) if os.getuid() == 0 else None
    if path is None or name != "podman":
        return path
    return path if tool("busybox") and tool("runc") and _works() else None


SERVICE = Service(
    name=API,
    servers={API: "Podman with a container of the stack"},
    programs=("podman", "runc", "busybox"),
    missing="containers are not covered; run the lab as root, with podman, runc and busybox installed",
    start=start,
    where=where,
    values=values,
    find=_find,
    alone=True,
    profiles=("monitoring",),
    processes=("conmon",),
)
