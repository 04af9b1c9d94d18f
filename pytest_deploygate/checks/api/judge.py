"""Judge the answers of an API: each is as its document says, and each operation has shown its good answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.api.facts import Attempt, Call, Found, Purpose
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.api.section import Api

__all__ = ["judge"]

#: Answers by which a server refuses our login, and by which it asks us to send less.
_REFUSED, _TOO_MANY = (401, 403), 429
#: Purposes for which only a good answer shows anything.
_FOR_GOOD = (Purpose.EXAMPLE, Purpose.CREATE, Purpose.UNDO, Purpose.QUERY)
_MOST_NAMES = 5


def judge(found: Found, api: Api) -> Judgement:
    """Pass if each safe operation was answered as documented; operations that were not tried are said.

    An answer that is not as documented counts if it was seen twice. No good answer of an operation is inconclusive: what
    refuses our login may be in order.
    """
    # A failure here has been seen in each of two attempts.
    said = Collector(confirmed=True, most=8)
    said.wrong(*found.wrong)
    refused = [call for call in found.calls if _is_refused(call)]
    asked = [call for call in found.calls if call.purpose is Purpose.EXAMPLE]
    if refused and len(refused) == len(
        [call for call in found.calls if call.purpose in _FOR_GOOD and call.login]
    ):
        statuses = ", ".join(sorted({str(call.attempts[-1].status) for call in refused}))
        said.unknown(
            f"all {words_for_count(len(refused), 'operation', 'operations')} that want a login refuse ours ({statuses}): "
            "check the login of this API"
        )
    else:
        for call in refused:
            said.unknown(
                f"it refuses our login ({call.attempts[-1].status}): name one that may use it, with "
                "`operations: {…: {login: …}}`",
                where=call.operation,
            )
    for call in found.calls:
        if call not in refused:
            _call(call, said)
    _not_tried(found, said)
    _proves(found, said)
    said.unknown(*found.unknown)
    said.note(*found.notes)
    _readings(found, asked, said)
    return said.judgement(lambda: _good(found, api))


def _is_refused(call: Call) -> bool:
    last = call.attempts[-1]
    return call.purpose in _FOR_GOOD and last.status in _REFUSED and bool(call.login)


def _call(call: Call, said: Collector) -> None:
    """Judge the attempts of one call. What was seen once of several times is unknown."""
    problems = [_problem(call, attempt) for attempt in call.attempts]
    last, where = call.attempts[-1], call.operation
    how = "" if call.purpose in (Purpose.EXAMPLE, Purpose.QUERY) else f"{call.purpose.value}: "
    if not any(problems):
        _doubts(call, how, said)
    elif all(problems) and len(problems) > 1 and not last.ours:
        said.wrong(f"{how}{problems[-1]} ({len(problems)} times)", where=where)
    elif all(problems) and not last.ours:
        said.unknown(f"{how}{problems[-1]}, seen once; run it again", where=where)
    elif all(problems):
        said.unknown(f"{how}{problems[-1]}", where=where)
    else:
        seen = next(filter(None, problems))
        said.unknown(
            f"{how}{seen}, in one of {len(problems)} attempts: one of several servers may be bad; run it again",
            where=where,
        )


def _problem(call: Call, attempt: Attempt) -> str:
    """Return what is wrong with one attempt; empty if nothing is."""
    if attempt.status is None:
        return attempt.said
    if attempt.status >= 500:
        documented = str(attempt.status) in call.documented
        words = f"answered {attempt.status}" + (f" ({attempt.error})" if attempt.error else "")
        return words + ("" if documented else ", which its document does not name")
    if attempt.status == _TOO_MANY:
        return ""
    return "; ".join(attempt.differs)


def _doubts(call: Call, how: str, said: Collector) -> None:
    """Say where nothing is wrong with an answer, but it does not show what was asked for."""
    last, where = call.attempts[-1], call.operation
    status = last.status or 0
    if status == _TOO_MANY:
        said.unknown(f"{how}it answers 429 (too many requests): raise its limit for our login", where=where)
    elif call.purpose in _FOR_GOOD and status >= 400:
        error = f" ({last.error})" if last.error else ""
        said.unknown(
            f"{how}its example is answered with {status}{error}, so its good answer was not seen: correct the example in the document, "
            "or name values in `operations`",
            where=where,
        )
    elif call.purpose is Purpose.NO_LOGIN and status < 300:
        said.note(
            f"answers {status} without a login, though its document wants one: phase3.auth judges that",
            where=where,
        )
    elif call.purpose is Purpose.NOT_THERE and status < 300:
        said.note(f"answers {status} for an id that does not exist, its 404 was not seen", where=where)


def _not_tried(found: Found, said: Collector) -> None:
    for each in found.untried:
        if each.wanted:
            said.unknown(f"was not tried: {each.why}", where=each.operation)
    others: dict[str, list[str]] = {}
    for each in found.untried:
        if not each.wanted:
            others.setdefault(each.why, []).append(each.operation)
    for why, names in others.items():
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        said.note(f"not tried: {', '.join(names[:_MOST_NAMES])}{more}: {why}")


def _proves(found: Found, said: Collector) -> None:
    """A schema that requires nothing fits every answer; if all are like that, the document proves nothing."""
    if not found.unproven:
        return
    names = ", ".join(each.operation for each in found.unproven[:_MOST_NAMES])
    more = f" and {len(found.unproven) - _MOST_NAMES} more" if len(found.unproven) > _MOST_NAMES else ""
    counted = words_for_count(len(found.unproven), "safe operation", "safe operations")
    words = f"the schemas of {counted} of {found.safe} prove nothing, they are missing or require no key: {names}{more}"
    if len(found.unproven) == found.safe:
        said.unknown(f"{words}; describe the answers in the document")
    else:
        said.note(words)


def _readings(found: Found, asked: list[Call], said: Collector) -> None:
    bad = {call.operation for call in found.calls if any(_problem(call, each) for each in call.attempts)}
    said.read(Reading("operations answered", len({call.operation for call in found.calls if _status(call)})))
    if asked or found.calls:
        sure = said.failed or not bad
        said.read(
            Reading(
                "operations not answered as documented",
                len(bad),
                limit="0" if sure else "",
                ok=(not bad) if sure else None,
            )
        )
    tried = {call.operation for call in found.calls}
    said.read(Reading("operations of the document", found.operations))
    said.read(Reading("operations not tried", len({each.operation for each in found.untried} - tried)))
    said.read(Reading("safe operations whose schema proves nothing", len(found.unproven)))
    if found.generated:
        said.read(Reading("generated requests", found.generated))


def _status(call: Call) -> int | None:
    return call.attempts[-1].status if call.attempts else None


def _good(found: Found, api: Api) -> str:
    tried = len({call.operation for call in found.calls})
    left = len({each.operation for each in found.untried})
    if api.grpc is not None:
        return f"{words_for_count(tried, 'service is', 'services are')} serving at {found.where}"
    if api.graphql is not None:
        words = f"{words_for_count(tried, 'query was', 'queries were')} answered as the schema of {found.where} says"
        return words + (
            f"; {words_for_count(left, 'field', 'fields')} not tried for want of arguments" if left else ""
        )
    errors = sum(call.purpose in (Purpose.NO_LOGIN, Purpose.NOT_THERE) for call in found.calls)
    words = (
        f"{tried} of {found.operations} operations answered as documented, with {errors} documented errors"
    )
    generated = f", and {found.generated} generated requests" if found.generated else ""
    return f"{words}{generated}" + (f"; {words_for_count(left, 'was', 'were')} not tried" if left else "")
