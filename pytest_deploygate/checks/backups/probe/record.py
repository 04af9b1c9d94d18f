"""The dated record of a restore: written by the drill, or by people after a rehearsal of their own.

A JSON object: `date` (ISO 8601 with zone), `rto_s` and `rpo_s` (seconds, measured), `outcome` (`good` or what went
wrong), and what else is known. A person's record needs no more than these.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.backups.facts import DrillRecord
from pytest_deploygate.redaction import redact


def digest(facts: dict[str, str]) -> str:
    """Return the SHA-256 of a configuration: the same facts give the same digest, in any order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def read(path: Path) -> tuple[DrillRecord | None, str]:
    """Read a record; return it, or why there is none that counts."""
    try:
        raw = json.loads(path.read_text())
        known = {f.name for f in fields(DrillRecord)}
        found: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in raw.items() if k in known
        }
        for name in ("date", "backup_finished", "marker_at"):
            if found.get(name) is not None:
                found[name] = datetime.fromisoformat(found[name])
        for name in ("rto_s", "rpo_s"):
            if isinstance(found.get(name), bool) or not isinstance(found.get(name), int | float | None):
                return None, f"the record {path} has {name} {found[name]!r}, which is no number of seconds"
        record = DrillRecord(**found)
    except FileNotFoundError:
        return None, f"there is no record {path}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return None, f"the record {path} cannot be read: {type(error).__name__}: {error}"
    if record.date.tzinfo is None:
        return None, f"the record {path} has a date without time zone"
    return record, ""


def write(path: Path, record: DrillRecord) -> None:
    """Write a record whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(redact(json.dumps(asdict(record), indent=2, sort_keys=True, default=_plain)) + "\n")
    beside.replace(path)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
