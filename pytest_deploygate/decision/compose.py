"""Compose findings into one result per item: the worst target counts, and an item without findings never passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import WORST_FIRST, Finding, Item, Kind, Verdict, about, deferred, worst

#: Prefix of the tests that contribute a person's part of an item; all others contribute the measured part.
ATTESTATION_TESTS = "checklist.md::"
#: The reason of an item that no test is bound to: what its reader can do.
NO_CHECK = (
    "this version has no check for it (see docs/items.md): write a test that is marked with its id, or mark its line"
    " .manual in your checklist and have it attested, or list it under `not_applicable` in the inventory"
)
#: Prefix of what is judged at the end of a run: the issue log and the sign-off.
CLOSING_TESTS = "closing::"


@dataclass(frozen=True)
class ItemResult:
    """The result of one item: the verdict of its worst target, and its current findings, worst first.

    `earlier` is the number of findings of the same change that newer ones replaced. `complete` is false when a test bound
    to the item yielded no finding.
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
        """True when every failure behind a `fail` was observed more than once."""
        failed = [f for f in self.findings if f.verdict is Verdict.FAIL]
        return bool(failed) and all(f.confirmed for f in failed)

    @property
    def deferred_to(self) -> str:
        """The phase after which it can be measured, if that is the only reason why it is inconclusive; else empty."""
        waits = self.verdict is Verdict.INCONCLUSIVE and self.complete
        return deferred(self.findings) if waits else ""


def measured_red(result: ItemResult) -> bool:
    """Return whether a measurement failed, not only something that people had to do."""
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

    `scope` holds the ids of the items that the run covers. `findings` are the current ones; all of them count, so a test
    that judged one target twice is as bad as the worse judgement. `tests_of` maps items to their tests, `not_applicable`
    items to the inventory's reasons, `earlier` items to the number of findings that newer ones replaced.
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
        reason = "a person attests it, but no test measures its automated part"
    if silent and in_scope and WORST_FIRST.index(verdict) > WORST_FIRST.index(Verdict.NOT_COVERED):
        verdict = Verdict.NOT_COVERED
        reason = f"{len(silent)} of its tests yielded no finding: {', '.join(silent[:3])}"
    return ItemResult(item, verdict, reason, in_scope, tuple(findings), earlier, complete=not silent)


def _nothing(item: Item, silent: Sequence[str]) -> str:
    if silent:
        return f"its test did not run or yielded no finding: {', '.join(silent[:3])}"
    if item.kind is Kind.MANUAL:
        return "a person must attest it, and nobody has"
    if item.kind is Kind.HYBRID:
        return f"a person must attest it, and nobody has; and {NO_CHECK}"
    return NO_CHECK


def _reason(findings: Sequence[Finding], verdict: Verdict) -> str:
    """Return the reason in one line: that of the first decisive target, and how many more there are."""
    decisive = [finding for finding in findings if finding.verdict is verdict]
    first = decisive[0]
    if verdict is Verdict.PASS and len(decisive) > 1:
        return f"{len(decisive)} targets pass"
    reason = about(first.target, first.reason) if len(findings) > 1 else first.reason
    more = f" (and {len(decisive) - 1} more of {len(findings)} targets)" if len(decisive) > 1 else ""
    return f"{reason}{more}"
