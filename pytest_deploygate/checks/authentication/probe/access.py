"""What roles may not do, what users must not reach of others, and which other origins may read answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pytest_deploygate.checks.authentication.facts import Access, Crossing, Outcome, Reach, Use
from pytest_deploygate.checks.authentication.probe import refusal, tokens
from pytest_deploygate.checks.authentication.probe.document import Operation
from pytest_deploygate.checks.authentication.probe.exchange import Answer, Caller
from pytest_deploygate.checks.authentication.probe.granting import bearer
from pytest_deploygate.checks.authentication.probe.granting import tokens as granted
from pytest_deploygate.checks.authentication.section import Authentication, Cors, Owned
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.redaction import Secret

#: An origin that nobody has.
_FOREIGN = "https://deploygate-foreign.invalid"


def measure(section: Authentication, spending: Spending) -> Access:
    """Ask for what roles may not, for objects of others, and from other origins. Raises NotReached, CannotTell, and Ended."""
    caller = Caller(section, spending)
    try:
        found = tokens.described(caller)
        good, problems = granted(caller)
        uses = tuple(_uses(caller, found, good))
        reaches = tuple(reach for owned in section.objects for reach in _reaches(caller, found, good, owned))
        crossings = tuple(_crossings(caller, section.cors, good)) if section.cors else ()
        return Access(uses, reaches, crossings, problems)
    finally:
        caller.close()


def _called(found: Sequence[Operation], name: str) -> Operation | None:
    return next((each for each in found if each.called(name)), None)


def _uses(caller: Caller, found: Sequence[Operation], good: Mapping[str, Secret]) -> Iterator[Use]:
    for user in caller.section.users:
        if user.name not in good:
            continue
        for allowed, names in ((True, user.may), (False, user.may_not)):
            for name in names:
                operation = _called(found, name)
                if operation is None:
                    yield Use(user.name, name, allowed, Outcome.UNRESOLVED, "", known=False)
                elif allowed:
                    answer = tokens.ask(caller, operation, bearer(good[user.name].reveal()))
                    yield _may(user.name, operation, answer)
                else:
                    yield _may_not(caller, user.name, operation, good)


def _may(user: str, operation: Operation, answer: Answer) -> Use:
    outcome = Outcome.ACCEPTED if tokens.let_in(operation, answer) else Outcome.UNRESOLVED
    if answer.status in (401, 403):
        outcome = Outcome.REFUSED
    return Use(user, operation.name, True, outcome, answer.said)


def _may_not(caller: Caller, user: str, operation: Operation, good: Mapping[str, Secret]) -> Use:
    """Ask as a user who may not, beside one who may."""
    for other, token in good.items():
        if other == user or any(operation.called(name) for name in caller.section.user(other).may_not):
            continue
        control = tokens.ask(caller, operation, bearer(token.reveal()))
        if tokens.let_in(operation, control):
            found = refusal.attempt(
                operation.name,
                user,
                lambda: tokens.ask(caller, operation, bearer(good[user].reveal())),
                control,
            )
            return Use(
                user,
                operation.name,
                False,
                found.outcome,
                found.said,
                f"{control.said} to {other}",
                found.again,
            )
    answer = tokens.ask(caller, operation, bearer(good[user].reveal()))
    return Use(user, operation.name, False, Outcome.UNRESOLVED, answer.said)


def _reaches(
    caller: Caller, found: Sequence[Operation], good: Mapping[str, Secret], owned: Owned
) -> Iterator[Reach]:
    """Yield what another user gets of the first object of its owner."""
    listing = _called(found, owned.listed_by)
    problem = ""
    if lacking := [name for name in (owned.owner, owned.other) if name not in good]:
        problem = f"there is no token of {lacking[0]}"
    elif listing is None:
        problem = "the document has no such operation"
    if problem or listing is None:
        yield Reach(owned.listed_by, owned.owner, owned.other, False, problem)
        return
    owner, other = (bearer(good[name].reveal()) for name in (owned.owner, owned.other))
    answer = tokens.ask(caller, listing, owner)
    ids = _ids(answer, owned.key)
    if not ids:
        said = f"{answer.said}, with no object that has `{owned.key}`"
        yield Reach(listing.name, owned.owner, owned.other, False, said)
        return
    yield _listed(caller, listing, owned, answer, ids[0], other)
    wanted = [(name, _called(found, name)) for name in owned.operations]
    control: Answer | None = None
    # What may change the object comes after what only reads it.
    for name, operation in sorted(wanted, key=lambda each: bool(each[1] and not each[1].safe)):
        if operation is None or not operation.parameter:
            said = "the document has no such operation with one parameter in its path"
            yield Reach(name, owned.owner, owned.other, False, said)
            continue
        place = operation.at(ids[0])
        if operation.safe:
            control = caller.ask(operation.method, place, owner)
        if control is None or not control.good:
            said = control.said if control else "no operation that only reads it was answered well before"
            yield Reach(operation.name, owned.owner, owned.other, False, said)
            continue
        yield _asked_by_other(caller, operation, owned, place, control, other)


def _asked_by_other(
    caller: Caller,
    operation: Operation,
    owned: Owned,
    place: str,
    control: Answer,
    other: Mapping[str, str],
) -> Reach:
    answer = caller.ask(operation.method, place, other, operation.body)
    outcome, said = refusal.refused_or_hidden(answer, control)
    again: tuple[str, ...] = ()
    if outcome is Outcome.ACCEPTED and operation.safe:
        second = caller.ask(operation.method, place, other)
        again = (second.said,)
    return Reach(operation.name, owned.owner, owned.other, True, control.said, outcome, said, again)


def _listed(
    caller: Caller, listing: Operation, owned: Owned, mine: Answer, name: str, other: Mapping[str, str]
) -> Reach:
    """Say whether the object is in the list that the other user gets."""
    answer = tokens.ask(caller, listing, other)
    outcome, said = refusal.outcome(answer, mine)
    if outcome is Outcome.ACCEPTED:
        shown = name in _ids(answer, owned.key)
        outcome = Outcome.ACCEPTED if shown else Outcome.REFUSED
        said = f"{said} and the object" if shown else said
    return Reach(listing.name, owned.owner, owned.other, True, mine.said, outcome, said)


def _ids(answer: Answer, key: str) -> list[str]:
    """Return the names of listed objects: those of a list, or of the first list in an object."""
    try:
        found: Any = answer.json() if answer.good else None
    except ValueError:
        return []
    if isinstance(found, dict):
        found = next((value for value in found.values() if isinstance(value, list)), None)
    return [str(each[key]) for each in found or [] if isinstance(each, dict) and key in each]


def _crossings(caller: Caller, cors: Cors, good: Mapping[str, Secret]) -> Iterator[Crossing]:
    own = next((bearer(token.reveal()) for token in good.values()), {})
    for asked in dict.fromkeys([*(each for each in cors.allowed if each != "*"), *_foreign(cors.allowed)]):
        for preflight in (True, False):
            if preflight:
                wanted = {
                    "Access-Control-Request-Method": "GET",
                    "Access-Control-Request-Headers": "authorization",
                }
                answer = caller.ask("OPTIONS", cors.path, {"Origin": asked, **wanted})
            else:
                answer = caller.ask("GET", cors.path, {"Origin": asked, **own})
            shown = answer.header("access-control-allow-origin")
            yield Crossing(
                asked,
                cors.path,
                preflight,
                shown in ("*", asked),
                f"{answer.said}, Access-Control-Allow-Origin: {shown or 'none'}",
                answer.header("access-control-allow-credentials").lower() == "true",
                answer.status is not None and answer.status < 500,
            )


def _foreign(allowed: Sequence[str]) -> Iterator[str]:
    """Yield origins that must not be let in: a foreign one, none, and those that a careless comparison lets through."""
    yield _FOREIGN
    yield "null"
    for each in allowed:
        host = urlsplit(each).hostname
        if host:
            yield (
                f"{each}.deploygate-foreign.invalid"
                if urlsplit(each).port is None
                else f"https://{host}.deploygate-foreign.invalid"
            )
            yield f"https://deploygate-foreign{host}"
