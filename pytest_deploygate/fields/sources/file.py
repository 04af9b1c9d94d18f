"""`file:PATH`: a secret in a file, as Docker, Kubernetes and systemd provide them. The final newline is not part of it."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.fields.sources import Absent, Source
from pytest_deploygate.files import bounded


def secret(name: str, base: Path) -> str:
    """Return the content of a file. Raises Absent if it cannot be read."""
    path = base / Path(name).expanduser()
    try:
        return bounded.text(path).strip()
    except (OSError, bounded.OddTextError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Absent(f"the secret file {path} cannot be read: {reason}") from None


SOURCE = Source("file", secret, example="file:/run/secrets/db", advice="file:PATH")
