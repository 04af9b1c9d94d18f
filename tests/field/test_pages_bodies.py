"""Pages as browsers read them: how text is decoded, what answers 200 without being the page, what caches keep."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import threading

import pytest

from pytest_deploygate.checks.pages import judge, probe
from pytest_deploygate.checks.pages.section import Maintenance, Pages, PolicyPage
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http.text import decoded
from pytest_deploygate.model import Verdict

WORD = "Datenschutzerklärung"
DATED = "<p>Last updated: 14 November 2026</p>"
LONG = " ".join(a + b for a in "bdfghklmnp" for b in ("an", "em", "iv", "or", "us", "al", "et", "im"))


@contextlib.contextmanager
def site(pages, missing=(404, {}, b"<h1>Nothing here</h1>")):
    """Serve each path as status, headers and body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = pages.get(self.path.partition("?")[0], missing)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                for part in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(part)

        def log_message(self, *_):
            pass

    reach.begin()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def policy(pages, path="/privacy", missing=(404, {}, b"<h1>Nothing here</h1>"), **keys):
    with site(pages, missing) as where:
        page = PolicyPage.model_validate({"url": where + path, "not_before": "2026-11-01", **keys})
        found = probe.read(page, Pages.model_validate({"timeout": "5s"}))
    return judge.judge_policy(found, page)


def html(body, content_type="text/html", status=200, **more):
    return status, {"Content-Type": content_type, **more}, body


#: Header, bytes: how browsers read the word.
ENCODED = {
    "meta charset": ("text/html", b"<meta charset=utf-8>" + WORD.encode()),
    "nothing": ("text/html", WORD.encode()),
    "meta http-equiv": (
        "text/html",
        b'<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">' + WORD.encode("cp1252"),
    ),
    "header": ("text/html; charset=ISO-8859-15", WORD.encode("iso-8859-15")),
    "the header goes before meta": ("text/html; charset=utf-8", b"<meta charset=koi8-r>" + WORD.encode()),
    "a mark goes before the header": ("text/html; charset=koi8-r", b"\xef\xbb\xbf" + WORD.encode()),
    "UTF-16 with a mark": ("text/html", b"\xff\xfe" + WORD.encode("utf-16-le")),
    "meta that says UTF-16": ("text/html", b"<meta charset=utf-16>" + WORD.encode()),
    "Windows without a word": ("text/html", WORD.encode("cp1252")),
    "Latin-1 is Windows": ("text/html; charset=latin1", WORD.encode() and WORD.encode("cp1252")),
    "utf8mb4": ("text/html; charset=utf8mb4", WORD.encode()),
    "none": ("text/html; charset=none", WORD.encode()),
    "two types": ("text/html; charset=utf-8,text/html", WORD.encode()),
    "hex": ("text/html; charset=hex", WORD.encode()),
    "base64": ("text/html; charset=base64", WORD.encode()),
    "unicode_escape": ("text/html; charset=unicode_escape", WORD.encode()),
    "idna": ("text/html; charset=idna", WORD.encode()),
    "quotes": ("text/html; charset='utf-8'", WORD.encode()),
    "empty": ("text/html; charset=", WORD.encode()),
    "unknown in meta": ("text/html", b"<meta charset=utf8mb4>" + WORD.encode()),
}


@pytest.mark.parametrize("name", ENCODED)
def test_text_is_read_as_browsers_read_it(name):
    content_type, body = ENCODED[name]
    encoding = "utf-16-le" if name.startswith("UTF-16") else "ascii"
    judgement = policy({"/privacy": html(body + DATED.encode(encoding), content_type)}, contains=[WORD])
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_wrong_bytes_do_not_stop_it():
    assert decoded(b"a\xffb\xc3", "text/html; charset=utf-8") == "a\ufffdb\ufffd"
    assert decoded(b"", "") == ""
    assert decoded("ä".encode()[:1], "text/html") == "\ufffd"


@pytest.mark.parametrize(
    "body",
    [b"<![if IE]>x<![endif]>", b"<![foo[x", b"<!x", b"</", b"<a href=", b"&#x110000;", b"\0", b"<" * 2000],
)
def test_broken_markup_does_not_stop_it(body):
    assert policy({"/privacy": html(DATED.encode() + body)}, contains=["Last"]).verdict is Verdict.PASS


def test_the_end_of_a_page_without_a_last_tag_counts():
    page = html(b"<p>Last updated: 14 November 2026")
    assert policy({"/privacy": page}, contains=["Last"]).verdict is Verdict.PASS


def test_words_far_down_count():
    body = ("x " * 50_000 + WORD + DATED).encode()
    assert policy({"/privacy": html(body)}, contains=[WORD]).verdict is Verdict.PASS


FOOTER = "<footer>© Example, 14 November 2026</footer>"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (f"<title>Page not found</title><p>{LONG}</p>{FOOTER}", "error page ('Page not found')"),
        (f"<h1>404</h1><p>{LONG}</p>{FOOTER}", "error page"),
        (f"<h1>Seite nicht gefunden</h1>{FOOTER}", "error page"),
        (
            f"<title>Shop</title><p>Sorry, we looked everywhere. {LONG}</p>{FOOTER}",
            "same text as a page that does not exist",
        ),
    ],
)
def test_a_soft_404_with_a_date_in_the_footer(body, says):
    soft = html(body.encode())
    judgement = policy({"/privacy": soft}, missing=soft)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert says in judgement.reason


#: Error pages that no list of words names: Finnish, Japanese, Thai, Arabic, Greek, Korean, Polish.
NOWHERE = {
    "fi": "Valitettavasti etsimääsi sivua {} ei löytynyt",
    "ja": "お探しのページ{}は見つかりませんでした",
    "th": "ไม่พบหน้า{}ที่คุณต้องการ",
    "ar": "عذرا، الصفحة {} التي تبحث عنها غير موجودة",
    "el": "Η σελίδα {} που ζητήσατε δεν βρέθηκε",
    "ko": "요청하신 페이지{}를 찾을 수 없습니다",
    "pl": "Nie znaleźliśmy strony {}, której szukasz",
}
MENU = "<ul>" + "".join(f"<li>{word}" for word in LONG.split()[:40]) + "</ul>"


def anywhere(said):
    """Answer each path with 200 and the same page, which names the path, the time and a number of the request."""
    numbers = iter(range(10_000))

    class Every(dict):
        def get(self, path, _missing=None):
            body = said.format(path) + f"<p>14 November 2026 12:00:{next(numbers):02} req-{next(numbers)}</p>"
            return html(body.encode(), "text/html; charset=utf-8")

    return Every()


@pytest.mark.parametrize("language", NOWHERE)
@pytest.mark.parametrize("menu", ["", MENU], ids=["few words", "many words"])
def test_a_soft_404_in_any_language(language, menu):
    """It repeats the path that was asked for, and has a recent date: a page that does not exist has the same text."""
    judgement = policy(anywhere(f"<title>Shop</title>{menu}<p>{NOWHERE[language]}</p>"))
    assert judgement.verdict is (Verdict.FAIL if menu else Verdict.INCONCLUSIVE), judgement.reason
    assert "a page that does not exist" in judgement.reason


@pytest.mark.parametrize("language", NOWHERE)
def test_a_page_that_was_taken_down_in_any_language(language):
    """The server answers 404 for what does not exist, and 200 with the same title for this: no word is needed to see it."""
    title = f"<title>{NOWHERE[language].format('')}</title>"
    gone = html(f"{title}<p>{LONG}</p>{FOOTER}".encode(), "text/html; charset=utf-8")
    missing = (404, {"Content-Type": "text/html; charset=utf-8"}, f"{title}{MENU}".encode())
    pages = {"/privacy": gone, "/": html(b"<title>Shop</title>")}
    judgement = policy(pages, missing=missing)
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "has the title" in judgement.reason
    assert "`contains`" in judgement.reason
    assert policy(pages, missing=missing, contains=[LONG[:20]]).verdict is Verdict.PASS


@pytest.mark.parametrize("language", NOWHERE)
def test_a_page_of_a_few_words_is_no_policy(language):
    page = html(f"<p>{NOWHERE[language]}</p>{FOOTER}".encode(), "text/html; charset=utf-8")
    judgement = policy({"/privacy": page})
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "words" in judgement.reason


@pytest.mark.parametrize("form", ["<input type=email name=a>", "<input type=password>"])
def test_a_login_in_any_language(form):
    """All paths lead to a form in Finnish; the first asks for the address alone."""
    page = f"<title>Tervetuloa</title>{MENU}<form method=post action=/x>{form}<button>Jatka</button></form>{FOOTER}"
    judgement = policy({"/x": html(page.encode())}, missing=(302, {"Location": "/x"}, b""))
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "redirects to a login" in judgement.reason
    judgement = policy({}, missing=html(page.encode()))
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "perhaps a login" in judgement.reason


def test_a_redirect_to_a_form_in_any_language():
    """Only this page leads there, and its words are unknown to us."""
    form = f"<title>Tervetuloa</title>{MENU}<form method=post><input type=email></form>{FOOTER}"
    pages = {"/privacy": (302, {"Location": "/kirjaudu"}, b""), "/kirjaudu": html(form.encode())}
    judgement = policy(pages)
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "a page with a form" in judgement.reason
    assert policy(pages, contains=["Tervetuloa"]).verdict is Verdict.PASS


def test_a_site_with_one_title_for_all_pages():
    """Then the title of the 404 says nothing."""
    pages = {
        "/privacy": html(f"<title>Shop</title><p>{LONG}</p>{FOOTER}".encode()),
        "/": html(b"<title>Shop</title>"),
    }
    judgement = policy(pages, missing=(404, {}, b"<title>Shop</title><p>Nothing here</p>"))
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_a_policy_in_japanese_beside_a_404_in_japanese():
    """Signs of a script without blanks are compared one by one."""
    text = "".join(chr(0x4E00 + 7 * n) for n in range(300))
    page = html(f"<title>方針</title><p>{text}</p>{FOOTER}".encode(), "text/html; charset=utf-8")
    judgement = policy({"/privacy": page}, missing=(404, {}, "お探しのページは見つかりません".encode()))
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_a_page_that_scripts_make():
    """The same few words for every path."""
    shell = html(f"<title>Shop</title><div id=app></div>{FOOTER}".encode())
    judgement = policy({"/privacy": shell}, missing=shell)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "scripts" in judgement.reason


@pytest.mark.parametrize(
    ("to", "body", "verdict", "says"),
    [
        (
            "/login?next=/privacy",
            f"<title>Shop</title>{FOOTER}",
            Verdict.INCONCLUSIVE,
            "redirects to a login",
        ),
        (
            "/account",
            f"<form><input type=password></form>{FOOTER}",
            Verdict.INCONCLUSIVE,
            "redirects to a login",
        ),
        ("/x", f"<title>Please sign in</title>{FOOTER}", Verdict.INCONCLUSIVE, "redirects to a login"),
        ("/", f"<title>Shop</title>{LONG}{FOOTER}", Verdict.FAIL, "redirects to the start page"),
        ("/en/privacy", f"<title>Privacy</title>{LONG}{FOOTER}", Verdict.PASS, "is served"),
    ],
)
def test_redirects(to, body, verdict, says):
    pages = {"/privacy": (302, {"Location": to}, b""), to.partition("?")[0]: html(body.encode())}
    judgement = policy(pages)
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason


@pytest.mark.parametrize(
    ("meta", "header", "to"),
    [
        ('<meta http-equiv="refresh" content="0; url=/login">', "", "/login"),
        ("<META HTTP-EQUIV=Refresh CONTENT='3,URL=\"en/privacy\"'>", "", "/en/privacy"),
        ("", "0; url=/login", "/login"),
        ('<meta http-equiv="refresh" content="300; url=/login">', "", None),
        ('<meta http-equiv="refresh" content="5; url=/privacy#top">', "", None),
        ('<meta http-equiv="refresh" content="5">', "", None),
        ('<noscript><meta http-equiv="refresh" content="0; url=/no-scripts"></noscript>', "", None),
        ('<meta http-equiv="refresh" content="0; url=http://[">', "", None),
    ],
)
def test_a_page_that_sends_browsers_on(meta, header, to):
    """Nobody reads it; one that loads itself again, or after minutes, is read."""
    page = html(
        f"{meta}<title>Privacy</title><p>{LONG}</p>{FOOTER}".encode(),
        **({"Refresh": header} if header else {}),
    )
    judgement = policy({"/privacy": page})
    assert judgement.verdict is (Verdict.INCONCLUSIVE if to else Verdict.PASS), judgement.reason
    assert f"{to} (a refresh within seconds)" in judgement.reason or to is None


#: Where no browser goes on to.
NOWHERE_TO_GO = [
    "/privacy",
    "//",
    "http://[foo",
    "http://[::1",
    "http://host:abc/",
    "http://127.0.0.1:99999/",
    "http://a..b.example/",
    f"http://{'x' * 70}.example/",
    "http://ex%00ample/",
    "http://\u2100.example/",
    "mailto:privacy@example.com",
    "javascript:alert(1)",
    "ftp://127.0.0.1/privacy",
]


@pytest.mark.parametrize("to", NOWHERE_TO_GO)
def test_redirects_that_lead_nowhere(to):
    """Some raised an error that stopped the probe; the others were said to be no connection."""
    pages = {"/privacy": (302, {"Location": to.encode().decode("latin-1")}, b"")}
    judgement = policy(pages)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert "it redirects" in judgement.reason
    assert "correct the redirect" in judgement.reason
    with site(pages) as where:
        page = Maintenance.model_validate({"url": where + "/privacy"})
        judgement = judge.judge_maintenance(probe.reads(page, Pages.model_validate({"timeout": "5s"})), page)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert "it redirects" in judgement.reason


def test_a_redirect_to_a_server_that_is_down_is_unknown():
    judgement = policy({"/privacy": (302, {"Location": "http://127.0.0.1:1/"}, b"")})
    assert judgement.verdict is Verdict.INCONCLUSIVE, judgement.reason
    assert "connection refused" in judgement.reason


def test_a_sound_page_beside_a_404_of_the_same_template():
    menu = "<ul><li>Products<li>Prices<li>Contact</ul>"
    found = html(f"<title>Privacy</title>{menu}<p>{LONG}</p>{FOOTER}".encode())
    judgement = policy({"/privacy": found}, missing=(404, {}, f"<title>Oh</title>{menu}{FOOTER}".encode()))
    assert judgement.verdict is Verdict.PASS
    assert any("`contains`" in note for note in judgement.notes)


@pytest.mark.parametrize("packed", [False, True])
def test_a_page_that_is_cut(monkeypatch, packed):
    """The date may be in what was not read."""
    monkeypatch.setattr(probe, "LARGEST", 10_000)
    body = b"x " * 100_000 + DATED.encode()
    page = html(gzip.compress(body), **{"Content-Encoding": "gzip"}) if packed else html(body)
    judgement = policy({"/privacy": page})
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "only the first" in judgement.reason
    missing = policy({"/privacy": page}, contains=["deploygate"])
    assert missing.verdict is Verdict.INCONCLUSIVE
    begin = policy({"/privacy": html(DATED.encode() + body)})
    assert begin.verdict is Verdict.PASS
    assert any("only its first" in note for note in begin.notes)


@pytest.mark.parametrize(
    ("headers", "fails"),
    [
        ({}, False),
        ({"Cache-Control": "no-store"}, False),
        ({"Cache-Control": "max-age=30"}, False),
        ({"Cache-Control": "no-cache, max-age=86400"}, False),
        ({"Cache-Control": "max-age=0", "Expires": "Fri, 01 Jan 2100 00:00:00 GMT"}, False),
        ({"Expires": "0"}, False),
        ({"Cache-Control": "max-age=86400"}, True),
        ({"Cache-Control": "public, s-maxage=3600, max-age=0"}, True),
        ({"Cache-Control": "no-store", "CDN-Cache-Control": "max-age=600"}, True),
        ({"Expires": "Fri, 01 Jan 2100 00:00:00 GMT"}, True),
        ({"Cache-Control": "no-store", "Cloudflare-CDN-Cache-Control": "max-age=600"}, True),
        ({"Cache-Control": "max-age=0", "vercel-cdn-cache-control": "max-age=3600"}, True),
        ({"Surrogate-Control": "max-age=86400"}, True),
        ({"Cache-Control": 'max-age="86400"'}, True),
        ({"Cache-Control": "MAX-AGE = 86400, private"}, True),
        ({"Pragma": "no-cache", "Expires": "Fri, 01 Jan 2100 00:00:00 GMT"}, True),
        ({"Netlify-CDN-Cache-Control": "no-store"}, False),
        ({"Cache-Control": "stale-while-revalidate=86400, max-age=1"}, False),
        ({"Cache-Control": "max-age=86400, no-store"}, False),
        ({"Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, False),
    ],
)
def test_caches_must_not_keep_the_maintenance_page(headers, fails):
    sent = {"Content-Type": "text/html", "Retry-After": "600", **headers}
    with site({"/": (503, sent, b"<h1>Back soon</h1>")}) as where:
        page = Maintenance.model_validate({"url": f"{where}/"})
        judgement = judge.judge_maintenance(probe.reads(page, Pages()), page)
    assert judgement.verdict is (Verdict.FAIL if fails else Verdict.PASS), judgement.reason
    assert ("caches may keep it" in judgement.reason) is fails


@pytest.mark.parametrize(
    ("kind", "body", "verdict", "says"),
    [
        (
            "application/problem+json",
            b'{"title": "maintenance"}',
            Verdict.FAIL,
            "is application/problem+json",
        ),
        ("text/xml; charset=utf-8", b"<error>maintenance</error>", Verdict.FAIL, "is text/xml"),
        ("image/png", b"\x89PNG\r\n", Verdict.FAIL, "is image/png"),
        ("TEXT/HTML;charset=utf-8", b"<h1>Back soon</h1>", Verdict.PASS, ""),
        ("text/plain", b"Back soon", Verdict.PASS, ""),
        ("application/xhtml+xml", b"<html><h1>Back soon</h1></html>", Verdict.PASS, ""),
    ],
)
def test_for_whom_a_maintenance_page_is(kind, body, verdict, says):
    with site({"/": (503, {"Content-Type": kind, "Retry-After": "600"}, body)}) as where:
        page = Maintenance.model_validate({"url": f"{where}/"})
        judgement = judge.judge_maintenance(probe.reads(page, Pages()), page)
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason


def test_a_maintenance_page_for_programs_only():
    sent = {"Content-Type": "application/json", "Retry-After": "600"}
    with site({"/": (503, sent, b'{"error": "maintenance"}')}) as where:
        page = Maintenance.model_validate({"url": f"{where}/"})
        judgement = judge.judge_maintenance(probe.reads(page, Pages()), page)
    assert judgement.verdict is Verdict.FAIL
    assert "is application/json" in judgement.reason
