"""Users of the platform while a story runs: they resolve its name and send a reading there a few times a second."""

from __future__ import annotations

import json
import threading
import urllib.request
from types import TracebackType
from typing import Self

from pytest_deploygate.lab.services import dns, front
from pytest_deploygate.lab.state import Lab

_PAUSE_S = 0.25
_SENSOR = 7


class Users:
    """Active as long as the context lasts. `accepted` counts the readings that were accepted, by address."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.accepted: dict[str, int] = {}
        self.refused = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(10.0)

    def _work(self) -> None:
        while not self._over.wait(_PAUSE_S):
            address = where(self.lab)
            if address and _send(self.lab, address):
                self.accepted[address] = self.accepted.get(address, 0) + 1
            else:
                self.refused += 1


def where(lab: Lab) -> str:
    """Return the address that DNS gives users now; empty without an answer."""
    answer = dns.ask(lab, dns.SECONDARY, dns.SWITCHED, "A")
    return next((str(rrset[0]) for rrset in answer.answer), "") if answer else ""


def version(lab: Lab, address: str) -> str:
    """Return the version of the application that answers users at an address, or why there is none."""
    try:
        with urllib.request.urlopen(
            f"http://{address}:{lab.ports[front.FRONT]}/version", timeout=3
        ) as answer:
            return str(json.loads(answer.read())["version"])
    except (OSError, ValueError, KeyError) as error:
        return f"nothing ({error})"


def _send(lab: Lab, address: str) -> bool:
    url = f"http://{address}:{lab.ports[front.FRONT]}/api/sensors/{_SENSOR}/readings"
    request = urllib.request.Request(url, data=b'{"value": 51.5}', method="POST")
    try:
        with urllib.request.urlopen(request, timeout=3.0) as answer:  # noqa: S310
            return bool(answer.status == 201)
    except OSError:
        return False
