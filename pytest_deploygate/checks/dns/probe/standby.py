"""Whether a standby site answers its health check, with the active site as a control."""

from __future__ import annotations

import http.client

from pytest_deploygate.checks.dns.facts import Health
from pytest_deploygate.checks.dns.section import DnsName, Standby, networks
from pytest_deploygate.checks.tls.probe.connection import Place
from pytest_deploygate.checks.tls.probe.http_answers import AtAddress
from pytest_deploygate.clients import reach

_ATTEMPTS = 3
_MOST_BODY = 65_536


def standby_health(wanted: DnsName, timeout_s: float) -> Health | None:
    """Request the standby's health check until it answers 200, at most three times, each within `timeout_s`.

    If the standby does not answer at all, the active site is requested as a control. Returns None without a standby.
    A missing answer is a value of the facts; nothing is raised.
    """
    standby = wanted.standby
    if standby is None:
        return None
    status, problem, attempts, ours = None, "", 0, False
    for attempts in range(1, _ATTEMPTS + 1):  # noqa: B007 (used in the result)
        status, problem, ours = _status(standby.address, standby, wanted.name, timeout_s)
        if status == 200:
            break
    control = None
    if status is None:
        single = [n.network_address for n in networks(wanted.addresses or []) if n.num_addresses == 1]
        others = [str(address) for address in single if str(address) != standby.address]
        control = next(
            (s for a in others if (s := _status(a, standby, wanted.name, timeout_s)[0]) is not None), None
        )
    place = Place(wanted.name, standby.address, standby.port, "none", timeout_s).label
    return Health(place, standby.path, status, attempts, problem, control, ours)


def _status(address: str, standby: Standby, host: str, timeout_s: float) -> tuple[int | None, str, bool]:
    where = Place(host, address, standby.port, "none", timeout_s)
    connection = AtAddress(where, standby.port, tls=standby.tls)
    try:
        with reach.attempt(f"{reach.at(address, standby.port)}{standby.path}"):
            answer, _ = connection.fetch(standby.path, {"Host": host, "User-Agent": "deploygate"}, _MOST_BODY)
            return answer.status, "", False
    except (OSError, http.client.HTTPException) as error:
        ours = reach.why_ours(error)
        return None, ours or str(error) or type(error).__name__, bool(ours)
    finally:
        connection.close()
