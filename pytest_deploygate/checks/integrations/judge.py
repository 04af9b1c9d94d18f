"""Judge a partner: the contract is answered to our credential and to nobody else, at the right stage, for long enough."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_deploygate.checks.integrations.facts import Answer, Found, Silence
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.integrations.section import Integration

__all__ = ["judge"]

_REFUSALS, _TOO_MANY = (401, 403), 429
#: Words in a host's name by which partners tell their other stages from production.
_OTHER_STAGES = re.compile(
    r"(?:^|[.-])(sandbox|test|testing|staging|stage|uat|demo|mock|dev|preprod|int)(?=\d*(?:[.-]|$))"
)
_DAY_S = 86_400.0


def judge(found: Found, integration: Integration) -> Judgement:
    """Pass if each request of the contract was answered as agreed, and the credential stays valid for long enough."""
    said = Collector()
    if found.login:
        (said.wrong if found.refused else said.unknown)(found.login)
    for answer in found.answers:
        _answer(answer, said)
    _without(found, integration, said)
    _stage(found, integration, said)
    _validity(found, integration, said)
    _from_hosts(found, said)
    _readings(found, said)
    return said.judgement(lambda: _good(found))


def _answer(answer: Answer, said: Collector) -> None:
    where, error = answer.request, f" ({answer.error})" if answer.error else ""
    if answer.status is None:
        if answer.silence is Silence.OURS:
            said.unknown(f"our side got no answer: {answer.said}", where=where)
        elif answer.silence is Silence.UNTRUSTED:
            said.wrong(f"{answer.said}: ask the partner, or correct `ca_file`", where=where)
        else:
            said.wrong(f"the partner does not answer: {answer.said}", where=where)
    elif answer.agreed:
        said.wrong(*(f"the answer {each}" for each in answer.lacking), where=where)
    elif answer.status in _REFUSALS:
        said.wrong(
            f"our credential is refused ({answer.status}{error}): it was revoked, has run out, or may not do this; get a new one "
            "from the partner",
            where=where,
        )
    elif answer.status == _TOO_MANY:
        said.unknown("the partner answers 429 (too many requests): run this again later", where=where)
    elif answer.status >= 500:
        said.wrong(f"the partner answers {answer.status}{error}: tell the partner", where=where)
    elif 300 <= answer.status < 400:
        said.wrong(f"it redirects ({answer.status}): correct `url`", where=where)
    else:
        said.wrong(
            f"answers {answer.status}{error}, which is not agreed: correct the contract, or ask the partner",
            where=where,
        )


def _without(found: Found, integration: Integration, said: Collector) -> None:
    """What answers anybody says nothing of our credential."""
    without = found.without
    if without is None or integration.anyone is not None:
        return
    if without.status is None:
        said.unknown(f"{without.request} without a credential got no answer ({without.said}): run this again")
    elif without.status < 400:
        said.unknown(
            f"{without.request} is answered with {without.status} without a credential, too, so it says nothing of ours: name a "
            "request that needs it, or say with `anyone` why none does"
        )


def _stage(found: Found, integration: Integration, said: Collector) -> None:
    production = integration.sandbox is None
    other = _OTHER_STAGES.search(found.host.lower())
    if production and other:
        said.wrong(
            f"{found.host} is by its name ({other[1]}) not the partner's production: correct `url`, or say "
            "with `sandbox` why another stage is right here"
        )
    if production and found.test_key:
        said.wrong(
            f"our credential begins with {found.test_key}, so it is one for tests: use that of production"
        )
    stage = integration.stage
    if stage is None or not any(answer.status for answer in found.answers):
        return
    if found.stage is None:
        said.unknown(f"its answer does not say which stage it is at {stage.at}: correct `stage`")
    elif found.stage != stage.is_:
        said.wrong(
            f"the partner says that its stage is {found.stage!r} at {stage.at}, expected {stage.is_!r}: correct `url`"
        )


def _validity(found: Found, integration: Integration, said: Collector) -> None:
    least_s = integration.least_validity.total_seconds()
    answered = any(answer.status is not None and answer.status < 400 for answer in found.answers)
    for each in found.validity:
        if each.until is None:
            if answered:
                said.unknown(
                    f"until when our credential is valid cannot be read: {each.source} has {each.said}: correct `expires`"
                )
            continue
        left_s = (each.until - found.at).total_seconds()
        days = float(f"{left_s / _DAY_S:.3g}")
        fits = left_s >= least_s
        said.read(
            Reading(
                f"validity of our credential by {each.source}",
                days,
                "d",
                f">= {least_s / _DAY_S:.3g} d",
                ok=fits,
            )
        )
        if left_s <= 0:
            said.wrong(f"our credential ran out on {each.until:%Y-%m-%d} by {each.source}: get a new one")
        elif not fits:
            said.wrong(
                f"our credential is valid for {words_for(left_s)} only (until {each.until:%Y-%m-%d} by {each.source}), at least "
                f"{words_for(least_s)} are required: renew it"
            )


def _from_hosts(found: Found, said: Collector) -> None:
    for each in found.hosts:
        if each.ours:
            said.unknown(f"whether it reaches the partner is unknown: {each.said}", where=each.host)
        elif each.status is None:
            said.wrong(f"it does not reach the partner: {each.said}", where=each.host)
        elif each.status >= 500:
            said.wrong(f"the partner answers {each.status} there", where=each.host)


def _readings(found: Found, said: Collector) -> None:
    if not found.answers:
        return
    good = sum(answer.agreed and not answer.lacking for answer in found.answers)
    said.read(Reading("requests answered as agreed", good))
    if found.hosts:
        said.read(Reading("hosts that reach it", sum(each.status is not None for each in found.hosts)))
    slowest = max((answer.took_s for answer in found.answers), default=0.0)
    said.read(Reading("slowest answer", slowest, "s"))


def _good(found: Found) -> str:
    number = words_for_count(
        len(found.answers), "request of the contract was", "requests of the contract were"
    )
    words = f"{number} answered by {found.host} as agreed"
    if found.without is not None and found.without.status is not None and found.without.status >= 400:
        words += f", and refused without our credential ({found.without.status})"
    if until := min((each.until for each in found.validity if each.until), default=None):
        words += f"; our credential is valid until {until:%Y-%m-%d}"
    if found.hosts:
        words += f"; {words_for_count(len(found.hosts), 'host reaches', 'hosts reach')} it"
    return words
