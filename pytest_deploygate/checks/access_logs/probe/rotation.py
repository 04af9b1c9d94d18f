"""What logrotate itself says of a file, in its debug mode, in which it changes nothing."""

from __future__ import annotations

import re
import shlex

from pytest_deploygate.checks.access_logs.facts import Rule

_MOST = 400_000


def command(config: str) -> str:
    """Return the command that prints what logrotate would do. Source: logrotate(8), `--debug`."""
    name = shlex.quote(config)
    return (
        "if ! command -v logrotate >/dev/null; then echo none; "
        f"elif [ ! -r {name} ]; then echo unreadable; else $T logrotate -d {name} 2>&1 | head -c {_MOST}; fi"
    )


def rule(path: str, said: str) -> Rule:
    """Return whether logrotate has a rule for a file, from what it printed."""
    if said in ("", "none"):
        return Rule(has=False, problem="there is no logrotate")
    if said == "unreadable":
        return Rule(has=False, problem="logrotate's configuration cannot be read")
    if re.search(rf"^considering log {re.escape(path)}$", said, re.MULTILINE):
        return Rule(has=True)
    if "Handling" not in said or re.search(
        r"^error: .*(?:[Pp]ermission denied|cannot|skipping)", said, re.MULTILINE
    ):
        return Rule(has=False, problem="logrotate does not read its whole configuration as this user")
    return Rule(has=False)
