"""One script asks a host for several things, and its output is read back by name.

It is written for a POSIX shell with the tools of Debian, RHEL or busybox (Alpine). A fact that a host cannot tell is
missing from the answer. Each part begins with a line of a mark and its name, so that banners and messages of login
scripts are not mistaken for facts; without the last part the answer was cut off.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from pytest_deploygate.lazy import dataclass

BEGIN, END = "begin", "end"
#: What may hang (a file system whose server is gone) ends after this time, where the host has `timeout`.
_EACH_S = 5
#: Reads files without a process for each; a file that is missing or cannot be read prints nothing. `form` is any, or an
#: extended regular expression of the lines that are wanted; with `first` reading ends behind the first of them and those
#: that follow it directly.
_READ = """function say(name) { print ""; print mark " " name }
function show(file, form, first, line, found) {
  while ((getline line <file) > 0) if (line ~ form) { print line; found = 1 } else if (first && found) break
  close(file)
}"""


@dataclass(frozen=True)
class Lines:
    """Lines of files on a host, one file after the other; missing ones are left out.

    `form` is an extended regular expression as every awk knows it (no `{2}`, no `[:space:]`). With `first` only the first
    such line of a file and those that follow it directly: a long file is not read to its end.
    """

    files: tuple[str, ...]
    form: str = ""
    first: bool = False


def script(mark: str, commands: Mapping[str, str | Lines]) -> str:
    """Return the script, which prints `MARK NAME` before the output of each command, and before lines of files.

    `$T` in a command stands for `timeout` with its limit, or for nothing on a host that has none. `line FILE` prints the
    first line of a file without a process of its own, which `cat` would need. Not for /proc/sys: a shell reads byte by
    byte, and most files there end after the first read. All `Lines` are read by one awk, where the first of them stands. On a
    host without awk, and where awk ends at a file that can be opened and not read (mawk does), the files are printed whole.
    """
    lines = [
        # Messages and numbers in their C form; the directories of system tools; nothing is read from a terminal.
        "LC_ALL=C; LANG=C; export LC_ALL LANG; PATH=$PATH:/usr/sbin:/sbin; exec </dev/null",
        # That of an old busybox has other arguments.
        "T=; if command -v timeout >/dev/null && { ! [ -e /bin/busybox ] || "
        f"timeout {_EACH_S} true 2>/dev/null; }}; then T='timeout {_EACH_S}'; fi",
        f"say() {{ echo; echo {shlex.quote(mark)} $1; }}",
        """line() { IFS= read -r L <"$1" && printf '%s\\n' "$L"; }""",
        f"say {BEGIN}",
    ]
    files = {name: each for name, each in commands.items() if isinstance(each, Lines)}
    for name, command in commands.items():
        if not isinstance(command, Lines):
            lines.append(f"say {name}; {{ {command}; }} 2>/dev/null")
        elif name == next(iter(files)):
            lines.append(_reading(mark, files))
    return "\n".join([*lines, f"say {END}"])


def _reading(mark: str, files: Mapping[str, Lines]) -> str:
    steps = [
        step
        for name, each in files.items()
        for step in (
            f"say({_text(name)})",
            *(f"show({_text(file)}, {_text(each.form)}, {int(each.first)})" for file in each.files),
        )
    ]
    program = f"{_READ}\nBEGIN {{ mark = {_text(mark)}\n{'; '.join(steps)} }}"
    whole = "; ".join(f"say {name}; cat {shlex.join(each.files)}" for name, each in files.items())
    return f"{{ awk {shlex.quote(program)} || {{ {whole}; }}; }} 2>/dev/null"


def _text(value: str) -> str:
    """Return a text as awk writes it."""
    return json.dumps(value)


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
            current = found[line[len(mark) + 1 :].strip()] = []  # what is printed again replaces the first
        else:
            current.append(line)
    kept = {name: text for name, lines in found.items() if (text := "\n".join(lines).strip())}
    return Answered(kept, END in found, BEGIN in found, " ".join(" ".join(before).split()))
