"""Sentences about places: what is true of several is said once."""

from __future__ import annotations

from collections.abc import Iterable

#: Where something is, and what; an empty place stands for the whole.
Said = tuple[str, str]
#: A reason names at most this many sentences.
MOST = 4


def listed(said: Iterable[Said], most: int = MOST) -> str:
    """Join sentences, each with all the places that it is true of; at most `most`, and how many more there are."""
    places: dict[str, list[str]] = {}
    for where, what in said:
        known = places.setdefault(what, [])
        if where and where not in known:
            known.append(where)
    sentences = [f"{', '.join(where)}: {what}" if where else what for what, where in places.items()]
    more = f"; and {len(sentences) - most} more, all in the evidence" if len(sentences) > most else ""
    return "; ".join(sentences[:most]) + more
