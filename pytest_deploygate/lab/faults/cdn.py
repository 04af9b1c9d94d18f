"""Faults of the CDN: its caches, its origin, and what it keeps."""

from __future__ import annotations

import json

from pytest_deploygate.lab import cdn_origin
from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import cdn
from pytest_deploygate.lab.state import Lab

_ITEMS = {"infra.cdn": "fail"}
_SCOPE = "preflight and infrastructure"


def _fault(name: str, what: str, says: str, *wrong: str, test: str = "test_asset") -> Fault:
    return Fault(
        name,
        what,
        _ITEMS,
        lambda lab: cdn.change(lab, *wrong),
        _healed,
        says,
        tests=(test,),
        needs=(cdn.NAME,),
        scope=_SCOPE,
    )


def _healed(lab: Lab) -> None:
    """Restart with nothing wrong, and so with empty caches, unless nothing is."""
    if json.loads(cdn_origin.switches(lab).read_text()):
        cdn.change(lab)


def _grown_old(lab: Lab) -> None:
    """Keep the script, and change it at the origin under the same name."""
    cdn.warm(lab)
    cdn_origin.switches(lab).write_text(json.dumps(["changed"]))


NEVER_HITS = _fault(
    "cdn-never-hits", "the caches pass every request to the origin", "0 of 40 fetches were hits", "never-hits"
)
OLD_BODY = Fault(
    "cdn-old-body",
    "the script changed at the origin under the same name, and the caches keep the old one",
    _ITEMS,
    _grown_old,
    _healed,
    "hits with another content",
    tests=("test_asset",),
    needs=(cdn.NAME,),
    scope=_SCOPE,
)
SHARED_PAGE = _fault(
    "cdn-shared-page",
    "the caches keep the account page of whoever comes first",
    "got the page of the first account from the cache",
    "shared-account",
    test="test_private_pages",
)
CACHEABLE_PAGE = _fault(
    "cdn-cacheable-page",
    "the account page says `Cache-Control: max-age=60`",
    "shared caches may keep it",
    "cacheable-account",
    test="test_private_pages",
)
DECEIVED = _fault(
    "cdn-deceived",
    "the application answers any path behind the account page with it, and the caches go by the extension",
    "kept as if it were a file",
    "any-path",
    "by-extension",
    test="test_not_poisoned",
)
HALF_PURGE = _fault(
    "cdn-half-purge",
    "the second cache answers a purge with 200 and keeps the object",
    "node2 still served the object from before the purge",
    "ignores-purge",
    test="test_purge",
)
FORWARDED_HOST = _fault(
    "cdn-forwarded-host",
    "the application builds a page from X-Forwarded-Host, which is no part of the caches' key",
    "X-Forwarded-Host, X-Forwarded-Scheme with X-Forwarded-Host poison the cache",
    "forwarded-host",
    test="test_not_poisoned",
)
UNKEYED_PARAMETER = _fault(
    "cdn-unkeyed-parameter",
    "the caches leave utm_ parameters out of their key, and a page is built from one",
    "the parameter utm_source poisons the cache",
    "unkeyed-parameter",
    test="test_not_poisoned",
)
IGNORES_VARY = _fault(
    "cdn-ignores-vary",
    "the caches ask for gzip whatever the client takes, and give it to all",
    "the cache must keep the variants apart by it",
    "gzip-for-all",
)
NO_VARY = _fault("cdn-no-vary", "the origin sends no Vary", "Vary: Accept-Encoding", "no-vary")
COOKIE = _fault("cdn-cookie", "the origin sets a cookie with its assets", "set the cookie visitor", "cookie")
SHORT = _fault(
    "cdn-short-lifetime",
    "assets may be kept for a minute, and are not immutable",
    "browsers may keep it for 60 s",
    "short",
)
BROKEN_GZIP = _fault(
    "cdn-broken-gzip",
    "the origin's gzip variant of the script is cut in half",
    "build that variant anew",
    "broken-gzip",
)
OLD_VARIANT = _fault(
    "cdn-old-variant",
    "the origin's gzip variant of the script is that of another version",
    "all as gzip",
    "old-gzip",
)
WRONG_RANGES = _fault(
    "cdn-wrong-ranges",
    "parts of an asset are fetched from the origin, which is off by one byte",
    "answered with other bytes than it asks for",
    "passes-ranges",
    "shifted-range",
)
NO_304 = _fault("cdn-no-304", "conditional requests are answered with the whole", "instead of 304", "no-304")
OTHER_TYPE = _fault(
    "cdn-other-type", "the caches send everything as text/plain", "Content-Type 'text/plain'", "other-type"
)
PLAIN = _fault(
    "cdn-plain-http", "plain HTTP serves assets instead of redirecting", "redirect it to https://", "plain"
)
NO_STALE = _fault(
    "cdn-nothing-stale",
    "the caches keep nothing for when the origin is down",
    "with the origin down",
    "no-grace",
    test="test_origin_down",
)
