"""What is wrong with a history, in words and as readings."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.judging.histories.checking import Anomalies
from pytest_deploygate.model import Reading, words_for


def strange(seen: Anomalies, through: str) -> Iterator[str]:
    """Yield a sentence for each kind of anomaly. `through` is the way of the clients."""
    if seen.acknowledged_twice:
        yield f"{seen.acknowledged_twice.count} writes were acknowledged twice (ids {seen.acknowledged_twice}) through {through}"
    if seen.stale_reads:
        yield (
            f"{seen.stale_reads.count:,} of {seen.reads:,} reads through {through} were stale, the worst by "
            f"{words_for(seen.longest_stale_s)}: they did not show what had been acknowledged before; check whether it sends "
            "reads to a replica or to an old primary"
        )
    if seen.unborn_reads:
        yield f"reads through {through} showed ids that no writer wrote, or that were refused ({seen.unborn_reads})"
    if seen.lost_updates:
        yield (
            f"acknowledged updates are lost ({seen.lost_updates.count}) through {through}: a counter that clients count up gave "
            "the same count twice, or went back"
        )
    if seen.out_of_order:
        yield (
            f"{seen.out_of_order.count} times a client's own operations were out of order through {through} (clients "
            f"{seen.out_of_order}): its reads went back, so it met servers in different states"
        )


def strange_readings(seen: Anomalies) -> Iterator[Reading]:
    """Yield a reading for each kind of anomaly."""
    for name, some in (
        ("writes acknowledged twice", seen.acknowledged_twice),
        ("stale reads", seen.stale_reads),
        ("reads of what nobody wrote", seen.unborn_reads),
        ("counters that lost an update", seen.lost_updates),
        ("operations out of order", seen.out_of_order),
    ):
        yield Reading(name, some.count, limit="0", ok=not some)
