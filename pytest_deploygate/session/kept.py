"""What `--resume` keeps: tests that were good, while everything that their findings depend on is as it was.

A finding counts from when it was measured. It is kept if inventory, checklist, version, the source of the test and the
values of the inventory's references are the same, its evidence is there unchanged, and the clocks agree. What people
record (attestations, waivers) is judged again in every run.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_deploygate
from pytest_deploygate import moments
from pytest_deploygate.checklist.vocabulary import CLOCK_SLACK, time_words
from pytest_deploygate.decision import chained
from pytest_deploygate.decision.compose import ATTESTATION_TESTS, CLOSING_TESTS
from pytest_deploygate.decision.runs import chain, newest
from pytest_deploygate.files import as_recorded
from pytest_deploygate.journal import Entry, Segment, UnwritableError, segments, utcnow
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Finding, words_for
from pytest_deploygate.session.settings import Settings

#: The key of the digests in this folder's journal; it stays beside the journal, never in it.
KEY = ".key"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Kept:
    """The tests that are not run again, and a sentence for each reason why others are."""

    tests: frozenset[str] = frozenset()
    why_not: tuple[str, ...] = ()


NOTHING = Kept()


def inputs(settings: Settings, sources: Mapping[str, str]) -> dict[str, Any]:
    """Return what findings depend on besides inventory and checklist; no value can be read from it.

    `sources` has the digests of test files by the beginning of their tests' names. Raises UnwritableError.
    """
    return {"sources": dict(sources), "values": _digests(settings.loaded.values, settings.out)}


def _digests(values: Sequence[tuple[str, str]], folder: Path) -> dict[str, str]:
    """Return a digest of each value that the inventory refers to, keyed, so that none can be guessed from it."""
    if not values:
        return {}
    key = _key(folder)
    return {
        reference: hmac.new(key, json.dumps([reference, value]).encode(), hashlib.sha256).hexdigest()
        for reference, value in sorted(set(values))
    }


def _key(folder: Path) -> bytes:
    try:
        try:
            opened = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return (folder / KEY).read_bytes()
        with os.fdopen(opened, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        return (folder / KEY).read_bytes()
    except OSError as error:
        raise UnwritableError(f"{folder / KEY} cannot be used: {error.strerror}") from None


def keep(settings: Settings, entries: Sequence[Entry], now_inputs: Mapping[str, Any]) -> Kept:
    """Return the tests that were good in the last run, or in those that it resumed, and can be taken over."""
    runs = chain(segments(entries))
    now, present = utcnow(), moments.to_json(moments.present())
    why: dict[str, None] = {}
    runs_of = {test.test: n for n, run in enumerate(runs) for test in run.tests}
    usable = {}
    for n in sorted(set(runs_of.values())):
        other = _other(runs[n], settings, now_inputs["values"], {"moment": present})
        usable[n] = not other
        if other:
            why[other] = None
    tests = set()
    for test, found in newest(runs).items():
        if not found or not all(f.verdict.good for f in found) or not usable[runs_of[test]]:
            continue
        if test.startswith((ATTESTATION_TESTS, CLOSING_TESTS)):
            continue
        before = runs[runs_of[test]].begin.get("inputs") or {}
        problem = next(_problems(test, found, before, now_inputs, settings, now), "")
        if problem:
            why[problem] = None
        else:
            tests.add(test)
    return Kept(frozenset(tests), tuple(why))


def _other(run: Segment, settings: Settings, values: Mapping[str, str], present: Mapping[str, Any]) -> str:
    """Say why nothing of a run can be kept; empty if something can."""
    begin = run.begin
    told = begin.get("inputs") or {}
    checks: list[tuple[bool, str]] = [
        (begin["change"] == settings.change, f"it was for the change {begin['change']}"),
        (begin["inventory"]["sha256"] == settings.loaded.sha256, "the inventory was changed since"),
        (begin["checklist"]["sha256"] == settings.checklist.sha256, "the checklist was changed since"),
        (
            begin.get("versions", {}).get("pytest-deploygate") == pytest_deploygate.__version__,
            "another version of pytest-deploygate wrote it",
        ),
        (
            not (changed := chained.other_values(told.get("values"), values)),
            f"values that the inventory refers to were changed since ({changed})",
        ),
    ]
    step = chained.step_s(begin, present)
    if step is not None and abs(step) > CLOCK_SLACK.total_seconds():
        way = "forward" if step > 0 else "back"
        checks.append((False, f"the clock stepped {way} by {words_for(abs(step))} since"))
    wrong = next((text for holds, text in checks if not holds), "")
    return f"nothing of the run of {time_words(run.started)} is kept: {wrong}" if wrong else ""


def _problems(
    test: str,
    found: Sequence[Finding],
    before: Mapping[str, Any],
    now_inputs: Mapping[str, Any],
    settings: Settings,
    now: datetime,
) -> Iterator[str]:
    """Yield why a test that was good is asked again."""
    valid: timedelta = settings.inventory.policy.decision_valid
    oldest, latest = min(f.at for f in found), max(f.at for f in found)
    if latest > now + CLOCK_SLACK:
        yield f"findings of {time_words(latest)} are in the future (now: {time_words(now)}): a clock was wrong"
    if now - oldest > valid:
        yield f"findings are older than {words_for(valid)} (policy.decision_valid): the oldest is of {time_words(oldest)}"
    place = test.partition("::")[0]
    then, present = (_source(place, one.get("sources", {})) for one in (before, now_inputs))
    if not then or then != present:
        yield f"the source of {place} was changed since, or cannot be compared"
    for evidence in (e for f in found for e in f.evidence):
        if not as_recorded(settings.out / evidence.path, evidence.sha256):
            yield f"{evidence.path} is missing or was altered"


def _source(place: str, sources: Mapping[str, str]) -> str:
    return next(
        (
            digest
            for name, digest in sources.items()
            if place == name or (name.endswith("/") and place.startswith(name))
        ),
        "",
    )
