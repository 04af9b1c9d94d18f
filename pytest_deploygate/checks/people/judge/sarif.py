"""A findings file is good when its scan finished and nothing open in it is above the allowed level."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checklist.vocabulary import LEVELS
from pytest_deploygate.checks.people.facts import SarifSeen
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict


@dataclass(frozen=True)
class Allowed:
    """The highest level at which results may be open: `none`, `note`, `warning` (the default) or `error`."""

    level: str = "warning"


def judge(seen: SarifSeen, allowed: Allowed) -> Judgement:
    """Judge one file. A file that is not SARIF, or a scan that did not finish, is inconclusive."""
    if seen.problem:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the findings file {seen.file} {seen.problem}: export it again from the scanner",
        )
    if allowed.level not in LEVELS:
        return Judgement(Verdict.INCONCLUSIVE, f"the allowed level {allowed.level!r} is not a SARIF level")
    readings = tuple(_readings(seen, allowed))
    over = {level: n for level in _above(allowed) if (n := seen.open.get(level, 0))}
    if over:
        counts = " and ".join(f"{n} at {level}" for level, n in over.items())
        return Judgement(
            Verdict.FAIL,
            f"{seen.file}: {counts} open, where {allowed.level} is the highest level allowed; "
            f"the first: {_example(seen)}. Fix it and scan again, or suppress it in the scanner with a reason",
            readings,
        )
    if seen.undecided:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{seen.file}: {seen.undecided} results need a person to decide whether they are a problem "
            "(kind open or review): review them and export the file again",
            readings,
        )
    return Judgement(Verdict.PASS, f"{', '.join(seen.tools)}: nothing open above {allowed.level}", readings)


def _above(allowed: Allowed) -> tuple[str, ...]:
    """Return the levels that are not allowed, worst first."""
    return tuple(reversed(LEVELS[LEVELS.index(allowed.level) + 1 :]))


def _readings(seen: SarifSeen, allowed: Allowed) -> Iterator[Reading]:
    forbidden = _above(allowed)
    for level in ("error", "warning", "note"):
        count = seen.open.get(level, 0)
        limit = "0" if level in forbidden else ""
        yield Reading(f"open at {level}", count, limit=limit, ok=count == 0 if limit else None)
    yield Reading("suppressed", seen.suppressed)
    if seen.ended:
        yield Reading("scan ended", seen.ended)


def _example(seen: SarifSeen) -> str:
    first = seen.examples[0]
    where = f" in {first.place}" if first.place else ""
    return f"{first.rule}{where}" + (f" ({first.text})" if first.text else "")
