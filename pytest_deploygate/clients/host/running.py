"""Running a line of a shell on this machine, with a time limit that ends all that it started."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.host import session
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Done:
    """How a command on a host ended: its exit code, what it printed, and its errors."""

    code: int
    output: bytes
    errors: bytes


def run_here(line: str, within_s: float, given: bytes = b"", *, held: bool = False) -> Done:
    """Run a line of a shell on this machine. Raises TimeoutError after `within_s` seconds; all that it started is ended.

    `given` is what it reads from its standard input, which is then at its end, or stays open while it is `held`.
    """
    stopping.may_begin()
    with (
        _input(given, held=held) as read,
        subprocess.Popen(
            ["/bin/sh", "-c", line],
            stdin=read,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process,
        stopping.cutting(lambda: session.kill(process.pid)),
    ):
        try:
            output, errors = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            session.kill(process.pid)
            raise TimeoutError(f"the command did not end within {within_s:g} s") from None
    return Done(process.returncode, output, errors)


@contextlib.contextmanager
def _input(given: bytes, *, held: bool) -> Iterator[int]:
    """Yield a descriptor from which a process reads what is given, and then waits for as long as it is held."""
    if not given and not held:
        yield subprocess.DEVNULL
        return
    with contextlib.ExitStack() as closing:
        read, write = os.pipe()
        closing.callback(os.close, read)
        os.write(write, given)  # a password: less than a pipe holds
        if held:
            closing.callback(os.close, write)
        else:
            os.close(write)
        yield read
