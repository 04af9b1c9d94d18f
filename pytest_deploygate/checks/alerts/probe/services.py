"""What came to Slack, PagerDuty and Opsgenie, by their documented APIs."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from pytest_deploygate.checks.alerts.probe.messages import FIRING, RESOLVED, Counted, state_in
from pytest_deploygate.checks.alerts.section import Opsgenie, PagerDuty, Slack
from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.model import CannotTell

_TIMEOUT_S, _MOST = 10.0, 100
_BEFORE = timedelta(minutes=1)


class _Service(ABC):
    """A service that is asked for what came since the beginning."""

    def __init__(self) -> None:
        self._since = datetime.now(UTC)

    def begin(self) -> None:
        """Ask once: what cannot be asked is said before anything is sent."""
        self._since = datetime.now(UTC) - _BEFORE
        self.poll(())

    @abstractmethod
    def poll(self, numbers: Collection[str]) -> Counted:
        """Count the alerts in what came."""

    def end(self) -> None:  # noqa: B027 (for a service there is nothing to do)
        """Nothing is held."""


class InSlack(_Service):
    """Source: https://docs.slack.dev/reference/methods/conversations.history."""

    def __init__(self, section: Slack) -> None:
        super().__init__()
        self._section = section

    def poll(self, numbers: Collection[str]) -> Counted:
        """Count messages; Alertmanager posts another one when an alert is resolved."""
        said = _answer(
            "Slack",
            f"{self._section.url.rstrip('/')}/conversations.history",
            {"Authorization": f"Bearer {self._section.token.reveal()}"},
            {
                "channel": self._section.channel,
                "oldest": f"{self._since.timestamp():.6f}",
                "limit": f"{_MOST}",
            },
        )
        if not said.get("ok"):
            raise CannotTell(f"Slack refused: {said.get('error', 'it does not say why')}")
        found: Counted = Counter()
        for message in said.get("messages") or ():
            text = json.dumps(message, ensure_ascii=False)
            for number in numbers:
                state = state_in(text, number)
                if state is not None:
                    found[number, state] += 1
        return found


class InPagerDuty(_Service):
    """Source: https://developer.pagerduty.com/api-reference/ (list incidents)."""

    def __init__(self, section: PagerDuty) -> None:
        super().__init__()
        self._section = section

    def poll(self, numbers: Collection[str]) -> Counted:
        """Count incidents; one that is resolved was triggered before."""
        said = _answer(
            "PagerDuty",
            f"{self._section.url.rstrip('/')}/incidents",
            {
                "Authorization": f"Token token={self._section.token.reveal()}",
                "Accept": "application/vnd.pagerduty+json;version=2",
            },
            {
                "service_ids[]": self._section.service,
                "since": self._since.isoformat(),
                "until": (datetime.now(UTC) + _BEFORE).isoformat(),
                "limit": f"{_MOST}",
            },
        )
        return _states(said.get("incidents"), numbers, "resolved")


class InOpsgenie(_Service):
    """Source: https://docs.opsgenie.com/docs/alert-api (list alerts)."""

    def __init__(self, section: Opsgenie) -> None:
        super().__init__()
        self._section = section

    def poll(self, numbers: Collection[str]) -> Counted:
        """Count alerts; one that is closed was open before."""
        said = _answer(
            "Opsgenie",
            f"{self._section.url.rstrip('/')}/v2/alerts",
            {"Authorization": f"GenieKey {self._section.token.reveal()}"},
            {
                "query": f"createdAt > {int(self._since.timestamp() * 1000)}",
                "sort": "createdAt",
                "order": "desc",
                "limit": f"{_MOST}",
            },
        )
        return _states(said.get("data"), numbers, "closed")


def _states(entries: object, numbers: Collection[str], over: str) -> Counted:
    if not isinstance(entries, list):
        raise CannotTell("its answer has no list: check the address of its API")
    found: Counted = Counter()
    for entry in entries:
        text = json.dumps(entry, ensure_ascii=False)
        for number in numbers:
            if number in text:
                # Opsgenie counts what it takes for the same alert.
                found[number, FIRING] += max(1, _whole(entry.get("count")))
                if entry.get("status") == over:
                    found[number, RESOLVED] += 1
    return found


def _whole(number: object) -> int:
    return number if isinstance(number, int) else 1


def _answer(
    who: str, url: str, headers: Mapping[str, str], question: Mapping[str, str] | Iterable[tuple[str, str]]
) -> Mapping[str, Any]:
    try:
        answer = sending.get(
            HttpAccess(), url, _TIMEOUT_S, afresh=True, headers=dict(headers), params=question
        )
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{who} does not answer: {sending.why(error)}") from None
    if answer.status_code != 200:
        raise CannotTell(f"{who} answered with HTTP {answer.status_code}: check the token and its rights")
    try:
        said = answer.json()
    except ValueError:
        raise CannotTell(f"{who} answered with no JSON") from None
    if not isinstance(said, dict):
        raise CannotTell(f"{who}'s answer has another form than documented")
    return said
