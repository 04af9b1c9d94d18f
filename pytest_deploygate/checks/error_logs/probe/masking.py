"""Mask what may be a secret, or a person, in the few texts that are kept of a log."""

from __future__ import annotations

import re
from functools import cache

from pytest_deploygate.checks.secrets import formats
from pytest_deploygate.redaction import redact

_MASK = "***"
#: What stands after a word like these. A blank alone is enough after `Bearer` and `Basic`.
_NAMED = re.compile(
    r"(?P<name>\b[\w.-]*(?:passw|pwd|secret|token|api[_-]?key|credential|cookie|session|authori[sz]ation|signature)[\w.-]*"
    r"[\"']?\s*[=:]\s*(?:(?:bearer|basic)\s+)?[\"']?|\b(?:bearer|basic)\s+)(?P<value>[^\s\"',;&)}\]]+)",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
#: Numbers of cards and accounts.
_LONG_NUMBER = re.compile(r"(?<![\w.])\d(?:[ -]?\d){11,}(?![\w.])")


def masked(text: str) -> str:
    """Return the text without known secrets, values of words for secrets, secrets of known formats, addresses of mail and
    long numbers.
    """
    text = _NAMED.sub(lambda found: f"{found['name']}{_MASK}", redact(text))
    for hit in list(formats.search([_rules()], text, "")):
        text = text.replace(hit.secret, _MASK)
    return _LONG_NUMBER.sub(_MASK, _MAIL.sub("<mail>", text))


@cache
def _rules() -> formats.Rules:
    return formats.read(formats.OWN)
