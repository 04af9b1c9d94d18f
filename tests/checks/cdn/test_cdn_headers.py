"""What the headers of an answer tell: hits by each header, lifetimes as RFC 9111 has them."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from pytest_deploygate.checks.cdn.probe import headers
from pytest_deploygate.checks.cdn.probe.wire import Answer
from pytest_deploygate.checks.cdn.section import Told

NOW = time.time()


def answer(*lines: tuple[str, str]) -> Answer:
    """Return an answer with these headers."""
    return Answer(200, tuple((name.lower(), value) for name, value in lines), b"", True, NOW)


HITS = {
    "RFC 9211, one cache": (
        [("Cache-Status", "ExampleCache; hit; ttl=30")],
        True,
        "Cache-Status",
        "ExampleCache",
    ),
    "RFC 9211, the nearest missed": (
        [("Cache-Status", 'OriginCache; hit; ttl=1100, "CDN Company Here"; fwd=uri-miss')],
        True,
        "Cache-Status",
        "CDN Company Here",
    ),
    "RFC 9211 on two lines": (
        [("Cache-Status", "a; fwd=miss"), ("Cache-Status", "b; fwd=stale; fwd-status=304; collapsed")],
        False,
        "Cache-Status",
        "b",
    ),
    "hit that is false": ([("Cache-Status", "a; hit=?0")], False, "Cache-Status", "a"),
    "a Cache-Status that is no structured field": (
        [("Cache-Status", "HIT from; ; edge"), ("X-Cache", "MISS")],
        False,
        "X-Cache",
        "",
    ),
    "an inner list counts as absent": ([("Cache-Status", "(a b); hit"), ("Age", "5")], True, "Age", ""),
    "CloudFront": (
        [("X-Cache", "Hit from cloudfront"), ("X-Amz-Cf-Pop", "FRA56-P1")],
        True,
        "X-Cache",
        "FRA56-P1",
    ),
    "CloudFront, revalidated": ([("X-Cache", "RefreshHit from cloudfront")], False, "X-Cache", ""),
    "Fastly": (
        [("X-Cache", "MISS, HIT"), ("X-Served-By", "cache-iad-1, cache-fra-2")],
        True,
        "X-Cache",
        "cache-fra-2",
    ),
    "Akamai": ([("X-Cache", "TCP_MEM_HIT from a23")], True, "X-Cache", ""),
    "Akamai, refreshed": ([("X-Cache", "TCP_REFRESH_HIT from a23")], False, "X-Cache", ""),
    "Azure": ([("X-Cache", "CONFIG_NOCACHE")], False, "X-Cache", ""),
    "nginx": ([("X-Cache-Status", "EXPIRED")], False, "X-Cache", ""),
    "Cloudflare": ([("CF-Cache-Status", "HIT"), ("CF-Ray", "8f2a-AMS")], True, "CF-Cache-Status", "AMS"),
    "Cloudflare, dynamic": ([("CF-Cache-Status", "DYNAMIC")], False, "CF-Cache-Status", ""),
    "counts": ([("X-Cache-Hits", "0, 3")], True, "X-Cache-Hits", ""),
    "no counts": ([("X-Cache-Hits", "0")], False, "X-Cache-Hits", ""),
    "Varnish": ([("X-Varnish", "32770 5")], True, "X-Varnish", ""),
    "Varnish, fetched": ([("X-Varnish", "32770")], False, "X-Varnish", ""),
    "Age": ([("Age", "12")], True, "Age", ""),
    "Age 0 tells nothing": ([("Age", "0"), ("Date", formatdate(NOW, usegmt=True))], None, "", ""),
    "an old Date": ([("Date", formatdate(NOW - 60, usegmt=True))], True, "Date", ""),
    "nothing": ([("Server", "x")], None, "", ""),
    "words that say neither": ([("X-Cache", "yes")], None, "", ""),
}


@pytest.mark.parametrize("case", HITS)
def test_hit(case):
    lines, hit, told, node = HITS[case]
    found = headers.kept(answer(*lines), None)
    assert (found.hit, found.told, found.node) == (hit, told, node)


def test_a_header_that_the_inventory_names_goes_first():
    declared = Told(header="X-Edge-Result", hit="^cached$")
    lines = ("Cache-Status", "a; hit")
    assert headers.kept(answer(lines, ("X-Edge-Result", "fetched")), declared).hit is False
    assert headers.kept(answer(lines, ("X-Edge-Result", "cached")), declared).told == "declared header"
    assert headers.kept(answer(lines), declared).told == "Cache-Status"


DATE = ("Date", "Sun, 29 Nov 2026 12:00:00 GMT")
HOUR = ("Expires", "Sun, 29 Nov 2026 13:00:00 GMT")
#: headers, for browsers, for shared caches
LIFETIMES = {
    "max-age": ([("Cache-Control", "max-age=60")], 60, 60),
    "s-maxage goes before it in a shared cache": ([("Cache-Control", "max-age=60, s-maxage=600")], 60, 600),
    "max-age goes before Expires": ([("Cache-Control", "max-age=60"), DATE, HOUR], 60, 60),
    "Expires counts from Date, not from our clock": ([DATE, HOUR], 3600, 3600),
    "an Expires that is no date is past": ([DATE, ("Expires", "0")], 0, 0),
    "nothing said": ([DATE], None, None),
    "no-store": ([("Cache-Control", "no-store, max-age=60")], 0, 0),
    "no-cache": ([("Cache-Control", "NO-CACHE")], 0, 0),
    "private": ([("Cache-Control", "private, max-age=60")], 60, 0),
    "quoted": ([("Cache-Control", 'max-age="60"')], 60, 60),
    "twice with different numbers is stale": ([("Cache-Control", "max-age=60, max-age=90")], 0, 0),
    "twice the same": ([("Cache-Control", "max-age=60"), ("Cache-Control", "max-age=60")], 60, 60),
    "not a number is stale": ([("Cache-Control", "max-age=1h")], 0, 0),
    "negative is stale": ([("Cache-Control", "max-age=-1")], 0, 0),
    "more than 31 bits": ([("Cache-Control", "max-age=99999999999")], 2**31, 2**31),
    "a comma in quotes": ([("Cache-Control", 'ext="a, max-age=1", max-age=60')], 60, 60),
}


@pytest.mark.parametrize("case", LIFETIMES)
def test_lifetime(case):
    lines, browser_s, shared_s = LIFETIMES[case]
    found = headers.directives(answer(*lines))
    assert (found.browser_s, found.shared_s) == (browser_s, shared_s)


def test_stale_answers():
    allowed = headers.directives(
        answer(("Cache-Control", "max-age=1, stale-while-revalidate=5, stale-if-error=60"))
    )
    assert (allowed.stale_s, allowed.forbids_stale) == (60, False)
    for said in ("max-age=1, must-revalidate", "proxy-revalidate", "s-maxage=1", "no-cache"):
        assert headers.directives(answer(("Cache-Control", said))).forbids_stale


def test_what_cannot_be_read_is_kept_as_odd():
    found = headers.directives(answer(("Cache-Control", "public, ???, max-age=60, immutable")))
    assert found.odd == ("???",)
    assert found.flags == ("public", "immutable")
    assert found.max_age_s == 60


@pytest.mark.parametrize(("said", "age"), [("12", 12), ("12, 30", 12), ("x", None), ("-1", None), ("", None)])
def test_age(said, age):
    assert headers.age_s(answer(("Age", said))) == age
