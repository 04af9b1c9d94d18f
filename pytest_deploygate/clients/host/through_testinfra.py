"""Hosts that testinfra alone reaches: by a protocol of its own (paramiko, Salt, WinRM), or with its marks around the output."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

from pytest_deploygate.clients.host.running import Done
from pytest_deploygate.model import CannotTell


@functools.cache
def backend(name: str) -> Any:
    """Return testinfra's backend of a host, the same one each time. Raises CannotTell if there is no testinfra."""
    try:
        import testinfra  # noqa: PLC0415 (for hosts that need it)
    except ImportError:
        place = name.partition("?")[0]
        raise CannotTell(
            f"{place} is reached by testinfra, which is not installed here: pip install 'pytest-deploygate[testinfra]'"
        ) from None
    return testinfra.get_host(name).backend


def run(name: str, command: str, run_here: Callable[[str], Done]) -> Done:
    """Run a command on a host. Where that is a command here, it has our limit; testinfra's protocols have their own."""
    own = copy.copy(backend(name))
    from testinfra.backend.base import CommandResult  # noqa: PLC0415 (for hosts that need it)

    def run_local(line: str, *arguments: str) -> CommandResult:
        line = own.quote(line, *arguments)
        done = run_here(line)
        return CommandResult(own, done.code, line.encode(), done.output, done.errors)

    own.run_local = run_local
    done = own.run(command)
    return Done(int(done.rc), done.stdout_bytes, done.stderr_bytes)
