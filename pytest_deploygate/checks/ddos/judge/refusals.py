"""Judges how a limit refuses: the status, Retry-After, and what was neither served nor refused."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from pytest_deploygate.checks.ddos.facts import Attempt, Trial
from pytest_deploygate.checks.ddos.judge.estimate import refused
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.ddos.section import Limit

#: More answers than this that are neither served nor refused: it is not the limit that was measured.
_ODD = 0.05
#: A date in the form that HTTP prescribes (RFC 9110, 5.6.7).
_DATE = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")


def judge_refusals(trial: Trial, limit: Limit, to: Collector, where: str) -> bool:
    """Judge how the burst was refused; return whether it was the limit that answered."""
    attempts = [each for each in trial.attempts if each.phase != "control" and not each.varied]
    turned_away = [each for each in attempts if not each.served]
    good = [each for each in turned_away if refused(each, limit)]
    odd = Counter(met(each) for each in turned_away if not refused(each, limit))
    expected = " or ".join(map(str, limit.refused))
    kinds = ", ".join(sorted({str(each.status) for each in good})) or "none"
    if odd.total() > _ODD * len(turned_away):
        what, number = odd.most_common(1)[0]
        status = next((e.status for e in turned_away if met(e) == what), 0)
        reading = f"{where}: answers that are neither served nor refused"
        if not good and 400 <= status < 500:
            to.read(Reading(f"{where}: status of a refusal", what, limit=expected, ok=False))
            to.wrong(
                f"what is over the limit is refused with {what}, not {expected}: clients take it for an error of theirs; set the status "
                "(nginx: limit_req_status 429; HAProxy: deny_status 429), or name it in `refused`",
                where=where,
            )
            return False
        to.read(Reading(reading, number))
        to.unknown(
            f"{number} of {len(attempts)} requests met {what}, which is neither served nor refused ({expected}), so the limit is not "
            "known: look at the server's log of that time; name the status in `refused` if it is the limit's",
            where=where,
        )
        return False
    to.read(Reading(f"{where}: status of a refusal", kinds, limit=expected, ok=True))
    _retry_after(good, limit, to, where)
    return True


def met(attempt: Attempt) -> str:
    """Say what a request met that was neither served nor refused."""
    words = {
        "silent": "no answer in time",
        "closed": "a closed connection",
        "refused": "a refused connection",
    }
    return f"HTTP {attempt.status}" if attempt.status else words.get(attempt.problem, attempt.problem)


def _retry_after(good: list[Attempt], limit: Limit, to: Collector, where: str) -> None:
    lacking = sum(not each.wait for each in good)
    odd = next((each.wait for each in good if each.wait and not _is_retry_after(each.wait)), "")
    if limit.retry_after:
        ok = not lacking and not odd
        to.read(
            Reading(f"{where}: refusals without a valid Retry-After", lacking + bool(odd), limit="0", ok=ok)
        )
    statuses = " and ".join(sorted({str(each.status) for each in good}))
    if lacking and limit.retry_after:
        to.wrong(
            f"{lacking} of {len(good)} refusals ({statuses}) have no Retry-After, so clients do not know when to come back: add it "
            "(nginx: `add_header Retry-After 1 always` in the error_page's location; HAProxy: `http-request return … hdr Retry-After`)",
            where=where,
        )
    if odd:
        said = f"Retry-After {odd!r} is neither a number of seconds nor a date (RFC 9110, 10.2.3)"
        (to.wrong if limit.retry_after else to.note)(said, where=where)


def _is_retry_after(value: str) -> bool:
    return value.isdigit() or _DATE.fullmatch(value) is not None
