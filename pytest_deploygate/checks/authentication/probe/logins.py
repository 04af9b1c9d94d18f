"""The login form: a session from its beginning to its end, and logins that must be refused, with their times."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Mapping

from pytest_deploygate.checks.authentication.facts import Attempt, Logins, Page, Refusals, Session
from pytest_deploygate.checks.authentication.probe import cookies, form, jwt, refusal
from pytest_deploygate.checks.authentication.probe.exchange import Answer, Caller
from pytest_deploygate.checks.authentication.section import Authentication, Login
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.judging.shift import LOOKS, quickest, shift
from pytest_deploygate.model import NotReached

WRONG, UNKNOWN = "a wrong password", "an unknown user"
_TOO_MANY = 429
#: How wide bounds may be, as a part of what is still similar: they have two sides, and their middle is not just 0.
_WIDTH = 1.5


def measure(section: Authentication, login: Login, spending: Spending) -> Logins:
    """Log in and out, and try logins that must be refused. Raises NotReached if the form gives no answer, and Ended."""
    caller = Caller(section, spending)
    try:
        first = caller.ask("GET", login.path)
        if first.status is None:
            raise NotReached(f"{caller.url(login.path)} gives no answer: {first.problem}")
        session = _session(caller, login)
        if not session.good or "passwords" in section.without:
            return Logins(session, None, None)
        with own_lag.watching() as lag:
            wrong, unknown = _refused(caller, login)
            return Logins(session, wrong, unknown, lag.since())
    finally:
        caller.close()


def _password(caller: Caller, name: str) -> str:
    password = caller.section.user(name).password
    return password.reveal() if password else ""


def _session(caller: Caller, login: Login) -> Session:
    """Log in with a session's cookie that is known to others, look at the pages, log out, and come back."""
    blank = form.blank(caller, login)
    known = blank.cookies.get(login.cookie) or secrets.token_urlsafe(32)
    blank = form.Blank(blank.fields, {**blank.cookies, login.cookie: known})
    sent = form.send(caller, login, login.user, _password(caller, login.user), blank)
    if not sent.let_in:
        return Session(login.user, False, f"{login.path} answers {sent.answer.said}")
    value = sent.cookies.get(login.cookie, "")
    pages = tuple(_page(caller, login, place, sent.cookies) for place in login.pages)
    if not any(page.good for page in pages):
        said = ", ".join(f"{page.path} answers {page.said}" for page in pages)
        return Session(login.user, False, f"after the login {said}", sent.cookie, value != known, pages)
    good = next(page for page in pages if page.good)
    control = caller.ask("GET", good.path, cookies.header(sent.cookies))
    left = caller.ask(
        login.logout_method,
        login.logout,
        {"Content-Type": "application/x-www-form-urlencoded", **cookies.header(sent.cookies)},
        _filled(form.hidden(control)) if login.logout_method != "GET" else None,
    )
    ended = refusal.attempt(
        good.path,
        "the cookie from before the logout",
        lambda: caller.ask("GET", good.path, cookies.header(sent.cookies)),
        control,
        (caller.url(login.path),),
    )
    return Session(
        login.user,
        True,
        sent.answer.said,
        sent.cookie,
        value != known,
        pages,
        left.said,
        ended if _went_well(left) else None,
    )


def _went_well(answer: Answer) -> bool:
    return answer.good or answer.redirects


def _filled(fields: dict[str, str]) -> bytes:
    from urllib.parse import urlencode  # noqa: PLC0415 (for this alone)

    return urlencode(fields).encode()


def _page(caller: Caller, login: Login, place: str, held: Mapping[str, str]) -> Page:
    control = caller.ask("GET", place, cookies.header(held))
    if not control.good:
        return Page(place, False, control.said, ())
    value = held[login.cookie]
    wanted = {
        "no session": {name: text for name, text in held.items() if name != login.cookie},
        "a session's cookie altered in the middle": {**held, login.cookie: jwt.altered(value)},
        "a session that was never given out": {**held, login.cookie: secrets.token_urlsafe(32)},
    }
    logins = (caller.url(login.path),)
    attempts: list[Attempt] = [
        refusal.attempt(
            place,
            what,
            lambda sent=sent: caller.ask("GET", place, cookies.header(sent)),  # type: ignore[misc]
            control,
            logins,
        )
        for what, sent in wanted.items()
    ]
    return Page(place, True, control.said, tuple(attempts))


def _further(done: int, login: Login) -> int:
    """Return how many more there are in a row: up to the next look at their times."""
    until = next((look for look in LOOKS if look > done), login.attempts)
    return min(login.in_a_row, min(until, login.attempts) - done)


def _is_precise(wrong: _Gathered, unknown: _Gathered, login: Login) -> bool:
    """Tell whether more samples are not worth their time."""
    found = shift(quickest(wrong.took_s), quickest(unknown.took_s))
    return found is not None and found.width <= _WIDTH * login.similar.total_seconds()


class _Gathered:
    """Refused logins of one kind while they are made."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.answers: Counter[str] = Counter()
        self.forms: dict[str, None] = {}
        self.took_s: list[float] = []
        self.let_in, self.problem = 0, ""

    def add(self, sent: form.Sent, user: str) -> None:
        """Add an answer; one that is none ends it."""
        self.answers[sent.answer.said] += 1
        self.let_in += sent.let_in
        self.forms[form.form_of(sent.answer, user)] = None
        self.took_s.append(sent.answer.took_s)
        if sent.answer.status is None or sent.answer.status == _TOO_MANY or sent.answer.status >= 500:
            self.problem = (
                f"ended after {len(self.took_s)}, because {self.kind} was answered {sent.answer.said}"
            )

    def found(self) -> Refusals:
        """Return them as a measurement."""
        times = tuple(round(took_s, 6) for took_s in self.took_s)
        return Refusals(self.kind, dict(self.answers), tuple(self.forms), times, self.let_in, self.problem)


def _refused(caller: Caller, login: Login) -> tuple[Refusals, Refusals]:
    """Try both kinds in turn, so that whatever changes meanwhile changes both; a good login in between keeps the user open."""
    wrong, unknown = _Gathered(WRONG), _Gathered(UNKNOWN)
    order = random.Random(login.attempts)  # noqa: S311 (an order, no secret)
    first = form.blank(caller, login)

    def blank() -> form.Blank:
        """Return a new form; one without hidden fields and cookies is the same each time."""
        return form.blank(caller, login) if first.fields or first.cookies else first

    while (count := _further(len(wrong.took_s), login)) and not (wrong.problem or unknown.problem):
        if len(wrong.took_s) in LOOKS and _is_precise(wrong, unknown, login):
            break
        turn = [wrong, unknown] * count
        order.shuffle(turn)
        for kind in turn:
            user = login.user if kind is wrong else f"deploygate-{secrets.token_hex(6)}"
            kind.add(form.send(caller, login, user, secrets.token_urlsafe(12), blank()), user)
        good = form.send(caller, login, login.user, _password(caller, login.user), blank())
        if not good.let_in:
            wrong.problem = (
                f"ended after {len(wrong.took_s)}, because {login.user} is not let in any more ({good.answer.said}): it may be "
                "locked out; lower `login.in_a_row`"
            )
    return wrong.found(), unknown.found()
