"""From findings to one result an item: over targets the worst counts, and nothing found is never a pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_deploygate.model import WORST_FIRST, Finding, Item, Kind, Verdict, about, deferred, worst

#: Tests that bring a person's half of an item begin with this; all others bring the machine's.
ATTESTATION_TESTS = "checklist.md::"
#: What is judged when a run closes: the issue log and the sign-off.
CLOSING_TESTS = "closing::"


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item: the worst of its targets, with the findings that stand, worst first.

    `earlier` counts findings of the same change that later ones replaced. `complete` is false when a test bound to the
    item yielded no finding.
    """

    item: Item
    verdict: Verdict
    reason: str
    in_scope: bool
    findings: tuple[Finding, ...] = ()
    earlier: int = 0
    complete: bool = True

    @property
    def confirmed(self) -> bool:
        """True when every failure behind a `fail` was seen more than once."""
        failed = [f for f in self.findings if f.verdict is Verdict.FAIL]
        return bool(failed) and all(f.confirmed for f in failed)

    @property
    def deferred_to(self) -> str:
        """The phase after which it can be measured, when that alone is why it is inconclusive; else empty."""
        waits = self.verdict is Verdict.INCONCLUSIVE and self.complete
        return deferred(self.findings) if waits else ""


def measured_red(result: ItemResult) -> bool:
    """Tell whether a test of the machine's half failed, and not only what people had to do."""
    return any(
        finding.verdict is Verdict.FAIL and not finding.test.startswith((ATTESTATION_TESTS, CLOSING_TESTS))
        for finding in result.findings
    )


def results(
    items: Sequence[Item],
    scope: Iterable[str],
    findings: Sequence[Finding],
    *,
    tests_of: Mapping[str, Sequence[str]],
    not_applicable: Mapping[str, str],
    earlier: Mapping[str, int],
) -> list[ItemResult]:
    """Compose every item of the checklist.

    `scope` are the item ids that the run speaks for, `findings` those that stand now (all of them count: a test
    that judged one target twice is as bad as its worse judgement), `tests_of` the tests bound to an item,
    `not_applicable` the inventory's reasons by item id, `earlier` how many findings of an item newer ones replaced.
    """
    in_scope = set(scope)
    by_item: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_item[finding.item].append(finding)
    return [
        _result(
            item,
            item.id in in_scope,
            sorted(by_item[item.id], key=lambda finding: WORST_FIRST.index(finding.verdict)),
            tests_of.get(item.id, ()),
            not_applicable.get(item.id),
            earlier.get(item.id, 0),
        )
        for item in items
    ]


def _result(
    item: Item,
    in_scope: bool,
    findings: Sequence[Finding],
    tests: Sequence[str],
    not_applicable: str | None,
    earlier: int,
) -> ItemResult:
    """Compose one item from its findings, worst first."""
    if not_applicable is not None:
        return ItemResult(item, Verdict.NOT_APPLICABLE, not_applicable, in_scope)
    heard = {finding.test for finding in findings}
    silent = [test for test in tests if test not in heard]
    if not findings:
        return ItemResult(
            item, Verdict.NOT_COVERED, _nothing(item, silent), in_scope, (), earlier, complete=not silent
        )
    verdict = worst(finding.verdict for finding in findings)
    reason = _reason(findings, verdict)
    if (
        item.kind is Kind.HYBRID
        and WORST_FIRST.index(verdict) > WORST_FIRST.index(Verdict.NOT_COVERED)
        and all(finding.test.startswith(ATTESTATION_TESTS) for finding in findings)
    ):
        verdict = Verdict.NOT_COVERED
        reason = "a person attests it, but no test measures the machine's half of it"
    if silent and in_scope and WORST_FIRST.index(verdict) > WORST_FIRST.index(Verdict.NOT_COVERED):
        verdict = Verdict.NOT_COVERED
        reason = f"{len(silent)} of its tests yielded no finding: {', '.join(silent[:3])}"
    return ItemResult(item, verdict, reason, in_scope, tuple(findings), earlier, complete=not silent)


def _nothing(item: Item, silent: Sequence[str]) -> str:
    if silent:
        return f"its test did not run or yielded no finding: {', '.join(silent[:3])}"
    if item.kind is Kind.MANUAL:
        return "a person must attest it and nobody has"
    if item.kind is Kind.HYBRID:
        return "needs a test and a person's attestation; there is neither"
    return "no test is bound to it"


def _reason(findings: Sequence[Finding], verdict: Verdict) -> str:
    """Say why in one line: the reason of the only or the first decisive target, and how many more there are."""
    decisive = [finding for finding in findings if finding.verdict is verdict]
    first = decisive[0]
    if verdict is Verdict.PASS and len(decisive) > 1:
        return f"{len(decisive)} targets pass"
    reason = about(first.target, first.reason) if len(findings) > 1 else first.reason
    more = f" (and {len(decisive) - 1} more of {len(findings)} targets)" if len(decisive) > 1 else ""
    return f"{reason}{more}"
