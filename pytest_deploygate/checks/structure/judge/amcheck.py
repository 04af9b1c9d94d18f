"""Judge amcheck's result: every B-tree must be in the order of its definition."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.checks.structure.facts import Amcheck
from pytest_deploygate.model import Judgement, Reading, Verdict

_MOST = 5


def judge_amcheck(found: Amcheck | None, expected: bool) -> Judgement:
    """Pass if amcheck checked every index that is not too large and found no corruption.

    `expected` is whether the inventory requires amcheck.
    """
    if found is None or not expected:
        return Judgement(Verdict.NOT_APPLICABLE, "switched off by the inventory (indexes.amcheck: false)")
    readings = (
        Reading(
            "B-tree indexes checked", found.checked, limit="all that are not too large",
            ok=found.checked > 0 and not found.unchecked,
        ),
        Reading("corrupt", len(found.corrupt), limit="0", ok=not found.corrupt),
        Reading("skipped as too large", len(found.left_out)),
        Reading("not checked", len(found.unchecked), limit="0", ok=not found.unchecked),
        Reading("time", found.duration_s, "s"),
    )  # fmt: skip
    notes = (f"skipped: {_listed(found.left_out)}",) if found.left_out else ()
    if found.corrupt:
        return Judgement(
            Verdict.FAIL,
            f"amcheck found {len(found.corrupt)} corrupt: {_listed(found.corrupt)}. REINDEX INDEX CONCURRENTLY, and find "
            "the cause (collation change, disk, memory)",
            readings,
            notes,
            confirmed=True,
        )
    if found.unchecked:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{len(found.unchecked)} of {found.checked + len(found.unchecked)} B-tree indexes could not be checked: "
            f"{_listed(found.unchecked)}. Raise statement_timeout, or lower indexes.amcheck_max_size",
            readings,
            notes,
        )
    if not found.checked:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "amcheck checked no index, so their order is unknown: "
            + (
                "all are larger than indexes.amcheck_max_size"
                if found.left_out
                else "there is no B-tree index"
            ),
            readings,
            notes,
        )
    return Judgement(
        Verdict.PASS, f"amcheck found no corruption in {found.checked} B-tree indexes", readings, notes
    )


def _listed(names: Mapping[str, str]) -> str:
    said = "; ".join(f"{name}: {words}" for name, words in list(names.items())[:_MOST])
    return said + (f"; and {len(names) - _MOST} more" if len(names) > _MOST else "")
