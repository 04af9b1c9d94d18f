"""Our alerts in what receivers get: the JSON of webhooks, mails, and texts. An alert is known by its number."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from email import message_from_bytes, policy
from typing import Any, cast

FIRING, RESOLVED = "firing", "resolved"
#: How often each alert came in each state: (number, state); the state is empty if a message does not say.
Counted = Counter[tuple[str, str]]
_DEEPEST = 20
_STATES = re.compile(r"\b(firing|resolved)\b", re.IGNORECASE)


def in_webhooks(document: object, label: str, numbers: Collection[str]) -> Counted:
    """Count our alerts in the notifications of webhooks anywhere in a document, also in JSON that is kept as text.

    https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    """
    found: Counted = Counter()
    for notification in _notifications(document, _DEEPEST):
        for alert in notification["alerts"]:
            labels = alert.get("labels") if isinstance(alert, dict) else None
            number = labels.get(label) if isinstance(labels, dict) else None
            if number in numbers:
                found[str(number), _state(alert.get("status"))] += 1
    return found


def in_mail(content: bytes, numbers: Collection[str]) -> Counted:
    """Count our alerts in a mail: its subject, and its texts, which may be quoted or base64."""
    mail = message_from_bytes(content, policy=policy.default)
    subject = str(mail["subject"] or "")
    texts = [_text(part) for part in mail.walk() if part.get_content_maintype() == "text"]
    found: Counted = Counter()
    for number in numbers:
        if states := [state for text in (subject, *texts) if (state := state_in(text, number)) is not None]:
            # One mail, whatever number of its parts names the alert.
            found[number, next(filter(None, states), "")] += 1
    return found


def state_in(text: str, number: str) -> str | None:
    """Return the state of an alert in a text: the last one named before it, else the only one; None if it is not in it."""
    at = text.find(number)
    if at < 0:
        return None
    before = _STATES.findall(text[:at])
    if before:
        return str(before[-1]).lower()
    named = {word.lower() for word in _STATES.findall(text)}
    return str(named.pop()) if len(named) == 1 else ""


def _notifications(value: object, depth: int) -> Iterator[dict[str, Any]]:
    if depth == 0:
        return
    if isinstance(value, str):
        if value.lstrip()[:1] in ("{", "[") and '"alerts"' in value:
            try:
                yield from _notifications(json.loads(value), depth - 1)
            except (ValueError, RecursionError):
                return
    elif isinstance(value, dict):
        if isinstance(value.get("alerts"), list) and "groupKey" in value:
            yield cast("dict[str, Any]", value)
            return
        for each in value.values():
            yield from _notifications(each, depth - 1)
    elif isinstance(value, list):
        for each in value:
            yield from _notifications(each, depth - 1)


def _state(said: object) -> str:
    return str(said) if said in (FIRING, RESOLVED) else ""


def _text(part: Any) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError, UnicodeError):  # an unknown charset or broken coding
        return ""
