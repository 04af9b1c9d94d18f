"""Ask operations that create and remove something: in the one tenant that the API says our login belongs to.

What is created carries a mark. A run first removes what has the mark, so what a crash left goes with the next run.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import field
from typing import Any

import requests

from pytest_deploygate.checks.api.facts import Attempt, Call, Purpose, Untried
from pytest_deploygate.checks.api.probe.asking import Answer
from pytest_deploygate.checks.api.probe.made import Made, made
from pytest_deploygate.checks.api.probe.talk import Session, doubtful
from pytest_deploygate.checks.api.section import MARK, Created, Values, Writes
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import sending, whole
from pytest_deploygate.clients.openapi import Operation
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: Every mark begins like this.
_PREFIX = "deploygate-api-"
#: What was not as documented is seen again before it counts.
_ROUNDS = 2


@dataclass(frozen=True)
class Changed:
    """What was asked, what was not, and what is wrong or unknown besides."""

    calls: tuple[Call, ...] = ()
    untried: tuple[Untried, ...] = ()
    wrong: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Left:
    """What was created and is not removed yet: the method and address that remove it, and who may."""

    method: str
    url: str
    login: TokenAccess | None


@dataclass()
class _Tenant:
    """The tenant that is written to, and what has been seen there."""

    session: Session
    login: TokenAccess | None
    who: str
    left: list[Left]
    calls: list[Call] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def asked(session: Session, inventory: str, left: list[Left], *, allowed: bool) -> Changed:
    """Create and remove what `writes` names. Other operations that change something are listed as not tried.

    `left` has what was created and is not removed, also if this is interrupted.
    """
    writes = session.api.writes
    unsafe = [operation for operation in session.document.operations if not operation.safe]
    wanted = [name for each in writes.operations for name in (each.create, each.undo)] if writes else []
    others = tuple(
        Untried(operation.name, "it may change something, and `writes` does not name it", wanted=False)
        for operation in unsafe
        if not operation.answers_to(wanted)
    )
    if writes is None:
        return Changed(untried=others)
    named = [operation for operation in unsafe if operation.answers_to(wanted)]
    if not allowed and writes.opt_in != inventory:
        said = f"set `writes: {{opt_in: {inventory}}}`, or run with --allow-disruptive"
        return Changed(untried=(*others, *(Untried(o.name, said, wanted=True) for o in named)))
    try:
        tenant = _tenant(session, writes, left)
    except CannotTell as error:
        return Changed(untried=others, unknown=(f"nothing was written: {error}",))
    for each in writes.operations:
        try:
            _create_and_remove(tenant, each)
        except CannotTell as error:
            tenant.unknown.append(f"{each.create} was not tried: {error}")
    return Changed(
        tuple(tenant.calls), others, tuple(tenant.wrong), tuple(tenant.unknown), tuple(tenant.notes)
    )


def _tenant(session: Session, writes: Writes, left: list[Left]) -> _Tenant:
    """Ask the API which tenant our login belongs to. Raises CannotTell if it is not the one that is named."""
    login = session.login(writes.login)
    operation = _operation(session, writes.ask)
    if not operation.safe:
        raise CannotTell(f"`ask` names {operation.name}, which may change something: name one with GET")
    attempt, answer = session.ask(operation, _made(operation, session.values(operation)), login)
    found = _pointed(answer, writes.at)
    if found != writes.tenant:
        said = attempt.said or f"{attempt.status}, {writes.at} is {found!r}"
        raise CannotTell(
            f"{operation.name} does not say that our login belongs to the tenant {writes.tenant} ({said}): correct `tenant`, `at` "
            "or the login"
        )
    return _Tenant(session, login, writes.login or "own", left)


def _create_and_remove(tenant: _Tenant, each: Created) -> None:
    session = tenant.session
    create, undo, listing = (_operation(session, name) for name in (each.create, each.undo, each.list))
    parameters = [parameter.name for parameter in undo.parameters if parameter.where == "path"]
    if len(parameters) != 1 or not listing.safe:
        raise CannotTell(f"{undo.name} needs one path parameter, and {listing.name} must be a GET")
    if left := _marked(tenant, listing, each):
        for one in left:
            _remove(tenant, undo, parameters[0], one)
        tenant.notes.append(f"{len(left)} that an earlier run of {each.create} had left were removed first")
    made_of = _made(create, session.values(create))
    attempts: dict[Purpose, list[Attempt]] = {Purpose.CREATE: [], Purpose.UNDO: []}
    for _ in range(_ROUNDS):
        body = json.dumps(each.body).replace(MARK, f"{_PREFIX}{uuid.uuid4().hex[:12]}").encode()
        attempt, answer = _send(tenant, create, made_of, body)
        attempts[Purpose.CREATE].append(attempt)
        if answer is not None and answer.status < 300:
            created = _pointed(answer, each.id)
            if created is None:
                said = f"{create.name} answers {answer.status} without an id at {each.id}"
                raise CannotTell(f"{said}: correct `id`; the next run removes what it made")
            attempts[Purpose.UNDO].append(_remove(tenant, undo, parameters[0], created))
        if not any(doubtful(seen[-1]) for seen in attempts.values() if seen):
            break
    tenant.calls += [
        Call(operation.name, purpose, tuple(attempts[purpose]), tuple(operation.responses), tenant.who)
        for operation, purpose in ((create, Purpose.CREATE), (undo, Purpose.UNDO))
        if attempts[purpose]
    ]
    for one in _marked(tenant, listing, each):
        _remove(tenant, undo, parameters[0], one)
        tenant.wrong.append(f"{undo.name} did not remove {one!r}: {listing.name} still has it")


def _marked(tenant: _Tenant, listing: Operation, each: Created) -> list[Any]:
    """Return the ids of what has our mark."""
    _, answer = tenant.session.ask(listing, _made(listing, tenant.session.values(listing)), tenant.login)
    if answer is None or answer.status != 200:
        said = "no answer" if answer is None else str(answer.status)
        raise CannotTell(
            f"{listing.name} does not list what there is ({said}), so nothing is created that could stay"
        )
    try:
        body = json.loads(answer.body)
    except ValueError:
        raise CannotTell(f"{listing.name} answers no JSON, so nothing is created that could stay") from None
    return [found for entry in _entries(body) if (found := _at(entry, each.id)) is not None]


def _entries(node: Any) -> Iterator[Any]:
    """Yield the objects in an answer that have a text with our mark themselves."""
    if isinstance(node, list):
        for each in node:
            yield from _entries(each)
    elif isinstance(node, dict):
        if any(isinstance(each, str) and each.startswith(_PREFIX) for each in node.values()):
            yield node
        for each in node.values():
            yield from _entries(each)


def _remove(tenant: _Tenant, undo: Operation, parameter: str, one: Any) -> Attempt:
    request = _made(undo, Values(path={parameter: one}))
    left = Left(undo.method, tenant.session.url(undo, request.path), tenant.login)
    tenant.left.append(left)
    attempt, answer = _send(tenant, undo, request, None)
    if answer is not None and answer.status < 300:
        tenant.left.remove(left)
    return attempt


def remove(left: list[Left], timeout_s: float) -> None:
    """Remove what is left after an interruption. What does not go now has its mark, and goes with the next run."""
    for each in left:
        with stopping.shielded(), contextlib.suppress(requests.RequestException, OSError):
            ca_file = each.login.ca_file if each.login else None
            whole.request(
                each.method,
                each.url,
                timeout_s,
                headers={"User-Agent": AGENT} | (sending.headers(each.login) if each.login else {}),
                verify=str(ca_file) if ca_file else True,
                allow_redirects=False,
            )


def _send(
    tenant: _Tenant, operation: Operation, request: Made, body: bytes | None
) -> tuple[Attempt, Answer | None]:
    session = tenant.session
    with session.asker.allowing(operation.method, session.url(operation, request.path)):
        return session.ask(operation, request, tenant.login, body=body)


def _operation(session: Session, name: str) -> Operation:
    for operation in session.document.operations:
        if operation.answers_to([name]):
            return operation
    raise CannotTell(f"the document has no operation {name}: correct `writes`")


def _made(operation: Operation, values: Values | None) -> Made:
    found = made(operation, values)
    if isinstance(found, str):
        raise CannotTell(f"{operation.name}: {found}")
    return found


def _pointed(answer: Answer | None, pointer: str) -> Any:
    if answer is None:
        return None
    try:
        return _at(json.loads(answer.body), pointer)
    except ValueError:
        return None


def _at(node: Any, pointer: str) -> Any:
    for part in pointer.strip("/").split("/"):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    return node
