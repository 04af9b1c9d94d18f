"""Journeys: every step came to its end in time, and no page on the way was broken or slow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from pytest_deploygate.checks.journeys.facts import Attempt, LoggedIn, Step
from pytest_deploygate.checks.journeys.section import Journey, Journeys, Value, number_in
from pytest_deploygate.judging.browsing import Request, rated
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for
from pytest_deploygate.redaction import shortened

__all__ = ["Login", "Walk", "judge", "judge_login"]

#: What a page cannot do without; a picture or a font is missed, and worth a note.
_VITAL = ("document", "script", "stylesheet", "fetch", "xhr")
#: A server's answer to who may not do something. What the journey did with it decides.
_REFUSALS = (401, 403, 404)
_SHORT = 120
#: A machine with so many tasks for each processor may be too slow for a page.
_CROWDED = 3.0


@dataclass(frozen=True)
class Walk:
    """What is required of a journey: no page over `slow_s`; `ignore` are patterns of known errors.

    `values` has for each step, by its number among those after the login, the limit of its number.
    """

    slow_s: float
    ignore: tuple[str, ...] = ()
    values: tuple[Value | None, ...] = ()

    @classmethod
    def of(cls, journeys: Journeys, journey: Journey | None = None) -> Walk:
        """Return the criterion of a journey of the inventory, or of one in Python."""
        login = (None,) if journey and journey.user is not None else ()
        values = (*login, *(step.value for step in journey.steps)) if journey else ()
        return cls(journeys.slow.total_seconds(), tuple(journeys.ignore), values)


@dataclass(frozen=True)
class Login:
    """What is required of a login: `sees` is seen after it, and by nobody else."""

    walk: Walk
    sees: tuple[str, ...]

    @classmethod
    def of(cls, journeys: Journeys) -> Login:
        """Return the criterion of the inventory's logins."""
        return cls(Walk.of(journeys), tuple(journeys.login.sees) if journeys.login else ())


def judge(found: Attempt, expected: Walk) -> Judgement:
    """Pass when every step came to its end within its limit, and no page was broken or slow. One attempt is not confirmed."""
    collector = Collector(f"{found.name}{f' as {found.user}' if found.user else ''}")
    if found.unknown:
        at = f"after the step {found.steps[-1].name!r}" if found.steps else "at the beginning"
        collector.unknown(f"{at}: {found.unknown}")
    _steps(collector, found, expected)
    _errors(collector, found, expected)
    _pages(collector, found, expected)
    judgement = collector.judgement(lambda: _good(found))
    return _with_pictures(judgement, found)


def judge_login(found: LoggedIn, expected: Login) -> Judgement:
    """Pass when the login came to its end, and who is not logged in does not see what shows that one is."""
    judgement = judge(found.attempt, expected.walk)
    if judgement.verdict is not Verdict.PASS:
        return judgement
    before, name = found.before, found.attempt.name
    if before is None:
        return _unknown(judgement, f"{name}: what others see at {found.attempt.last.url} was not looked at")
    if all(before.has(text) for text in expected.sees):
        words = ", ".join(map(repr, expected.sees))
        return _unknown(
            judgement,
            f"{name}: {words} is seen at {before.url} without a login, too, so it does not show that one is logged in: "
            "name text in `journeys.login.sees` that only users see",
        )
    return judgement


def _unknown(judgement: Judgement, reason: str) -> Judgement:
    return Judgement(Verdict.INCONCLUSIVE, reason, (), judgement.notes, figures=judgement.figures)


def _steps(collector: Collector, found: Attempt, expected: Walk) -> None:
    for number, step in enumerate(found.steps):
        at = f"step {number + 1}, {step.name!r}, at {_address(step.url)}"
        if step.problem:
            _broken(collector, found, step, at)
            continue
        _in_time(collector, step, at)
        value = expected.values[number] if number < len(expected.values) else None
        if value is not None:
            _value(collector, step, at, value)
    if found.problem:
        collector.wrong(f"{found.problem}, at {_address(found.last.url)}")
    failed = sum(1 for step in found.steps if step.problem) + bool(found.problem)
    if found.steps or failed:
        collector.read(Reading("steps that failed", failed, limit="0", ok=failed == 0))
        collector.read(Reading("steps", len(found.steps)))


def _broken(collector: Collector, found: Attempt, step: Step, at: str) -> None:
    instead = found.last
    seen = ""
    if instead.heading and instead.heading not in step.problem and "the page" not in step.problem:
        seen = f"; the page shows {instead.heading!r}"
    if step.late and step.lag.slower >= _CROWDED:
        collector.unknown(
            f"{at}: {step.problem}{seen}; but {step.lag}: run it again when this machine has free processors"
        )
        return
    collector.wrong(f"{at}: {step.problem}{seen}; see the picture{' and the trace' if found.trace else ''}")


def _in_time(collector: Collector, step: Step, at: str) -> None:
    if step.within_s is None:
        return
    ok = step.took_s <= step.within_s
    limit = words_for(step.within_s)
    ours = _ours(step, step.within_s)
    if not ok and ours:
        collector.unknown(f"{at}: took {words_for(step.took_s)}, limit {limit}, {ours}")
    elif not ok:
        collector.wrong(f"{at}: took {words_for(step.took_s)}, limit {limit}; find what is slow in its pages")
    judged = None if not ok and ours else ok
    collector.read(
        Reading(
            f"{step.name} took", step.took_s, "s", f"at most {limit}" if judged is not None else "", judged
        )
    )


def _ours(step: Step, limit_s: float) -> str:
    """Return why a step over its limit may be this machine's fault: Chromium works here, too."""
    if said := step.lag.explains(step.took_s, limit_s):
        return said
    if step.took_s / step.lag.slower <= limit_s:
        return f"but {step.lag}: run it again when this machine has free processors"
    return ""


def _value(collector: Collector, step: Step, at: str, value: Value) -> None:
    name = f"{value.at} after {step.name}"
    number = None if step.value is None else number_in(step.value)
    if step.value is None:
        collector.wrong(f"{at}: there is nothing at {value.at!r} on the page")
    elif number is None:
        collector.wrong(f"{at}: {shortened(step.value, _SHORT)!r} at {value.at!r} has no number in it")
    elif not value.holds(number):
        collector.wrong(f"{at}: {number:g} at {value.at!r}, must be {value.limit}")
    ok = number is not None and value.holds(number)
    collector.read(Reading(name, "none" if number is None else number, limit=value.limit, ok=ok))


def _errors(collector: Collector, found: Attempt, expected: Walk) -> None:
    known = [re.compile(pattern) for pattern in expected.ignore]

    def harmless(text: str) -> bool:
        return any(pattern.search(text) for pattern in known)

    scripts = [e for e in found.seen.errors if e.kind == "script" and not harmless(e.text)]
    for text in dict.fromkeys(
        f"{_at(found, e.at_s)}{_address(e.url)} has a script's error: {shortened(e.text, _SHORT)}"
        for e in scripts
    ):
        collector.wrong(text)
    failed = [r for r in found.seen.failed if not harmless(f"{r.url} {r.status or r.problem}")]
    broken = [r for r in failed if _breaks(r, found)]
    for text in dict.fromkeys(
        f"{_at(found, r.at_s)}{r.method} {_address(r.url)} {_outcome(r)}" for r in broken
    ):
        collector.wrong(text)
    if found.seen.pages or found.seen.requests:
        collector.read(
            Reading("scripts' errors", len(scripts), limit="0", ok=not scripts),
            Reading("failed requests of the platform", len(broken), limit="0", ok=not broken),
        )
    others = [r for r in failed if r not in broken]
    collector.note(*_few([f"{r.method} {_address(r.url)} {_outcome(r)}" for r in others]))
    console = [
        e
        for e in found.seen.errors
        if e.kind == "console" and not harmless(e.text) and not e.text.startswith("Failed to load")
    ]
    collector.note(*_few([f"console of {_address(e.url)}: {shortened(e.text, _SHORT)}" for e in console]))


def _at(found: Attempt, at_s: float) -> str:
    step = found.during(at_s)
    return f"in the step {step!r}, " if step else ""


def _breaks(request: Request, found: Attempt) -> bool:
    """Tell whether a failed request means that a page of the platform is broken.

    A page that was refused is for its step to judge: the journey may be about that.
    """
    if request.ours or not request.url.startswith(found.own_origin):
        return False
    if request.status is not None and request.status >= 500:
        return True
    if request.status in _REFUSALS and request.kind in ("document", "fetch", "xhr"):
        return False
    return request.kind in _VITAL and not (request.kind == "document" and found.broken is not None)


def _outcome(request: Request) -> str:
    return (
        f"answered {request.status}"
        if request.status is not None
        else f"got no answer ({request.problem.removeprefix('net::')})"
    )


def _pages(collector: Collector, found: Attempt, expected: Walk) -> None:
    timed = [page for page in found.seen.pages if page.took_s is not None]
    slowest = max(timed, key=lambda page: page.took_s or 0.0, default=None)
    if slowest is not None and slowest.took_s is not None:
        ok = slowest.took_s <= expected.slow_s
        limit, slower = (
            words_for(expected.slow_s),
            max((step.lag.slower for step in found.steps), default=1.0),
        )
        ours = not ok and slowest.took_s / slower <= expected.slow_s
        text = f"{_address(slowest.url)} took {words_for(slowest.took_s)} to load, limit {limit}"
        if ours:
            collector.unknown(
                f"{text}; this machine had {slower:.1f} times more to do than it can: run it again when it has free processors"
            )
        elif not ok:
            collector.wrong(f"{text}; find what is slow in it")
        judged = None if ours else ok
        collector.read(
            Reading(
                "slowest page",
                round(slowest.took_s, 3),
                "s",
                f"at most {limit}" if judged is not None else "",
                judged,
            )
        )
    for page in timed[-1:]:
        if words := rated(page.vitals):
            collector.note(f"Core Web Vitals of {_address(page.url)}: {words}")


def _good(found: Attempt) -> str:
    took_s = sum(step.took_s for step in found.steps)
    who = f" as {found.user}" if found.user else ""
    last = f", last at {_address(found.last.url)}"
    return f"{found.name}{who}: {len(found.steps)} steps in {words_for(took_s)}{last}"


def _with_pictures(judgement: Judgement, found: Attempt) -> Judgement:
    return Judgement(
        judgement.verdict,
        judgement.reason,
        judgement.readings,
        judgement.notes,
        confirmed=judgement.confirmed,
        figures=found.pictures,
    )


def _few(sentences: Sequence[str], most: int = 5) -> Iterator[str]:
    different = list(dict.fromkeys(sentences))
    yield from different[:most]
    if len(different) > most:
        yield f"{len(different) - most} more such lines are in the evidence"


def _address(url: str) -> str:
    """Return a URL without its query, which may be long and is left out in reports."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}" if parts.netloc else url
