"""Journeys through a real Chromium on a small platform whose pages the tests break."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qsl

import chromium
import pytest
from no_secrets import no_secrets
from served_site import Answer, Site, site

from pytest_deploygate.checks.journeys import judge, probe
from pytest_deploygate.checks.journeys.probe.journey import Journey
from pytest_deploygate.checks.journeys.section import Journey as Declared
from pytest_deploygate.checks.journeys.section import Journeys
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.fields.browser import Browser as Settings
from pytest_deploygate.model import CannotTell, Judgement, NotCovered, Verdict
from pytest_deploygate.redaction import Secret

__all__ = ["no_secrets"]


def _closed(handler: BaseHTTPRequestHandler) -> Answer:
    handler.connection.shutdown(socket.SHUT_RDWR)
    return Answer("")


FORM = """<title>Log in</title><h1>Log in</h1>{}<form method=post action=/login><label>User name <input name=user></label>
<label>Password <input name=password type=password></label><button>Log in</button></form>"""
HOME = "<title>Home</title><h1>Dashboards</h1><a href=/plant>Plant</a><button>Log out</button>"
PLANT = (
    "<title>Plant</title><h1>Plant overview</h1><p id=total>1,250 readings today</p><button>Log out</button>"
)
PASSWORD = "right-horse-battery"


def _login(handler: BaseHTTPRequestHandler) -> Answer:
    if handler.command == "GET":
        return Answer(FORM.format(""))
    sent = dict(parse_qsl(handler.rfile.read(int(handler.headers["Content-Length"])).decode()))
    if sent.get("password") != PASSWORD:
        return Answer(FORM.format("<p role=alert>User name or password is wrong</p>"), 401)
    return Answer("", 303, {"Location": "/home", "Set-Cookie": "session=abcdefghijkl; HttpOnly"})


def _for_users(page: str):
    def answer(handler: BaseHTTPRequestHandler) -> Answer:
        if "session=" not in handler.headers.get("Cookie", ""):
            return Answer("", 303, {"Location": "/login"})
        return Answer(page)

    return answer


GOOD = {"/login": _login, "/home": _for_users(HOME), "/plant": _for_users(PLANT), "/favicon.ico": ""}


@pytest.fixture(scope="module")
def platform() -> Iterator[Site]:
    with site(dict(GOOD)) as served:
        yield served


@pytest.fixture(autouse=True)
def as_good(platform: Site) -> None:
    platform.pages.clear()
    platform.pages.update(GOOD)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def browser(platform: Site, out: Path) -> Iterator[Browser]:
    chromium.needed()
    found = Browser(Settings(url=platform.url, timeout="6s", sandbox=False), out)
    yield found
    found.close()


def journeys(**more: object) -> Journeys:
    users = {"viewer": {"name": "anna", "password": Secret(PASSWORD, "env:PASSWORD")}}
    return Journeys(**{"login": {"sees": "Log out"}, "users": users} | more)


SEES = Declared(
    name="sees the plant",
    user="viewer",
    steps=[
        {
            "click": "Plant",
            "sees": ["Plant overview", "READINGS  today"],
            "lacks": "No data",
            "value": {"at": "#total", "at_least": 1000},
        }
    ],
)


def walk(browser: Browser, declared: Declared = SEES, **more: object) -> Judgement:
    section = journeys(**more)
    found = probe.walked(browser, section, declared, unrecorded("phase3.smoke"))
    return judge.judge(found, judge.Walk.of(section, declared))


def test_a_journey_comes_to_its_end(browser: Browser, out: Path):
    section = journeys()
    found = probe.walked(browser, section, SEES, unrecorded("phase3.smoke"))
    judged = judge.judge(found, judge.Walk.of(section, SEES))
    assert judged.verdict is Verdict.PASS, judged.reason
    assert [step.name for step in found.steps] == ["logs in as viewer", "clicks 'Plant'"]
    assert all((out / step.picture).is_file() for step in found.steps)
    end = found.pictures[-1]
    assert (end.path, end.title) == (found.steps[-1].picture, "sees the plant, after \"clicks 'Plant'\"")
    assert found.steps[1].value == "1,250 readings today"
    assert found.trace == ""
    assert any("Core Web Vitals" in note for note in judged.notes)
    assert judged.figures[0].thumbnail


@pytest.mark.long
def test_a_text_that_is_missing_names_page_step_and_what_was_seen(
    browser: Browser, platform: Site, out: Path
):
    platform.pages["/plant"] = "<h1>We are sorry</h1>"
    section = journeys()
    found = probe.walked(browser, section, SEES, unrecorded("phase3.smoke"))
    judged = judge.judge(found, judge.Walk.of(section, SEES))
    assert judged.verdict is Verdict.FAIL
    assert "step 2, \"clicks 'Plant'\", at http://127.0.0.1:" in judged.reason
    assert "'Plant overview', 'READINGS  today' was not seen in 6 s" in judged.reason
    assert "We are sorry" in judged.reason
    assert (out / found.trace).is_file()


@pytest.mark.long
def test_an_unwanted_text_that_comes_late_is_found(browser: Browser, platform: Site):
    platform.pages["/plant"] = PLANT + (
        "<span id=s></span><script>fetch('/series').then(() => document.getElementById('s').textContent = 'No data')</script>"
    )

    def series(_handler: object) -> Answer:
        time.sleep(0.6)
        return Answer("[]")

    platform.pages["/series"] = series
    judged = walk(browser)
    assert judged.verdict is Verdict.FAIL
    assert "the page shows 'No data', which it must not" in judged.reason


def test_an_error_page_ends_the_step_at_once(browser: Browser, platform: Site):
    platform.pages["/plant"] = Answer("<h1>Internal Server Error</h1>", 500)
    judged = walk(browser)
    assert judged.verdict is Verdict.FAIL
    assert "'Internal Server Error', status 500" in judged.reason
    assert "was not seen in" not in judged.reason


def test_a_script_that_fails_is_a_broken_page(browser: Browser, platform: Site):
    platform.pages["/plant"] = PLANT + "<script>window.plant.draw()</script>"
    judged = walk(browser)
    assert judged.verdict is Verdict.FAIL
    assert "in the step \"clicks 'Plant'\", http://127.0.0.1:" in judged.reason
    assert "/plant has a script's error" in judged.reason
    assert walk(browser, ignore=["reading 'draw'"]).verdict is Verdict.PASS


def test_a_rejection_that_nobody_catches_is_an_error_too(browser: Browser, platform: Site):
    platform.pages["/plant"] = PLANT + "<script>Promise.reject(new Error('lost'))</script>"
    assert "script's error: lost" in walk(browser).reason


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("<script src=/gone.js></script>", "GET http://127.0.0.1:PORT/gone.js answered 404"),
        ("<script>fetch('/broken')</script>", "GET http://127.0.0.1:PORT/broken answered 500"),
        (
            "<script>fetch('/closed').catch(() => 0)</script>",
            "GET http://127.0.0.1:PORT/closed got no answer",
        ),
    ],
)
def test_a_request_that_fails_is_a_broken_page(browser: Browser, platform: Site, more: str, said: str):
    platform.pages["/broken"] = Answer("", 500)
    platform.pages["/closed"] = _closed
    platform.pages["/plant"] = PLANT + more
    judged = walk(browser)
    assert judged.verdict is Verdict.FAIL
    assert said.replace("PORT", platform.url.rpartition(":")[2]) in judged.reason


def test_an_answer_that_a_page_never_reads_is_no_failure(browser: Browser, platform: Site):
    """Chromium calls it aborted although it was answered with 200."""
    platform.pages["/beacon"] = Answer("x" * 200_000)
    platform.pages["/plant"] = PLANT + "<script>fetch('/beacon'); setTimeout(() => 0, 1)</script>"
    assert walk(browser).verdict is Verdict.PASS


def test_a_picture_that_is_missing_is_a_note(browser: Browser, platform: Site):
    platform.pages["/plant"] = PLANT + "<img src=/gone.png>"
    judged = walk(browser)
    assert judged.verdict is Verdict.PASS
    assert any("/gone.png answered 404" in note for note in judged.notes)


def test_other_servers_are_not_the_platform(browser: Browser, platform: Site):
    with site({"/counts": Answer("", 503)}) as other:
        platform.pages["/plant"] = (
            PLANT + f"<script>fetch('{other.url}/counts', {{mode: 'no-cors'}})</script>"
        )
        judged = walk(browser)
    assert judged.verdict is Verdict.PASS
    assert any("/counts answered 503" in note for note in judged.notes)


@pytest.mark.parametrize(
    ("total", "said"),
    [
        ("12 readings today", "12 at '#total', must be at least 1000"),
        ("no readings today", "'no readings today' at '#total' has no number in it"),
        (None, "there is nothing at '#total' on the page"),
    ],
)
def test_a_value_is_judged(browser: Browser, platform: Site, total: str | None, said: str):
    platform.pages["/plant"] = PLANT.replace(
        "<p id=total>1,250 readings today", f"<p id=total>{total}" if total else "<p>5 readings today"
    )
    judged = walk(browser)
    assert judged.verdict is Verdict.FAIL
    assert said in judged.reason


def test_a_login_that_is_refused(browser: Browser):
    section = Journeys(
        login={"sees": "Log out"},
        users={"viewer": {"name": "anna", "password": Secret("wrong-horse", "env:X")}},
    )
    found = probe.logged_in(browser, section, "viewer", unrecorded("golive.logins"))
    judged = judge.judge_login(found, judge.Login.of(section))
    assert judged.verdict is Verdict.FAIL
    assert (
        "'Log out' was not seen after the login: the page shows 'User name or password is wrong', status 401"
        in (judged.reason)
    )


def test_a_loop_of_redirects_after_the_login(browser: Browser, platform: Site):
    platform.pages["/home"] = Answer("", 303, {"Location": "/home"})
    section = journeys()
    found = probe.logged_in(browser, section, "viewer", unrecorded("golive.logins"))
    judged = judge.judge_login(found, judge.Login.of(section))
    assert judged.verdict is Verdict.FAIL
    assert "ERR_TOO_MANY_REDIRECTS" in judged.reason


def test_a_good_login(browser: Browser):
    section = journeys()
    found = probe.logged_in(browser, section, "viewer", unrecorded("golive.logins"))
    assert found.before is not None
    assert found.before.url.endswith("/login")
    assert judge.judge_login(found, judge.Login.of(section)).verdict is Verdict.PASS


def test_what_everybody_sees_shows_no_login(browser: Browser, platform: Site):
    platform.pages["/home"] = HOME
    section = journeys()
    found = probe.logged_in(browser, section, "viewer", unrecorded("golive.logins"))
    judged = judge.judge_login(found, judge.Login.of(section))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "is seen at" in judged.reason
    assert "without a login, too" in judged.reason


@pytest.mark.long
def test_a_login_form_with_other_labels_is_named(browser: Browser, platform: Site):
    platform.pages["/login"] = FORM.format("").replace("User name", "E-mail")
    judged = walk(browser)
    assert judged.verdict is Verdict.FAIL
    assert "there is no field labelled 'User name'" in judged.reason
    assert PASSWORD not in judged.reason


def test_no_password_is_kept_anywhere(browser: Browser, platform: Site, out: Path):
    platform.pages["/plant"] = "<h1>broken</h1>"
    found = probe.walked(browser, journeys(), SEES, unrecorded("phase3.smoke"))
    assert found.trace
    for file in (out / "evidence").iterdir():
        assert PASSWORD.encode() not in file.read_bytes()


def test_a_step_over_its_limit(browser: Browser, platform: Site):
    def slow(handler: BaseHTTPRequestHandler) -> Answer:
        time.sleep(1.2)
        return _for_users(PLANT)(handler)

    platform.pages["/plant"] = slow
    declared = SEES.model_copy(update={"steps": [SEES.steps[0].model_copy(update={"within": _s(0.5)})]})
    section = journeys()
    found = probe.walked(browser, section, declared, unrecorded("phase3.smoke"))
    judged = judge.judge(found, judge.Walk.of(section, declared))
    # A machine that is busy meanwhile cannot tell.
    assert judged.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert "limit 0.5 s" in judged.reason


def test_a_name_that_does_not_resolve_is_unknown(out: Path):
    chromium.needed()
    own = Browser(Settings(url="http://app.invalid", timeout="6s", sandbox=False), out)
    declared = Declared(name="opens", steps=[{"open": "/", "sees": "Hello"}])
    judged = walk(own, declared)
    own.close()
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "was not reached from here" in judged.reason


def test_a_refused_connection_is_a_failure(out: Path):
    chromium.needed()
    own = Browser(Settings(url=f"http://127.0.0.1:{_unused()}", timeout="6s", sandbox=False), out)
    judged = walk(own, Declared(name="opens", steps=[{"open": "/", "sees": "Hello"}]))
    own.close()
    assert judged.verdict is Verdict.FAIL
    assert "ERR_CONNECTION_REFUSED" in judged.reason


def in_python(browser: Browser, go) -> Judgement:
    section = journeys()
    journey = Journey("in Python", browser, section, unrecorded("phase3.smoke"))
    return judge.judge(journey.attempt(lambda: go(journey)), judge.Walk.of(section))


def test_steps_in_python(browser: Browser):
    def go(journey: Journey) -> None:
        journey.login("viewer")
        with journey.step("opens the plant"):
            journey.page.goto("/plant")
            assert journey.page.get_by_text("readings today").is_visible()

    judged = in_python(browser, go)
    assert judged.verdict is Verdict.PASS, judged.reason


def test_what_goes_wrong_after_the_last_step_has_a_picture_of_its_own(browser: Browser):
    journey = Journey("in Python", browser, journeys(), unrecorded("phase3.smoke"))

    def go() -> None:
        with journey.step("opens the login"):
            journey.page.goto("/login")
        journey.page.evaluate("document.body.innerHTML = '<h1>Gone</h1>'")
        raise AssertionError("the form is gone")

    found = journey.attempt(go)
    assert found.problem == "the form is gone"
    assert found.pictures[-1].path != found.steps[-1].picture


def test_an_assertion_in_python(browser: Browser):
    from playwright.sync_api import expect

    def go(journey: Journey) -> None:
        with journey.step("opens the login"):
            journey.page.goto("/login")
            expect(journey.page.get_by_role("heading")).to_have_text("Welcome", timeout=300)

    judged = in_python(browser, go)
    assert judged.verdict is Verdict.FAIL
    assert "opens the login" in judged.reason
    assert "Welcome" in judged.reason


@pytest.mark.parametrize(
    ("error", "said"),
    [(KeyError("plant"), "its own code failed: KeyError"), (CannotTell("no route"), "no route")],
)
def test_what_says_nothing_of_the_platform_is_unknown(browser: Browser, error: Exception, said: str):
    def go(journey: Journey) -> None:
        with journey.step("opens the login"):
            journey.page.goto("/login")
            raise error

    judged = in_python(browser, go)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert said in judged.reason


def test_a_journey_without_steps_proves_nothing(browser: Browser):
    judged = in_python(browser, lambda journey: journey.page.goto("/login"))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "it has no step" in judged.reason


def test_a_user_that_is_not_there_is_named(browser: Browser):
    with pytest.raises(NotCovered, match=r"no user 'viewr' in `journeys.users`.*viewer"):
        in_python(browser, lambda journey: journey.login("viewr"))


def _unused() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _s(seconds: float):
    from datetime import timedelta

    return timedelta(seconds=seconds)


def test_a_journey_walks_another_instance(browser: Browser, platform: Site) -> None:
    """The old application's, whose address is not the inventory's."""
    with site({"/": "<h1>Planned work</h1>", "/favicon.ico": ""}) as old:
        declared = Declared.model_validate(
            {"name": "plans work", "url": old.url, "steps": [{"open": "/", "sees": "Planned work"}]}
        )
        found = probe.walked(browser, Journeys(), declared, unrecorded())
    assert judge.judge(found, judge.Walk.of(Journeys(), declared)).verdict is Verdict.PASS
    assert found.last.url.startswith(old.url)


def test_the_old_applications_journeys_have_an_address() -> None:
    steps = [{"open": "/", "sees": "Planned work"}]
    with pytest.raises(ValueError, match=r"'plans work' in `old_application` needs `url`"):
        Journeys.model_validate({"old_application": [{"name": "plans work", "steps": steps}]})
