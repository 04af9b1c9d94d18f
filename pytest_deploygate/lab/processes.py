"""Running programs of the lab so that they end with us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytest_deploygate.lab.state import LabError
from pytest_deploygate.redaction import redact

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


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
    """Return a minimal environment, so that no PG* variable of the caller leaks into the lab."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")}
    kept["PATH"] = kept.get("PATH", "") + ":/usr/bin:/bin:/usr/sbin:/sbin"
    # Our own programs must import this package, whether it is installed or not.
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
    """Run a program to its end and return its output. It ends when we do.

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


def wake_family(pid: int) -> None:
    """Continue the children of a process: a frozen one (SIGSTOP) would keep its parent from ending."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        send(int(child), signal.SIGCONT)


def send(pid: int, number: int) -> None:
    """Send a signal, unless the process has ended already. Raises LabError."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise LabError(
            f"process {pid} of the lab belongs to another user; end the lab as that user"
        ) from None
