"""Runs that `deploygate load --save` wrote, read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.load.facts import (
    Client,
    Connected,
    Floor,
    Latencies,
    LoadRun,
    PhaseTimes,
    Second,
)
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell

_MOST_BYTES = 64 << 20


def saved(path: Path) -> LoadRun:
    """Return the run in a file. Raises CannotTell with the reason if there is none that this version can read."""
    try:
        plain: Any = bounded.from_json(bounded.read(path, _MOST_BYTES))
        return _run(plain["measurement"])
    except OSError as error:
        raise CannotTell(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CannotTell(f"{path} is not what `deploygate load --save` writes: {error!r}") from None


def _run(plain: Mapping[str, Any]) -> LoadRun:
    client = plain["client"]
    return LoadRun(
        **{
            **plain,
            "whole": _latencies(plain["whole"]),
            "endpoints": tuple(map(_latencies, plain["endpoints"])),
            "phases": tuple(PhaseTimes(**phase) for phase in plain["phases"]),
            "client": Client(**{**client, "floor": Floor(**client["floor"]) if client["floor"] else None}),
            "part": tuple(plain["part"]) if plain["part"] else None,
        }
    )


def _latencies(plain: Mapping[str, Any]) -> Latencies:
    return Latencies(
        **{
            **plain,
            "limits_s": tuple(plain["limits_s"]),
            "over": tuple(plain["over"]),
            "seconds": tuple(Second(**{**one, "over": tuple(one["over"])}) for one in plain["seconds"]),
            "points": tuple((value, share) for value, share in plain["points"]),
            "opening": _connected(plain["opening"]),
            "kept": _connected(plain["kept"]),
        }
    )


def _connected(plain: Mapping[str, Any] | None) -> Connected | None:
    if plain is None:
        return None
    return Connected(**{**plain, "over": tuple(plain["over"]), "overtaken": tuple(plain["overtaken"])})
