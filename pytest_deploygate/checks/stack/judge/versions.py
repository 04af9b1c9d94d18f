"""Whether a version that was told is the one that was named."""

from __future__ import annotations

import re

#: A version that is not yet, or not only, the named one.
_NOT_YET = re.compile(
    r"(?i)(?<![a-z])(alpha|beta|rc|pre|preview|dev|snapshot|dirty|nightly|canary|milestone)(?![a-z])"
)
#: As Python's packages write it: 2.4b1.
_PYTHONS = re.compile(r"(a|b|c)\d")
_DIGITS = re.compile(r"\d+")
_EPOCH = re.compile(r"^\d+:")


def meets(told: str, named: str) -> bool:
    """Tell whether a version is the named one, a revision of it, or a patch release of it.

    >>> meets("15.4-1.pgdg120+1", "15.4"), meets("v15.4.2", "15.4"), meets("15.41", "15.4"), meets("15.4-rc1", "15.4")
    (True, True, False, False)
    """
    if named.startswith("="):
        return _plain(told, named[1:]) == named[1:].strip().removeprefix("v")
    wanted = named.strip().removeprefix("v")
    found = _plain(told, wanted)
    if not found.startswith(wanted):
        return False
    rest = found[len(wanted) :]
    if not rest:
        return True
    # After the name comes a separator, or a letter of a patch (9.2 and 9.2p1): a digit would be another number.
    return not rest[0].isdigit() and not _PYTHONS.match(rest) and not _NOT_YET.search(_DIGITS.sub(" ", rest))


def _plain(told: str, wanted: str) -> str:
    """Return a version without the epoch of a package, unless one is named, and without a `v`."""
    text = told.strip()
    return (text if _EPOCH.match(wanted) else _EPOCH.sub("", text)).removeprefix("v")
