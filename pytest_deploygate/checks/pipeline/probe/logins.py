"""Tokens for all ways in and out, fetched once before the test."""

from __future__ import annotations

from typing import TypeVar

from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.clients.http import oauth
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.fields.types import Section
from pytest_deploygate.redaction import Secret

A = TypeVar("A", bound=TokenAccess)
S = TypeVar("S", bound=Section)
_TIMEOUT_S = 10.0
#: The keys of an entrance, an exit or a step under which requests are.
_KEYS = ("http", "websocket", "sse", "api")


def logged_in(pipeline: Pipeline) -> Pipeline:
    """Return the section with a token in place of each `oauth`. Raises CannotTell, NotReached."""
    tokens = _Tokens()
    out = pipeline.left_out
    left_out = out.model_copy(
        update={
            "pages": [tokens.of(page) for page in out.pages],
            "numbers": [tokens.of(page) for page in out.numbers],
        }
    )
    return pipeline.model_copy(
        update={
            "entrances": [tokens.within(each) for each in pipeline.entrances],
            "exits": [tokens.within(each) for each in pipeline.exits],
            "clean_up": [tokens.within(each) for each in pipeline.clean_up],
            "left_out": left_out,
        }
    )


class _Tokens:
    """One token for each token endpoint and user."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Secret] = {}

    def of(self, access: A) -> A:
        """Return the same access with a token."""
        if access.oauth is None:
            return access
        key = access.oauth.url, access.oauth.who
        if key not in self._known:
            self._known[key] = oauth.token(access.oauth, _TIMEOUT_S, access).value
        return access.model_copy(update={"token": self._known[key], "oauth": None})

    def within(self, section: S) -> S:
        """Return an entrance, an exit or a step with a token in its request."""
        found = {key: getattr(section, key, None) for key in _KEYS}
        return section.model_copy(
            update={key: self.of(access) for key, access in found.items() if isinstance(access, TokenAccess)}
        )
