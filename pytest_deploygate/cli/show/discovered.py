"""What `deploygate discover` prints: what was found, what was not, what can be checked now, and what is next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_deploygate.cli.shared.checkable import Checkable
from pytest_deploygate.discovery import found as founds
from pytest_deploygate.discovery.found import Found
from pytest_deploygate.discovery.writer import unconfirmed_of
from pytest_deploygate.problems import one_line

#: Lines of items that lack something; `deploygate plan` has all.
_MOST = 25


def text(
    found: Found, files: Sequence[Path], items: Sequence[Checkable], steps: Sequence[str]
) -> Iterator[str]:
    """Yield the lines."""
    sections = list(founds.of_sections(found.facts))
    yield f"Found {len(found.facts)} values of {len(sections)} sections: {', '.join(sections)}"
    yield from (f"  wrote {file}" for file in files)
    yield from _listed("Could not be read", found.unread)
    yield from _listed("Worth a look", found.remarks)
    now = [item for item in items if item.at_once]
    yield f"Can be checked at once: {len(now)} of {len(items)} items that tests decide"
    for phase in dict.fromkeys(item.phase for item in now):
        yield f"  {phase}: {', '.join(item.id for item in now if item.phase == phase)}"
    yield from _listed("What you can add, with what was seen of it", found.wanted)
    partly = [item for item in now if item.lacks]
    yield from _listed("Checked in part", [f"{item.id}: {'; '.join(item.lacks)}" for item in partly])
    others = [item for item in items if not item.at_once]
    if others:
        yield f"Not yet: {len(others)} items"
        by_lack: dict[str, list[str]] = {}
        for item in others:
            for words in item.lacks or ("no test has a target",):
                by_lack.setdefault(words, []).append(item.id)
        for words, ids in list(by_lack.items())[:_MOST]:
            yield f"  {words.removeprefix('the inventory has no ')}  ({', '.join(ids[:4])}{' …' if len(ids) > 4 else ''})"
        if len(by_lack) > _MOST:
            yield f"  … and {len(by_lack) - _MOST} more sections: `deploygate plan` lists them"
    waiting = unconfirmed_of(found.facts)
    if waiting:
        yield f"{len(waiting)} places are what was seen, not what should be. The report counts them until they are confirmed."
    yield "Next:"
    yield from (f"  {step}" for step in steps)


def _listed(title: str, lines: Sequence[object]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {one_line(str(line))}" for line in lines)


def as_json(
    found: Found, files: dict[str, str | None], items: Sequence[Checkable], steps: Sequence[str]
) -> dict[str, Any]:
    """Return the same for scripts; the keys are stable."""
    return {
        **files,
        "found": [
            {"place": fact.name, "value": fact.value, "seen": fact.seen, "confirmed": fact.given}
            for fact in found.facts
        ],
        "unread": [{"what": each.what, "why": each.why, "needs": each.needs} for each in found.unread],
        "wanted": [{"place": each.place, "hint": each.hint} for each in found.wanted],
        "remarks": list(found.remarks),
        "unconfirmed": unconfirmed_of(found.facts),
        "items": [
            {"id": i.id, "phase": i.phase, "text": i.text, "targets": i.targets, "lacks": list(i.lacks)}
            for i in items
        ],
        "next": list(steps),
    }
