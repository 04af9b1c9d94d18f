"""Judge stored values by those computed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.migration.facts import Recalculated
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.migration.section import Calculation

_MOST = 3


def judge_calculation(found: Recalculated, expected: Calculation) -> Judgement:
    """Pass if every stored value equals the computed one within the tolerance."""
    said = Collector(confirmed=True)
    limit = f"at most {expected.tolerance:g}"
    if not found.values:
        said.unknown(f"{expected.name} computes no value, which proves nothing: run again after the migration, or correct its query",
                     deferred_to="phase4")  # fmt: skip
        return said.judgement(str)
    greatest = found.greatest or 0.0
    said.read(
        Reading("values computed anew", found.values),
        Reading("values that differ", found.different, limit="0", ok=not found.different),
        Reading("greatest relative difference", f"{greatest:.3g}", limit=limit, ok=not found.different),
    )
    if found.different:
        shown = "; ".join(
            f"{one.key} has {one.stored or 'NULL'} stored, {one.computed or 'NULL'} computed"
            for one in found.examples[:_MOST]
        )
        said.wrong(
            f"{expected.name}: {found.different} of {found.values} stored values differ from those computed anew by more than "
            f"{expected.tolerance:g} of the value: {shown}; find out which of the two is wrong, and correct it"
        )
    return said.judgement(
        lambda: (
            f"{expected.name}: {found.values} stored values equal those computed anew (tolerance {expected.tolerance:g})"
        )
    )
