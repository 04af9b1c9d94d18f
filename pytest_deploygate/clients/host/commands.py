"""Running a command with a time limit, here or on a testinfra host. Its output is kept, redacted."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.host import session
from pytest_deploygate.clients.host.shell import GRACE_S, shell
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_MOST_WORDS = 2000
LOCAL = "local://"


@dataclass(frozen=True)
class Ran:
    """A command that was run. `problem` is empty if it exited with 0; `said` is the end of its output."""

    command: str
    where: str
    took_s: float
    said: str = ""
    problem: str = ""


@contextlib.contextmanager
def marked(file: Path) -> Iterator[int]:
    """Yield a descriptor that commands can hold: while one of them or its children lives, `idle(file)` is false."""
    with file.open("a") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        yield mark.fileno()


def idle(file: Path, patience_s: float) -> bool:
    """Return whether no command that holds this file's mark is still running; wait for that at most `patience_s`."""
    deadline = time.monotonic() + patience_s
    with file.open("a") as mark:
        while True:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.1)
            else:
                return True


def run(
    command: str, *, host: str = LOCAL, within_s: float = 60.0, mark: int | None = None, cut: bool = True
) -> Ran:
    """Run a command through the shell of `host` and wait for its end, at most `within_s` seconds.

    A stop of the run ends it, unless `cut` is false: for what would be half done then.

    `mark` is a descriptor of `marked`, which a command that runs here holds even after our own exit.

    Commands come from the inventory, which people review; no measured value is ever inserted into one.
    """
    began = time.monotonic()
    code, said = _here(command, within_s, mark, cut=cut) if host == LOCAL else _there(command, host, within_s)
    words = redact(" ".join(said.split()))[-_MOST_WORDS:]
    problem = "" if code == 0 else _problem(code, words, within_s)
    return Ran(redact(command), host, round(time.monotonic() - began, 3), words, problem)


def must(command: str, within_s: float = 120.0) -> None:
    """Run a command here that a drill depends on, also during a stop. Raises CannotTell when it fails or takes longer."""
    with stopping.shielded():
        ran = run(command, within_s=within_s)
    if ran.problem:
        raise CannotTell(f"`{ran.command}` {ran.problem}")


def printed(command: str, within_s: float = 30.0) -> str:
    """Return all that a command prints here on its standard output. Raises CannotTell when it fails or takes longer.

    The output is not redacted: it is for reading, and what is shown of it must be redacted then.
    """
    code, out, err = _whole(command, within_s, None, apart=True, cut=True)
    if code != 0:
        words = redact(" ".join(f"{err} {out}".split()))[-_MOST_WORDS:]
        raise CannotTell(f"`{redact(command)}` {_problem(code, words, within_s)}")
    return out


def ended(command: str, within_s: float = 30.0) -> tuple[int | None, str, str]:
    """Run a command here; return its exit code (None: it was ended after `within_s`), its output and its errors.

    For commands whose exit code is an answer. What is shown of the output must be redacted.
    """
    return _whole(command, within_s, None, apart=True, cut=True)


def _problem(code: int | None, said: str, within_s: float) -> str:
    if code is None:
        return f"did not end within {within_s:g} s" + (f": {said[-300:]}" if said else "")
    return f"ended with exit code {code}" + (f": {said[-300:]}" if said else "")


def _here(command: str, within_s: float, mark: int | None, *, cut: bool) -> tuple[int | None, str]:
    code, said, _ = _whole(command, within_s, mark, apart=False, cut=cut)
    return code, said


def _whole(
    command: str, within_s: float, mark: int | None, *, apart: bool, cut: bool
) -> tuple[int | None, str, str]:
    """Return the exit code (None: it was ended), the output, and the errors where they are kept `apart`.

    A stop of all active probes ends the command where it may be `cut`.
    """
    # Programs of our own environment (including deploygate) are found even if it is not activated.
    if cut:
        stopping.may_begin()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with (
        subprocess.Popen(
            ["/bin/sh", "-c", command],
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=() if mark is None else (mark,),
        ) as process,
        stopping.cutting(lambda: session.kill(process.pid)) if cut else contextlib.nullcontext(),
    ):
        try:
            said, errors = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired as error:
            session.kill(process.pid)  # its children, too
            # Bytes, although the pipe is text.
            return None, (error.stdout or b"").decode(errors="replace"), ""
    return process.returncode, said, errors or ""


def _there(command: str, host: str, within_s: float) -> tuple[int | None, str]:
    bounded = f"timeout --kill-after=5 {max(1, round(within_s))} sh -c {shlex.quote(command)} 2>&1"
    try:
        code, out, err = shell(host, within_s + GRACE_S)(bounded)
    except CannotTell as unknown:
        return 255, str(unknown)
    return (None if code in (124, 137) else code), f"{out} {err}"
