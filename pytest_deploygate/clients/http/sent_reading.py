"""Sending a reading as a device does."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

import requests

from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.http import form_login, oauth, sending
from pytest_deploygate.fields.sent_reading import SentReading
from pytest_deploygate.judging.sent_reading import Sent

_TIMEOUT_S = 5.0

Send = Callable[[float], Sent]


def sender(section: SentReading, spending: Spending) -> Send:
    """Return a function that sends a reading with a value, within the budget. Raises CannotTell if the login is refused."""
    timeout_s = section.timeout.total_seconds() if section.timeout else _TIMEOUT_S
    session = form_login.cookies(section.form, section, timeout_s) if section.form else {}
    access = oauth.logged_in(section, timeout_s)
    began = time.monotonic()

    def send(value: float) -> Sent:
        reading = f"deploygate-{secrets.token_hex(6)}"
        body = section.filled(reading, value, datetime.now(UTC).isoformat()).encode()
        at_s = round(time.monotonic() - began, 3)
        try:
            with spending.request(len(body)) as asked:
                answer = sending.send(
                    access,
                    section.url,
                    timeout_s,
                    afresh=True,
                    data=body,
                    allow_redirects=False,
                    headers=dict(spending.headers),
                    cookies=form_login.revealed(session),
                )
                asked.answered(len(answer.content), wrong=answer.status_code >= 500)
        except (requests.RequestException, OSError) as error:
            return Sent(reading, value, at_s, problem=sending.why(error))
        return Sent(reading, value, at_s, answer.status_code, answer.status_code in section.status)

    return send
