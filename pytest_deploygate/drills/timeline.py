"""The picture of a drill from what its record holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_deploygate.model import Takeover


def takeover(
    title: str,
    per_100ms: Sequence[int],
    lead_s: float,
    writable: Iterable[tuple[float, float, Sequence[str]]],
    first_write_s: float | None,
    first_read_s: float | None,
) -> tuple[Takeover, ...]:
    """Return the picture, or none where the record has no counts (one of an earlier version, or written by people).

    The counts begin `lead_s` before the fault; all else is in seconds since the fault: `writable` as (from, to, nodes).
    """
    if not per_100ms:
        return ()
    rows: dict[str, list[tuple[float, float]]] = {}
    for begin, end, nodes in writable:
        for node in nodes:
            times = rows.setdefault(node, [])
            begin_s, end_s = max(0.0, round(begin + lead_s, 3)), round(end + lead_s, 3)
            if times and begin_s <= times[-1][1]:  # it went on taking writes while the others changed
                times[-1] = (times[-1][0], max(times[-1][1], end_s))
            elif end_s > begin_s:
                times.append((begin_s, end_s))
    return (
        Takeover(
            title,
            tuple(per_100ms),
            round(lead_s, 3),
            tuple((name, tuple(times)) for name, times in rows.items()),
            None if first_write_s is None else round(first_write_s + lead_s, 3),
            None if first_read_s is None else round(first_read_s + lead_s, 3),
        ),
    )
