"""One script asks a host for several things, and its output is read back by name.

It is written for a POSIX shell with the tools of Debian, RHEL or busybox (Alpine). A fact that a host cannot tell is
missing from the answer. Each part begins with a line of a mark and its name, so that banners and messages of login
scripts are not mistaken for facts; without the last part the answer was cut off.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pytest_deploygate.lazy import dataclass

BEGIN, END = "begin", "end"
#: What may hang (a file system whose server is gone) ends after this time, where the host has `timeout`.
_EACH_S = 5


def script(mark: str, commands: Mapping[str, str]) -> str:
    """Return the script, which prints `MARK NAME` before the output of each command.

    `$T` in a command stands for `timeout` with its limit, or for nothing on a host that has none.
    """
    lines = [
        # Messages and numbers in their C form; the directories of system tools; nothing is read from a terminal.
        "LC_ALL=C; LANG=C; export LC_ALL LANG; PATH=$PATH:/usr/sbin:/sbin; exec </dev/null",
        f"T=; if timeout {_EACH_S} true 2>/dev/null; then T='timeout {_EACH_S}'; fi",
        f"say() {{ echo; echo {shlex.quote(mark)} $1; }}",
        f"say {BEGIN}",
    ]
    lines += [f"say {name}; {{ {command}; }} 2>/dev/null" for name, command in commands.items()]
    return "\n".join([*lines, f"say {END}"])


@dataclass(frozen=True)
class Answered:
    """The parts of an answer by name; empty ones are left out. `whole` is false if it was cut off.

    `began` is false if the script did not run at all; `before` is then what the host printed instead.
    """

    parts: Mapping[str, str]
    whole: bool
    began: bool
    before: str


def parts(output: str, mark: str) -> Answered:
    """Read the output of the script."""
    before: list[str] = []
    found: dict[str, list[str]] = {}
    current = before
    for line in output.replace("\r\n", "\n").split("\n"):
        if line.startswith(f"{mark} "):
            current = found.setdefault(line[len(mark) + 1 :].strip(), [])
        else:
            current.append(line)
    kept = {name: text for name, lines in found.items() if (text := "\n".join(lines).strip())}
    return Answered(kept, END in found, BEGIN in found, " ".join(" ".join(before).split()))
