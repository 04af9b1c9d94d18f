"""The probe against a real server: what it sends, and what it sees where something is wrong."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from cdn.cdn_server import SCRIPT, Cache, serving

from pytest_deploygate.checks.cdn import judge, probe
from pytest_deploygate.checks.cdn.section import Asset, Cdn, Purge, Tried
from pytest_deploygate.clients import budget, stopping
from pytest_deploygate.fields.http import HttpLogin
from pytest_deploygate.judging.spending import Limits
from pytest_deploygate.model import CannotTell, Judgement, Verdict
from pytest_deploygate.redaction import Secret

ENVIRONMENT = "staging"
BUDGET = budget.unrecorded("infra.cdn")


def section(url: str, **changes: object) -> Cdn:
    """Return a section for a cache without TLS; its origin is told by a digest."""
    digest = hashlib.sha256(SCRIPT).hexdigest()
    asset = Asset(name="script", url=f"{url}/app.js", immutable=True, codings=["gzip"], sha256=digest)
    keys = {"assets": [asset], "nothing_private": True, "fetches": 20, "timeout": "2s"} | changes
    return Cdn(**keys)  # type: ignore[arg-type]


def asset(cache: Cache, **changes: object) -> Judgement:
    """Measure and judge the script. Its address is not HTTPS, which one test is about."""
    cdn = section(cache.url, **changes)
    return judge.judge_asset(probe.asset(cdn, cdn.assets[0], BUDGET), judge.Wanted(cdn, cdn.assets[0]))


def without_http(reason: str) -> list[str]:
    """Return the sentences of a reason but the one that is always there."""
    return [each for each in reason.split("; ") if "HTTPS" not in each and "change `url`" not in each]


def test_a_good_asset_lacks_only_https():
    with serving() as cache:
        found = asset(cache)
        assert found.reason == "its address is not HTTPS: serve it over TLS, and change `url`"
        assert {headers["user-agent"] for _, _, headers in cache.asked} == {budget.AGENT}
        assert {headers["deploygate-probe"] for _, _, headers in cache.asked} == {"infra.cdn"}
        # Nobody asked for plain HTTP, since it is plain already; a client that says nothing sends no header.
        assert any("accept-encoding" not in headers for _, _, headers in cache.asked)


WRONG = {
    "never-hits": "0 of 20 fetches were hits",
    "ignores-vary": "clients get codings that they cannot read",
    "uncompressed": "without compression in 23 of 23 fetches",
    "no-304": "answers 200 instead of 304",
    "no-ranges": "is answered with the whole (200), though it says `Accept-Ranges: bytes`",
    "shifted-range": "is answered with other bytes than it asks for",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_an_asset(wrong):
    with serving(wrong) as cache:
        found = asset(cache)
    assert found.verdict is Verdict.FAIL
    assert WRONG[wrong] in found.reason
    assert len(without_http(found.reason)) <= 3


def test_nothing_tells_a_hit():
    with serving("says-nothing") as cache:
        found = probe.asset(section(cache.url), section(cache.url).assets[0], BUDGET)
    assert {fetch.hit for fetch in found.fetches} <= {None, True}


def test_a_content_that_is_not_the_builds(tmp_path):
    file = tmp_path / "app.js"
    file.write_bytes(b"something else")
    with serving() as cache:
        wanted = Asset(name="script", url=f"{cache.url}/app.js", file=file)
        cdn = section(cache.url, assets=[wanted])
        found = judge.judge_asset(probe.asset(cdn, wanted, BUDGET), judge.Wanted(cdn, wanted))
    assert f"have another content than {file}" in found.reason


def test_an_origin_that_does_not_answer_is_unknown(unused_port: int):
    with serving() as cache:
        wanted = Asset(name="script", url=f"{cache.url}/app.js")
        cdn = section(cache.url, assets=[wanted], origin={"url": f"http://127.0.0.1:{unused_port}"})
        found = probe.asset(cdn, wanted, BUDGET)
    assert found.wanted is not None
    assert "nothing listens there" in found.wanted.problem


def test_a_cdn_that_does_not_answer(unused_port: int):
    cdn = section(f"http://127.0.0.1:{unused_port}")
    with pytest.raises(CannotTell, match="cannot be fetched: no connection"):
        probe.asset(cdn, cdn.assets[0], BUDGET)


def test_a_name_that_does_not_resolve():
    cdn = section("http://cdn.invalid")
    with pytest.raises(CannotTell, match="its name does not resolve here"):
        probe.asset(cdn, cdn.assets[0], BUDGET)


@pytest.fixture
def unused_port() -> int:
    """A port on which nothing listens."""
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def cookie(user: str) -> HttpLogin:
    """Return the login of a user."""
    return HttpLogin(header="Cookie", value=Secret(f"session={user}"))


def private(cache: Cache, path: str = "/account", shows: tuple[str, ...] = ("alice",)) -> Cdn:
    """Return a section with a private page."""
    page = {
        "name": "account",
        "url": cache.url + path,
        "a": cookie("alice"),
        "b": cookie("bob"),
        "shows": list(shows),
    }
    return section(cache.url, nothing_private=False, private=[page])


@pytest.mark.parametrize("shows", [("alice",), ()])
def test_a_private_page_is_its_owners(shows):
    with serving() as cache:
        cdn = private(cache, shows=shows)
        found = judge.judge_private(probe.private(cdn, BUDGET), cdn)
        assert found.verdict is Verdict.PASS
        # No real user asks for the addresses that were tried.
        assert all("deploygate=" in target for _, target, _ in cache.asked)


@pytest.mark.parametrize("shows", [("alice",), ()])
def test_a_private_page_that_is_shared(shows):
    with serving("shares-account") as cache:
        cdn = private(cache, shows=shows)
        found = judge.judge_private(probe.private(cdn, BUDGET), cdn)
    assert found.verdict is Verdict.FAIL
    assert "the second account got the page of the first account from the cache" in found.reason
    assert "a client without a login got the page of the first account" in found.reason


def test_a_page_that_everybody_gets_is_not_private():
    with serving() as cache:
        cdn = private(cache, "/page", ())
        found = judge.judge_private(probe.private(cdn, BUDGET), cdn)
    assert (found.verdict, "shows nothing private" in found.reason) == (Verdict.INCONCLUSIVE, True)


def test_a_login_that_does_not_work():
    with serving() as cache:
        cdn = private(cache, shows=("carol",))
        found = judge.judge_private(probe.private(cdn, BUDGET), cdn)
    assert (found.verdict, "lacks the texts of `shows`" in found.reason) == (Verdict.INCONCLUSIVE, True)


def tried(cache: Cache, *paths: str, record: Path | None = None, **more: object) -> Tried:
    """Return what may be tried."""
    pages = [cache.url + path for path in paths or ("/page",)]
    return Tried(opt_in=ENVIRONMENT, pages=pages, record=record, **more)  # type: ignore[arg-type]


def tries(cache: Cache, *paths: str) -> Judgement:
    """Try, and judge."""
    wanted = tried(cache, *paths)
    return judge.judge_tries(
        probe.tries(section(cache.url), wanted, ENVIRONMENT, BUDGET, allowed=False), wanted
    )


def test_nothing_poisons():
    with serving() as cache:
        found = tries(cache)
        assert found.verdict is Verdict.PASS, found.reason
        assert "none of 27 tries" in found.reason
        # At the address of users, only what any of them sends, to see whether the service suffers.
        plain = [headers for _, target, headers in cache.asked if "deploygate=" not in target]
        usual = {"host", "accept", "accept-encoding", "user-agent", "deploygate-probe"}
        assert all(set(headers) == usual for headers in plain)
        assert {headers["user-agent"] for headers in plain} == {budget.AGENT}


def test_the_addresses_of_the_inventory_are_asked_where_the_name_does_not_resolve():
    with serving() as cache:
        here, cache.url = cache.url, cache.url.replace("127.0.0.1", "cdn.invalid")
        wanted, cdn = tried(cache), section(cache.url, addresses=["127.0.0.1"])
        found = judge.judge_tries(probe.tries(cdn, wanted, ENVIRONMENT, BUDGET, allowed=False), wanted)
        assert found.verdict is Verdict.PASS, found.reason
        assert {headers["host"] for _, _, headers in cache.asked} == {
            here.replace("http://127.0.0.1", "cdn.invalid")
        }
        assert probe.asset(cdn, cdn.assets[0], BUDGET).fetches[0].status == 200


POISONED = {
    "reflects": "X-Forwarded-Host, X-Forwarded-Scheme with X-Forwarded-Host poison the cache: for other users the page has",
    "keeps-cookies": "the cache gives the cookie visitor of one user to others",
    "unkeyed-utm": "the parameter utm_source poisons the cache",
    "fat-get": "the body of a GET poisons the cache",
    "rewrites": "X-Original-URL poisons the cache: for other users the page answers 404 instead of 200",
}


@pytest.mark.parametrize("wrong", POISONED)
def test_poisoned(wrong):
    with serving(wrong) as cache:
        found = tries(cache)
    assert found.verdict is Verdict.FAIL
    assert POISONED[wrong] in found.reason


def test_nothing_is_sent_where_users_would_get_it():
    with serving("unkeyed-query", "reflects") as cache:
        found = tries(cache)
        assert (found.verdict, "its query is no part of the cache's key" in found.reason) == (
            Verdict.INCONCLUSIVE,
            True,
        )
        assert not any("x-forwarded-host" in headers for _, _, headers in cache.asked)


def test_a_page_that_is_not_cached():
    with serving() as cache:
        found = tries(cache, "/uncached")
    assert (found.verdict, "nothing could be tried" in found.reason) == (Verdict.INCONCLUSIVE, True)


def test_a_private_page_that_is_kept_as_a_file():
    with serving("any-path") as cache:
        cdn, wanted = private(cache), tried(cache)
        found = judge.judge_tries(probe.tries(cdn, wanted, ENVIRONMENT, BUDGET, allowed=False), wanted)
    assert found.verdict is Verdict.FAIL
    assert "account: at an address with /….css behind it or /….js behind it" in found.reason


def test_without_the_opt_in_nothing_is_sent():
    with serving() as cache:
        wanted = tried(cache)
        found = judge.judge_tries(
            probe.tries(section(cache.url), wanted, "prod", BUDGET, allowed=False), wanted
        )
        assert cache.asked == []
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "run the drill with --allow-disruptive=prod, or set `cdn.tried.opt_in: prod`" in found.reason


def test_the_record_counts_without_the_opt_in(tmp_path):
    with serving() as cache:
        wanted = tried(cache, record=tmp_path / "cdn.json")
        probe.tries(section(cache.url), wanted, ENVIRONMENT, BUDGET, allowed=False)
        later = wanted.model_copy(update={"opt_in": ""})
        sent = len(cache.asked)
        found = judge.judge_tries(
            probe.tries(section(cache.url), later, ENVIRONMENT, BUDGET, allowed=False), later
        )
        assert found.verdict is Verdict.PASS
        assert len(cache.asked) == sent


def purge(cache: Cache, **changes: object) -> Judgement:
    """Purge the script, and judge."""
    requests = [{"url": f"{cache.url}/app.js", "method": "PURGE"}]
    wanted = Purge(**{"url": f"{cache.url}/app.js", "requests": requests, "within": "1s"} | changes)  # type: ignore[arg-type]
    allowed = tried(cache, purge=wanted)
    evidence = probe.purged(section(cache.url), allowed, wanted, ENVIRONMENT, BUDGET, allowed=False)
    return judge.judge_purge(evidence, allowed)


def test_a_purge_that_is_seen():
    with serving() as cache:
        found = purge(cache)
    assert (found.verdict, found.reason.startswith("after the purge, all 1 caches")) == (Verdict.PASS, True)


def test_a_purge_that_does_nothing():
    with serving("ignores-purge") as cache:
        found = purge(cache)
    assert found.verdict is Verdict.FAIL
    assert "edge still served the object from before the purge after" in found.reason


def test_a_purge_that_fails():
    with serving() as cache:
        found = purge(cache, requests=[], run="echo no right to purge; exit 3")
        assert (found.verdict, "it cannot be purged: `echo no right to purge; exit 3`" in found.reason) == (
            Verdict.FAIL,
            True,
        )


def test_an_object_that_is_never_cached_cannot_be_purged():
    with serving() as cache:
        found = purge(cache, url=f"{cache.url}/uncached")
    assert (found.verdict, "no cache held it before the purge" in found.reason) == (
        Verdict.INCONCLUSIVE,
        True,
    )


@pytest.mark.parametrize(("stale", "verdict"), [(True, Verdict.PASS), (False, Verdict.FAIL)])
def test_the_origin_is_down(tmp_path, stale, verdict):
    """The commands leave marks; the server looks for them."""
    with serving(*([] if stale else ["never-hits"])) as cache:
        flag = tmp_path / "down"
        answer = cache.answer

        def watching(*request: object) -> object:
            cache.origin_down = flag.exists()
            return answer(*request)  # type: ignore[arg-type]

        cache.answer = watching  # type: ignore[method-assign, assignment]
        down = {"url": f"{cache.url}/short", "stop": f"touch {flag}", "start": f"rm {flag}"}
        wanted = tried(cache, origin_down=down)
        assert wanted.origin_down is not None
        evidence = probe.down(
            section(cache.url), wanted, wanted.origin_down, ENVIRONMENT, BUDGET, allowed=False
        )
        found = judge.judge_down(evidence, wanted)
        assert not flag.exists()
    assert found.verdict is verdict
    if not stale:
        assert "with the origin down, 8 of 8 fetches answered 503" in found.reason


def test_a_budget_that_is_used_up_ends_it():
    with serving() as cache:
        few = budget.unrecorded("infra.cdn", Limits(requests=12))
        with pytest.raises(budget.Ended, match="12 requests of its budget are used up"):
            probe.asset(section(cache.url), section(cache.url).assets[0], few)
        assert len(cache.asked) <= 12


def test_a_stop_ends_it_within_a_second(tmp_path):
    with serving() as cache:
        answer, stop = cache.answer, tmp_path / "stop"
        stopped = []

        def slow(*request: object) -> object:
            if len(cache.asked) == 10 and not stopped:
                stop.write_text("a test\n")
                stopped.append(time.monotonic())
            if stopped:
                time.sleep(4)
            return answer(*request)  # type: ignore[arg-type]

        cache.answer = slow  # type: ignore[method-assign, assignment]
        try:
            with pytest.raises(budget.Ended, match="stopped by the stop file"):
                probe.asset(
                    section(cache.url),
                    section(cache.url).assets[0],
                    budget.unrecorded("infra.cdn", stop_file=stop),
                )
            # A second, and what a busy machine adds.
            assert time.monotonic() - stopped[0] < 2.0
        finally:
            stopping.begin(None)


@pytest.mark.alone
def test_a_service_that_becomes_slow_ends_it():
    with serving() as cache:
        answer = cache.answer

        def slow(*request: object) -> object:
            if len(cache.asked) > 25:
                time.sleep(0.8)
            return answer(*request)  # type: ignore[arg-type]

        cache.answer = slow  # type: ignore[method-assign, assignment]
        with pytest.raises(budget.Ended, match="service"):
            probe.asset(section(cache.url, fetches=40), section(cache.url).assets[0], BUDGET)
        assert len(cache.asked) < 60


def test_an_asset_that_begins_to_fail_is_judged():
    with serving() as cache:
        answer = cache.answer

        def failing(*request: object) -> object:
            found = answer(*request)  # type: ignore[arg-type]
            return (503, [], b"", 0.0) if len(cache.asked) > 20 else found

        cache.answer = failing  # type: ignore[method-assign, assignment]
        found = asset(cache)
    assert found.verdict is Verdict.FAIL
    assert "of 38 fetches were answered with 503, expected is 200" in found.reason


def test_a_page_that_begins_to_fail_ends_what_is_tried():
    with serving() as cache:
        answer = cache.answer

        def failing(*request: object) -> object:
            found = answer(*request)  # type: ignore[arg-type]
            return (503, [], b"", 0.0) if len(cache.asked) > 40 else found

        cache.answer = failing  # type: ignore[method-assign, assignment]
        cache.lag_s = 0.02
        with pytest.raises(budget.Ended, match="errors"):
            tries(cache)
