"""What an answer says about a request that must be refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urljoin, urlsplit

from pytest_deploygate.checks.authentication.facts import Attempt, Outcome
from pytest_deploygate.checks.authentication.probe.exchange import Answer

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
#: An accepted request is sent again until it was accepted twice: one of several servers may answer otherwise.
_AGAIN = 4


def outcome(
    answer: Answer, control: Answer, logins: Sequence[str] = (), *, let_in: bool = False
) -> tuple[Outcome, str]:
    """Return what became of a request, beside the answer to a good one. `logins` are the addresses of login pages.

    With `let_in` the status of the good answer, such as 422, shows that a request was let in. Else 404, 429 and errors are no refusal; neither is the page of something in front of the application.
    """
    if answer.status == _UNAUTHORIZED:
        return Outcome.REFUSED, answer.said
    if answer.status == _FORBIDDEN:
        if answer.is_page and not control.is_page:
            return Outcome.UNRESOLVED, "403 with an HTML page, as of a firewall in front of it"
        return Outcome.REFUSED, answer.said
    if answer.redirects:
        there = answer.header("location")
        leads = any(_same(there, login) for login in logins)
        return (Outcome.REFUSED if leads else Outcome.UNRESOLVED), answer.said
    if let_in and answer.status is not None and answer.status == control.status:
        return Outcome.ACCEPTED, f"{answer.said} as to a good one"
    if not answer.good:
        return Outcome.UNRESOLVED, answer.said
    if answer.is_page and not control.is_page:
        return Outcome.UNRESOLVED, f"{answer.said} with an HTML page, which a good request does not get"
    if _asks_to_log_in(answer) and not _asks_to_log_in(control):
        return (
            Outcome.UNRESOLVED,
            f"{answer.said} with a form for a password; a refusal is 401, 403 or a redirect to it",
        )
    return Outcome.ACCEPTED, answer.said  # where the good one was not right in itself, it got even more


def _same(location: str, login: str) -> bool:
    """Tell whether a redirect leads to a login page; a query says where to return to."""
    there, page = urlsplit(urljoin(login, location)), urlsplit(login)
    return (there.netloc, there.path.rstrip("/")) == (page.netloc, page.path.rstrip("/"))


def _asks_to_log_in(answer: Answer) -> bool:
    return answer.is_page and b'type="password"' in answer.body.replace(b"'", b'"')


def attempt(
    operation: str,
    what: str,
    send: Callable[[], Answer],
    control: Answer,
    logins: Sequence[str] = (),
    *,
    let_in: bool = False,
) -> Attempt:
    """Send a request that must be refused; if it was accepted, again, until it was accepted twice."""
    found, said = outcome(send(), control, logins, let_in=let_in)
    again: list[str] = []
    if found is Outcome.ACCEPTED:
        for _ in range(_AGAIN):
            once_more, said_then = outcome(send(), control, logins, let_in=let_in)
            again.append(said_then)
            if once_more is Outcome.ACCEPTED:
                break
        else:
            said = f"{said} once, then {', '.join(dict.fromkeys(again))}"
            found = Outcome.UNRESOLVED
    return Attempt(operation, what, found, said, tuple(again))


def refused_or_hidden(answer: Answer, control: Answer, logins: Sequence[str] = ()) -> tuple[Outcome, str]:
    """Return the same for an object of another user: that it is not there for others is a refusal, too."""
    if answer.status == _NOT_FOUND and control.good:
        return Outcome.REFUSED, answer.said
    return outcome(answer, control, logins)
