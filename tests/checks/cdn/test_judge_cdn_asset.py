"""An asset's judgement: how many hits suffice, what makes a content wrong, how long it may be kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pytest_deploygate.checks.cdn import judge
from pytest_deploygate.checks.cdn.facts import (
    Asked,
    Asset,
    Coded,
    Directives,
    Fetch,
    Part,
    Plain,
    Wanted,
)
from pytest_deploygate.checks.cdn.section import Asset as Declared
from pytest_deploygate.checks.cdn.section import Cdn
from pytest_deploygate.model import Judgement, Verdict

URL = "https://cdn.example.com/app.js"
YEAR = Directives("public, max-age=31536000, immutable", 31_536_000, flags=("public", "immutable"))
GOOD = Fetch(
    status=200,
    hit=True,
    told="Cache-Status",
    said="edge; hit",
    node="edge",
    age_s=100,
    coding="br",
    sha256="a" * 64,
    size=5000,
    sent_size=900,
    content_type="text/javascript",
    vary=("accept-encoding",),
    etag='"one"',
    accept_ranges="bytes",
    directives=YEAR,
)
MISS = replace(GOOD, hit=False, said="edge; fwd=uri-miss", age_s=0)
PARTS = (
    Part("bytes=0-99", 206, "bytes 0-99/5000", 100, right=True),
    Part("bytes=5000-", 416, "bytes */5000"),
)


def coded(asked: str, coding: str, **changes: object) -> Coded:
    """Return good answers to a client that takes one coding."""
    one = replace(GOOD, **{"coding": coding, "etag": f'"{coding}"'} | changes)  # type: ignore[arg-type]
    return Coded(asked, (one,) * 3)


def measured(fetches: tuple[Fetch, ...] = (GOOD,) * 40, **changes: object) -> Asset:
    """Return a good asset, with changes."""
    every = (
        coded("gzip", "gzip"),
        coded("br", "br", etag='"one"'),
        coded("identity", ""),
        coded("nothing", ""),
    )
    good = Asset(
        (MISS,),
        fetches,
        tuple(replace(each) for each in every),
        Wanted("https://origin.example.com/app.js", "a" * 64, "text/javascript", vary=("accept-encoding",)),
        Asked("If-None-Match", 304, 0, 200),
        PARTS,
        Plain(True, False, 301, URL),
        None,
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def judged(found: Asset, cdn: dict[str, object] | None = None, **asset: object) -> Judgement:
    """Judge a measurement by an asset of these keys."""
    declared = Declared(**{"name": "script", "url": URL, "immutable": True} | asset)  # type: ignore[arg-type]
    section = Cdn(**{"assets": [declared], "nothing_private": True} | (cdn or {}))  # type: ignore[arg-type]
    return judge.judge_asset(found, judge.Wanted(section, declared))


def every(**changes: object) -> Asset:
    """Return a measurement in which all answers have these changes."""
    one = replace(GOOD, **changes)  # type: ignore[arg-type]
    found = measured((one,) * 40, warming=(replace(one, hit=False),))
    return replace(
        found,
        coded=tuple(
            Coded(each.asked, tuple(replace(f, **changes) for f in each.fetches))  # type: ignore[arg-type]
            for each in found.coded
        ),
    )


def test_a_good_one():
    found = judged(measured())
    assert found.verdict is Verdict.PASS
    assert found.reason == (
        "40 of 40 fetches were hits (by Cache-Status); all 53 answers have the content of "
        "https://origin.example.com/app.js, as br, gzip, identity"
    )
    assert found.notes == ()


@pytest.mark.parametrize(
    ("hits", "verdict"),
    [
        (40, Verdict.PASS),
        (37, Verdict.PASS),
        (34, Verdict.INCONCLUSIVE),
        (30, Verdict.INCONCLUSIVE),
        (25, Verdict.FAIL),
        (0, Verdict.FAIL),
    ],
)
def test_hits_with_their_confidence(hits, verdict):
    found = judged(measured((GOOD,) * hits + (MISS,) * (40 - hits)))
    assert found.verdict is verdict, found.reason
    if verdict is not Verdict.PASS:
        assert f"{hits} of 40 fetches were hits" in found.reason


def test_a_few_fetches_prove_little():
    found = judged(measured((GOOD,) * 5))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the true ratio is between 55% and 100%" in found.reason


WHY_NO_HIT = {
    "no-store": (
        {"directives": Directives("no-store", flags=("no-store",))},
        "says 'no-store', which keeps shared caches from using it",
    ),
    "a cookie": (
        {"cookies": ("visitor",)},
        "the answer sets a cookie (visitor), and most caches keep no such answer",
    ),
    "Vary": ({"vary": ("cookie",)}, "has `Vary: cookie`, so that each client has its own copy"),
    "nothing that is seen": ({}, "turn caching on for this path"),
}


@pytest.mark.parametrize("case", WHY_NO_HIT)
def test_why_it_is_no_hit(case):
    changes, said = WHY_NO_HIT[case]
    assert said in judged(measured((replace(MISS, **changes),) * 40)).reason


def test_nothing_tells_a_hit():
    found = judged(measured((replace(GOOD, hit=None, told=""),) * 40))
    assert (found.verdict, "or name its own header in `cdn.hit`" in found.reason) == (
        Verdict.INCONCLUSIVE,
        True,
    )


OTHER = replace(GOOD, sha256="b" * 64)
CONTENT = {
    "an old one in all caches": ((OTHER,) * 40, "40 of 53 answers are hits with another content"),
    "an old one in one cache": (
        (GOOD,) * 20 + (replace(OTHER, node="edge2"),) * 20,
        "20 of 53 answers are hits with another content than https://origin.example.com/app.js, up to 100 s old (from edge2)",
    ),
    "changed on its way": (
        (GOOD,) * 39 + (replace(OTHER, hit=False),),
        "look at what changes it on its way (minifying, injected scripts)",
    ),
    "broken": (
        (GOOD,) * 39 + (replace(GOOD, sha256="", broken="it is no br (x)"),),
        "1 answers cannot be unpacked as browsers do (br: it is no br (x))",
    ),
}


@pytest.mark.parametrize("case", CONTENT)
def test_content(case):
    fetches, said = CONTENT[case]
    found = judged(measured(fetches))
    assert found.verdict is Verdict.FAIL
    assert said in found.reason


def test_a_variant_of_another_build():
    found = measured()
    others = tuple(c if c.asked != "gzip" else coded("gzip", "gzip", sha256="b" * 64) for c in found.coded)
    assert "all as gzip (from edge): build that variant anew" in judged(replace(found, coded=others)).reason


UNKNOWN = {
    "no origin": ({"wanted": None}, "add `cdn.origin: {url: …}`, or `sha256` or `file`"),
    "an origin that does not answer": (
        {"wanted": Wanted("https://o.example.com", problem="no answer in time")},
        "what its content must be is not known: https://o.example.com: no answer in time",
    ),
    "a coding that we cannot undo": (
        {"fetches": (replace(GOOD, sha256="", undecoded="br cannot be undone here"),) * 40},
        "the content of some answers is not known: br cannot be undone here",
    ),
    "lost answers": (
        {"fetches": (GOOD,) * 40 + (Fetch(problem="no answer in time"),)},
        "1 of 54 fetches of https://cdn.example.com/app.js got no answer: no answer in time",
    ),
    "plain HTTP that is silent": (
        {"plain": Plain(True, problem="no answer in time")},
        "plain HTTP on port 80: no answer in time",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_is_unknown(case):
    changes, said = UNKNOWN[case]
    found = judged(measured(**changes))
    assert (found.verdict, said in found.reason) == (Verdict.INCONCLUSIVE, True), found.reason


def test_codings():
    mixed = tuple(c if c.asked != "identity" else coded("identity", "gzip") for c in measured().coded)
    found = judged(measured(coded=mixed))
    assert "(no coding asked for and gzip sent, 3 of 3 times)" in found.reason
    assert (
        "the origin says `Vary: Accept-Encoding`, and the cache must keep the variants apart" in found.reason
    )
    assert "51 compressed" not in found.reason
    unsaid = judged(every(vary=()))
    assert "compressed answers lack `Vary: Accept-Encoding`" in unsaid.reason
    bare = judged(measured((replace(GOOD, coding=""),) * 40))
    assert (
        "browsers get text/javascript of 5,000 bytes without compression in 40 of 41 fetches" in bare.reason
    )
    assert judged(measured((replace(GOOD, coding=""),) * 40), compressed=False).verdict is Verdict.PASS
    assert "a client that takes zstd" not in judged(measured(), codings=["br"]).reason


def test_a_client_that_says_nothing_takes_everything():
    every = tuple(c if c.asked != "nothing" else coded("nothing", "gzip") for c in measured().coded)
    found = judged(measured(coded=every))
    assert found.verdict is Verdict.PASS
    assert any("sends no Accept-Encoding gets gzip" in note for note in found.notes)


def test_an_age_just_at_the_lifetime_is_not_stale():
    found = judged(every(directives=replace(YEAR, max_age_s=3_000_000), age_s=3_000_001))
    assert found.verdict is Verdict.PASS, found.reason


def test_a_variant_that_never_comes_whole():
    lost = Coded("gzip", (Fetch(problem="its answer broke off"),) * 3)
    found = judged(measured(coded=(lost, *measured().coded[1:])))
    assert found.verdict is Verdict.FAIL
    assert "with gzip asked for, 3 of 3 fetches got no whole answer (its answer broke off)" in found.reason


LIFETIME = {
    "too short": (
        {"directives": Directives("max-age=60, immutable", 60, flags=("immutable",)), "age_s": 3},
        "browsers may keep it for 60 s, at least 30 d is required",
    ),
    "by Expires": (
        {"directives": Directives("immutable", None, expires_s=3600, flags=("immutable",)), "age_s": 3},
        "browsers may keep it for 60 min, at least 30 d is required (by Expires)",
    ),
    "not said": (
        {"directives": Directives("immutable", flags=("immutable",))},
        "and no Expires, so each browser guesses how long to keep it",
    ),
    "not immutable": (
        {"directives": Directives("max-age=31536000", 31_536_000)},
        "53 of 53 answers say 'max-age=31536000', without `immutable`",
    ),
    "twice": (
        {"directives": replace(YEAR, odd=("max-age twice, 1 and 2",))},
        "Cache-Control has 'max-age twice, 1 and 2'",
    ),
    "private": (
        {"directives": replace(YEAR, flags=("private", "immutable"), said="private, …")},
        "`private` keeps the CDN from storing it",
    ),
    "served when it was stale": (
        {"directives": replace(YEAR, s_maxage_s=60), "age_s": 100},
        "an answer from the cache is 100 s old, 40 s more than",
    ),
    "expired when it arrives": (
        {"directives": replace(YEAR, max_age_s=3_000_000, s_maxage_s=31_536_000), "age_s": 3_100_000},
        "so it is expired at once",
    ),
}


@pytest.mark.parametrize("case", LIFETIME)
def test_lifetime(case):
    changes, said = LIFETIME[case]
    found = judged(every(**changes))
    assert found.verdict is Verdict.FAIL
    assert said in found.reason, found.reason


def test_a_lifetime_that_is_too_long_for_a_name_that_stays():
    found = judged(measured(), immutable=False, lifetime=timedelta(hours=1), max_lifetime=timedelta(days=7))
    assert "browsers may keep it for 365 d, at most 7 d is allowed, since its name stays" in found.reason


def test_stale_answers_that_are_allowed():
    directives = replace(YEAR, max_age_s=60, stale_while_revalidate_s=600)
    found = judged(every(directives=directives, age_s=100), lifetime=timedelta(0), immutable=False)
    assert found.verdict is Verdict.PASS, found.reason


REST = {
    "no validator": ({"asked": Asked("")}, "it has neither ETag nor Last-Modified"),
    "always the whole": ({"asked": Asked("If-None-Match", 200, 5000, 200)}, "it answers 200 instead of 304"),
    "always 304": ({"asked": Asked("If-None-Match", 304, 0, 304)}, "clients would keep an old content"),
    "a 304 with a body": ({"asked": Asked("If-None-Match", 304, 12, 200)}, "its 304 has a body of 12 bytes"),
    "other bytes": (
        {"parts": (replace(PARTS[0], right=False), PARTS[1])},
        "`Range: bytes=0-99` is answered with other bytes than it asks for (100, bytes 0-99/5000)",
    ),
    "not a part": (
        {"parts": (Part("bytes=0-99", 200, "", 5000, right=True), PARTS[1])},
        "is answered with the whole (200), though it says `Accept-Ranges: bytes`",
    ),
    "an error for a part": (
        {"parts": (Part("bytes=0-99", 500), PARTS[1])},
        "answered with 500, expected is 206",
    ),
    "plain HTTP": (
        {"plain": Plain(True, False, 200)},
        "serves it with 200: redirect it to https:// or close the port",
    ),
    "a redirect to plain HTTP": (
        {"plain": Plain(True, False, 301, "http://www.example.com/")},
        "redirects to 'http://www.example.com/', which is not HTTPS",
    ),
}


@pytest.mark.parametrize("case", REST)
def test_the_rest(case):
    changes, said = REST[case]
    found = judged(measured(**changes))
    assert found.verdict is Verdict.FAIL
    assert said in found.reason


def test_plain_http_that_is_closed_is_good():
    assert judged(measured(plain=Plain(True, closed=True))).verdict is Verdict.PASS
    assert judged(measured(plain=Plain(False))).verdict is Verdict.PASS


def test_the_whole_in_place_of_a_part_is_allowed_where_nobody_says_otherwise():
    whole = (Part("bytes=0-99", 200, "", 5000, right=True), PARTS[1])
    assert judged(replace(every(accept_ranges=""), parts=whole)).verdict is Verdict.PASS
    assert judged(replace(every(accept_ranges=""), parts=whole), ranges=True).verdict is Verdict.FAIL


def test_cookies_and_types():
    found = judged(every(cookies=("visitor",)))
    assert "53 answers set the cookie visitor, 52 of them from the cache: users share it" in found.reason
    assert judged(every(cookies=("__cf_bm",)), {"allowed_cookies": ["__cf_bm"]}).verdict is Verdict.PASS
    other = judged(every(content_type="text/plain"))
    assert "53 of 53 answers have Content-Type 'text/plain', expected is 'text/javascript'" in other.reason
    assert judged(every(content_type="Text/JavaScript")).verdict is Verdict.PASS


def test_errors():
    found = judged(measured((GOOD,) * 39 + (Fetch(status=502),)))
    assert (found.verdict, "1 of 53 fetches were answered with 502" in found.reason) == (Verdict.FAIL, True)


def test_a_cookie_that_the_cache_passes_on_is_a_note():
    found = judged(measured(with_cookie=MISS))
    assert found.verdict is Verdict.PASS
    assert any("browsers send cookies to an asset of the same site" in note for note in found.notes)


def test_variants_with_the_same_strong_etag_are_a_note():
    found = judged(every(etag='"same"'))
    assert found.verdict is Verdict.PASS
    assert any("the same strong ETag" in note for note in found.notes)


def test_a_variant_that_the_cache_breaks_off_or_answers_with_an_error_of_its_own():
    """Varnish does both, by when it notices that the origin's variant is broken."""
    broken = Fetch(problem="its answer broke off", unreadable=True)
    lost = Coded("gzip", (Fetch(status=503), broken, broken))
    found = judged(measured(coded=(lost, *measured().coded[1:])))
    assert found.verdict is Verdict.FAIL
    assert "3 of 3 fetches got no whole answer (503, its answer broke off), while browsers do" in found.reason
    assert "answered with 503" not in found.reason


def test_an_error_among_good_answers_of_a_variant_is_told_as_one():
    good = measured().coded[0]
    some = Coded("gzip", (Fetch(status=503), *good.fetches[1:]))
    found = judged(measured(coded=(some, *measured().coded[1:])))
    assert found.verdict is Verdict.FAIL
    assert "1 of " in found.reason
    assert "answered with 503" in found.reason


def test_an_asset_that_never_comes_whole():
    cut = Fetch(problem="its answer broke off", unreadable=True)
    found = judged(measured((cut,) * 40, warming=(cut,) * 3))
    assert found.verdict is Verdict.FAIL
    assert "43 of 43 fetches as browsers do got no whole answer (its answer broke off)" in found.reason
    once = judged(measured((GOOD,) * 40 + (cut,)))
    assert once.verdict is Verdict.INCONCLUSIVE
