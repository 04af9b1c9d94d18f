"""Faults of the WAF."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import network, waf
from pytest_deploygate.lab.state import Lab

_ITEMS = {"sec.waf": "fail"}
_NEEDS = (waf.NAME,)
_HOST = "host1"


def _with(**switches: object) -> Change:
    return lambda lab: waf.change(lab, **switches)


def _admit(lab: Lab) -> None:
    waf.change(lab, origin=waf.inside(lab), admits=network.values(lab)[f"network.{_HOST}.ipv4"])


DETECTION_ONLY = Fault(
    "waf-detection-only",
    "ModSecurity only watches, as Debian ships it",
    _ITEMS,
    _with(mode="DetectionOnly"),
    waf.restore,
    says="only watches",
    needs=_NEEDS,
)
GROUP_OFF = Fault(
    "waf-no-sqli-rules",
    "the rules against SQL injection are switched off",
    _ITEMS,
    _with(without=942),
    waf.restore,
    says="REQUEST-942-APPLICATION-ATTACK-SQLI",
    needs=_NEEDS,
)
QUERY_ONLY = Fault(
    "waf-query-only",
    "bodies are not inspected: query strings, paths, headers and cookies are",
    _ITEMS,
    _with(bodies=False),
    waf.restore,
    says="bodies of any kind",
    needs=_NEEDS,
)
NO_JSON = Fault(
    "waf-no-json",
    "JSON bodies are not parsed; query strings and forms are guarded",
    _ITEMS,
    _with(json=False),
    waf.restore,
    says="have the WAF parse JSON",
    needs=_NEEDS,
)
PAGE = Fault(
    "waf-block-page-200",
    "the block page has status 200, and the inventory does not say what it looks like",
    {"sec.waf": "inconclusive"},
    _with(page=True),
    waf.restore,
    says="waf.blocked.pattern",
    needs=_NEEDS,
)
EVERYONE = Fault(
    "waf-blocks-everyone",
    "a rule matches every request",
    _ITEMS,
    _with(everyone=True),
    waf.restore,
    says="blocks everyone",
    needs=_NEEDS,
)
BAN = Fault(
    "waf-ban",
    "an address is banned after 60 blocked requests",
    {"sec.waf": "inconclusive"},
    _with(ban=True),
    waf.restore,
    says="was banned in the middle",
    needs=_NEEDS,
)
ORIGIN = Fault(
    "waf-origin-ipv6",
    "the application listens on IPv6, too, where the WAF is not",
    _ITEMS,
    _with(origin="[::1]"),
    waf.restore,
    says="around the WAF over IPv6",
    needs=_NEEDS,
)
INSIDE = Fault(
    "waf-origin-inside",
    "the application listens in the hosts' network, too, and serves one of the hosts there",
    _ITEMS,
    _admit,
    waf.restore,
    says=f"from {_HOST}",
    needs=(waf.NAME, network.BRIDGE),
)
