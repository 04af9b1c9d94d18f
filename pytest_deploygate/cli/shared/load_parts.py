"""Parts of a load: `--part I/N`, and one run of the saved ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pytest_deploygate.checks.load.facts import LoadRun
from pytest_deploygate.checks.load.merged import NotOneLoadError, merged
from pytest_deploygate.checks.load.probe.saved import saved
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.model import CannotTell

_PART = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


def of(given: str | None) -> tuple[int, int] | None:
    """Return number and total of a part. Raises Refused (exit 4)."""
    if given is None:
        return None
    found = _PART.fullmatch(given)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise Refused(f"--part {given}: write the number of the part and of all, such as 1/2")
    return int(found[1]), int(found[2])


def merge(files: Sequence[Path]) -> LoadRun:
    """Return the run that saved parts made together. Raises Refused (exit 4)."""
    try:
        return merged([saved(file) for file in files])
    except (CannotTell, NotOneLoadError) as error:
        raise Refused(f"--merge: {error}") from None
