"""JSON that a command prints or a server answers, read without trust in its shape."""

from __future__ import annotations

import json
from typing import Any

from pytest_deploygate.model import CannotTell


def parsed(text: str, where: str) -> dict[str, Any]:
    """Return a JSON object. Raises CannotTell."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CannotTell(f"what {where} gives is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise CannotTell(f"what {where} gives is no JSON object")
    return found


def entry(value: object, *keys: str | int) -> Any:
    """Return what is at a path of keys and places; None if there is nothing."""
    for key in keys:
        if isinstance(key, str):
            value = value.get(key) if isinstance(value, dict) else None
        else:
            value = value[key] if isinstance(value, list) and -len(value) <= key < len(value) else None
    return value


def objects(value: object, *keys: str | int) -> list[dict[str, Any]]:
    """Return the objects in a list at a path; an empty list if there is none."""
    found = entry(value, *keys)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def number(value: object) -> float | None:
    """Return a number, also one that is written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None
