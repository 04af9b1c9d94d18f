"""A journal as it would be if it had been written earlier, or by a machine with another clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_deploygate import journal
from pytest_deploygate.journal.lines import own_digest, sealed

_TIMES = ("at", "wall")


def age(folder: Path, hours: float, *, clock_only: bool = False) -> None:
    """Make a folder's journal this much older; with `clock_only` its clock was behind, and no time has passed."""
    rewrite(folder, lambda line: _older(line, hours, clock_only=clock_only))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change each line, and seal the journal again."""
    path = folder / journal.FILE
    previous, lines = journal.GENESIS, []
    for raw in path.read_bytes().splitlines():
        line = json.loads(raw)
        del line["own"]
        line = change(line) or line
        line["prev"] = previous
        unsealed = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        whole = unsealed[:-1] + sealed(own_digest(unsealed))
        lines.append(whole)
        previous = sha256(whole).hexdigest()
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _older(node: Any, hours: float, *, clock_only: bool) -> Any:
    if isinstance(node, list):
        return [_older(inner, hours, clock_only=clock_only) for inner in node]
    if not isinstance(node, dict):
        return node
    found = {
        key: (datetime.fromisoformat(inner) - timedelta(hours=hours)).isoformat()
        if key in _TIMES and isinstance(inner, str)
        else _older(inner, hours, clock_only=clock_only)
        for key, inner in node.items()
    }
    if "up_s" in found and not clock_only:
        found["up_s"] -= hours * 3600
    return found
