"""Words that several judges of this subject use."""

from __future__ import annotations

from collections.abc import Sequence

_MOST = 4


def few(names: Sequence[str]) -> str:
    """Return names in words, at most four, with the number of the others."""
    shown = ", ".join(names[:_MOST])
    return f"{shown} and {len(names) - _MOST} more" if len(names) > _MOST else shown


def twice(said: str, again: Sequence[str]) -> str:
    """Return an answer with those to the same request sent again."""
    return f"{said}, sent again {', '.join(again)}" if again else said
