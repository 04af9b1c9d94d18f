"""`env:NAME`: a secret in an environment variable."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_deploygate.fields.sources import Absent, Source


def _secret(name: str, _base: Path) -> str:
    found = os.environ.get(name)
    if found is None:
        raise Absent(f"the environment variable {name} is not set; export it before the run")
    return found


SOURCE = Source("env", _secret, example="env:DB_PASSWORD", advice="env:NAME")
