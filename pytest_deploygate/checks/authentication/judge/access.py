"""Judges roles, objects of other users, and other origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.authentication.facts import Access, Crossing, Outcome, Reach, Use
from pytest_deploygate.checks.authentication.judge.words import twice
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.authentication.section import Authentication, Cors


def judge_access(found: Access, criterion: Authentication) -> Judgement:
    """Pass if roles get what is theirs and nothing more, no user reaches another's object, and no foreign origin reads."""
    collector = Collector(confirmed=True)
    for problem in found.problems.values():
        collector.unknown(problem)
    if "roles" not in criterion.without:
        _roles(found.uses, collector)
    if "objects" not in criterion.without:
        _objects(found.reaches, collector)
    if "cors" not in criterion.without:
        _cors(found.crossings, criterion.cors, collector)
    return collector.judgement(lambda: _good(found))


def _roles(uses: tuple[Use, ...], collector: Collector) -> None:
    if not any(use.allowed for use in uses) or all(use.allowed for use in uses):
        collector.unknown(
            "roles were not compared: name operations in `may` and in `may_not` of `authentication.users`, or give the reason "
            "in `without: {roles: …}`"
        )
    for use in uses:
        if not use.known:
            collector.unknown(
                f"the document has no operation {use.operation!r}, which {use.user} may or may not use"
            )
        elif use.allowed:
            _may(use, collector)
        else:
            _may_not(use, collector)
    beyond = sum(not use.allowed and use.outcome is Outcome.ACCEPTED for use in uses)
    if any(use.known and not use.allowed for use in uses):
        collector.read(
            Reading("operations open to a role that may not use them", beyond, limit="0", ok=not beyond)
        )


def _may(use: Use, collector: Collector) -> None:
    if use.outcome is Outcome.REFUSED:
        collector.wrong(f"{use.user} may use {use.operation}, and is answered {use.said}: give it the role")
        collector.read(Reading(f"{use.operation} for {use.user}", use.said, limit="2xx", ok=False))
    elif use.outcome is Outcome.UNRESOLVED:
        collector.unknown(f"{use.user} may use {use.operation}, and is answered {use.said}")


def _may_not(use: Use, collector: Collector) -> None:
    if use.outcome is Outcome.ACCEPTED:
        collector.wrong(
            f"{use.user} may not use {use.operation}, but is answered {twice(use.said, use.again)}: require the role there"
        )
    elif not use.control:
        collector.unknown(
            f"{use.operation} answers {use.said} to {use.user}, who may not use it, but no other user of the inventory is let in "
            "there: add one who may"
        )
    elif use.outcome is Outcome.UNRESOLVED:
        collector.unknown(
            f"{use.operation} answers {use.said} to {use.user}, who may not use it, which is no refusal (401 or 403)"
        )


def _objects(reaches: tuple[Reach, ...], collector: Collector) -> None:
    if not reaches:
        collector.unknown(
            "objects of other users were not tried: name them in `authentication.objects`, or give the reason in "
            "`without: {objects: …}`"
        )
    for reach in reaches:
        if not reach.good:
            collector.unknown(
                f"{reach.operation} answers {reach.owner_said} to {reach.owner} itself, so nothing can be told about others"
            )
        elif reach.outcome is Outcome.ACCEPTED:
            collector.wrong(
                f"{reach.operation} gives {reach.other} an object of {reach.owner} ({twice(reach.said, reach.again)}): compare "
                "the object's owner with the token's there"
            )
        elif reach.outcome is Outcome.UNRESOLVED:
            collector.unknown(
                f"{reach.operation} answers {reach.said} to {reach.other} for an object of {reach.owner}, which is no refusal "
                "(401, 403 or 404)"
            )
    seen = [reach for reach in reaches if reach.good]
    if seen:
        reached = sum(reach.outcome is Outcome.ACCEPTED for reach in seen)
        collector.read(
            Reading("operations that give an object of another user", reached, limit="0", ok=not reached)
        )


def _cors(crossings: tuple[Crossing, ...], cors: Cors | None, collector: Collector) -> None:
    if cors is None or not crossings:
        collector.unknown(
            "other origins were not tried: name those that may read answers in `authentication.cors`, or give the reason in "
            "`without: {cors: …}`"
        )
        return
    wrong = 0
    for each in crossings:
        where = f"{'the preflight of ' if each.preflight else ''}{each.asked}"
        if not each.answered:
            collector.unknown(f"{where} for a page of {each.origin} is answered {each.said}")
            continue
        wanted = each.origin in cors.allowed or "*" in cors.allowed
        if wanted and not each.allowed:
            wrong += 1
            collector.wrong(f"{where} does not let in {each.origin}, which the inventory names ({each.said})")
        elif each.allowed and not wanted:
            wrong += 1
            collector.wrong(
                f"{where} lets in {each.origin} ({each.said}): compare the whole origin with a list of those that may"
            )
        elif each.allowed and each.credentials and not cors.credentials:
            wrong += 1
            collector.wrong(
                f"{where} lets {each.origin} send cookies (Access-Control-Allow-Credentials), which the inventory does not allow"
            )
    collector.read(
        Reading("answers to other origins that are not as declared", wrong, limit="0", ok=not wrong)
    )


def _good(found: Access) -> str:
    parts = []
    if found.uses:
        parts.append(f"{len(found.uses)} uses of operations are as the roles allow")
    if found.reaches:
        parts.append(f"{len(found.reaches)} ways to an object of another user are closed")
    if found.crossings:
        parts.append(
            f"{len({each.origin for each in found.crossings})} origins are let in or not, as declared"
        )
    return "; ".join(parts)
