"""The browser's client against a real Chromium and small servers."""

from __future__ import annotations

import asyncio
import io
import ssl
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import chromium
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from no_secrets import no_secrets
from served_site import Answer, Site, site

from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.browser.visit import Visit
from pytest_deploygate.clients.stopping import Ended
from pytest_deploygate.fields.browser import Browser as Settings
from pytest_deploygate.judging.browsing import Vitals, rated
from pytest_deploygate.lab import authority
from pytest_deploygate.model import MOST_OF_A_THUMBNAIL, CannotTell, NotReached
from pytest_deploygate.redaction import Secret, masked

__all__ = ["no_secrets"]
SECRET = "correct-horse-battery"

FORM = f"""<title>Form</title><h1>Hello</h1><input id=user><input id=password type=password>
<p id=said>token {SECRET} shown</p>
<script>console.error('it is bad'); fetch('/broken'); setTimeout(() => {{ throw new Error('boom') }}, 5)</script>"""


@pytest.fixture(scope="module")
def pages() -> Iterator[Site]:
    def hangs(_handler: object) -> Answer:
        time.sleep(30)
        return Answer("late")

    with site(
        {
            "/": FORM,
            "/plain": "<h1>Plain</h1>",
            "/broken": Answer("no", 500),
            "/hangs": hangs,
            "/loop": Answer("", 302, {"Location": "/loop"}),
        }
    ) as served:
        yield served


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def browser(pages: Site, out: Path) -> Iterator[Browser]:
    chromium.needed()
    found = Browser(Settings(url=pages.url, timeout="5s", sandbox=False), out)
    yield found
    found.close()


def test_a_page_is_opened_with_its_status_and_vitals(browser: Browser):
    with browser.visit() as visit:
        opened = visit.open("/plain")
        # The browser paints when it can, which may be after the page has loaded.
        visit.page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
        painted = visit.open("/plain").vitals if opened.vitals.fcp_s is None else opened.vitals
    assert opened.status == 200
    assert opened.took_s is not None
    assert opened.vitals.ttfb_s is not None
    assert "TTFB" in rated(painted)


def test_what_the_page_did_is_seen(browser: Browser):
    with browser.visit() as visit:
        visit.open("/")
        visit.page.wait_for_timeout(200)
        seen = visit.seen()
    assert [(r.url.rpartition("/")[2], r.status) for r in seen.failed] == [("broken", 500)]
    assert {(e.kind, e.text) for e in seen.errors} >= {("console", "it is bad"), ("script", "boom")}


def test_requests_carry_the_marks_of_a_probe(browser: Browser, pages: Site):
    with browser.visit(headers=budgets.headers("phase3.smoke")) as visit:
        visit.open("/plain")
    sent = [headers for path, headers in pages.asked if path == "/plain"][-1]
    assert "Chrome/" in sent["User-Agent"]
    assert "Headless" not in sent["User-Agent"]
    assert sent["User-Agent"].endswith(budgets.AGENT)
    assert sent[budgets.HEADER] == "phase3.smoke"


def test_each_visit_begins_with_nothing(browser: Browser):
    with browser.visit() as visit:
        visit.open("/plain")
        visit.page.evaluate("localStorage.setItem('a', '1'); document.cookie = 'b=2'")
    with browser.visit() as visit:
        visit.open("/plain")
        assert visit.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_others_can_use_asyncio_between_visits(browser: Browser):
    with browser.visit() as visit:
        visit.open("/plain")
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"
    with browser.visit() as visit:
        assert visit.open("/plain").status == 200


def test_a_picture_has_no_secret_and_a_small_thumbnail(browser: Browser, out: Path):
    with browser.visit() as visit:
        visit.open("/")
        plain = visit.page.locator("#said").screenshot()
        Secret(SECRET, "env:PASSWORD")
        visit.page.fill("#user", SECRET)
        picture = visit.picture("form")
        assert picture is not None
        assert visit.page.locator("[data-deploygate-covered]").count() == 0
        # The same page without the texts, for comparison of what is under the covers.
        boxes = [visit.page.locator(s).bounding_box() for s in ("#said", "#user", "#password")]
        raw = (out / picture.path).read_bytes()
        colours = visit.page.evaluate(
            """async ([data, boxes]) => {
              const image = new Image(); image.src = data; await image.decode();
              const canvas = new OffscreenCanvas(image.width, image.height), draw = canvas.getContext('2d');
              draw.drawImage(image, 0, 0);
              return boxes.map(b => new Set(new Uint32Array(draw.getImageData(b.x + 2, b.y + 2, b.width - 4, b.height - 4).data.buffer)).size);
            }""",
            ["data:image/png;base64," + __import__("base64").b64encode(raw).decode(), boxes],
        )
    assert plain
    assert colours == [1, 1, 1], "one colour: the cover's"
    assert 0 < len(picture.thumbnail) <= MOST_OF_A_THUMBNAIL


def test_a_trace_has_no_secret(browser: Browser, out: Path):
    Secret(SECRET, "env:PASSWORD")
    with browser.visit(traced=True) as visit:
        visit.open("/")
        visit.page.fill("#user", SECRET)
        visit.page.fill("#password", SECRET)
        kept = visit.keep_trace()
    assert kept is not None
    with zipfile.ZipFile(io.BytesIO((out / kept[0]).read_bytes())) as trace:
        texts = [trace.read(name) for name in trace.namelist()]
    assert any(b"fill" in text for text in texts)
    assert not any(SECRET.encode() in text for text in texts)
    assert all(masked(text.decode(errors="replace")) == text.decode(errors="replace") for text in texts)


def test_a_loop_of_redirects_is_an_answer_of_the_server(browser: Browser):
    with browser.visit() as visit:
        assert visit.open("/loop").status is None
        assert "TOO_MANY_REDIRECTS" in visit.seen().failed[-1].problem


def test_an_unknown_name_is_our_own_side(browser: Browser):
    with browser.visit() as visit, pytest.raises(NotReached, match=r"was not reached from here"):
        visit.open("http://does-not-exist.invalid/")


def test_a_page_that_hangs_is_unknown(pages: Site, out: Path):
    chromium.needed()
    own = Browser(Settings(url=pages.url, timeout="500ms", sandbox=False), out)
    with own.visit() as visit, pytest.raises(CannotTell, match=r"/hangs was not loaded in 0\.5 s"):
        visit.open("/hangs")
    own.close()


def test_a_stop_ends_a_page_that_hangs_within_a_second(browser: Browser, tmp_path: Path):
    file = tmp_path / "stop"
    budget = budgets.unrecorded("phase3.smoke", stop_file=file)
    asked: list[float] = []

    def stop() -> None:
        asked.append(time.monotonic())
        stopping.stop(file, "a test")

    timer = threading.Timer(0.7, stop)
    try:
        with pytest.raises(Ended), budget.probe("journey", unwatched="a test"), browser.visit() as visit:
            _hang(visit, timer)
        assert time.monotonic() - asked[0] < 1.0
    finally:
        timer.cancel()
        stopping.begin(None)
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"
    with browser.visit() as visit:
        assert visit.open("/plain").status == 200, "it is started again"


def test_an_own_authority_is_trusted_by_name_and_chain(tmp_path: Path, out: Path):
    chromium.needed()
    ours = authority.make("http://127.0.0.1:1/crl", "http://127.0.0.1:1/ocsp", datetime.now(UTC))
    key = authority.ec.generate_private_key(authority.ec.SECP256R1())
    leaf = authority.leaf(ours, key, ["127.0.0.1"])
    _written(tmp_path, ours, leaf, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    with site({"/": "<h1>Secure</h1>"}, context) as served:
        with _settings(served.url, tmp_path, out) as own, own.visit() as visit:
            assert visit.open("/").status == 200
        untrusting = Browser(Settings(url=served.url, sandbox=False), out)
        with untrusting.visit() as visit:
            assert visit.open("/").status is None
            assert "ERR_CERT_AUTHORITY_INVALID" in visit.seen().failed[-1].problem
        untrusting.close()
        wrong = served.url.replace("127.0.0.1", "localhost")
        with (
            pytest.raises(CannotTell, match="is not verified by"),
            _settings(wrong, tmp_path, out) as own,
            own.visit(),
        ):
            pass


def test_names_are_mapped(pages: Site, out: Path):
    chromium.needed()
    port = pages.url.rpartition(":")[2]
    own = Browser(
        Settings(url=f"http://app.lab.test:{port}", names={"app.lab.test": "127.0.0.1"}, sandbox=False), out
    )
    with own.visit() as visit:
        assert visit.open("/plain").status == 200
    own.close()


def test_a_program_that_is_not_there_is_named(out: Path):
    own = Browser(Settings(url="http://127.0.0.1:1", program="/nowhere/chromium"), out)
    with (
        pytest.raises(CannotTell, match=r"no browser /nowhere/chromium: correct `browser.program`"),
        own.visit(),
    ):
        pass
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"


def test_vitals_are_rated_by_their_published_bounds():
    assert rated(Vitals(lcp_s=2.5, cls=0.26, inp_s=0.3)) == (
        "LCP 2.5 s (good), CLS 0.26 (poor), INP 0.3 s (needs improvement)"
    )
    assert rated(Vitals()) == ""


def _hang(visit: Visit, timer: threading.Timer) -> None:
    timer.start()
    visit.open("/hangs")


def _settings(url: str, folder: Path, out: Path):
    import contextlib

    return contextlib.closing(Browser(Settings(url=url, ca_file=folder / "root.pem", sandbox=False), out))


def _written(folder: Path, ours, leaf, key) -> None:
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    pem = Encoding.PEM
    (folder / "root.pem").write_bytes(ours.root.public_bytes(pem))
    (folder / "chain.pem").write_bytes(leaf.public_bytes(pem) + ours.intermediate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()))
