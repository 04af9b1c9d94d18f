"""Pages of a small server in a real browser: what they keep, whom they ask, and banners of several kinds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import chromium
import pytest

from pytest_deploygate.checks.consent import judge, probe
from pytest_deploygate.checks.consent.facts import OnPage, Visited
from pytest_deploygate.checks.consent.probe.kept import set_cookies
from pytest_deploygate.checks.consent.probe.sites import same_site
from pytest_deploygate.checks.consent.section import Consent
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.fields.browser import Browser as Settings
from pytest_deploygate.model import CannotTell, Verdict

BANNER = """<div id=banner><button onclick="agree()">Accept</button><button onclick="banner.remove()">Refuse</button></div>
<script>function agree() { banner.remove(); document.cookie = 'analytics=1'; fetch('THIRD/collect', {mode: 'no-cors'}); }</script>
<a href="/privacy">Privacy</a>"""
PAGES = {
    "/good": BANNER,
    "/second": "<p>Nothing here</p>",
    "/privacy": "<h1>Privacy</h1>",
    "/keeps": BANNER
    + "<script>localStorage.setItem('uid', 1); sessionStorage.setItem('tab', 1); indexedDB.open('visits', 1);"
    "caches.open('offline'); document.cookie = 'script=1'</script>",
    "/asks": BANNER + "<img src='THIRD/pixel?x=1'><script>navigator.sendBeacon('THIRD/beacon', 'x')</script>",
    "/frame": BANNER + "<iframe src='THIRD/embedded'></iframe>",
    "/late": BANNER
    + "<div style='height: 4000px'></div><script>addEventListener('scroll', () => new Image().src = 'THIRD/late', {once: true})</script>",
    "/socket": BANNER + "<script>try { new WebSocket('ws://localhost:PORT/live') } catch (_) {}</script>",
    "/bare": "<a href='/privacy'>Privacy</a>",
    "/cookie-of-answer": BANNER,
    "/framed-banner": "<a href='/privacy'>Privacy</a><iframe src='/banner-frame'></iframe>",
    "/covered": BANNER + "<div style='position: fixed; inset: 0'></div>",
    "/banner-frame": "<button onclick=\"document.cookie = 'analytics=1'\">Accept</button><button>Refuse</button>",
}
#: One pixel.
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        port = self.server.server_address[1]
        path = self.path.partition("?")[0]
        text = PAGES.get(path, "").replace("THIRD", f"http://localhost:{port}").replace("PORT", str(port))
        self.send_response(200 if path in PAGES or self.headers["Host"].startswith("localhost") else 404)
        if path == "/cookie-of-answer":
            self.send_header("Set-Cookie", "tracking=1; HttpOnly")
            self.send_header("Set-Cookie", "gone=; Max-Age=0")
        if path in ("/pixel", "/embedded"):
            self.send_header("Set-Cookie", "visitor=1")
        # Chromium hides the headers of an answer that is no image where one was wanted.
        self.send_header("Content-Type", "image/gif" if path == "/pixel" else "text/html")
        self.end_headers()
        self.wfile.write(GIF if path == "/pixel" else f"<!doctype html><title>x</title>{text}".encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def look(tmp_path_factory) -> Iterator[Callable[..., tuple]]:
    """Watch pages of a server, the third party of which is the same server by another name."""
    chromium.needed()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = Settings(url=f"http://127.0.0.1:{server.server_address[1]}", sandbox=False, timeout="30s")
        browser = Browser(settings, tmp_path_factory.mktemp("out"))

        def watch(*pages: str, **more: object) -> tuple:
            given = {
                "pages": list(pages), "accept": "Accept", "refuse": "Refuse", "wait": "200ms",
                "consented": {"cookies": ["analytics"], "hosts": ["localhost"]}, "privacy": {"sees": "Privacy"},
            }  # fmt: skip
            wanted = Consent.model_validate(given | more)
            found = probe.watched(browser, wanted, unrecorded("comp.gdpr"))
            return found, judge.judge(found, wanted)

        yield watch
        browser.close()
        server.shutdown()


def test_a_good_page_keeps_nothing_until_the_visitor_agrees(look):
    found, judged = look("/good", "/second")
    assert judged.verdict is Verdict.PASS, judged.reason
    assert [visit.when for visit in found.visits] == ["before consent", "after refusal", "after consent"]
    agreed = found.visits[2].pages[0]
    assert agreed.cookies == (("analytics", "127.0.0.1"),)
    assert [asked.host for asked in agreed.third_parties] == ["localhost"]
    assert found.pictures
    assert judged.figures == found.pictures


def _before(visits: tuple[Visited, ...]) -> OnPage:
    return visits[0].pages[0]


def test_every_kind_of_storage_is_seen(look):
    found, judged = look("/keeps")
    assert judged.verdict is Verdict.FAIL
    assert set(_before(found.visits).storage) >= {
        ("local storage", "uid"), ("session storage", "tab"), ("IndexedDB", "visits"), ("cache", "offline"),
    }  # fmt: skip
    assert ("script", "127.0.0.1") in _before(found.visits).cookies


@pytest.mark.parametrize(
    ("page", "paths"),
    [
        ("/asks", {"/pixel", "/beacon"}),
        ("/frame", {"/embedded"}),
        ("/late", {"/late"}),
        ("/socket", {"/live"}),
    ],
)
def test_each_way_to_ask_a_third_party_is_seen(look, page, paths):
    found, judged = look(page)
    asked = {
        one.url.partition("localhost")[2].partition("/")[2] for one in _before(found.visits).third_parties
    }
    assert {f"/{path}" for path in asked} >= paths
    assert judged.verdict is Verdict.FAIL
    assert "?" not in "".join(one.url for one in _before(found.visits).third_parties)
    if page == "/asks":
        assert any(one.cookies == ("visitor",) for one in _before(found.visits).third_parties)


def test_a_cookie_that_only_the_answer_sets_is_seen_and_a_deleted_one_is_not(look):
    found, judged = look("/cookie-of-answer")
    assert [name for name, _ in _before(found.visits).cookies] == ["tracking"]
    assert judged.verdict is Verdict.FAIL


@pytest.mark.long
def test_a_banner_that_is_missing_is_inconclusive_and_one_in_a_frame_is_found(look):
    _, judged = look("/bare")
    assert (judged.verdict, "was not found" in judged.reason) == (Verdict.INCONCLUSIVE, True)
    _, judged = look("/framed-banner", consented={"cookies": ["analytics"]})
    assert judged.verdict is Verdict.PASS, judged.reason


@pytest.mark.long
def test_a_button_that_cannot_be_pressed_is_named(look):
    with pytest.raises(CannotTell, match="button 'Refuse' on /covered could not be pressed"):
        look("/covered")


def test_a_privacy_page_that_is_not_there_fails(look):
    _, judged = look("/good", privacy={"path": "/nothing", "sees": "Privacy"})
    assert (judged.verdict, "answers 404" in judged.reason) == (Verdict.FAIL, True)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("www.example.co.uk", "shop.example.co.uk", True),
        ("example.co.uk", "other.co.uk", False),
        ("a.github.io", "b.github.io", False),
        ("127.0.0.1", "127.0.0.2", False),
        ("10.1.0.1", "10.1.0.1", True),
        ("localhost", "127.0.0.1", False),
        ("intranet", "wiki.intranet", False),
    ],
)
def test_hosts_of_one_site(one, other, same):
    assert same_site(one, other) is same


def test_cookies_that_an_answer_deletes_are_none():
    class Response:
        def headers_array(self) -> list[dict[str, str]]:
            return [{"name": "Set-Cookie", "value": "a=1; Path=/\nb=; Max-Age=0\nc=2; max-age = 10"}]

    assert list(set_cookies(Response())) == ["a", "c"]
