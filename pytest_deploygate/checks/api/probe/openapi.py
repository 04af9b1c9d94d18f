"""Ask the operations of an OpenAPI document, each with its example, and where they are documented for two errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import requests

from pytest_deploygate.checks.api.facts import Call, Found, Purpose, Unproven, Untried
from pytest_deploygate.checks.api.probe import differs, fuzz, writes
from pytest_deploygate.checks.api.probe.asking import MOST_BYTES, Asker
from pytest_deploygate.checks.api.probe.made import made, with_no_id
from pytest_deploygate.checks.api.probe.talk import Session
from pytest_deploygate.checks.api.section import Api
from pytest_deploygate.clients import openapi, reach
from pytest_deploygate.clients.budget import AGENT, Budget
from pytest_deploygate.clients.http import oauth, sending, whole
from pytest_deploygate.clients.openapi import Operation
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.model import CannotTell, NotReached
from pytest_deploygate.redaction import redact

#: After so many operations without any answer the others are not waited for.
_GIVE_UP = 3
_AT_ONCE = 4
_CONTROL_S = 3.0


def asked(api: Api, budget: Budget, inventory: str, *, allowed: bool) -> Found:
    """Read the document and ask its operations."""
    if api.openapi is None:
        raise TypeError("this API has no OpenAPI document")
    timeout_s = api.timeout.total_seconds()
    text, where = _document(api, timeout_s)
    document = openapi.parse(text, where)
    safe = [operation for operation in document.operations if operation.safe]
    if not safe:
        raise CannotTell(f"{where} has no operation with GET or HEAD: check that it is the right document")
    base = api.url or ""
    if not (base or safe[0].server).startswith(("http://", "https://")):
        raise CannotTell(f"{where} names no server with an address: set `url` of the API {api.name}")
    at = base or safe[0].server
    if not base and isinstance(api.openapi, str) and _origin(at) != _origin(api.openapi):
        raise CannotTell(
            f"{where} names the server {at}, which is another one than that of the document: set `url` of the API {api.name} to the "
            "one that is meant"
        )
    left: list[writes.Left] = []
    try:
        with budget.probe(f"operations of {api.name}", control=lambda: _harmless(api, at)) as spending:
            session = Session(api, document, base, at, Asker(api, timeout_s, spending))
            calls, untried = _safe_ones(session, safe)
            changed = writes.asked(session, inventory, left, allowed=allowed)
            generated = (
                fuzz.asked(session, safe, api.fuzz.examples)
                if api.fuzz and any(map(_status, calls))
                else None
            )
    finally:
        writes.remove(left, timeout_s)
    known = {operation.name for operation in document.operations}
    named = [name for name in api.operations if not any(o.answers_to([name]) for o in document.operations)]
    return Found(
        where=where,
        operations=len(known),
        safe=len(safe),
        calls=(*calls, *changed.calls, *(generated.calls if generated else ())),
        untried=(*untried, *changed.untried),
        unproven=tuple(
            Unproven(operation.name, lacking)
            for operation in safe
            if (lacking := differs.lacks(document, operation))
        ),
        wrong=changed.wrong,
        unknown=tuple(
            dict.fromkeys(
                (
                    *session.unknown,
                    *changed.unknown,
                    *(generated.unknown if generated else ()),
                    *(
                        f"`operations` names {name}, which is not in the document: correct it"
                        for name in named
                    ),
                )
            )
        ),
        notes=changed.notes,
        generated=generated.requests if generated else 0,
    )


def _document(api: Api, timeout_s: float) -> tuple[str, str]:
    """Return the document's text and its address. Raises CannotTell if it cannot be read."""
    if isinstance(api.openapi, Path):
        try:
            return api.openapi.read_text(encoding="utf-8"), str(api.openapi)
        except (OSError, UnicodeDecodeError) as error:
            raise CannotTell(f"{api.openapi} cannot be read: {error}") from None
    url = str(api.openapi)
    try:
        own = not api.url or _origin(api.url) == _origin(url)
        # Our login is for the API, and not for a page elsewhere that describes it.
        access = oauth.logged_in(api, timeout_s) if own else TokenAccess(ca_file=api.ca_file)
        answer = sending.get(access, url, timeout_s, stream=True)
        body, all_of_it = whole.read(answer, 4 * MOST_BYTES)
    except (requests.RequestException, OSError) as error:
        kind = NotReached if reach.why_ours(error) else CannotTell
        raise kind(
            f"the document {url} cannot be read: {redact(sending.why(error))}; check that the API is up"
        ) from None
    if answer.status_code != 200 or not all_of_it:
        said = f"answers {answer.status_code}, expected 200" if all_of_it else "is longer than 20 MB"
        raise CannotTell(f"the document {url} {said}: correct `openapi` of the API {api.name}")
    return body.decode("utf-8", "replace"), url


def _harmless(api: Api, base: str) -> bool:
    answer = whole.request(
        "GET",
        base,
        _CONTROL_S,
        headers={"User-Agent": AGENT},
        verify=str(api.ca_file) if api.ca_file else True,
        allow_redirects=False,
    )
    return answer.status_code < 500


def _safe_ones(session: Session, safe: list[Operation]) -> tuple[list[Call], list[Untried]]:
    """Ask the operations one after the other until one is answered, then a few at a time."""
    calls, untried, wanted = list[Call](), list[Untried](), list[Operation]()
    for operation in safe:
        values = session.values(operation)
        if values and values.skip:
            untried.append(Untried(operation.name, f"skipped by the inventory: {values.skip}", wanted=False))
        else:
            wanted.append(operation)
    silent = 0
    while wanted and silent < _GIVE_UP and not any(map(_status, calls)):
        found = list(_of_operation(session, wanted.pop(0)))
        calls += [each for each in found if isinstance(each, Call)]
        untried += [each for each in found if isinstance(each, Untried)]
        silent += any(isinstance(each, Call) for each in found)
    if not any(map(_status, calls)):
        said = "no operation before it was answered"
        return calls, [*untried, *(Untried(operation.name, said, wanted=True) for operation in wanted)]
    with ThreadPoolExecutor(session.asker.spending.at_once(_AT_ONCE), "api") as pool:
        for found in pool.map(lambda operation: list(_of_operation(session, operation)), wanted):
            calls += [each for each in found if isinstance(each, Call)]
            untried += [each for each in found if isinstance(each, Untried)]
    return calls, untried


def _of_operation(session: Session, operation: Operation) -> Iterator[Call | Untried]:
    """Ask an operation with its example, without a login where it wants one, and with an id that does not exist."""
    values = session.values(operation)
    if not session.base and _origin(operation.server) != _origin(session.at):
        said = f"its server {operation.server} is another one than {session.at}: set `url` if that is meant"
        yield Untried(operation.name, said, wanted=True)
        return
    request = made(operation, values)
    if isinstance(request, str):
        yield Untried(operation.name, request, wanted=True)
        return
    name = values.login if values else None
    try:
        login = session.login(name) if operation.secured else None
    except CannotTell as error:
        yield Untried(operation.name, str(error), wanted=True)
        return
    if operation.secured and login is None:
        said = "it wants a login: add `token`, `auth` or `oauth` to the API"
        yield Untried(operation.name, said, wanted=True)
        return
    who = (name or "own") if login else ""
    example = session.call(operation, request, Purpose.EXAMPLE, login, who)
    yield example
    if operation.secured and _has(operation.responses, "401", "403", "4XX"):
        yield session.call(operation, request, Purpose.NO_LOGIN, None)
    absent = with_no_id(operation, values)
    # Whoever may not see the operation at all is told so for every id.
    refused = (_status(example) or 0) in (401, 403)
    if absent is not None and not refused and _has(operation.responses, "404"):
        yield session.call(operation, absent, Purpose.NOT_THERE, login, who)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _has(responses: Mapping[str, object], *statuses: str) -> bool:
    return any(status in responses for status in statuses)


def _status(call: Call) -> int | None:
    return next((each.status for each in reversed(call.attempts) if each.status is not None), None)
