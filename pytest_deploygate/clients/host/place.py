"""A host and the OS user that commands run as there, with a time limit and a small environment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property

from pytest_deploygate.clients.host import tied
from pytest_deploygate.clients.host.shell import GRACE_S, shell
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_TIMED_OUT = (124, 137)
_MOST = 400


@dataclass(frozen=True)
class Done:
    """How a command ended. `errors` is one line; exit code 124 means that it was stopped at its time limit."""

    code: int
    output: str
    errors: str

    @property
    def said(self) -> str:
        """The end of its errors, or else of its output, on one line; the beginning of a long text is left out."""
        text = self.errors or " ".join(self.output.split()) or f"exit code {self.code}"
        return text if len(text) <= _MOST else f"… {text[-_MOST:].partition(' ')[2]}"

    @property
    def timed_out(self) -> bool:
        """True if it exceeded its time limit."""
        return self.code in _TIMED_OUT


@dataclass(frozen=True)
class Place:
    """A testinfra host and the OS user to run as; None is the user that the connection logs in as."""

    host: str
    user: str | None
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, command: str, *arguments: str, timeout_s: float = 60.0) -> Done:
        """Run a shell command; each `{}` in it is replaced by a quoted argument. Raises CannotTell if it cannot be started."""
        script = command.replace("{}", "\0")
        for argument in arguments:
            script = script.replace("\0", shlex.quote(argument), 1)
        bounded = f"cd / && {self._as_user}timeout -k 5 {timeout_s:.0f} {self._env} sh -c %s"
        run = shell(self.host, timeout_s + GRACE_S, is_tied=True)
        code, output, errors = run(bounded, tied.script(self.host, script))
        if self._as_user and code and ("sudo:" in errors or "runuser:" in errors):
            raise CannotTell(
                f"commands on {self.name} cannot be run as {self.user}: {errors}; run the gate as {self.user} or root, or "
                f"allow `sudo -n -u {self.user}`"
            )
        return Done(code, output, errors)

    @property
    def name(self) -> str:
        """The host's name for people."""
        return (
            "this host"
            if self.host == "local://"
            else self.host.partition("://")[2].partition("?")[0] or self.host
        )

    @cached_property
    def whoami(self) -> str:
        """The OS user that commands run as here."""
        return self.user or self._reached_as

    @cached_property
    def _reached_as(self) -> str:
        code, output, errors = shell(self.host)("id -un")
        if code:
            raise CannotTell(f"{self.name} does not report the user we run as: {errors}")
        return output.strip()

    @cached_property
    def _as_user(self) -> str:
        if self.user in (None, self._reached_as):
            return ""
        change = "runuser -u" if self._reached_as == "root" else "sudo -n -u"
        return f"{change} {shlex.quote(self.user or '')} -- "

    @cached_property
    def _env(self) -> str:
        # HOME is the user's own: ~/.pgpass, ~/.pgbackrest and SSH keys are looked for there.
        own = {"LC_ALL": "C", "TZ": "UTC", **self.env}
        words = " ".join(shlex.quote(f"{name}={value}") for name, value in own.items())
        home = f'HOME="$(getent passwd {shlex.quote(self.whoami)} | cut -d: -f6)"'
        return f'env -i PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin" {home} {words}'
