"""The login form, filled in as a browser does: with its hidden fields and the cookies that came with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from pytest_deploygate.checks.authentication.facts import Cookie
from pytest_deploygate.checks.authentication.probe import cookies
from pytest_deploygate.checks.authentication.probe.exchange import Answer, Caller
from pytest_deploygate.checks.authentication.section import Login
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import Secret

_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_VARYING = re.compile(r"[0-9a-f]{6,}|\d+", re.IGNORECASE)
_SHOWN = 300
_AN_ERROR = 400


class _Hidden(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the hidden fields of forms."""
        found = dict(attrs)
        name = found.get("name")
        if tag == "input" and name and (found.get("type") or "").lower() == "hidden":
            self.fields[name] = found.get("value") or ""


def hidden(answer: Answer) -> dict[str, str]:
    """Return the hidden fields of a page's forms: tokens against forged requests, mostly."""
    parser = _Hidden()
    if answer.is_page:
        parser.feed(answer.body.decode(errors="replace"))
    return parser.fields


@dataclass(frozen=True)
class Blank:
    """A form before it is filled in: its hidden fields and the cookies that came with it."""

    fields: Mapping[str, str]
    cookies: Mapping[str, str]


@dataclass(frozen=True)
class Sent:
    """A login that was tried: the answer, whether it began a session, the cookies then, and the session's own."""

    answer: Answer
    let_in: bool
    cookies: Mapping[str, str]
    cookie: Cookie | None = None


def blank(caller: Caller, login: Login) -> Blank:
    """Fetch the form; empty where it cannot be had, which the login itself shows."""
    answer = caller.ask("GET", login.path)
    return Blank(hidden(answer), {name: value for name, (_, value) in cookies.set_by(answer).items()})


def send(caller: Caller, login: Login, user: str, password: str, form: Blank) -> Sent:
    """Fill in the form and send it."""
    fields = {**form.fields, login.user_field: user, login.password_field: password}
    answer = caller.form(login.path, fields, cookies.header(form.cookies))
    found = cookies.set_by(answer)
    held = {**form.cookies, **{name: value for name, (_, value) in found.items()}}
    cookie, value = found.get(login.cookie, (None, ""))
    back = answer.redirects and _path(caller, answer.header("location")) == _path(caller, login.path)
    good = answer.status is not None and answer.status < _AN_ERROR and not back
    if value:
        Secret(value, f"session of {user}")  # masked from now on
    return Sent(answer, good and bool(value or held.get(login.cookie)), held, cookie)


def _path(caller: Caller, place: str) -> str:
    return urlsplit(urljoin(caller.url("/"), place)).path.rstrip("/")


def form_of(answer: Answer, user: str) -> str:
    """Return the text of an answer without what differs from one login to the next."""
    text = _TAG.sub(" ", answer.body.decode(errors="replace")).replace(user, "#")
    return _VARYING.sub("#", " ".join(text.split()))[:_SHOWN]
