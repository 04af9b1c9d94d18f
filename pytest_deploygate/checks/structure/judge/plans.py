"""Judge plans: each query must use the index that was created for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.structure.facts import Plan
from pytest_deploygate.fields.names import plain
from pytest_deploygate.model import Judgement, Reading, Verdict

if TYPE_CHECKING:
    from pytest_deploygate.checks.structure.section import IndexedQuery

#: Reading a table with fewer pages is as fast as using an index; the planner is right to scan it.
FEW_PAGES = 32


def judge_plan(found: Plan, query: IndexedQuery) -> Judgement:
    """Pass if the plan uses the named index or, if none is named, any index without scanning a large table."""
    wanted = query.uses
    large = {name: pages for name, pages in found.scanned.items() if pages >= FEW_PAGES}
    scans = ", ".join(f"{name} ({_pages(pages)})" for name, pages in (large or found.scanned).items())
    readings = (
        Reading(
            "indexes in the plan",
            ", ".join(found.used) or "none",
            limit=f"uses {wanted}" if wanted else "an index",
            ok=_in(wanted, found.used) if wanted else bool(found.used),
        ),
        *(
            # Beside the index that the query names, a scan is a note.
            Reading(f"sequential scan of {name}", pages, "pages")
            if wanted and _in(wanted, found.used)
            else Reading(f"sequential scan of {name}", pages, "pages", limit=f"fewer than {FEW_PAGES}", ok=pages < FEW_PAGES)
            for name, pages in found.scanned.items()
        ),
    )  # fmt: skip
    if found.absent:
        return Judgement(
            Verdict.FAIL,
            f"{wanted} does not exist, so {query.name!r} cannot use it{found.near}"
            f"{f': the plan scans {scans}' if scans else ''}; create it",
            readings,
            confirmed=True,
        )
    if wanted and _in(wanted, found.used):
        notes = (f"it also scans {scans}",) if large else ()
        return Judgement(Verdict.PASS, f"the plan uses {wanted}", readings, notes)
    if not wanted and found.used and not large:
        return Judgement(Verdict.PASS, f"the plan uses {', '.join(found.used)}", readings)
    if found.scanned:
        return _scanning(found, query, large, scans, readings)
    if wanted and found.used:
        return Judgement(
            Verdict.FAIL,
            f"{wanted} is not used: the plan uses {', '.join(found.used)} instead",
            readings,
            confirmed=True,
        )
    return Judgement(
        Verdict.INCONCLUSIVE, "the plan reads no table at all; is this the intended query?", readings
    )


def _scanning(
    found: Plan, query: IndexedQuery, large: dict[str, int], scans: str, readings: tuple[Reading, ...]
) -> Judgement:
    wanted = query.uses
    useless = [name for name in found.scanned if name in found.unavoidable]
    if useless and not (wanted and _in(wanted, found.possible)):
        return Judgement(
            Verdict.FAIL,
            f"{wanted or 'no index'} {'does not serve' if wanted else 'serves'} {query.name!r}: the plan scans {scans}, "
            "even with enable_seqscan = off; create an index for it, or change the query",
            readings,
            confirmed=True,
        )
    if large:
        lead = f"{wanted} is not used" if wanted else "a large table is scanned"
        other = ", ".join(found.possible) or "none"
        return Judgement(
            Verdict.FAIL,
            f"{lead}: the plan scans {scans}, although an index could serve ({other}); ANALYZE the table, then check "
            "whether the query reads too large a part of it",
            readings,
            confirmed=True,
        )
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"{scans}: too few rows, so the planner is right to scan and the index is not tested: run again after phase 4",
        readings,
        deferred_to="phase4",
    )


def _in(wanted: str, names: tuple[str, ...]) -> bool:
    return any(plain(wanted) in (name, name.partition(".")[2]) for name in names)


def _pages(pages: int) -> str:
    return "empty" if pages == 0 else f"{pages} page{'' if pages == 1 else 's'}"
