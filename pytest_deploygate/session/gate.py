"""The `gate` fixture: a test passes it judge, measurement and criterion; it stores the evidence and the finding."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

from pytest_deploygate.journal import utcnow
from pytest_deploygate.judging.repeats import repeated, unrepeated
from pytest_deploygate.model import (
    CannotTell,
    Distribution,
    Evidence,
    Finding,
    Grid,
    Judgement,
    Picture,
    Places,
    Reading,
    Series,
    Shares,
    Spans,
    Takeover,
    Verdict,
    words_for,
)
from pytest_deploygate.problems import one_line
from pytest_deploygate.redaction import Secret, may_hold, redact, redact_values
from pytest_deploygate.session.evidence import Store

M = TypeVar("M")
C = TypeVar("C")
_MOST_WORDS = 600
#: Verdicts that a test cannot give, with the record that gives them.
_OF_RECORDS = {
    Verdict.WAIVED: "a waiver (waivers/)",
    Verdict.ATTESTED: "an attestation (attestations/)",
    Verdict.NOT_APPLICABLE: "the inventory (not_applicable)",
}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_WIDTH = 100
_ON_A_LINE = json.JSONEncoder(sort_keys=True, ensure_ascii=False)
_INDENTED = json.JSONEncoder(sort_keys=True, ensure_ascii=False, indent=1)


class Gate:
    """Collects one test's judgements. `findings` are those recorded so far.

    `items` get a finding for each judgement; `asked` has them by the ids that the test's marker names. `may` are verdicts
    of records that this test reads, such as an attestation; any other test that gives one is inconclusive.
    """

    def __init__(
        self,
        *,
        items: tuple[str, ...],
        test: str,
        target: str,
        store: Store,
        asked: Mapping[str, tuple[str, ...]] | None = None,
        may: Collection[Verdict] = (),
    ) -> None:
        self.items = items
        self.asked = asked or {item: (item,) for item in items}
        self.test = test
        self.target = target
        self.store = store
        self.may = may
        self.findings: list[Finding] = []
        self._since = time.monotonic()
        self._shown: dict[str, str] = {}

    def judge(
        self,
        judge: Callable[[M, C], Judgement],
        measurement: M,
        criterion: C,
        *,
        target: str = "",
        item: str = "",
    ) -> Judgement:
        """Judge a measurement, store it as evidence and record a finding for each item the test is bound to.

        `target` defaults to the test's parameter (a replica's or a table's name). A judgement that is not a pass
        does not stop the test: further targets are still judged, and the test ends with the worst of them. `item` is
        one of the ids in the test's marker if the judgement concerns only that one.
        """
        judgement = judge(measurement, criterion)
        name = target or self.target
        self.record(
            judgement,
            target=name,
            item=item,
            criterion=_criterion_words(criterion),
            evidence=(
                self._keep(name, "measurement", {"measurement": measurement, "criterion": criterion}),
                *_pictures(judgement),
            ),
        )
        return judgement

    def judge_confirmed(
        self,
        judge: Callable[[M, C], Judgement],
        measurement: M,
        again: Callable[[], M],
        criterion: C,
        *,
        target: str = "",
    ) -> Judgement:
        """Judge; a failure is measured once more with `again`, and is confirmed if it fails again.

        For failures that the network may have caused: such a judge does not set `confirmed`. An intermittent failure, or
        one whose second measurement raises CannotTell, is inconclusive and keeps its reason. Both are evidence.
        """
        if judge(measurement, criterion).verdict is not Verdict.FAIL:
            return self.judge(judge, measurement, criterion, target=target)
        try:
            second = again()
        except CannotTell as unknown:
            why = str(unknown)
            return self.judge(
                lambda found, expected: unrepeated(judge(found, expected), why),
                measurement,
                criterion,
                target=target,
            )

        def both(found: tuple[M, M], expected: C) -> Judgement:
            return repeated(judge(found[0], expected), judge(found[1], expected))

        return self.judge(both, (measurement, second), criterion, target=target)

    def record(
        self,
        judgement: Judgement,
        *,
        target: str = "",
        item: str = "",
        criterion: str = "",
        evidence: tuple[Evidence, ...] = (),
    ) -> None:
        """Record a judgement made elsewhere. Raises ValueError for an item that the test is not bound to.

        A judgement about an item that asks no test (it does not apply) is dropped.
        """
        if item and item not in self.asked:
            raise ValueError(f"{self.test} is not bound to {item}, but to {', '.join(self.asked)}")
        judgement = self._allowed(_checked(judgement))
        now = time.monotonic()
        duration, self._since = now - self._since, now
        for each in self.asked[item] if item else self.items:
            self.findings.append(
                Finding(
                    item=each,
                    target=one_line(self._masked(target or self.target)),
                    verdict=judgement.verdict,
                    reason=one_line(redact(judgement.reason)),
                    test=self.test,
                    at=utcnow(),
                    duration_s=round(duration, 3),
                    readings=tuple(map(_shown, judgement.readings)),
                    criterion=one_line(criterion),
                    notes=tuple(one_line(redact(note)) for note in judgement.notes),
                    evidence=evidence,
                    deferred_to=judgement.deferred_to,
                    confirmed=judgement.confirmed,
                    figures=judgement.figures,
                )
            )

    def _masked(self, target: str) -> str:
        """Return a target's name without secrets; two targets that then look the same are numbered."""
        if target not in self._shown:
            name, same = redact(target), 1
            while name in self._shown.values():
                same += 1
                name = f"{redact(target)} ({same})"
            self._shown[target] = name
        return self._shown[target]

    def _allowed(self, judgement: Judgement) -> Judgement:
        """Return a judgement that a test may give; one that only a record can give is inconclusive."""
        record = _OF_RECORDS.get(judgement.verdict)
        if record is None or judgement.verdict in self.may:
            return judgement
        word = judgement.verdict.value
        reason = (
            f"the test judged itself {word!r}, which only {record} can give: return pass, fail, inconclusive or "
            f"not_covered; it said: {judgement.reason}"
        )
        return dataclasses.replace(judgement, verdict=Verdict.INCONCLUSIVE, reason=reason, deferred_to="")

    def record_unjudged(self, verdict: Verdict, reason: str, *, trace: str = "") -> None:
        """Record a finding if the test ended before anything was judged; `trace` is stored as evidence."""
        evidence = (self._keep(self.target, "trace", trace),) if trace else ()
        self.record(Judgement(verdict, reason), evidence=evidence)

    def _keep(self, target: str, kind: str, content: object) -> Evidence:
        """Keep a measurement as JSON."""
        stem = _NOT_IN_NAMES.sub("-", f"{self.items[0]}--{self._masked(target) or 'all'}")[:100]
        return self.store.keep(stem, kind, _text(plain(content)))


def _pictures(judgement: Judgement) -> tuple[Evidence, ...]:
    """Return the pictures of a judgement that the probe kept in the out folder."""
    figures = getattr(judgement, "figures", None)  # a judge may return anything, which is said later
    found = [f for f in figures if isinstance(f, Picture) and f.path] if isinstance(figures, tuple) else ()
    return tuple(Evidence(one.path, one.sha256, one.title) for one in found)


#: The types of a judgement's parts. A judge is anybody's code, and a wrong type must end its own item only.
_PARTS: Mapping[str, tuple[type, ...]] = {
    "verdict": (Verdict,), "reason": (str,), "readings": (tuple,), "notes": (tuple,), "deferred_to": (str,),
    "confirmed": (bool,), "figures": (tuple,),
}  # fmt: skip
_OF_TUPLES: Mapping[str, tuple[type, ...]] = {
    "readings": (Reading,),
    "notes": (str,),
    "figures": (Distribution, Series, Spans, Shares, Places, Grid, Takeover, Picture),
}
_OF_READINGS: Mapping[str, tuple[type, ...]] = {
    "name": (str,), "value": (str, int, float, type(None)), "unit": (str,), "limit": (str,), "ok": (bool, type(None)),
}  # fmt: skip


def _checked(judgement: object) -> Judgement:
    """Return a judgement of which every part has its type. Raises TypeError with what the judge returned."""
    if not isinstance(judgement, Judgement):
        raise TypeError(f"the judge returned {_kind(judgement)}; it must return a Judgement")
    _of_type(judgement, _PARTS, "the judgement")
    for name, types in _OF_TUPLES.items():
        for part in getattr(judgement, name):
            if not isinstance(part, types):
                raise TypeError(f"the judgement's {name} contain {_kind(part)}, not {types[0].__name__}")
    for reading in judgement.readings:
        _of_type(reading, _OF_READINGS, "a reading")
    return judgement


def _of_type(value: object, types: Mapping[str, tuple[type, ...]], what: str) -> None:
    for name, valid in types.items():
        part = getattr(value, name)
        if not isinstance(part, valid):
            raise TypeError(f"{what} has {_kind(part)} as its {name}, not {valid[0].__name__}")


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


def _shown(reading: Reading) -> Reading:
    """Return a reading whose texts are one line each."""
    texts = (
        reading.name,
        reading.unit,
        reading.limit,
        *([reading.value] if isinstance(reading.value, str) else []),
    )
    if all(text.isprintable() for text in texts):
        return reading
    value = one_line(reading.value) if isinstance(reading.value, str) else reading.value
    return Reading(one_line(reading.name), value, one_line(reading.unit), one_line(reading.limit), reading.ok)


def _text(content: Any) -> str:
    """Return data as JSON for people, its secrets masked: on one line if that is short, else indented."""
    line = _ON_A_LINE.encode(content)
    if may_hold(line):
        content = redact_values(content)
        line = _ON_A_LINE.encode(content)
    return (line if len(line) <= _WIDTH else _INDENTED.encode(content)) + "\n"


#: The stash key of a bound test's gate.
GATE = pytest.StashKey[Gate]()
#: The test that runs now.
RUNNING: ContextVar[pytest.Item] = ContextVar("the test that runs now")


def plain(value: object) -> Any:
    """Turn a measurement into JSON types: dataclasses to objects, times to ISO 8601, durations to seconds."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Secret):
        return str(value)
    if isinstance(value, BaseModel):
        return plain({name: getattr(value, name) for name in type(value).model_fields})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        # A thumbnail is in the journal with its judgement, and the whole picture is a file.
        leave_out = ("thumbnail",) if isinstance(value, Picture) else ()
        return {
            field.name: plain(getattr(value, field.name)) for field in fields if field.name not in leave_out
        }
    if isinstance(value, Mapping):
        return {redact(str(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(inner) for inner in value), key=str)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _criterion_words(criterion: object) -> str:
    """Describe the criterion in one line, its plain settings as `name: value`; all of it is in the evidence."""
    if isinstance(criterion, BaseModel):
        fields = {name: getattr(criterion, name) for name in type(criterion).model_fields}
    elif dataclasses.is_dataclass(criterion) and not isinstance(criterion, type):
        fields = {field.name: getattr(criterion, field.name) for field in dataclasses.fields(criterion)}
    else:
        return redact(str(criterion))[:_MOST_WORDS] if criterion is not None else ""
    said = [_setting(name, value) for name, value in fields.items() if _is_word(value) and value != ""]
    return redact("; ".join(said))[:_MOST_WORDS]


def _setting(name: str, value: object) -> str:
    """Return `name: value`; a number of seconds, by its name, reads as a duration."""
    if name.endswith("_s") and isinstance(value, int | float) and math.isfinite(value):
        name, value = name.removesuffix("_s"), timedelta(seconds=value)
    return f"{name.replace('_', ' ')}: {_word(value)}"


def _is_word(value: object) -> bool:
    return isinstance(value, str | int | float | timedelta) or (
        isinstance(value, list | tuple) and 0 < len(value) <= 8 and all(isinstance(v, str) for v in value)
    )


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, timedelta):
        return words_for(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(str(value).split())
