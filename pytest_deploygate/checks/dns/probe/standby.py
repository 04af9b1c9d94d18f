"""Whether a standby site answers its health check, with the active site as a control."""

from __future__ import annotations

import http.client

from pytest_deploygate.checks.dns.facts import Health
from pytest_deploygate.checks.dns.section import DnsName, Standby
from pytest_deploygate.checks.tls.probe.connection import Place
from pytest_deploygate.checks.tls.probe.http_answers import AtAddress
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import text
from pytest_deploygate.lazy import dataclass

_ATTEMPTS = 3
_MOST_BODY = 65_536


@dataclass(frozen=True)
class _Answer:
    """One answer, or why there is none; see Health."""

    status: int | None = None
    problem: str = ""
    ours: bool = False
    lacking: str = ""


def standby_health(wanted: DnsName, timeout_s: float) -> Health | None:
    """Request the standby's health check until it answers 200, at most three times, each within `timeout_s`.

    If the standby does not answer at all, the active site is requested as a control. Returns None without a standby.
    A missing answer is a value of the facts; nothing is raised.
    """
    standby = wanted.standby
    if standby is None:
        return None
    seen, attempts = _Answer(), 0
    for attempts in range(1, _ATTEMPTS + 1):  # noqa: B007 (used in the result)
        seen = _ask(standby.address, standby, wanted.name, timeout_s)
        if seen.status == 200 and not seen.lacking:
            break
    control = None
    if seen.status is None:
        single = [n.network_address for n in wanted.blocks if n.num_addresses == 1]
        others = [str(address) for address in single if str(address) != standby.address]
        control = next(
            (s for a in others if (s := _ask(a, standby, wanted.name, timeout_s).status) is not None), None
        )
    place = Place(wanted.name, standby.address, standby.port, "none", timeout_s).label
    unseen = standby.answer.trusts_the_status
    return Health(
        place, standby.path, seen.status, attempts, seen.problem, control, seen.ours, seen.lacking, unseen
    )


def _ask(address: str, standby: Standby, host: str, timeout_s: float) -> _Answer:
    where = Place(host, address, standby.port, "none", timeout_s)
    connection = AtAddress(where, standby.port, tls=standby.tls)
    try:
        with reach.attempt(f"{reach.at(address, standby.port)}{standby.path}"):
            answer, body = connection.fetch(standby.path, {"Host": host, "User-Agent": AGENT}, _MOST_BODY)
            lacking = text.lacking(standby.answer, body, answer.getheader("Content-Type", ""))
            return _Answer(answer.status, lacking=lacking)
    except (OSError, http.client.HTTPException) as error:
        ours = reach.why_ours(error)
        return _Answer(problem=ours or str(error) or type(error).__name__, ours=bool(ours))
    finally:
        connection.close()
