"""The file that says who may sign in which role."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.cli.shared.refusals import Refused

#: Its name in the repository.
ALLOWED = "allowed_signers"


def allowed(given: Path | None, root: Path) -> Path:
    """Return the allowed-signers file; one that was named must be there."""
    if given is not None and not given.is_file():
        raise Refused(f"--allowed-signers {given}: there is no such file")
    return given or root / ALLOWED
