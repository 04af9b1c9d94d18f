"""Answers to engines that ask before they go on: Argo Rollouts' web metric and Flagger's webhooks.

They ask for a change and phases by name. A decision about another change or about less than these phases is no success:
the page of the last change, or a GO of the phases before, would otherwise let anything through.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Verdict
from pytest_deploygate.problems import nearest
from pytest_deploygate.report.leaving import clean
from pytest_deploygate.report.live import stands
from pytest_deploygate.report.live.following import Change, Seen
from pytest_deploygate.report.live.stands import BACK, GOOD, Result

#: The most that Flagger may send; its payload has some hundred bytes.
MOST_BYTES = 64 * 1024
_NO_CHANGE = "The request names no change, e.g. change CHG-1234: whose decision it gets would depend on what is served."
_NO_PHASE = "The request names no phase, e.g. phase golive: the decision may be about other phases alone."


@dataclass(frozen=True)
class Answer:
    """How a change stands, for the phases that were asked for. `says` is a sentence for people."""

    result: Result
    says: str
    change: str = ""
    scope: str = ""
    decided: datetime | None = None
    valid_until: datetime | None = None
    items: int = 0
    failed: int = 0


def answer(seen: Seen, at: datetime, name: str, phases: Sequence[str]) -> Answer:
    """Answer for a change and phases. What is not known of exactly these is no GO."""
    if not name:
        return Answer(Result.UNKNOWN, _NO_CHANGE)
    change = seen.change
    if change is None:
        return clean(Answer(Result.UNKNOWN, seen.problem))
    if change.name != name:
        return clean(Answer(Result.UNKNOWN, f"The record is of the change {change.name}, not of {name}."))
    result = stands.now(seen, at).result
    why = "" if result in BACK else _not_about(change, phases, good=result in GOOD)
    known = Answer(
        Result.UNKNOWN if why else result,
        why or stands.sentence(seen, at),
        change.name,
        change.scope,
        change.decision.at if change.decision else None,
        change.valid_until,
        len(change.items),
        sum(item.verdict is Verdict.FAIL for item in change.items),
    )
    return clean(known)


def _not_about(change: Change, phases: Sequence[str], *, good: bool) -> str:
    """Say why a result is not about the phases that were asked for; empty if it is."""
    if not phases:
        return _NO_PHASE
    known = [phase.id for phase in change.phases]
    for phase in phases:
        if phase not in known:
            return f"The checklist of {change.name} has no phase {phase!r}{nearest(phase, known)}"
        if good and phase not in change.whole:
            return f"The GO of {change.name} is about {change.scope}, which is not all of {phase}: run that phase."
    return ""


def phases_of(text: str) -> tuple[str, ...]:
    """Return the phases of a text such as `phase4, golive`."""
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def as_json(answered: Answer) -> str:
    """Return an answer as JSON; its keys are stable."""
    plain = dataclasses.asdict(answered)
    return json.dumps(plain, default=datetime.isoformat, indent=1) + "\n"


class PayloadError(ValueError):
    """What was sent is not a webhook of Flagger that can be answered; the message says why."""


def flagger(seen: Seen, at: datetime, body: bytes, *, back: bool) -> tuple[HTTPStatus, str]:
    """Answer a webhook: 200 is yes, anything else is no. Asked is whether to go on, or with `back` whether to roll back.

    Another status than 4xx would be repeated by Flagger's client, and the sentence would be lost.
    """
    metadata = _metadata(body)
    answered = answer(seen, at, metadata.get("change", ""), phases_of(metadata.get("phase", "")))
    yes = answered.result in BACK if back else answered.result is Result.GO
    return HTTPStatus.OK if yes else HTTPStatus.CONFLICT, answered.says + "\n"


def _metadata(body: bytes) -> Mapping[str, str]:
    """Return the metadata of a webhook's payload. Raises PayloadError."""
    try:
        payload: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise PayloadError("The body is not JSON.") from None
    if not isinstance(payload, dict) or not all(
        isinstance(payload.get(key), str) for key in ("name", "namespace")
    ):
        raise PayloadError("The body is not a webhook of Flagger: it has no name and namespace.")
    metadata = payload.get("metadata") or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise PayloadError("The webhook's metadata are not texts.")
    missing = [key for key in ("change", "phase") if not metadata.get(key)]
    if missing:
        raise PayloadError(
            f"The webhook's metadata have no {' and no '.join(missing)}: add them to it in the Canary."
        )
    return metadata
