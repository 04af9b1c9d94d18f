"""Attested items as tests: pytest collects the checklist file, and each of its manual or hybrid items is a test."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_deploygate.checklist.attestations import attestable
from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.decision.compose import ATTESTATION_TESTS
from pytest_deploygate.model import Item
from pytest_deploygate.session.gate import GATE
from pytest_deploygate.session.settings import SETTINGS, Settings


def items(settings: Settings) -> list[Item]:
    """Return the items that a person must attest. Items decided by the issue log need no attestation."""
    return [
        item
        for item in settings.checklist.items
        if attestable(item) and not item.about_the_log and item.id not in settings.not_applicable
    ]


def declared(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return item ids by test, as `session.declared` does for Python files."""
    return {f"{ATTESTATION_TESTS}{item.id}": (item.id,) for item in items(settings)}


class ChecklistFile(pytest.File):
    """The checklist as a file of tests."""

    def collect(self) -> Iterable[pytest.Item]:
        """Yield one test per item that a person must attest."""
        for item in items(self.config.stash[SETTINGS]):
            test: AttestedItem = AttestedItem.from_parent(self, name=item.id)
            test.line = item.line
            test.add_marker(pytest.mark.item(item.id))
            yield test


class AttestedItem(pytest.Item):
    """A checklist item, attested if a person in the right role confirms it with evidence that is still valid."""

    line = 0

    def runtest(self) -> None:
        """Read the attestations of this item and judge them."""
        # The probe imports the HTTP client, which a run without such items does not need.
        from pytest_deploygate.checks.people.judge import attestations as judge_attestations  # noqa: PLC0415
        from pytest_deploygate.checks.people.probe import attestations as probe_attestations  # noqa: PLC0415

        settings = self.config.stash[SETTINGS]
        item = settings.checklist.get(self.name)
        if item is None:
            raise pytest.UsageError(f"{self.name} is no longer in the checklist")
        seen = probe_attestations.measure(
            settings.root,
            item.id,
            settings.records.attestations,
            change=settings.change,
            inventory=settings.inventory.name,
            signers_aside=settings.records.signers_aside,
            aside=tuple(a.words for a in settings.records.aside if a.item == item.id and a.attestation),
        )
        needed = judge_attestations.Needed.by(item, signed=settings.inventory.policy.signed_records)
        gate = self.stash[GATE]
        if seen.attestations:
            gate.judge(judge_attestations.judge, seen, needed, target="attestation")
        else:  # nobody attested it: there is nothing to keep as evidence
            gate.record(judge_attestations.judge(seen, needed), target="attestation")

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the item's place in the checklist."""
        return self.path, max(0, self.line - 1), self.name


def collect(file: Path, parent: pytest.Collector) -> ChecklistFile | None:
    """Return the collector for a file if it is this run's checklist."""
    checklist = parent.config.stash[SETTINGS].checklist
    if file.resolve() != checklist.file.resolve():
        return None
    return file_of(checklist, parent)


def file_of(checklist: Checklist, parent: pytest.Collector) -> ChecklistFile:
    """Return the collector for a checklist."""
    collected: ChecklistFile = ChecklistFile.from_parent(
        parent, path=checklist.file, nodeid=ATTESTATION_TESTS.removesuffix("::")
    )
    return collected
