"""Telling a channel by HTTPS: Slack's incoming webhooks, Teams' workflows, and any service that takes JSON.

The address of a webhook is a secret, so no message names it, and no redirect is followed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import requests

from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.fields.notices import Channel
from pytest_deploygate.notices.record import State
from pytest_deploygate.notices.smtp import Outcome
from pytest_deploygate.problems import one_line

_MOST_SAID = 200
#: Answers of a proxy that do not say whether the service behind it took the message.
_OF_PROXIES = (502, 504)


def deliver(channel: Channel, document: dict[str, Any], message: str, before: Callable[[], None]) -> Outcome:
    """Post a notice; `before` is called before the request goes out. What it raises is raised."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": AGENT,
        "Idempotency-Key": message,
    }
    if channel.token is not None:
        headers["Authorization"] = f"Bearer {channel.token.reveal()}"
    limit_s = channel.timeout.total_seconds()
    url = channel.url.reveal().strip()
    if not url.startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
        return Outcome(
            State.WAITING, "its address is no https:// address: nothing was sent", "address", whole=True
        )
    before()
    try:
        with requests.Session() as session:
            answer = session.post(
                url,
                data=json.dumps(document).encode(),
                headers=headers,
                timeout=(limit_s, limit_s),
                allow_redirects=False,
                verify=str(channel.ca_file) if channel.ca_file else True,
            )
            status, said = answer.status_code, _words(answer.text[:2000])
    except requests.exceptions.SSLError:
        return Outcome(State.WAITING, "its certificate is not good: nothing was sent", "TLS", whole=True)
    except requests.ConnectTimeout:
        return Outcome(State.WAITING, "no connection in time: nothing was sent", "connecting", whole=True)
    except requests.ConnectionError as error:
        if "NewConnectionError" in repr(error) or "NameResolution" in repr(error):
            return Outcome(State.WAITING, "it cannot be reached: nothing was sent", "connecting", whole=True)
        return Outcome(
            State.UNCERTAIN, "the connection was closed before the answer: it may have arrived", "answer"
        )
    except requests.Timeout:
        return Outcome(State.UNCERTAIN, f"no answer within {limit_s:g} s: it may have arrived", "answer")
    except (requests.RequestException, OSError, ValueError) as error:
        # Its text may have the address, which is a secret.
        return Outcome(State.UNCERTAIN, f"{type(error).__name__}: it may have arrived", "request")
    return _judged(channel, status, said)


def _judged(channel: Channel, status: int, said: str) -> Outcome:
    words = f"{status} {said}".strip()
    if channel.kind == "slack" and status == 200 and said != "ok":
        # Slack answers `ok`; something else in between answers for it.
        return Outcome(State.UNCERTAIN, f"{words}: Slack answers `ok`", "answer", status)
    if 200 <= status < 300:
        return Outcome(State.ACCEPTED, words, "answer", status)
    if status in _OF_PROXIES:
        return Outcome(
            State.UNCERTAIN, f"{words}: a proxy answered, so it may have arrived", "answer", status
        )
    if status in (408, 425, 429) or status >= 500:
        return Outcome(State.WAITING, f"{words} (for now)", "answer", status)
    if 300 <= status < 400:
        return Outcome(
            State.REFUSED, f"{words}: redirects are not followed; name the address itself", "answer", status
        )
    return Outcome(State.REFUSED, words, "answer", status)


def _words(text: str) -> str:
    said = one_line(" ".join(text.split()))
    return said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]}…"
