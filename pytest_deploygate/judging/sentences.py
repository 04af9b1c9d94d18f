"""Sentences about places: one that applies to several places appears once."""

from __future__ import annotations

from collections.abc import Iterable

#: A place and what is there; an empty place means the whole.
Said = tuple[str, str]
#: A reason names at most this many sentences.
MOST = 4


def listed(said: Iterable[Said], most: int = MOST) -> str:
    """Join sentences, each with all the places that it applies to; at most `most`, with the number of others."""
    places: dict[str, list[str]] = {}
    for where, what in said:
        known = places.setdefault(what, [])
        if where and where not in known:
            known.append(where)
    sentences = [f"{', '.join(where)}: {what}" if where else what for what, where in places.items()]
    more = f"; and {len(sentences) - most} more, all in the evidence" if len(sentences) > most else ""
    return "; ".join(sentences[:most]) + more
