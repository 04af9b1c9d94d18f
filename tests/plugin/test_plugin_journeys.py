"""Tests with the fixture `journey` in a whole run: judged by their steps, run again if they fail, their pictures kept."""

from __future__ import annotations

from collections.abc import Iterator

import chromium
import pytest
from project import Project
from served_site import Answer, Site, site

HOME = "<title>Home</title><h1>Plant overview</h1>"


@pytest.fixture
def platform(project: Project) -> Iterator[Site]:
    chromium.needed()
    with site({"/": HOME, "/favicon.ico": ""}) as served:
        project.inventory(
            f"name: prod\nbrowser: {{url: '{served.url}', timeout: 5s, sandbox: false}}\n"
            "journeys: {login: {sees: Log out}}\n"
        )
        yield served


SEES = """
@pytest.mark.item("b.tables")
def test_sees_the_plant(page, journey):
    with journey.step("opens the home page"):
        page.goto("/")
        assert page.get_by_text("Plant overview").is_visible(), "no overview"
"""


def test_a_journey_that_comes_to_its_end_passes_with_its_picture(project: Project, platform: Site):
    project.suite(SEES)
    ran = project.run_process("--items", "b.tables")
    assert ran.code == 0, ran.text
    item = next(entry for entry in project.verdicts()["items"] if entry["id"] == "b.tables")
    assert item["verdict"] == "pass"
    assert item["targets"][0]["target"] == "sees the plant"
    page = (project.out / "signoff.html").read_text()
    assert '<img class="page"' in page
    assert len(list((project.out / "evidence").glob("page--*.png"))) >= 1
    # The thumbnail is in the journal once, and not again in the measurement.
    assert (project.out / "journal.jsonl").read_text().count('"thumbnail"') == 1
    assert "thumbnail" not in next((project.out / "evidence").glob("b.tables--*.json")).read_text()


def test_a_journey_that_fails_twice_is_red_and_names_page_and_step(project: Project, platform: Site):
    platform.pages["/"] = "<h1>We are sorry</h1>"
    project.suite(SEES)
    ran = project.run_process("--items", "b.tables")
    assert ran.code != 0
    assert project.verdict("b.tables") == "fail"
    reason = project.reason("b.tables")
    assert f"step 1, 'opens the home page', at {platform.url}/: no overview" in reason
    assert "the page shows 'We are sorry'" in reason
    assert sum(path == "/" for path, _ in platform.asked) == 2, "it was run again"
    assert '"confirmed":true' in (project.out / "journal.jsonl").read_text().replace(" ", "")
    assert len(list((project.out / "evidence").glob("trace--*.zip"))) == 2, "both attempts are kept"


def test_a_journey_that_fails_once_is_unknown(project: Project, platform: Site):
    answers = iter([Answer("<h1>We are sorry</h1>"), Answer(HOME)])
    platform.pages["/"] = lambda _handler: next(answers)
    project.suite(SEES)
    project.run_process("--items", "b.tables")
    assert project.verdict("b.tables") == "inconclusive"
    assert "failed once but not on the second try" in project.reason("b.tables")


def test_pytest_fail_in_a_journey_is_a_failure_and_skip_is_not_covered(project: Project, platform: Site):
    project.suite("""
    @pytest.mark.item("b.tables")
    def test_fails(page, journey):
        with journey.step("opens"):
            page.goto("/")
            pytest.fail("it is not as wanted")

    @pytest.mark.item("b.notes")
    def test_skips(page, journey):
        pytest.skip("not today")
    """)
    project.run_process("--items", "b.tables,b.notes")
    assert project.verdict("b.tables") == "fail"
    assert "it is not as wanted" in project.reason("b.tables")
    assert project.verdict("b.notes") == "not_covered"


def test_a_page_in_a_fixture_is_a_mistake_that_is_explained(project: Project, platform: Site):
    project.suite("""
    @pytest.fixture
    def opened(page):
        page.goto("/")
        return page

    @pytest.mark.item("b.tables")
    def test_sees(opened, journey):
        with journey.step("looks"):
            opened.title()
    """)
    project.run_process("--items", "b.tables")
    assert project.verdict("b.tables") == "inconclusive"
    assert "take `page` in the test itself" in project.reason("b.tables")


def test_without_a_browser_in_the_inventory_it_is_not_covered(project: Project):
    project.suite(SEES)
    project.run_process("--items", "b.tables")
    assert project.verdict("b.tables") == "not_covered"
    assert "browser: {url: https://app.example.com}" in project.reason("b.tables")
