"""Group and order the items of a record for all outputs of the report layer."""

from __future__ import annotations

from collections.abc import Container, Iterable

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import WORST_FIRST, Finding, Outcome, Phase, Rule, Severity, Verdict, Weakening
from pytest_deploygate.report.record import Record
from pytest_deploygate.report.words import BESIDE, SEVERITIES


@dataclass(frozen=True)
class PhaseGroup:
    """A phase with its items in and out of scope, in the order of the checklist."""

    phase: Phase
    inside: tuple[ItemResult, ...]
    outside: tuple[ItemResult, ...]


def in_scope(record: Record) -> tuple[ItemResult, ...]:
    """Return the items that the decision covers."""
    return tuple(r for r in record.items if r.in_scope)


def weakenings(record: Record) -> tuple[tuple[Weakening, ...], tuple[Weakening, ...]]:
    """Split the weakenings into those that bear on an item in scope, or may, and those that bear on none."""
    scope = {r.item.id for r in record.items if r.in_scope}
    return (
        tuple(w for w in record.weakenings if w.bears_on(scope)),
        tuple(w for w in record.weakenings if not w.bears_on(scope)),
    )


def by_phase(record: Record) -> tuple[PhaseGroup, ...]:
    """Group all items by phase. A phase that the record does not list comes last, under its id."""
    known = {p.id: p for p in record.phases}
    for result in record.items:
        known.setdefault(result.item.phase, Phase(result.item.phase, result.item.phase))
    groups: dict[str, list[ItemResult]] = {phase: [] for phase in known}
    for result in record.items:
        groups[result.item.phase].append(result)
    return tuple(
        PhaseGroup(
            known[phase],
            tuple(r for r in results if r.in_scope),
            tuple(r for r in results if not r.in_scope),
        )
        for phase, results in groups.items()
        if results
    )


def held(record: Record) -> frozenset[str]:
    """Return the ids of the items that made a rule hold. Without a decision, return all of them."""
    if record.decision is None:
        return frozenset(r.item.id for r in record.items)
    return frozenset(i for rule in record.decision.rules if rule.says is not Outcome.GO for i in rule.items)


def deferred(result: ItemResult, against: Container[str]) -> str:
    """Return the phase until which an inconclusive item does not hold, else nothing. `against` is `held(record)`."""
    waits = result.verdict is Verdict.INCONCLUSIVE and result.item.id not in against
    return result.deferred_to if waits else ""


def weight(result: ItemResult, against: Container[str]) -> tuple[int, int, int]:
    """Sort key of items that did not pass: those that can hold first, then by verdict, then by severity."""
    light = result.item.severity is Severity.MINOR or bool(deferred(result, against))
    return (
        int(light),
        WORST_FIRST.index(result.verdict),
        SEVERITIES.index(result.item.severity),
    )


def not_good(results: Iterable[ItemResult], against: Container[str]) -> tuple[ItemResult, ...]:
    """Return the items that need action, most severe first."""
    return tuple(sorted((r for r in results if not r.verdict.good), key=lambda r: weight(r, against)))


def bad_findings(result: ItemResult) -> tuple[Finding, ...]:
    """Return the findings of an item that are not good, worst first."""
    return tuple(f for f in result.findings if not f.verdict.good)


def good_findings(result: ItemResult) -> tuple[Finding, ...]:
    """Return the findings of an item that are good."""
    return tuple(f for f in result.findings if f.verdict.good)


def deciding(rules: Iterable[Rule], outcome: Outcome) -> tuple[Rule, ...]:
    """Return the rules that led to the decision."""
    return tuple(r for r in rules if r.says is outcome)


def beside(rules: Iterable[Rule], outcome: Outcome) -> tuple[tuple[str, tuple[Rule, ...]], ...]:
    """Return the other rules under headings that say what they mean for the decision; none reads like a second one."""
    others = [r for r in rules if r.says is not outcome]
    groups = ((BESIDE[says], tuple(r for r in others if r.says is says)) for says in BESIDE)
    return tuple((heading, some) for heading, some in groups if some)
