"""testinfra's `Host` for people's own tests: with limits and errors of ours, and a memory of what was asked.

A test that passes says something of its host only if its commands could say it: a program that is not there, a folder that
may not be entered, or an error that the test caught makes `assert not …` true whatever the host is like.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Sequence
from typing import Any

import testinfra.host
from testinfra.backend.base import CommandResult

from pytest_deploygate.clients.host import becoming, containers, shell, through_testinfra
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret, redact

#: Programs whose exit code says that they look for another one, which need not be there.
_LOOKS_FOR = frozenset({"command", "which", "type", "hash", "realpath"})
#: Programs that exit with 1 for "no", and with more if they could not look. Source: POSIX.
_NO_OR_ERROR = frozenset({"grep", "egrep", "fgrep", "test", "[", "cmp", "diff"})
_NOT_FOUND, _NOT_RUN, _NO_ANSWER_IN_TIME, _SIGNALS = 127, 126, 124, range(129, 166)
#: Characters by which a line is more than one command: the exit code may be of any of them.
_SEVERAL = frozenset("|;&\n")
#: Exits with 3 if a folder above a path may not be entered, so that nothing in it can be seen.
_HIDDEN = (
    "p=%s; while :; do case $p in /*) p=${p%%/*};; *) exit 0;; esac; d=${p:-/}; "
    'if [ -d "$d" ]; then [ -x "$d" ] || exit 3; exit 0; fi; done'
)
_IS_HIDDEN = 3


@dataclass()
class Asked:
    """A command of a test. `doubt` says why its result says nothing of the host, and is empty if it does.

    `failed` is true if its exit code was not 0, `looked_at` if anybody read its exit code or output.
    """

    command: str
    ended: str
    doubt: str = ""
    failed: bool = False
    looked_at: bool = False


class _Result(CommandResult):  # type: ignore[misc]  # testinfra has no types
    """A result that notes whether anybody reads it."""

    def __init__(self, done: CommandResult, asked: Asked) -> None:
        super().__init__(done.backend, done.exit_status, done.command, done._stdout, done._stderr)  # noqa: SLF001
        self._asked = asked

    def __getattribute__(self, name: str) -> Any:
        if name in ("rc", "exit_status", "succeeded", "failed") or name.startswith(("stdout", "stderr")):
            asked = self.__dict__.get("_asked")
            if asked is not None:
                asked.looked_at = True
        return super().__getattribute__(name)


def machine(name: str, within_s: float, run_as: str | None = None, password: Secret | None = None) -> Any:
    """Return a testinfra `Host` for people's own tests, over the same connection, with the same limits and errors.

    Its commands run as `run_as`; those that were run are in its backend's list `told` (`Asked`). A host that cannot be
    reached, or whose sudo refuses, is CannotTell, not a failed test.
    """
    place = name.partition("?")[0]
    with shell.accessing(place):
        own = copy.copy(through_testinfra.backend(name))
    told = list[Asked]()

    def run_there(command: str, *arguments: str) -> CommandResult:
        line = own.get_command(command, *arguments)
        done = shell.run_on(name, line, within_s, becoming.given(password))
        # Not `backend.result`, which logs the output: what a host prints may be a secret.
        return CommandResult(own, done.code, line.encode(), done.output, done.errors)

    def answered(command: str, *arguments: str) -> CommandResult:
        with shell.accessing(place):
            done = run_there(command, *arguments)
        errors = " ".join(shell.text(done.stderr_bytes).split()) if done.rc else ""
        if failure := containers.why_not_asked(name, errors):
            raise CannotTell(f"{place}: {failure.said}")
        if done.rc and own.sudo and (why := becoming.why_refused(errors)):
            raise CannotTell(f"{place}: {why}")
        return done

    def run(command: str, *arguments: str, **_options: Any) -> Any:
        line = own.quote(command, *arguments)
        asked = Asked(redact(line), "no answer")
        told.append(asked)
        try:
            done = answered(command, *arguments)
            asked.ended, asked.failed = f"exit code {done.rc}", done.rc != 0
            asked.doubt = _doubt(line, done.rc) or _hidden(_words(line), done.rc)
        except CannotTell as error:
            asked.doubt = str(error)
            raise
        return _Result(done, asked)

    def _hidden(words: Sequence[str], code: int) -> str:
        """Return why a file that is not there may be there after all. `test` exits with 1 either way."""
        if code != 1 or words[:1] not in (["test"], ["["]) or len(words) < 3 or not words[1].startswith("-"):
            return ""
        if run_there(_HIDDEN, words[2]).rc != _IS_HIDDEN:
            return ""
        return f"a folder above {words[2]} may not be entered, so what is in it cannot be seen: set `run_as: root`"

    def become(command: str, user: str | None) -> str:
        words, *given = becoming.as_user(command, user or "root", password=password is not None)
        return str(own.quote(words, *given))

    own.run, own.get_sudo_command, own.told = run, become, told
    if run_as is not None:
        own.sudo, own.sudo_user = True, run_as
    found = testinfra.host.Host(own)
    own.set_host(found)
    return found


def _words(line: str) -> list[str]:
    """Return the words of a command; none if it is several, or not one that we can read."""
    if _SEVERAL & set(line):
        return []
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _doubt(line: str, code: int) -> str:
    words = _words(line)
    program = words[0] if words else ""
    if code in (_NOT_FOUND, _NOT_RUN) and not _LOOKS_FOR & set(line.split()):
        return f"exit code {code}: its program is not there or cannot be run; ask `host.exists` first"
    if code == _NO_ANSWER_IN_TIME and program == "timeout":
        return "it did not end in time"
    if code < 0 or code in _SIGNALS:  # here, or as a shell tells it
        return f"it was ended by signal {-code if code < 0 else code - 128}"
    if code > 1 and program in _NO_OR_ERROR:
        return f"exit code {code}: {program} could not look; see that what it names is there and may be read"
    return ""
