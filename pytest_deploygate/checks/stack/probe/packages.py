"""Versions that a host tells: of packages, by dpkg, rpm or apk, and of programs, by commands of the inventory."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from pytest_deploygate.checks.stack.facts import Told
from pytest_deploygate.redaction import redact, shortened

_TOOL, _NONE = "tool ", "none"
#: Something that looks like a version: at least two numbers, or one that follows the word.
_VERSION = re.compile(r"(?<![A-Za-z\d.])v?(\d+(?:\.\d+)+[\w.+~-]*)")
_ONE_NUMBER = re.compile(r"version:?\s+v?(\d[\w.+~-]*)", re.IGNORECASE)
_CODE = "exit code "


def command(names: Iterable[str]) -> str:
    """Return the command that prints the installed ones of these packages: name, state, version."""
    words = shlex.join(names)
    return (
        f"if command -v dpkg-query >/dev/null; then echo {_TOOL}dpkg; "
        f"dpkg-query -W -f '${{Package}}\\t${{db:Status-Status}}\\t${{Version}}\\n' {words}; "
        f"elif command -v rpm >/dev/null; then echo {_TOOL}rpm; "
        f"rpm -q --qf '%{{NAME}}\\tinstalled\\t%{{VERSION}}-%{{RELEASE}}\\n' {words}; "
        f"elif command -v apk >/dev/null; then echo {_TOOL}apk; for N in {words}; do "
        'V=$(apk info -e -v "$N") && printf \'%s\\tinstalled\\t%s\\n\' "$N" "${V#"$N"-}"; done; '
        f"else echo {_TOOL}{_NONE}; fi; true"
    )


def told(component: str, package: str, where: str, text: str | None) -> list[Told]:
    """Return the versions of a package; a package of several architectures has several."""
    by = f"package {package}"
    lines = (text or "").splitlines()
    tool = next((line.removeprefix(_TOOL) for line in lines if line.startswith(_TOOL)), "")
    if not tool or tool == _NONE:
        return [Told(component, by, where, why="the host has none of dpkg, rpm and apk")]
    found = [
        Told(component, by, where, fields[2])
        for fields in (line.split("\t") for line in lines)
        # A package that was removed keeps its version in dpkg until it is purged.
        if len(fields) == 3 and fields[0] == package.partition(":")[0] and fields[1] == "installed"
    ]
    return list(dict.fromkeys(found)) or [
        Told(component, by, where, why=f"it is not installed ({tool})", absent=True)
    ]


def printing(given: str) -> str:
    """Return a command whose output has the version, with its exit code."""
    return f"X=$( {{ {given}\n}} 2>&1 ); C=$?; printf '%s\\n' \"$X\" | head -c 4000; echo; echo {_CODE}$C"


def printed(component: str, given: str, where: str, text: str | None) -> Told:
    """Return the first version that a command printed."""
    by = f"`{redact(given)}`"
    output, _, code = (text or "").rpartition(_CODE)
    found = _VERSION.search(output) or _ONE_NUMBER.search(output)
    # A message of an error may have the version of something else.
    if found and code.strip() == "0":
        return Told(component, by, where, found[1])
    words = shortened(redact(" ".join(output.split())), 100)
    missing = bool(re.search(r"not found|No such file", output))
    return Told(component, by, where, why=words or "it printed nothing", absent=missing)
