"""What may be kept and asked at which time, from facts alone."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.consent.facts import Asked, OnPage, Privacy, Visited, Watched
from pytest_deploygate.checks.consent.judge import judge
from pytest_deploygate.checks.consent.section import Consent
from pytest_deploygate.model import Verdict

BEFORE, REFUSED, AGREED = "before consent", "after refusal", "after consent"
COUNTER = Asked("stats.example.net", "https://stats.example.net/collect", "fetch", ("visitor",))
CLEAN = OnPage("/", 200, 3, cookies=(("consent", "app.example.com"),))
COUNTED = OnPage("/", 200, 3, (COUNTER,), (("analytics", "app.example.com"), ("consent", "app.example.com")))


def consent(**more: object) -> Consent:
    given = {
        "pages": ["/"], "accept": "Accept", "refuse": "Refuse", "necessary": {"cookies": ["consent"]},
        "consented": {"cookies": ["analytics"], "hosts": ["*.example.net"]}, "privacy": {"sees": "Privacy"},
    }  # fmt: skip
    return Consent.model_validate(given | more)


def watched(
    before: OnPage = CLEAN, refused: OnPage = CLEAN, agreed: OnPage = COUNTED, **more: object
) -> Watched:
    visits = tuple(
        Visited(when, (page,)) for when, page in ((BEFORE, before), (REFUSED, refused), (AGREED, agreed))
    )
    given = {"visits": visits, "privacy": Privacy("https://app.example.com/privacy", 200)}
    return Watched(**(given | more))


def page(**more: object) -> OnPage:
    given = {"page": "/", "status": 200, "own": 3}
    return OnPage(**(given | more))


def test_what_is_declared_passes():
    found = judge(watched(), consent())
    assert found.verdict is Verdict.PASS, found.reason
    assert "before consent and after refusal and after consent" in found.reason


@pytest.mark.parametrize("when", [BEFORE, REFUSED])
@pytest.mark.parametrize(
    ("did", "words"),
    [
        (page(third_parties=(COUNTER,)), "the third party stats.example.net is asked: fetch https://stats.example.net/collect, which sets the cookie visitor"),
        (page(cookies=(("analytics", "app.example.com"),)), "the cookie analytics of app.example.com is set"),
        (page(storage=(("local storage", "uid"),)), "uid is kept (local storage)"),
        (page(storage=(("service worker", "https://app.example.com/"),)), "(service worker)"),
    ],
)  # fmt: skip
def test_what_is_not_necessary_waits_for_consent(when, did, words):
    found = judge(watched(**{"before" if when == BEFORE else "refused": did}), consent())
    assert (found.verdict, f"{when} " in found.reason, words in found.reason) == (Verdict.FAIL, True, True)
    assert found.confirmed


def test_a_cookie_of_a_third_party_is_said_with_its_request():
    did = page(third_parties=(COUNTER,), cookies=(("visitor", "stats.example.net"),))
    assert judge(watched(before=did), consent()).reason.count("visitor") == 1


def test_what_nobody_declared_fails_after_consent_too():
    other = Asked("ads.example.org", "https://ads.example.org/p.gif", "image")
    found = judge(watched(agreed=page(third_parties=(COUNTER, other))), consent())
    assert (found.verdict, "declare it under `consented`" in found.reason) == (Verdict.FAIL, True)


def test_nothing_seen_after_consent_proves_nothing():
    found = judge(watched(agreed=CLEAN), consent())
    assert (found.verdict, "proves nothing" in found.reason) == (Verdict.INCONCLUSIVE, True)
    found = judge(watched(agreed=page(third_parties=(COUNTER,))), consent())
    assert found.verdict is Verdict.PASS
    assert "not seen: analytics" in found.notes[0]


@pytest.mark.parametrize(
    ("did", "words"),
    [
        (page(status=404), "answered 404"),
        (
            page(status=None, said="ERR_CONNECTION_REFUSED"),
            "was not loaded before consent (ERR_CONNECTION_REFUSED)",
        ),
        (page(site=False), "led to another site"),
        (page(own=0), "made no request to the platform"),
    ],
)
def test_a_page_that_was_not_seen_is_unknown(did, words):
    found = judge(watched(before=did), consent())
    assert (found.verdict, words in found.reason) == (Verdict.INCONCLUSIVE, True), found.reason


def test_a_banner_that_was_not_found_is_unknown():
    visits = (Visited(BEFORE, (), "Accept"),)
    found = judge(watched(visits=visits), consent())
    assert (found.verdict, "button 'Accept' was not found" in found.reason) == (Verdict.INCONCLUSIVE, True)


@pytest.mark.parametrize(
    ("privacy", "verdict", "words"),
    [
        (Privacy("/p", 404), Verdict.FAIL, "answers 404"),
        (Privacy("/p", 200, "Privacy"), Verdict.FAIL, "does not show 'Privacy'"),
        (Privacy("/p", 200, linked=False), Verdict.FAIL, "has no link to the privacy page"),
        (Privacy("/p", None), Verdict.INCONCLUSIVE, "was not loaded"),
    ],
)
def test_the_privacy_page_is_reachable(privacy, verdict, words):
    found = judge(watched(privacy=privacy), consent())
    assert (found.verdict, words in found.reason) == (verdict, True), found.reason


def test_pages_without_a_banner_are_looked_at_once():
    wanted = consent(accept=None, refuse=None, consented={})
    found = judge(watched(visits=(Visited(BEFORE, (CLEAN,)),)), wanted)
    assert (found.verdict, "names no banner" in found.notes[0]) == (Verdict.PASS, True)
    found = judge(watched(visits=(Visited(BEFORE, (COUNTED,)),)), wanted)
    assert found.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"refuse": None}, "who may agree may refuse as easily"),
        ({"consented": {}}, "say under `consented`"),
        ({"accept": None, "refuse": None}, "name the buttons"),
        ({"wait": "2m"}, "at most 1m"),
        ({"pages": ["prices"]}, "is no address"),
        ({"necessary": {"hosts": ["https://cdn.example.net"]}}, "is not the name of a host"),
    ],
)
def test_mistakes_in_the_consent_section(more, words):
    with pytest.raises(ValueError, match=words):
        consent(**more)
