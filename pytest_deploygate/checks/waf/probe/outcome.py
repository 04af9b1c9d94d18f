"""What an answer says: blocked, passed, or neither."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_deploygate.checks.waf.facts import Attack, Result
from pytest_deploygate.checks.waf.probe.exchange import Answer
from pytest_deploygate.checks.waf.section import Waf

#: This many attacks with the same page, which no ordinary request got, may have met a block page.
_ONE_PAGE = 3
_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
#: Numbers of an incident, times, identifiers: they differ on each block page.
_VARYING = re.compile(r"[0-9a-f]{6,}|\d+", re.IGNORECASE)
_SHOWN = 80


def is_block(answer: Answer, waf: Waf) -> bool:
    """Return whether an answer is the WAF's."""
    if answer.status is None:
        return answer.closed and waf.blocked.closes
    if is_application(answer, waf):
        return False
    return answer.status in waf.blocked.status or _found(waf.blocked.pattern, answer)


def is_application(answer: Answer, waf: Waf) -> bool:
    """Return whether an answer is the application's by what the inventory says of it."""
    header = (waf.reached.header or "").lower()
    return bool(header and header in answer.headers) or _found(waf.reached.pattern, answer)


def _found(pattern: str | None, answer: Answer) -> bool:
    return pattern is not None and bool(re.search(pattern, answer.body.decode(errors="replace")))


def result(answer: Answer, control: Answer, waf: Waf) -> tuple[Result, str]:
    """Return what became of a request whose control got `control`, and why that cannot be said."""
    if is_block(control, waf):
        return (
            Result.UNRESOLVED,
            f"the same request without payload is blocked, too ({said(control)})",
        )
    if is_block(answer, waf):
        return Result.BLOCKED, ""
    if control.status is None:
        return Result.UNRESOLVED, f"the same request without payload got no answer: {control.problem}"
    if is_application(answer, waf) or answer.status == control.status:
        return Result.PASSED, ""
    return Result.UNRESOLVED, said(answer)


def said(answer: Answer) -> str:
    """Return an answer in words."""
    return answer.problem if answer.status is None else str(answer.status)


def page(answer: Answer) -> str:
    """Return the form of a page: the beginning of its text without what differs from one request to the next."""
    text = _TAG.sub(" ", answer.body.decode(errors="replace"))
    return _VARYING.sub("#", " ".join(text.split()))[:_SHOWN]


def with_pages(attacks: Sequence[Attack], known: Iterable[str]) -> tuple[Attack, ...]:
    """Return the attacks; one that seems to have passed, but got a page that others got and no ordinary request did, is unresolved."""
    usual = set(known)
    passed = [each for each in attacks if each.result is Result.PASSED]
    counts = Counter(each.page for each in passed if each.page not in usual)
    return tuple(
        replace(each, result=Result.UNRESOLVED, said="another page")
        if each.page and each.result is Result.PASSED and counts[each.page] >= _ONE_PAGE
        else replace(each, page="")
        for each in attacks
    )
