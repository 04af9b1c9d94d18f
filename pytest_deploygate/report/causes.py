"""Group items that need action for the same reason: nobody attested them, one section is missing, one host is down.

A failed item is grouped with others if the same words say the same of the same targets, or of one server that cannot be
used. If they have other numbers or targets it is shown by itself.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Container, Iterable, Iterator

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Severity, Verdict
from pytest_deploygate.report import grouping, words

#: Verdicts whose reason may be the same for many items.
_ALIKE = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED)
#: Replaces an item's own id in a reason.
_ITEM = "ITEM"
#: A node that cannot be used, in the wording of the probes. Text before it differs from item to item.
_HOST = re.compile(r"\S+ \(\S+:\d+\) cannot be used: .*", re.DOTALL)
#: Said of a place that was silent before, to items that did not try it again themselves, in the wording of `clients.reach`.
_TRIED = re.compile(r" \(tried(?: by [^()]*)? at [0-9:]{8} UTC and not again in this run\)")
#: Nobody attested an item, in the wording of its judge, with the command to do so.
_ATTEST = re.compile(
    rf"(nobody(?: in the role \S+)? has attested) it([^:`]*): `(deploygate attest {_ITEM} [^`]*)`"
    r", then merge the file it writes"
)


@dataclass(frozen=True)
class Cause:
    """Items that need action for one reason, in the order given; often a single item."""

    results: tuple[ItemResult, ...]
    reasons: tuple[str, ...]

    @property
    def shared(self) -> bool:
        """True if several items have this cause."""
        return len(self.results) > 1

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its items."""
        return tuple(result.item.id for result in self.results)

    @property
    def said(self) -> str:
        """The cause in words, without the commands."""
        who = "them" if self.shared else "it"
        return "; ".join(_ATTEST.sub(rf"\1 {who}\2", reason) for reason in self.reasons)

    @property
    def only_attesting(self) -> bool:
        """True if attestations are all that is missing."""
        return all(_ATTEST.fullmatch(reason) for reason in self.reasons)

    @property
    def severities(self) -> str:
        """The number of items of each severity: `1 critical, 24 major`."""
        found = Counter(result.item.severity for result in self.results)
        return ", ".join(f"{found[severity]} {severity.value}" for severity in Severity if found[severity])

    def commands(self, most: int | None = None) -> tuple[str, ...]:
        """Return the commands that resolve the cause for all of its items, or for the first `most`."""
        ids = " ".join(map(shlex.quote, self.ids[:most]))
        found = [match[3] for reason in self.reasons for match in _ATTEST.finditer(reason)]
        return tuple(
            command.replace(f" {_ITEM} ", f" {ids} ", 1).replace("FILE|URL", "FILE") for command in found
        )


def grouped(results: Iterable[ItemResult], against: Container[str]) -> tuple[Cause, ...]:
    """Group items by verdict and cause, in the order of the first of each. `against` is `grouping.held(record)`."""
    found: dict[object, list[ItemResult]] = {}
    reasons: dict[object, tuple[str, ...]] = {}
    for result in results:
        mine = tuple(dict.fromkeys(_reasons(result)))
        key: object = (result.verdict, frozenset(mine), _places(result), grouping.deferred(result, against))
        if result.verdict not in _ALIKE:
            key = result.item.id
        found.setdefault(key, []).append(result)
        reasons.setdefault(key, mine)
    return tuple(Cause(tuple(some), reasons[key]) for key, some in found.items())


def _reasons(result: ItemResult) -> Iterator[str]:
    """Yield why an item is not good, in words that do not name the item."""
    bad = grouping.bad_findings(result)
    if not bad or not result.complete:
        yield neutral(result.reason, result.item.id)
    for finding in bad:
        yield neutral(finding.reason.removeprefix(f"{finding.target}: "), result.item.id)


def _places(result: ItemResult) -> frozenset[str]:
    """Return the targets of a failed item whose reasons name no server: the same words about two targets are two causes."""
    if result.verdict is not Verdict.FAIL:
        return frozenset()
    bad = grouping.bad_findings(result)
    return frozenset(finding.target for finding in bad if not _HOST.search(finding.reason))


def neutral(reason: str, item: str) -> str:
    """Return a reason in words that are the same for all items of its cause."""
    host = _HOST.search(reason)
    said = _TRIED.sub("", host[0] if host else reason)
    return re.sub(rf"(?<![\w.-]){re.escape(item)}(?![\w-]|\.\w)", _ITEM, said)


def title(cause: Cause) -> str:
    """Return the number of items with their severities: `25 items (1 critical, 24 major)`."""
    return f"{words.count(len(cause.results), 'item')} ({cause.severities})"
