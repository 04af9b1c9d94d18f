"""Starting programs so that they end with us, and finding those that a lost lab left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_deploygate.lab.state import LabError
from pytest_deploygate.redaction import redact

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
#: Programs that are ours to end when they carry the lab's folder in their command line or work in it.
_OURS = (
    "postgres", "node", "pgbouncer", "pgbackrest", "pg_basebackup", "initdb", "haproxy", "nginx", "named",
)  # fmt: skip
#: Programs of our own, as `python -m` names them.
_OUR_MODULES = (
    "pytest_deploygate",
    "pytest_deploygate.lab.app",
    "pytest_deploygate.lab.dns_server",
    "pytest_deploygate.lab.edge_app",
    "pytest_deploygate.lab.failover_controller",
    "pytest_deploygate.lab.jobs",
)


def end_with_parent(death_signal: int) -> Callable[[], None]:
    """Return a `preexec_fn` that asks the kernel to send us `death_signal` when our parent ends.

    It has to run after the change of user, which clears the request; `subprocess` does it in that order.
    """
    parent = os.getpid()

    def ask() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def identity(user: str | None) -> dict[str, object]:
    """Return the arguments of `subprocess` that make a program run as `user`."""
    if user is None:
        return {}
    import pwd  # noqa: PLC0415 (only where there is a user to change to)

    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a small environment: no PG* variable of the caller leaks into the lab."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")}
    kept["PATH"] = kept.get("PATH", "") + ":/usr/bin:/bin:/usr/sbin:/sbin"
    # Our own programs must find this very package, installed or not.
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    kept["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return kept | {"LC_ALL": "C"} | dict(extra or {})


def run(
    argv: Sequence[str],
    *,
    user: str | None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
    stdin: str = "",
) -> str:
    """Run a program to its end and return what it printed. It dies with us.

    Raises LabError with the program's last lines when it fails or takes longer than `timeout_s`.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            cwd="/",
            env=environment(env),
            preexec_fn=end_with_parent(signal.SIGKILL),
            **identity(user),  # type: ignore[call-overload]
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{Path(argv[0]).name} did not end within {timeout_s:.0f} s") from None
    except OSError as error:
        raise LabError(f"{argv[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise LabError(f"{Path(argv[0]).name} failed with {done.returncode}: {redact(said)}")
    return str(done.stdout)


@dataclass(frozen=True, slots=True)
class Found:
    """A process with the lab's folder in its command line. `supervisor` is true for the one that holds the others."""

    pid: int
    what: str
    supervisor: bool


def belonging_to(folder: Path) -> list[Found]:
    """Return the processes of the lab in `folder`, found without its state.

    They name the folder in their command line, or (servers' children, whose titles change) work in it.
    """
    mine = os.getpid()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == mine:
            continue
        try:
            words = (entry / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
            name = (entry / "comm").read_text().strip()
        except OSError:
            continue
        named = any(_within(word, str(folder)) for word in words)
        supervisor = named and "pytest_deploygate.lab.supervisor" in words
        own = named and any(module in words for module in _OUR_MODULES)
        server = name in _OURS and (named or _works_in(entry, str(folder)))
        if supervisor or own or server:
            found.append(Found(int(entry.name), name, supervisor))
    return found


def _works_in(process: Path, folder: str) -> bool:
    try:
        return _within(str((process / "cwd").readlink()), folder)
    except OSError:
        return False


def _within(word: str, folder: str) -> bool:
    value = word.rpartition("=")[2]
    return value == folder or value.startswith(folder + "/")


def wake_family(pid: int) -> None:
    """Continue the children of a process: a frozen one (SIGSTOP) would keep its parent from ending."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        _send(int(child), signal.SIGCONT)


def end_all(folder: Path, *, patience_s: float = 5.0) -> list[Found]:
    """End every process of the lab in `folder`, politely first; return those that there were.

    Servers hold nothing that outlives the lab, so SIGQUIT (end at once) is the polite way here.
    """
    first = belonging_to(folder)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + patience_s
        for process in belonging_to(folder):
            wake_family(process.pid)
            _send(process.pid, signal.SIGCONT)
            _send(process.pid, number)
        while belonging_to(folder):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        else:
            return first
    raise LabError(f"processes of the lab in {folder} do not end: {[p.pid for p in belonging_to(folder)]}")


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise LabError(
            f"process {pid} of the lab belongs to another user; end the lab as that user"
        ) from None
