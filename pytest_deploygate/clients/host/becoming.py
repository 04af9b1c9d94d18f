"""Run a script on a host as another user, and tell why sudo refused.

A password is given to sudo on its standard input, so it is never among the arguments or in an environment.
"""

from __future__ import annotations

import re

from pytest_deploygate.redaction import Secret, redact

_MOST = 200
#: Who logged in as root needs no sudo, and who is the user already needs nothing.
_AS_USER = (
    'if [ "$(id -un)" = %s ]; then exec sh -c %s; '
    'elif [ "$(id -u)" = 0 ]; then exec su -s /bin/sh %s -c %s; '
    "else exec sudo -n -u %s -- sh -c %s; fi"
)
#: A wrong password would be asked for again, and the input stays open while we wait for the script. So one line of it is
#: tried first, with nothing behind it. `printf` is part of the shell: the password is in no argument.
_TRIED_FIRST = (
    'if [ "$(id -un)" = %s ]; then exec sh -c %s; '
    'elif [ "$(id -u)" = 0 ]; then exec su -s /bin/sh %s -c %s; fi; '
    "IFS= read -r password; "
    "printf '%%s\\n' \"$password\" | sudo -S -p '' -u %s -v || exit 1; "
    "unset password; exec sudo -S -p '' -u %s -- sh -c %s"
)
#: What sudo says, and what it means. Source: sudo(8), its messages in English.
_SAID = (
    (
        re.compile(r"sudo: .*(incorrect password|no password was provided)|Sorry, try again"),
        "sudo refuses the password of `run_as_password`: it is the password of the user who logs in, not of `run_as`",
    ),
    (
        re.compile(r"sudo: .*(password is required|terminal is required|askpass)"),
        "sudo asks for a password: allow the gate's user `sudo -n`, set `run_as_password`, or leave out `run_as`",
    ),
    (
        re.compile(r"sudo: .*(you must have a tty|no tty present)"),
        "sudo wants a terminal (`requiretty` in sudoers): switch that off for the gate's user",
    ),
    (
        re.compile(r"is not in the sudoers file|is not allowed to (execute|run) |may not run sudo on"),
        "sudo does not allow the gate's user to become `run_as`: add it to sudoers",
    ),
    (re.compile(r"sudo: unknown user"), "sudo knows no user of the name in `run_as` there"),
    (re.compile(r"sudo: .*not found"), "it has no sudo: log in as the user of `run_as`, or install it"),
)


def as_user(script: str, user: str, *, password: bool) -> tuple[str, ...]:
    """Return the shell command that runs a script as another user, and its arguments (`%s`).

    With `password` the command reads `given` from its standard input; without it sudo fails instead of asking.
    """
    if password:
        return _TRIED_FIRST, *(user, script) * 2, user, user, script
    return _AS_USER, *(user, script) * 3


def given(password: Secret | None) -> bytes:
    """Return what the command of `as_user` reads from its standard input: the password for each call of sudo."""
    return f"{password.reveal()}\n".encode() * 2 if password else b""


def why_refused(errors: str) -> str:
    """Return why sudo did not run a command, from what it printed; empty if it was not sudo. A lecture is left out."""
    for form, means in _SAID:
        if form.search(errors):
            return means
    words = redact(errors.partition("sudo: ")[2])
    return f"sudo failed: {words[:_MOST]}" if words else ""
