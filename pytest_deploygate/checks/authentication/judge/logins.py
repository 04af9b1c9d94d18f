"""Judges a session from its beginning to its end, and logins that must be refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.authentication.facts import Cookie, Logins, Outcome, Refusals, Session
from pytest_deploygate.checks.authentication.judge.words import twice
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.shift import quickest, shift
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.authentication.section import Authentication, Login


def judge_logins(found: Logins | None, criterion: Authentication) -> Judgement:
    """Pass if the session is safe and ends, and a wrong password and an unknown user cannot be told apart."""
    collector = Collector(confirmed=True)
    login = criterion.login
    if found is None or login is None:
        if "sessions" not in criterion.without or "passwords" not in criterion.without:
            collector.unknown(
                "no login was tried: add `authentication.login`, or give the reasons in `without: {sessions: …, passwords: …}`"
            )
        else:
            collector.read(Reading("logins by a form", "left out by the inventory"))
        return collector.judgement(lambda: "the platform has no login form, by the inventory")
    if not found.session.good:
        collector.unknown(
            f"{found.session.user} cannot log in: {found.session.said}; correct the user's password or `authentication.login`"
        )
    if found.session.good:
        if "sessions" not in criterion.without:
            _session(found.session, login, collector)
        if "passwords" not in criterion.without:
            _refused(found, login, collector)
    return collector.judgement(lambda: _good(found, login, criterion))


def _session(session: Session, login: Login, collector: Collector) -> None:
    wrong = [*_flags(session.cookie, login)]
    if session.renewed is False:
        wrong.append(
            "the login keeps a session's cookie that was set before it, so who set it is logged in, too: give out a new one at login"
        )
    collector.wrong(*wrong, where=f"cookie {login.cookie}")
    attempts = [attempt for page in session.pages for attempt in page.attempts]
    accepted = [attempt for attempt in attempts if attempt.outcome is Outcome.ACCEPTED]
    for attempt in accepted:
        collector.wrong(
            f"{attempt.operation} is open: it answers {twice(attempt.said, attempt.again)} to {attempt.what}"
        )
    for attempt in attempts:
        if attempt.outcome is Outcome.UNRESOLVED:
            collector.unknown(
                f"{attempt.operation} answers {attempt.said} to {attempt.what}, which is neither a refusal nor the page"
            )
    for page in session.pages:
        if not page.good:
            collector.unknown(f"{page.path} answers {page.said} to {session.user}")
    collector.read(
        Reading("faults of the session's cookie", len(wrong), limit="0", ok=not wrong),
        Reading("pages open without a session", len(accepted), limit="0", ok=not accepted),
    )
    _logout(session, login, collector)


def _flags(cookie: Cookie | None, login: Login) -> list[str]:
    if cookie is None:
        return []
    found = []
    if not cookie.secure:
        found.append("is set without Secure, so it is sent over plain HTTP, too")
    if not cookie.http_only:
        found.append("is set without HttpOnly, so scripts can read it")
    if cookie.same_site not in login.same_site:
        found.append(
            f"has SameSite={cookie.same_site or '(none)'}, expected is {' or '.join(login.same_site)}"
        )
    if cookie.domain:
        found.append(f"is sent to all of {cookie.domain}: leave Domain out")
    if cookie.name.startswith("__Host-") and cookie.path != "/":
        found.append("has the prefix __Host- and not Path=/, so browsers refuse it")
    return found


def _logout(session: Session, login: Login, collector: Collector) -> None:
    ended = session.ended
    if ended is None:
        collector.unknown(
            f"{login.logout_method} {login.logout} answers {session.logout}, so nobody logged out: correct `login.logout`"
        )
    elif ended.outcome is Outcome.ACCEPTED:
        collector.wrong(
            f"the session outlives the logout: {ended.operation} answers {twice(ended.said, ended.again)} to "
            "the cookie from before; end sessions on the server"
        )
        collector.read(Reading("pages open after the logout", 1, limit="0", ok=False))
    elif ended.outcome is Outcome.UNRESOLVED:
        collector.unknown(f"{ended.operation} answers {ended.said} after the logout")


def _refused(found: Logins, login: Login, collector: Collector) -> None:
    wrong, unknown = found.wrong, found.unknown
    if wrong is None or unknown is None:
        collector.unknown("no wrong password was tried")
        return
    let_in = wrong.let_in + unknown.let_in
    collector.read(Reading("logins let in that must be refused", let_in, limit="0", ok=not let_in))
    for each in (wrong, unknown):
        if each.let_in:
            collector.wrong(f"{each.let_in} of {len(each.took_s)} logins with {each.kind} were let in")
        if each.problem:
            collector.unknown(f"the comparison of refused logins {each.problem}")
    if let_in or wrong.problem or unknown.problem:
        return
    _answers(wrong, unknown, login, collector)
    _times(found, wrong, unknown, login, collector)


def _answers(wrong: Refusals, unknown: Refusals, login: Login, collector: Collector) -> None:
    good = {str(status) for status in login.refused}
    for each in (wrong, unknown):
        if odd := [said for said in each.answers if said.partition(" ")[0] not in good]:
            collector.wrong(
                f"{each.kind} is answered {', '.join(odd)}, expected is {' or '.join(sorted(good))}"
            )
            collector.read(
                Reading(f"answer to {each.kind}", odd[0], limit=" or ".join(sorted(good)), ok=False)
            )
    if set(wrong.answers) == set(unknown.answers) and not set(wrong.forms) & set(unknown.forms):
        shown = f"{wrong.forms[0][:80]!r} and {unknown.forms[0][:80]!r}"
        collector.wrong(
            f"a wrong password and an unknown user get different pages, which tells who has an account: {shown}"
        )
        collector.read(Reading("pages for refused logins", 2, limit="1", ok=False))
    elif set(wrong.answers) != set(unknown.answers):
        collector.wrong(
            f"a wrong password is answered {', '.join(wrong.answers)}, an unknown user {', '.join(unknown.answers)}, which tells "
            "who has an account"
        )


def _times(found: Logins, wrong: Refusals, unknown: Refusals, login: Login, collector: Collector) -> None:
    """Compare the times by their bounds: what is surely over the limit is wrong, what may be over it is unknown."""
    limit_s = login.similar.total_seconds()
    shifted = shift(quickest(wrong.took_s), quickest(unknown.took_s))
    if shifted is None:
        collector.unknown(
            f"{len(wrong.took_s)} and {len(unknown.took_s)} refused logins are too few to compare their times: raise `attempts`"
        )
        return
    words = (
        f"an unknown user is answered {_ms(abs(shifted.middle))} {'later' if shifted.middle > 0 else 'sooner'} than a wrong "
        f"password (between {_ms(shifted.low)} and {_ms(shifted.high)} by {len(wrong.took_s)} and "
        f"{len(unknown.took_s)} logins)"
    )
    over, under = shifted.least > limit_s, shifted.most <= limit_s
    name, value = "difference of an unknown user's time", round(shifted.middle * 1000, 1)
    if over or under:
        collector.read(Reading(name, value, "ms", f"at most {_ms(limit_s)}", under))
    else:
        collector.read(Reading(name, value, "ms"))
    if over:
        collector.wrong(
            f"{words}, at most {_ms(limit_s)} may be between them: check a password even where there is no such user"
        )
    elif not under:
        collector.unknown(
            f"{words}, so it cannot be told whether that is more than {_ms(limit_s)}: {found.lag}; raise `login.attempts`, or run "
            "it again when this machine has free processors"
        )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _good(found: Logins, login: Login, criterion: Authentication) -> str:
    parts = []
    if "sessions" not in criterion.without:
        parts.append(
            f"{login.user} logs in and out, the session's cookie is safe, renewed at login and ends, and "
            f"{len(found.session.pages)} pages are closed without it"
        )
    if found.wrong and found.unknown:
        parts.append(
            f"{len(found.wrong.took_s)} wrong passwords and as many unknown users got the same answer in similar time"
        )
    return "; ".join(parts)
