"""Any other balancer, e.g. a cloud's: a command of the inventory prints what it knows, as the documentation describes."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.checks.load_balancer import facts
from pytest_deploygate.checks.load_balancer.facts import Kind, State
from pytest_deploygate.checks.load_balancer.probe import statuses
from pytest_deploygate.checks.load_balancer.probe.documents import entry, number, objects, parsed
from pytest_deploygate.clients.host import commands
from pytest_deploygate.model import CannotTell
from pytest_deploygate.problems import nearest

PROGRAM = "the hook"
_TLS = ("none", "unverified", "verified")


def read(name: str, command: str) -> facts.Control:
    """Run the command and read its JSON. Raises CannotTell."""
    return of(name, parsed(commands.printed(command), f"`{command}`"))


def of(name: str, document: dict[str, Any]) -> facts.Control:
    """Return the backends of a document. Raises CannotTell for words that it does not know."""
    members = tuple(_member(each) for each in objects(document, "backends"))
    if not members:
        raise CannotTell("the hook's JSON has no `backends`")
    return facts.Control(name, PROGRAM, members)


def _member(found: dict[str, Any]) -> facts.Member:
    name = str(found.get("name", ""))
    count, tls = number(found.get("requests")), found.get("tls")
    if tls is not None and tls not in _TLS:
        raise CannotTell(f"the hook says tls {tls!r} of {name}{nearest(str(tls), _TLS)}")
    return facts.Member(
        name,
        State(_one_of(name, "state", found.get("state"), [each.value for each in State])),
        str(found.get("says", "")),
        number(found.get("weight")),
        _check(name, found.get("check")),
        tls,
        number(found.get("slow_start_s")),
        None if count is None else int(count),
    )


def _check(name: str, found: object) -> facts.Check | None:
    if found is None:
        return None
    kind = Kind(_one_of(name, "check kind", entry(found, "kind"), [each.value for each in Kind]))
    accepts = entry(found, "accepts")
    accepted = statuses.accepted_errors([statuses.in_ranges(str(accepts))]) if accepts else ()
    always = f"its matcher is {accepts}, which accepts every status" if accepted == statuses.ERRORS else ""
    return facts.Check(
        kind, str(entry(found, "path") or ""), accepted, always, str(entry(found, "says") or "")
    )


def _one_of(name: str, what: str, word: object, known: list[str]) -> str:
    if word not in known:
        raise CannotTell(f"the hook says {what} {word!r} of {name}{nearest(str(word), known)}")
    return str(word)
