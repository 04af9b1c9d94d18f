"""The page of a history: one file without script, in the report's look, below 1 MB, looked at in a real browser."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from recorded_changes import FAILED, START, Records, many

from pytest_deploygate.cli import main
from pytest_deploygate.history import page
from pytest_deploygate.history.change import Deployment, ItemFigures, Part, State, Values
from pytest_deploygate.history.reading import History
from pytest_deploygate.model import Verdict
from pytest_deploygate.redaction import Secret
from pytest_deploygate.report import html, size

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202eevil'


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_one_file_that_runs_nothing_and_loads_nothing(records: Records) -> None:
    many(records)
    text = page.render(records.read())
    tags = Tags(text)
    assert {"script", "link", "img", "iframe"} & set(tags.names) == {"link"}, "the icon is empty"
    assert [name for name in tags.attributes if name.startswith("on")] == []
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert f"style-src 'sha256-{html.digest(style[1])}'" in text
    assert style[1].startswith(html.style()[0]), "the report's own look"
    assert page.render(records.read()) == text


def test_each_plot_says_in_words_what_it_shows(records: Records) -> None:
    many(records)
    text = page.render(records.read())
    drawn = re.findall(r'<svg class="plot" role="img"[^>]*>(.{7})', text)
    assert len(drawn) > 10
    assert set(drawn) == {"<title>"}
    assert "Deployments from 2026-03-02 to 2026-04-20: 7 succeeded, 1 failed" in text
    assert "db1: lag in 8 changes: 2 MB to 9 MB, last 9 MB" in text


def test_what_is_unknown_is_said_and_no_zero(records: Records) -> None:
    records.change("CHG-1").run("phase2")
    text = page.render(records.read())
    figures = dict(re.findall(r'<th scope="row">([^<]+)<td data-label="Value"><b>([^<]+)</b>', text))
    assert set(figures) == {
        "Deployment frequency", "Lead time for changes", "Change failure rate", "Time to restore", "Go-live to decision",
    }  # fmt: skip
    assert all(value.startswith("unknown: ") for value in figures.values())


def test_texts_of_records_are_escaped_and_masked(records: Records) -> None:
    Secret("hunter2-and-more", "env:PASSWORD")
    records.change("CHG-1").run(target=EVIL)
    records.change("CHG-2", 1, inventory="hunter2-and-more").run()
    text = page.render(records.read())
    assert "script" not in Tags(text).names
    assert "hunter2" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text


def test_damaged_folders_are_said_at_the_top(records: Records) -> None:
    many(records, 2)
    journal = records.out / "CHG-1" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"as wanted", b"as needed", 1))
    done = CliRunner().invoke(main, ["history", "--html", "history.html"])
    text = Path("history.html").read_text()
    assert done.exit_code == 25
    assert "1 folder is damaged and in no figure" in text
    assert text.index("1 folder is damaged") < text.index("<main>")


def parts(changes: int, items: int, numbers: int) -> list[Part]:
    values = Values(50, 12.345, 1.25, 99.75, 13.5)
    found = {}
    for n in range(items):
        readings = {(f"host{m}.example.net", f"reading number {m}", "ms"): values for m in range(numbers)}
        verdicts = {Verdict.PASS: 49, Verdict.FAIL: 1}
        found[f"area{n % 40}.item-{n}"] = ItemFigures(
            f"Check number {n} of a long list",
            "golive",
            verdicts,
            Verdict.PASS,
            values,
            49,
            2,
            50,
            1,
            readings,
        )
    return [
        Part(
            f"CHG-{n:04}", "prod", f"deploygate-out/CHG-{n:04}", True, at, at + timedelta(hours=9), 50, 0,
            Deployment(State.SUCCEEDED, at, "GO", 3600.0 + n, "gate", 86400.0 + n), found,
        )
        for n in range(changes)
        for at in [START + timedelta(days=n)]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "items", "said"), [(200, 60, ""), (2, 2500, "more items"), (1500, 1, "older changes")]
)
def test_it_stays_below_the_limit_and_what_is_left_out_is_said(changes: int, items: int, said: str) -> None:
    text = page.render(History(parts(changes, items, 5), []))
    assert len(text.encode()) < size.LIMIT
    assert said in text
    assert (f"Items ({items})" in text, f"Changes ({changes})" in text) == (True, True)
    assert text.count('<th scope="row">CHG-') >= min(changes, 100)


def test_it_is_readable_wide_and_narrow(records: Records, browser, tmp_path: Path) -> None:
    many(records)
    records.change("CHG-9", 70).run(verdicts=FAILED, target="a" * 90)
    (tmp_path / "history.html").write_text(page.render(records.read()))
    for width, colours in ((1280, "light"), (360, "dark")):
        shown, said = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=colours), []
        shown.on("console", lambda message, said=said: said.append(message.text))
        shown.goto(f"file://{tmp_path / 'history.html'}")
        shown.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        assert said == [], "nothing is refused by the page's policy"
        assert shown.locator(".numbers svg").first.bounding_box()["width"] > 60
        assert "8 deployments" in shown.inner_text("h1")
        assert "1 change not settled" in shown.inner_text("h1")
        shown.close()
