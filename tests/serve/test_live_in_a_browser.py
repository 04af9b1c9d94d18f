"""The live page in a real browser: wide, narrow, dark, on a wall screen, and without script."""

from __future__ import annotations

import pytest
from live_journal import Change, served

from pytest_deploygate.model import Verdict

RED = "db1 lags 9.2 s behind db0, limit 5 s"


@pytest.mark.parametrize(
    ("width", "height", "scheme", "least_px"),
    [(1280, 900, "light", 16), (400, 800, "light", 16), (1280, 900, "dark", 16), (1920, 1080, "light", 26)],
    ids=["wide", "narrow", "dark", "wall"],
)
def test_a_failure_appears_without_reloading_and_fits(tmp_path, browser, width, height, scheme, least_px):
    change = Change(tmp_path).begin()
    said = []
    with served(tmp_path) as port:
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("text=Nothing so far")
        page.click("summary")
        change.finds("golive.item-1", Verdict.FAIL, RED)
        page.wait_for_selector(f"text={RED}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        size = page.evaluate("getComputedStyle(document.querySelector('.reason')).fontSize")
        assert float(size.removesuffix("px")) >= least_px
        assert page.locator("details[open]").count() == 1, "what was unfolded stays so"
        assert page.locator("#lost").is_hidden()
        assert said == []
    page.wait_for_selector("text=is lost: what you see is old")
    page.close()
    change.writer.close()


def test_without_script_the_page_reloads_itself(tmp_path, browser):
    Change(tmp_path).begin().writer.close()
    with served(tmp_path) as port:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        assert "RUNNING" in page.inner_text("h1")
        assert page.locator("meta[http-equiv=refresh]").get_attribute("content") == "5"
        context.close()
