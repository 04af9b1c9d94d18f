"""Logging in with a form, for requests that need a session's cookies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import sending, whole
from pytest_deploygate.fields.form_login import FormLogin
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.model import CannotTell, NotReached
from pytest_deploygate.redaction import Secret

Session = Mapping[str, Secret]


def cookies(login: FormLogin, access: HttpAccess, timeout_s: float) -> Session:
    """Send the form and return the cookies of the answer. Raises CannotTell if there are none; NotReached.

    `access` says which certificates are trusted.
    """
    sent = {login.user_field: login.user, login.password_field: login.password.reveal()}
    try:
        answer = whole.request(
            "POST",
            login.url,
            timeout_s,
            data=sent,
            headers={"User-Agent": AGENT, **access.headers},
            verify=str(access.ca_file) if access.ca_file else True,
            allow_redirects=False,
        )
    except (requests.RequestException, OSError) as error:
        raise NotReached(
            f"{login.url} could not be logged in at as {login.user}: {sending.why(error)}"
        ) from error
    found = {name: Secret(value, f"cookie {name}") for name, value in answer.cookies.items() if value}
    if answer.status_code >= 400 or not found:
        said = f"answered {answer.status_code}" + ("" if found else " and set no cookie")
        raise CannotTell(
            f"{login.url} {said} when {login.user} logged in: check user, password and the names of the form's fields"
        )
    return found


def revealed(session: Session) -> dict[str, str]:
    """Return the cookies for a request."""
    return {name: value.reveal() for name, value in session.items()}


def for_browser(session: Session, url: str) -> list[Any]:
    """Return the cookies as Playwright's `add_cookies` takes them, for all paths of a URL's server."""
    server = "{0.scheme}://{0.netloc}/".format(urlsplit(url))
    return [{"name": name, "value": value, "url": server} for name, value in revealed(session).items()]
