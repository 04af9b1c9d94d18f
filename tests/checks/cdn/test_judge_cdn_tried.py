"""Private pages, tries, purges and the drill: what fails, what is unknown, and what a reason names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.cdn import judge
from pytest_deploygate.checks.cdn.facts import (
    Directives,
    Down,
    Fetch,
    Node,
    Page,
    Pages,
    Purged,
    Reader,
    Shared,
    Tries,
    Try,
)
from pytest_deploygate.checks.cdn.judge.private import storable
from pytest_deploygate.checks.cdn.section import Asset, Cdn, Purge, Tried
from pytest_deploygate.drills.record import GOOD, Evidence, Record
from pytest_deploygate.model import Judgement, Verdict

URL = "https://www.example.com/"
CDN = Cdn(assets=[Asset(name="script", url=f"{URL}app.js")], nothing_private=True)
PURGE = Purge(url=f"{URL}logo.png", run="purge", within=timedelta(seconds=5))  # type: ignore[arg-type]
TRIED = Tried(pages=[URL], purge=PURGE)
NO_STORE = Directives("private, no-store", flags=("private", "no-store"))
OWNER = Fetch(status=200, hit=False, directives=NO_STORE)
ALONE = (
    Reader("the second account", 200, False, same=False),
    Reader("a client without a login", 302, False, same=False),
)
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def private(*pages: Shared) -> Judgement:
    """Judge private pages."""
    return judge.judge_private(Pages(pages), CDN)


def shared(
    owner: Fetch = OWNER, readers: tuple[Reader, ...] = ALONE, login: str = "cookie", **more: bool
) -> Shared:
    """Return a page."""
    return Shared("account", owner, readers, login, **more)


def test_private_pages():
    assert private(shared()).verdict is Verdict.PASS
    assert private().reason.startswith("the inventory says that no page with a login goes through the CDN")
    lost = private(shared(Fetch(problem="no answer in time")))
    assert (lost.verdict, lost.reason) == (Verdict.INCONCLUSIVE, "account: no answer in time")
    refused = private(shared(Fetch(status=401)))
    assert "the first account gets 401, expected is 200: check its login" in refused.reason
    silent = private(
        shared(readers=(Reader("the second account", 0, None, False, "no answer in time"), ALONE[1]))
    )
    assert (silent.verdict, "what the second account gets" in silent.reason) == (Verdict.INCONCLUSIVE, True)
    kept = private(shared(Fetch(status=200, hit=True, directives=NO_STORE)))
    assert "the first account got it from the cache, where no private page may be" in kept.reason


#: Cache-Control, login, and whether a shared cache may keep it
STORABLE = [
    (NO_STORE, "cookie", False),
    (Directives("private", flags=("private",)), "cookie", False),
    (Directives("no-cache", flags=("no-cache",)), "cookie", False),
    (Directives("max-age=60", 60), "cookie", True),
    (Directives(), "cookie", True),
    (Directives("max-age=60", 60), "header", False),
    (Directives("s-maxage=60", s_maxage_s=60), "header", True),
    (Directives("public", flags=("public",)), "header", True),
    (Directives("must-revalidate, max-age=1", 1, flags=("must-revalidate",)), "header", True),
]


@pytest.mark.parametrize(("directives", "login", "may"), STORABLE)
def test_what_a_shared_cache_may_keep(directives, login, may):
    assert bool(storable(directives, login)) is may
    owner = Fetch(status=200, hit=False, directives=directives, cookies=("session",))
    found = private(shared(owner, login=login))
    assert (found.verdict is Verdict.FAIL) is may
    assert ("it sets the cookie session, which a cache would give to others" in found.reason) is may


def evidence(facts: object, *, age: timedelta = timedelta(0), ran_now: bool = True) -> Evidence:
    """Return the evidence of a drill."""
    about = {"object": URL}
    record = Record(NOW - age, GOOD, facts, environment="prod", configuration=about)
    return Evidence(record, "", "cdn.json", ran_now, about, "prod", NOW)


def tries(*pages: Page, deceptions: tuple[Page, ...] = (), **more: object) -> Judgement:
    """Judge tries."""
    return judge.judge_tries(evidence(Tries(1, pages, deceptions), **more), TRIED)  # type: ignore[arg-type]


CLEAN = (Try("X-Host", "clean"), Try("Forwarded", "clean"))
GOOD_PAGE = Page(URL, True, True, CLEAN)


def test_tries():
    assert (
        tries(GOOD_PAGE).reason == "none of 2 tries (list version 1) reached another user through the cache"
    )
    found = tries(Page(URL, True, True, (*CLEAN, Try("Origin", "poisoned", "the page has it"))))
    assert (found.verdict, found.confirmed) == (Verdict.FAIL, True)
    assert f"{URL}: Origin poisons the cache: for other users the page has it" in found.reason
    lost = tries(Page(URL, True, True, (*CLEAN, Try("Origin", "unknown", "edge did not answer again"))))
    assert lost.verdict is Verdict.INCONCLUSIVE
    assert "the outcome of 1 of 3 tries is not known (Origin: edge did not answer again)" in lost.reason
    assert tries(Page(URL, True, False)).verdict is Verdict.INCONCLUSIVE
    # One page that is not cached does no harm beside another one.
    assert tries(GOOD_PAGE, Page(URL, True, False)).verdict is Verdict.PASS
    assert tries(GOOD_PAGE, Page(URL, False, True)).verdict is Verdict.INCONCLUSIVE
    assert (
        tries(GOOD_PAGE, Page(URL, None, False, problem="no answer in time")).verdict is Verdict.INCONCLUSIVE
    )


def test_deceptions():
    kept = Page(
        "account", True, True, (Try("/….css behind it", "poisoned", "a client without a login gets it"),)
    )
    found = tries(GOOD_PAGE, deceptions=(kept,))
    assert "account: at an address with /….css behind it it is kept as if it were a file" in found.reason


def test_an_old_record_does_not_count():
    old = tries(GOOD_PAGE, age=timedelta(days=91), ran_now=False)
    assert (old.verdict, "is 91 d old, limit 90 d" in old.reason) == (Verdict.INCONCLUSIVE, True)
    assert "or set `cdn.tried.opt_in: prod`" in old.reason


def purged(*nodes: Node, problem: str = "") -> Judgement:
    """Judge a purge."""
    return judge.judge_purge(evidence(Purged(URL, nodes, 5.2, problem)), TRIED)


FRESH = Node("node1", True, 8, 0, None, 0.1)


def test_a_purge():
    assert purged(FRESH).reason.startswith("after the purge, all 1 caches that held it served a new object")
    late = purged(FRESH, Node("node2", True, 8, 0, 5.1, None))
    assert late.verdict is Verdict.FAIL
    assert (
        "node2 still served the object from before the purge after 5.1 s, while node1 had the new one"
        in late.reason
    )
    # In time, and then no more.
    assert purged(FRESH, Node("node2", True, 8, 0, 2.0, 2.4)).verdict is Verdict.PASS
    slow = purged(FRESH, Node("node2", True, 8, 0, 6.0, 6.5))
    assert slow.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (Node("node2", True, 8, 8, None, None), "node2 does not tell when its answers were made"),
        (Node("node2", True, 0, 0, None, None), "node2 did not answer after the purge"),
    ],
)
def test_a_purge_that_was_not_seen_everywhere(node, said):
    found = purged(FRESH, node)
    assert (found.verdict, said in found.reason) == (Verdict.INCONCLUSIVE, True)


def test_a_purge_without_anything_to_purge():
    found = purged(Node("node1", False, 8, 0, None, 0.1))
    assert (found.verdict, "no cache held it before the purge" in found.reason) == (
        Verdict.INCONCLUSIVE,
        True,
    )
    assert purged(problem="`purge` failed").verdict is Verdict.FAIL


def test_the_origin_down():
    good = judge.judge_down(evidence(Down("/status", 1, 8, 0, "", 8)), TRIED)
    assert (good.verdict, good.notes) == (Verdict.PASS, ())
    unsure = judge.judge_down(evidence(Down("/status", 1, 8, 0, "", 0)), TRIED)
    assert unsure.notes == ("/status: no answer said by its Age that it was stale",)
    bad = judge.judge_down(evidence(Down("/status", 1, 6, 2, "answered 503", 6)), TRIED)
    assert "/status: with the origin down, 2 of 8 fetches answered 503: allow stale answers" in bad.reason
