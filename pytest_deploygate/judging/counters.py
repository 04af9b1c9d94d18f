"""How much counters grew in a window, from their samples as they were scraped.

`increase()` is not a count: it extrapolates to the edges of the window, and it never counts what a series had when it was
first scraped. Here rises between samples are added up. After a decrease (a restart) the new value is what was counted
since. A series that was born in the window counts in full if its target was scraped before, without it.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pytest_deploygate.lazy import dataclass

#: A series' labels and its samples in order of time, as (seconds since 1970, value).
Samples = Sequence[tuple[float, float]]
Found = tuple[Mapping[str, str], Samples]
#: Labels `job` and `instance`; without one of them nothing is known about the target.
Target = tuple[str, str]

_MOST_BLOCKS, _FEWEST_BLOCKS = 60, 5
#: Scrapes come a little late; what is missing for longer than so many intervals is a gap.
_MISSED = 3.0
_MARGIN_S = 1.0
_UNKNOWN_INTERVAL_S = 60.0


@dataclass(frozen=True)
class Scraped:
    """What is known of the targets: when their scrapes succeeded or failed, and when their processes started."""

    up: Mapping[Target, Samples]
    started: Mapping[Target, float]


@dataclass(frozen=True)
class Counted:
    """What the counters of one selector counted between `start_s` and `end_s` (seconds since 1970).

    `blocks` are the counts in equal parts of the window. `appeared` was counted by series that were first seen within
    the window (`new`), at an unknown time: their targets were not seen before. `silent` are series whose target is
    scraped without success since, `gone` those whose target is not scraped any more, `unread` those with values that are
    no counts. `lost` are the times around a restart that no scrape was near. `gaps` are times without any sample, `holes`
    those in which at least one of the series that went on has none.
    `newest_age_s` is infinite if there is no sample.
    """

    selector: str
    start_s: float
    end_s: float
    first_s: float
    interval_s: float
    newest_age_s: float
    series: int
    resets: int
    blocks: tuple[float, ...]
    labels: Mapping[str, tuple[str, ...]]
    appeared: float = 0.0
    new: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    lost: tuple[tuple[float, float], ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    holes: tuple[tuple[float, float], ...] = ()

    @property
    def count(self) -> float:
        """What was counted, without what appeared."""
        return sum(self.blocks)

    @property
    def covered_s(self) -> float:
        """How much of the window there are samples of, from the first to the newest one."""
        return max(0.0, self.end_s - self.newest_age_s - self.first_s) if self.series else 0.0

    @property
    def stale(self) -> bool:
        """Whether the newest sample is older than scrapes are apart, with a margin of two of them."""
        return self.newest_age_s > far(self.interval_s)


def counted(
    selector: str,
    found: Sequence[Found],
    scraped: Scraped,
    window: tuple[float, float],
    interval_s: float = 0.0,
    parts: int = _FEWEST_BLOCKS,
    *,
    spread: bool = False,
) -> Counted:
    """Add up what each series counted in the window; samples outside of it are ignored.

    `interval_s` is the distance of samples where it is known; otherwise it is their median. `parts` is the number of blocks.
    What was counted between two samples is in the block of the later one; with `spread` it is distributed evenly over the
    time between them, which is right for rates over time, and no whole number.
    """
    start, end = window
    inside = [(labels, [pair for pair in samples if start <= pair[0] <= end]) for labels, samples in found]
    inside = [(labels, samples) for labels, samples in inside if samples]
    readable = [entry for entry in inside if not _odd(entry[1])]
    every_s = interval_s or interval(samples for _, samples in readable)
    newest = max((samples[-1][0] for _, samples in readable), default=-math.inf)
    rises: list[tuple[float, float, float]] = []
    new, silent, gone, lost, holes, resets, appeared = [], [], [], [], [], 0, 0.0
    for labels, samples in readable:
        target = target_of(labels)
        at, value = samples[0]
        if at > start + 1.5 * every_s:
            if _age_is_known(target, at, start, every_s, scraped):
                rises.append((at, at, value))
            elif value:
                appeared += value
                new.append(words(labels))
        for (before_s, before), (now_s, now) in itertools.pairwise(samples):
            rises.append((before_s, now_s, now - before if now >= before else now))
            if now_s - before_s > far(every_s):
                holes.append((before_s, now_s))
            if now < before:
                resets += 1
                if now_s - before_s > far(every_s):
                    lost.append((before_s, now_s))
        if newest - samples[-1][0] > far(every_s):
            match _since(target, samples[-1][0] + every_s / 2, scraped):
                case False:
                    silent.append(words(labels))
                case None:
                    gone.append(words(labels))
    return Counted(
        selector,
        start,
        end,
        _first(readable, scraped, start),
        every_s,
        end - newest,
        len(inside),
        resets,
        _blocks(rises, start, end, parts, spread=spread),
        _labels(labels for labels, _ in inside),
        appeared,
        tuple(sorted(new)),
        tuple(sorted(silent)),
        tuple(sorted(gone)),
        tuple(
            sorted(
                f"{words(labels)} has the value {_odd(samples)}"
                for labels, samples in inside
                if _odd(samples)
            )
        ),
        tuple(sorted(lost)),
        tuple(_gaps(readable, every_s)),
        tuple(sorted(set(holes))),
    )


def target_of(labels: Mapping[str, str]) -> Target | None:
    """Return the target that a series comes from; None if its labels do not tell."""
    try:
        return labels["job"], labels["instance"]
    except KeyError:
        return None


def words(labels: Mapping[str, str]) -> str:
    """Write labels as a selector does, without the metric's name."""
    return "{" + ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "__name__") + "}"


def _odd(samples: Samples) -> str:
    """Return a value that no counter can have; empty if there is none."""
    return next((f"{value:g}" for _, value in samples if not (math.isfinite(value) and value >= 0)), "")


def interval(series: Iterable[Samples]) -> float:
    """Return how far samples are apart, the median in seconds."""
    steps = [b[0] - a[0] for samples in series for a, b in itertools.pairwise(samples)]
    return statistics.median(steps) if steps else _UNKNOWN_INTERVAL_S


def far(interval_s: float) -> float:
    """Return how far two samples may be apart without a gap between them."""
    return _MISSED * interval_s + _MARGIN_S


def _age_is_known(
    target: Target | None, born_s: float, start_s: float, every_s: float, scraped: Scraped
) -> bool:
    """Tell whether all that a new series has was counted in the window."""
    if target is None:
        return False
    if scraped.started.get(target, -math.inf) >= start_s:
        return True
    before = born_s - every_s / 2
    return any(start_s <= at < before and value == 1.0 for at, value in scraped.up.get(target, ()))


def _since(target: Target | None, at_s: float, scraped: Scraped) -> bool | None:
    """Tell whether a target was scraped with success since then; None if nothing tried to."""
    since = [value for at, value in scraped.up.get(target, ()) if at > at_s] if target else []
    return None if not since else any(value == 1.0 for value in since)


def _first(found: Sequence[Found], scraped: Scraped, start_s: float) -> float:
    """Return since when the targets of these series are seen."""
    targets = {target for labels, _ in found if (target := target_of(labels))}
    seen = [samples[0][0] for _, samples in found]
    for target in targets & scraped.up.keys():
        seen += [at for at, value in scraped.up[target] if value == 1.0 and at >= start_s][:1]
    return min(seen, default=math.inf)


def _blocks(
    rises: Iterable[tuple[float, float, float]], start_s: float, end_s: float, number: int, *, spread: bool
) -> tuple[float, ...]:
    counts = [0.0] * number
    size = (end_s - start_s) / number
    for since, at, count in rises:
        last = min(number - 1, int((at - start_s) / size))
        if not spread or at <= since:
            counts[last] += count
            continue
        for block in range(int((since - start_s) / size), last + 1):
            inside = min(at, start_s + (block + 1) * size) - max(since, start_s + block * size)
            counts[block] += count * inside / (at - since)
    return tuple(counts)


def blocks_for(window_s: float, interval_s: float) -> int:
    """Return into how many parts a window is divided: each has at least two scrapes, where the window allows."""
    return max(_FEWEST_BLOCKS, min(_MOST_BLOCKS, int(window_s / (2 * interval_s))))


def _labels(found: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return a few values of each label."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for labels in found:
        for name, value in labels.items():
            values[name].add(value)
    return {name: tuple(sorted(some)[:10]) for name, some in sorted(values.items())}


def _gaps(found: Sequence[Found], every_s: float) -> list[tuple[float, float]]:
    times = sorted({at for _, samples in found for at, _ in samples})
    return [(a, b) for a, b in itertools.pairwise(times) if b - a > far(every_s)]
