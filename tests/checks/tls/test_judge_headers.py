"""HSTS, redirects, and the Observatory's tests one by one; expectations follow its own analyzers (mdn/mdn-http-observatory)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.tls.facts import HttpAnswers, Page
from pytest_deploygate.checks.tls.judge import csp, headers, observatory
from pytest_deploygate.checks.tls.section.endpoints import Http
from pytest_deploygate.checks.tls.section.guidelines import profile, scores

HOST = "app.example.com"
HTTP = Http(redirect_port=80)
HSTS = ("strict-transport-security", "max-age=63072000; includeSubDomains")
TO_HTTPS = Page(301, (("location", f"https://{HOST}/"),))
NAMES = (
    "content-security-policy",
    "content-security-policy-report-only",
    "set-cookie",
    "strict-transport-security",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
    "content-type",
    "cross-origin-resource-policy",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
)


def page(*said, body="", **more):
    return Page(200, tuple(said), body)


def results(*said, body="", plain=TO_HTTPS, cors=None):
    return observatory.results(HttpAnswers(page(*said, body=body), plain=plain, cors=cors), HTTP, HOST)


def result(test, *said, **more):
    return next(r for r in results(*said, **more) if r.startswith(test))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("default-src 'none'; form-action 'self'", "csp-none-by-default"),
        ("default-src 'self'", "csp-without-unsafe"),
        ("default-src 'self'; style-src 'self' 'unsafe-inline'", "csp-unsafe-style-only"),
        ("default-src 'self'; style-src 'self' data:", "csp-unsafe-style-only"),
        ("default-src 'self'; script-src 'self' 'unsafe-inline'", "csp-unsafe-inline"),
        ("default-src 'self'; script-src https:", "csp-unsafe-inline"),
        ("default-src 'self'; script-src data:", "csp-unsafe-inline"),
        ("default-src 'self'; object-src data:", "csp-without-unsafe"),
        ("script-src 'self'", "csp-unsafe-inline"),  # without object-src and default-src all objects load
        ("default-src 'self'; script-src 'self' 'unsafe-eval'", "csp-unsafe-eval"),
        ("default-src 'self'; img-src http:", "csp-insecure-scheme-passive"),
        ("default-src 'self'; connect-src http://a.example", "csp-insecure-scheme"),
        ("default-src 'self'; script-src 'unsafe-inline' 'nonce-abc'", "csp-without-unsafe"),
        (
            "object-src 'none'; script-src 'strict-dynamic' 'nonce-abc' 'unsafe-inline' https: http:; base-uri 'none'",
            "csp-unsafe-style-only",
        ),
        ("default-src 'self'; script-src 'strict-dynamic'", "csp-invalid"),
        ("default-src 'self'; default-src 'none'", "csp-invalid"),
        ("abc", "csp-invalid"),
        ("default-src", "csp-none-by-default"),
    ],
)
def test_content_security_policies(policy, expected):
    """One policy each, with the result that the Observatory gives it."""
    assert result("csp", ("content-security-policy", policy)) == expected


def test_policies_in_the_page_and_for_reports():
    """A meta tag counts, except for directives that need a header; a report-only policy does not count."""
    meta = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
    assert result("csp", body=meta) == "csp-none-by-default"
    only = '<meta http-equiv="Content-Security-Policy" content="frame-ancestors \'none\'">'
    assert result("csp", body=only) == "csp-missing"
    assert result("frames", body=only) == "frames-missing"
    assert result("csp", ("content-security-policy-report-only", "default-src 'none'")) == "csp-report-only"


@pytest.mark.parametrize(
    ("cookie", "hsts", "expected"),
    [
        ("id=1; Secure", True, "cookies-secure-httponly"),
        ("id=1; Secure; SameSite=None", True, "cookies-secure-httponly-samesite"),
        ("session=1; Secure; HttpOnly; SameSite=Lax", True, "cookies-secure-httponly-samesite"),
        ("id=1", True, "cookies-insecure-but-hsts"),
        ("id=1", False, "cookies-insecure"),
        ("id=1; SameSite=None", True, "cookies-samesite-invalid"),
        ("id=1; Secure; SameSite=maybe", True, "cookies-samesite-invalid"),
        ("csrftoken=1; Secure", True, "cookies-anticsrf-without-samesite"),
        ("session=1; Secure", True, "cookies-session-without-httponly"),
        ("session=1", True, "cookies-session-without-httponly"),
        ("session=1; HttpOnly", True, "cookies-session-insecure-but-hsts"),
        ("session=1", False, "cookies-session-insecure"),
        ('prefs={"a":1,"b":[2]}', False, "cookies-insecure"),  # no cookie is skipped because of its value
    ],
)
def test_cookies(cookie, hsts, expected):
    said = [("set-cookie", cookie), *([HSTS] if hsts else [])]
    assert result("cookies", *said) == expected


def test_the_worst_cookie_counts_and_a_short_hsts_protects_none():
    good, bad = ("set-cookie", "a=1; Secure; SameSite=Lax"), ("set-cookie", "b=1")
    assert result("cookies", good, bad, HSTS) == "cookies-insecure-but-hsts"
    assert result("cookies", bad, (HSTS[0], "max-age=60")) == "cookies-insecure"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>no scripts</p>", "sri-no-scripts"),
        ("<script>inside()</script>", "sri-own-scripts"),
        ('<script src="/app.js"></script>', "sri-own-scripts"),
        ('<![x[ y ]]><![ z><script src="/app.js"></script>', "sri-own-scripts"),
        ('<script src="https://example.com/app.js"></script>', "sri-own-scripts"),
        ('<script src="/app.js" integrity="sha384-x"></script>', "sri-all"),
        ('<script src="https://cdn.other.example/a.js" integrity="sha384-x"></script>', "sri-all"),
        ('<script src="https://cdn.other.example/a.js"></script>', "sri-missing-external"),
        ('<script src="https://notexample.com/a.js"></script>', "sri-missing-external"),
        ('<script src="https://[broken/a.js"></script>', "sri-missing-external"),
        ('<script src="//cdn.other.example/a.js" integrity="sha384-x"></script>', "sri-external-not-secure"),
        ('<script src="http://cdn.other.example/a.js"></script>', "sri-missing-external-not-secure"),
        (
            '<script src="//cdn.other.example/a.js"></script><script src="/b.js"></script>',
            "sri-missing-external-not-secure",
        ),
    ],
)
def test_integrity_of_scripts(body, expected):
    """External scripts need a digest and HTTPS; the worst one counts."""
    assert result("sri", body=body) == expected


def test_integrity_is_asked_of_html_alone():
    script = '<script src="//cdn.other.example/a.js"></script>'
    assert result("sri", ("content-type", "application/json"), body=script) == "sri-not-html"
    assert result("sri", ("content-type", "text/html; charset=utf-8"), body=script).endswith("not-secure")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((), "cors-none"),
        ((("access-control-allow-origin", "*"),), "cors-public"),
        ((("access-control-allow-origin", "https://a.example"),), "cors-restricted"),
        ((("access-control-allow-origin", HttpAnswers.ORIGIN),), "cors-restricted"),
        (
            (
                ("access-control-allow-origin", HttpAnswers.ORIGIN),
                ("access-control-allow-credentials", "true"),
            ),
            "cors-universal-with-credentials",
        ),
    ],
)
def test_answers_to_another_origin(said, expected):
    """An origin that is reflected, with credentials, opens the application to any site."""
    assert result("cors", cors=page(*said)) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("referrer-policy", "no-referrer, strict-origin-when-cross-origin"), "referrer-private"),
        (("referrer-policy", "unsafe-url"), "referrer-unsafe"),
        (("referrer-policy", "nonsense"), "referrer-invalid"),
        (("x-content-type-options", "nosniff"), "nosniff"),
        (("x-content-type-options", "sniff"), "nosniff-invalid"),
        (("x-frame-options", "DENY"), "frames-denied"),
        (("x-frame-options", "ALLOW-FROM https://a.example"), "frames-allow-from"),
        (("x-frame-options", "ALLOWALL"), "frames-invalid"),
        (("content-security-policy", "frame-ancestors 'none'"), "frames-by-csp"),
        (("cross-origin-resource-policy", "same-site"), "corp-same-origin"),
        (("cross-origin-opener-policy", "same-origin; report-to=x"), "coop-isolated"),
        (("cross-origin-embedder-policy", "nonsense"), "coep-invalid"),
    ],
)
def test_single_headers(said, expected):
    assert result(expected.split("-")[0], said) == expected


def test_every_result_has_its_points_and_credit_comes_from_90_on():
    """The whole of a good site: every bonus. The whole of a bare one: what is missing, and no bonus."""
    good = results(
        HSTS,
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("set-cookie", "session=1; Secure; HttpOnly; SameSite=Strict"),
        ("cross-origin-resource-policy", "same-origin"),
    )
    assert set(good) <= set(scores().modifiers)
    assert observatory.score(good) == (100 + 10 + 5 + 5 + 5 + 10, "A+")
    assert observatory.score(results(("referrer-policy", "no-referrer"))) == (100 - 25 - 20 - 5 - 20, "D")


def looked(*said, plain=TO_HTTPS, refused=False, problem=""):
    found = HttpAnswers(page(*said), "", plain, problem, refused, cors=page())
    return headers.look(found, HTTP.model_copy(update={"min_score": 0}), profile("intermediate"), HOST)


@pytest.mark.parametrize(
    ("value", "wrong", "note"),
    [
        ("max-age=63072000; includeSubDomains; preload", "", ""),
        ("max-age=63072000", "", "lacks includeSubDomains"),
        ("max-age=63072000; preload", "", "preload list requires includeSubDomains"),
        ("max-age=31535999; includeSubDomains; preload", "31535999 s", "max-age of at least 31536000"),
        ("max-age=63071999; includeSubDomains", "requires at least 63072000 s", ""),
        ("max-age=0", "max-age is 0 s", ""),
        ("max-age=²", "is not valid", ""),
        (f"max-age={'9' * 5000}", "is not valid", ""),
        ("includeSubDomains", "is not valid", ""),
        ("max-age=63072000, max-age=1", "is not valid", ""),
        ('max-age="63072000"; includeSubDomains', "", ""),
    ],
)
def test_hsts(value, wrong, note):
    """The age is compared with the profile; includeSubDomains and preload are reported."""
    said = looked((HSTS[0], value))
    assert bool(said.wrong) == bool(wrong), said.wrong
    assert wrong in " ".join(said.wrong)
    assert note in " ".join(said.notes)


@pytest.mark.parametrize(
    ("location", "status", "wrong"),
    [
        (f"https://{HOST}/", 301, ""),
        (f"https://{HOST.upper()}:443/x", 308, ""),
        (f"https://{HOST}.evil.example/", 301, "not to https://app.example.com"),
        ("https://other.example.com/", 301, "not to https://app.example.com"),
        (f"http://{HOST}/login", 301, "not to https://app.example.com"),
        ("/login", 302, "not to https://app.example.com"),
        (None, 301, "redirects to nowhere"),
        ("https://[broken", 301, "redirects to https://[broken"),
        (f"https://{HOST}/", 200, "does not redirect"),
    ],
)
def test_redirects(location, status, wrong):
    """To HTTPS on this exact host; a name that only starts with it is another host."""
    plain = Page(status, (("location", location),) if location else ())
    said = looked(HSTS, plain=plain)
    assert bool(said.wrong) == bool(wrong), said.wrong
    assert wrong in " ".join(said.wrong)


def test_plain_http_that_does_not_answer_is_not_a_pass():
    """Refused means not offered; no answer is inconclusive."""
    assert "nothing to redirect" in " ".join(looked(HSTS, plain=None, refused=True).notes)
    assert looked(HSTS, plain=None, problem="no answer in 5 s").unknown == [
        "whether plain HTTP redirects cannot be determined: no answer in 5 s"
    ]
    assert headers.look(None, HTTP, profile("intermediate"), HOST).unknown


def test_missing_answers_are_unknown():
    """No page, nothing about plain HTTP, or no answer to another origin: each is unknown, with what was missing."""
    whole = HttpAnswers(page(HSTS), plain=TO_HTTPS, cors=page())
    lenient = HTTP.model_copy(update={"min_score": 0})

    def unknown(found):
        return headers.look(found, lenient, profile("intermediate"), HOST).unknown

    assert unknown(whole) == []
    assert unknown(None) == ["no HTTPS answer: it was not requested"]
    assert unknown(HttpAnswers(None, "port 443: timed out")) == ["no HTTPS answer: port 443: timed out"]
    assert "whether plain HTTP redirects" in unknown(HttpAnswers(page(HSTS), cors=page()))[0]
    assert "what another origin may read" in unknown(HttpAnswers(page(HSTS), plain=TO_HTTPS))[0]


@pytest.mark.parametrize(("least", "wrong"), [(50, False), (51, True)])
def test_the_least_score_is_inclusive(least, wrong):
    """A score of exactly the limit passes; a point less fails with score, grade, limit and what costs points."""
    found = HttpAnswers(page(HSTS), plain=TO_HTTPS, cors=page())
    said = headers.look(found, HTTP.model_copy(update={"min_score": least}), profile("intermediate"), HOST)
    assert (said.score, said.grade) == (50, "C")
    assert bool(said.wrong) is wrong
    assert wrong is (
        f"security headers score 50 (C), at least {least} is required; set what is missing: csp-missing, "
        "nosniff-missing, frames-missing" in said.wrong
    )


def test_several_policies_allow_what_all_of_them_allow():
    """A directive is the intersection of its lists; an empty one is 'none', and one of a single policy counts."""
    first, second = csp.parsed("script-src 'self' a.example; img-src *"), csp.parsed("script-src a.example")
    assert csp.together([first, second]) == {"script-src": {"a.example"}, "img-src": {"*"}}
    assert csp.together([{"script-src": {"a"}}, {"script-src": {"b"}}]) == {"script-src": {"'none'"}}
    assert csp.together([]) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (";;;;;;;", {}),
        ("img-src", {"img-src": {"'none'"}}),
        ("sandbox", {"sandbox": set()}),
        ("report-uri /a; report-uri /b", {"report-uri": {"/a"}}),
        ("IMG-SRC *; img-src *", None),
    ],
)
def test_parsing_a_policy(text, expected):
    """Directives in lower case; too short, or a directive twice, is no policy."""
    assert csp.parsed(text) == expected


def test_a_policy_of_nothing_is_a_missing_one():
    assert result("csp", ("content-security-policy", ";;;;;;;")) == "csp-missing"


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.text(max_size=40)), max_size=6), st.text(max_size=200))
def test_whatever_a_server_sends_gets_a_score(sent, body):
    """Every result of every header has points, and each score has a grade."""
    found = results(*sent, body=body)
    assert len(found) == 12
    total, grade = observatory.score(found)
    assert 0 <= total <= 145
    assert grade


@pytest.mark.parametrize(
    ("status", "to", "wrong", "note"),
    [
        (301, f"http://{HOST}/", "back to plain HTTP", ""),
        (302, f"HTTP://{HOST.upper()}/app", "back to plain HTTP", ""),
        (308, f"http://{HOST}:8080/", "back to plain HTTP", ""),
        (301, "http://docs.example.com/", "", "which is plain HTTP"),
        (
            301,
            f"https://{HOST}/app",
            "",
            "to https://app.example.com/app: headers and cookies are those of the redirect",
        ),
        (301, "/app", "", "the page itself was not looked at"),
        (302, "https://login.example.com/", "", "the page itself was not looked at"),
        (302, "", "", "to nowhere"),
        (500, "", "", "those of an error page"),
        (404, "", "", "those of an error page"),
    ],
)
def test_what_https_answers_with(status, to, wrong, note):
    """A redirect back to plain HTTP on the same host undoes what HTTPS is for; the rest is said."""
    found = Page(status, (HSTS, ("location", to)) if to else (HSTS,))
    look = headers.look(
        HttpAnswers(found, plain=TO_HTTPS, cors=page()),
        HTTP.model_copy(update={"min_score": 0}),
        profile("intermediate"),
        HOST,
    )
    assert [text for text in look.wrong if "plain HTTP" in text and wrong in text] == (
        look.wrong if wrong else []
    )
    assert bool(look.wrong) is bool(wrong)
    assert not note or [text for text in look.notes if note in text]


@pytest.mark.parametrize(
    ("sent", "body", "wrong"),
    [
        ((("refresh", f"0; url=http://{HOST}/app"),), "", True),
        ((("refresh", f"5;URL='http://{HOST.upper()}/'"),), "", True),
        ((), f'<meta http-equiv="refresh" content="0; url=http://{HOST}/app">', True),
        ((), f"<META content='3;http://{HOST}/' http-equiv=Refresh>", True),
        ((("refresh", f"0; url=https://{HOST}/app"),), "", False),
        ((("refresh", "300"),), "", False),
        ((), '<meta http-equiv="refresh" content="0; url=/app">', False),
        ((), '<meta http-equiv="refresh" content="0; url=http://docs.example.com/">', False),
        ((), f'<meta property="og:url" content="0; url=http://{HOST}/">', False),
    ],
)
def test_a_page_that_sends_browsers_back_to_plain_http(sent, body, wrong):
    found = Page(200, (HSTS, *sent), body)
    look = headers.look(
        HttpAnswers(found, plain=TO_HTTPS, cors=page()),
        HTTP.model_copy(update={"min_score": 0}),
        profile("intermediate"),
        HOST,
    )
    assert bool(look.wrong) is wrong, look.wrong


def test_a_cookie_over_plain_http_is_a_note():
    plain = Page(301, (("location", f"https://{HOST}/"), ("set-cookie", "seen=1")))
    look = headers.look(
        HttpAnswers(page(HSTS), plain=plain, cors=page()), HTTP, profile("intermediate"), HOST
    )
    assert [text for text in look.notes if "sets a cookie" in text]
