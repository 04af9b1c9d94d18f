"""What Playwright's recorder writes becomes a journey: steps, and no password."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_deploygate.cli import main
from pytest_deploygate.cli.commands.journey import record
from pytest_deploygate.cli.shared import recorded

#: As `playwright codegen --target python-pytest` writes it.
RECORDED = """import re
from playwright.sync_api import Page, expect


def test_example(page: Page) -> None:
    page.goto("https://app.example.com/login")
    page.get_by_label("User name").click()
    page.get_by_label("User name").fill("anna")
    page.get_by_label("User name").press("Tab")
    page.get_by_role("textbox", name="Password").fill("right-horse-battery")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Reports").click()
    expect(page.get_by_role("heading")).to_contain_text("Reports")
    page.goto("https://app.example.com/alerts?state=firing")
    page.get_by_label("Filter").fill("boiler")
    page.get_by_role("button", name="Search").click()
"""

WRITTEN = '''import pytest
from playwright.sync_api import expect


@pytest.mark.item("phase3.smoke")
def test_reads_a_report(page, journey):
    """Reads a report."""
    journey.login("viewer")
    with journey.step("clicks Reports"):
        page.get_by_role('link', name='Reports').click()
        expect(page.get_by_role('heading')).to_contain_text('Reports')
    with journey.step("opens /alerts?state=firing"):
        page.goto("/alerts?state=firing")
        page.get_by_label('Filter').fill('boiler')
    with journey.step("clicks Search"):
        page.get_by_role('button', name='Search').click()
'''


#: As the recorder wrote it for somebody who used the keyboard alone (Playwright 1.65, Chromium in a virtual display).
BY_KEYBOARD = """import re
from playwright.sync_api import Page, expect


def test_example(page: Page) -> None:
    page.goto("https://app.example.com/login")
    page.get_by_text("LoginUser name Password Log in").click()
    page.get_by_text("LoginUser name Password Log in").press("Tab")
    page.get_by_role("textbox", name="User name").fill("anna")
    page.get_by_role("textbox", name="User name").press("Tab")
    page.get_by_role("textbox", name="Password").fill("right-horse-battery")
    page.get_by_role("textbox", name="Password").press("Enter")
    page.get_by_text("Plant overviewReports").press("Tab")
    page.get_by_role("link", name="Reports").press("Enter")
    page.get_by_text("ReportsFilter Search").press("Tab")
    page.get_by_role("textbox", name="Filter").fill("boiler")
    page.get_by_role("textbox", name="Filter").press("Tab")
    page.get_by_role("button", name="Search").press("Enter")
"""

WRITTEN_BY_KEYBOARD = """import pytest


@pytest.mark.item("phase3.smoke")
def test_reads_a_report(page, journey):
    \"\"\"Reads a report.\"\"\"
    journey.login("viewer")
    with journey.step("clicks Reports"):
        page.get_by_role('link', name='Reports').press('Enter')
        page.get_by_role('textbox', name='Filter').fill('boiler')
    with journey.step("clicks Search"):
        page.get_by_role('button', name='Search').press('Enter')
    # say what must be seen, e.g. expect(page.get_by_text("…")).to_be_visible()
"""


def test_login_that_ends_with_the_enter_key_takes_nothing_of_what_follows():
    found = recorded.journey(
        BY_KEYBOARD, "reads a report", "phase3.smoke", "viewer", "https://app.example.com"
    )
    assert found == WRITTEN_BY_KEYBOARD
    assert recorded.typed_into(found) == ["Filter"]


@pytest.mark.long
def test_the_recorder_finds_the_browser_of_the_system(tmp_path):
    ask = "from playwright.sync_api import sync_playwright as s\nwith s() as p: print(p.chromium.executable_path)"
    environment = os.environ | record._browsers(tmp_path / "browsers")
    words = [sys.executable, "-c", ask]
    said = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    assert Path(said.strip()).resolve().is_file()


def test_a_recording_becomes_steps_without_the_password():
    found = recorded.journey(RECORDED, "reads a report", "phase3.smoke", "viewer", "https://app.example.com")
    assert found == WRITTEN
    compile(found, "written", "exec")


@pytest.mark.parametrize(
    "typed",
    [
        'page.get_by_placeholder("Passwort").fill("right-horse-battery")',
        'page.locator("#pwd").press_sequentially("right-horse-battery")',
        'page.get_by_label("Mot de passe").fill("right-horse-battery")',
        'page.get_by_role("textbox", name="Hasło").fill("right-horse-battery")',
        'page.get_by_label("パスワード").fill("right-horse-battery")',
        'page.locator("#pw").fill("right-horse-battery")',
        'page.locator("input[type=\\"password\\"]").fill("right-horse-battery")',
    ],
)
def test_no_password_is_written_whatever_its_field_is_called(typed: str):
    text = f"def test_example(page):\n    page.goto('https://a.example/')\n    {typed}\n    page.get_by_text('x').click()\n"
    found = recorded.journey(text, "logs in", "golive.logins", "viewer", "https://a.example")
    assert "battery" not in found
    assert 'journey.login("viewer")' in found


def test_a_journey_without_expectations_says_that_one_is_missing():
    text = "def test_example(page):\n    page.goto('https://a.example/')\n"
    found = recorded.journey(text, "opens", "phase3.smoke", "viewer", "https://a.example")
    assert "# say what must be seen" in found


@pytest.mark.parametrize("text", ["", "def test_example(page):\n    pass\n", "def ("])
def test_what_is_no_recording_is_refused(text: str):
    with pytest.raises(recorded.Unreadable):
        recorded.journey(text, "opens", "phase3.smoke", "viewer", "https://a.example")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["record", "app.example.com", "--name", "x"], "is not a URL"),
        (["run", "sees", "--inventory", "lab-nowhere"], "lab-nowhere"),
    ],
)
def test_mistakes_are_exit_4(words: list[str], said: str):
    done = CliRunner().invoke(main, ["journey", *words])
    assert done.exit_code == 4, done.output
    assert said in done.output
