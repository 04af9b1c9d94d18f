"""signoff.html in a real browser with JavaScript off, as a reader of the ticket sees it."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sample
import sample_night
import sample_outcomes
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from pytest_deploygate.report import html
from pytest_deploygate.report.record import Record

RECORDS = {
    "hold": sample.hold,
    "go": sample.go,
    "hostile": sample.hostile,
    "night": sample_night.bad,
    "go-waived": sample_outcomes.waived,
    "back": sample_outcomes.back,
    "hostile-night": sample_night.hostile,
}
Opener = Callable[..., Page]

# The contrast of each text with its background, by WCAG's formula; returns the worst ones.
CONTRAST = """() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  let seen = 0;
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    if (e.closest('svg')) continue;
    seen++;
    const pair = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) bad.push(`${e.tagName}.${e.className}: ${ratio.toFixed(2)} ${e.textContent.slice(0, 30)}`);
  }
  return {seen, bad};
}"""


@pytest.fixture(scope="module")
def sheet(browser: Browser) -> Iterator[Page]:
    """The browser page that all tests share: opening a new one takes longer than the checks."""
    with browser.new_context(java_script_enabled=False) as context:
        yield context.new_page()


@pytest.fixture
def opened(sheet: Page, tmp_path: Path) -> Iterator[Opener]:
    """Return a function that opens a record's page; at the end there must be no console errors and no requests."""
    complaints: list[str] = []
    listeners: dict[str, Callable[[Any], None]] = {
        "console": lambda message: complaints.append(message.text),
        "dialog": lambda dialog: complaints.append(f"dialog {dialog.message}"),
        "request": lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url),
    }
    for event, listener in listeners.items():
        sheet.on(event, listener)  # type: ignore[call-overload]

    def open_page(record: Record, width: int = 1280, scheme: str = "light") -> Page:
        file = tmp_path / "signoff.html"
        file.write_text(html.render(record), encoding="utf-8")
        sheet.set_viewport_size({"width": width, "height": 900})
        sheet.emulate_media(media="screen", color_scheme=scheme)  # type: ignore[arg-type]
        sheet.goto(file.as_uri())
        return sheet

    yield open_page
    for event, listener in listeners.items():
        sheet.remove_listener(event, listener)
    assert complaints == []


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", RECORDS)
def test_nothing_sticks_out(opened: Opener, name: str, width: int) -> None:
    page = opened(RECORDS[name](), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        "w => [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > w + 1)"
        ".map(e => e.tagName + '.' + e.className)",
        width,
    )
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", RECORDS)
def test_contrast_is_aa(opened: Opener, name: str, scheme: str) -> None:
    page = opened(RECORDS[name](), scheme=scheme)
    found = page.evaluate(CONTRAST)
    assert found["seen"] > 100
    assert found["bad"] == []


def test_the_style_is_applied(opened: Opener) -> None:
    """A wrong hash in the policy would leave the page unstyled, without a visible error."""
    page = opened(sample.hold())
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.top')).backgroundColor")
        == "rgb(255, 215, 122)"
    )


def test_a_foreign_style_is_not_applied(browser: Browser, tmp_path: Path) -> None:
    """The policy is effective: with one more letter in the style, the browser rejects it."""
    file = tmp_path / "changed.html"
    file.write_text(html.render(sample.hold()).replace("</style>", " </style>", 1), encoding="utf-8")
    page = browser.new_page(java_script_enabled=False)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.top')).backgroundColor")
        == "rgba(0, 0, 0, 0)"
    )
    assert any("Content Security Policy" in text for text in said)
    page.close()


def test_landmarks_and_headings(opened: Opener) -> None:
    page = opened(sample.hold())
    for landmark in ("header", "main", "footer", "nav"):
        assert page.locator(f"body > {landmark}, main > {landmark}").count() == 1, landmark
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("img", name="2 fail, 1 inconclusive, 1 not covered, 4 pass").count() == 1


@pytest.mark.parametrize("name", RECORDS)
def test_links_lead_somewhere_and_ids_are_unique(opened: Opener, name: str) -> None:
    page = opened(RECORDS[name]())
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    links = page.evaluate("[...document.querySelectorAll('a')].map(e => e.getAttribute('href'))")
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert all(link.startswith(("#", "evidence/")) for link in links)


def test_failures_come_first_with_number_limit_and_digest(opened: Opener) -> None:
    page = opened(sample.hold())
    first = page.locator("article").first
    said = first.inner_text()
    assert "phase2.replication" in said
    assert "critical" in said
    assert "replica2" in said
    assert "48.2 MB\t≤ 16 MB\tNOT met" in said
    assert sample.digest("evidence/phase2.replication/replica2.json") in said
    headings = page.locator("h3").all_inner_texts()
    assert headings[:3] == ["Failed (2)", "Not covered (1)", "Inconclusive, listed only (1)"]


def test_out_of_scope_is_never_covered(opened: Opener) -> None:
    page = opened(sample.go())
    assert "says nothing about the other 108 items" in page.locator("header").inner_text()
    outside = page.locator("section[aria-labelledby=outside]")
    assert outside.locator("li").count() == 108
    assert outside.locator(".v").count() == 0


def test_markup_in_values_stays_text(opened: Opener) -> None:
    page = opened(sample.hostile())
    assert page.locator("script, iframe, object, form").count() == 0
    assert page.locator("img").count() == 0
    assert page.locator("style").count() == 1
    assert (
        page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on|^style$/.test(a.name)).length"
        )
        == 0
    )
    assert any("<script>alert(1)</script>" in said for said in page.locator("h4").all_inner_texts())


def test_markup_in_every_text_of_a_bad_night_stays_text(opened: Opener) -> None:
    """Including figures, waivers, contacts, events, signers and changes."""
    page = opened(sample_night.hostile())
    assert page.locator("script, iframe, object, form, img").count() == 0
    assert page.locator("[onerror], [onload], [style]").count() == 0
    for place in ("#sign", "#contacts", "#people", "#times", "#changed", "figcaption", "svg text.name"):
        inside = page.locator(f"section:has({place})" if place.startswith("#") else place)
        assert "<script>alert(1)</script>" in (inside.first.text_content() or ""), place


def test_without_javascript_verdict_failures_and_signers_are_read(opened: Opener) -> None:
    page = opened(sample_night.bad())
    assert page.locator("h1").inner_text().strip() == "ROLLBACK Roll back."
    assert "1,204 writes accepted since cutover would be lost" in page.locator("section").first.inner_text()
    rows = page.locator("table.glance tbody tr")
    shared = sum(
        int(said.split()[0]) - 1 for said in rows.get_by_role("link", name=" items").all_inner_texts()
    )
    assert rows.count() + shared == 29
    assert rows.filter(has_text="fail").count() == 20 - 2  # three items fail for one server
    together = rows.filter(has_text="db2.example.com")
    assert together.count() == 1
    assert all(item in together.inner_text() for item in ("phase4.integrity", "phase4.calculations"))
    assert "golive.errors" in rows.first.inner_text()
    signers = page.locator("ul.signers li b").all_inner_texts()
    assert signers == list(sample_night.ROLES)


def test_every_picture_says_in_words_what_it_shows(opened: Opener) -> None:
    page = opened(sample_night.bad())
    pictures = page.get_by_role("img")
    assert pictures.count() == 2 + 5  # coverage, timeline, five figures
    titles = page.locator("svg[role=img] > title").all_text_contents()
    assert len(titles) == 7
    said = " ".join(page.locator("figcaption, .said").all_inner_texts())
    assert (
        "p99 is 1094 ms (true value between 943.9 ms and 1251 ms); limit 500 ms, the whole range is over it"
        in said
    )
    assert "nothing was seen for 80 s (1 gap)" in said
    assert "up 18.3 h, down 8.67 min, unknown 60 min, not seen 4.56 h of 24 h" in said


def test_waivers_show_their_end_and_an_expired_one_says_so(opened: Opener) -> None:
    said = opened(sample_night.bad()).locator("table.waivers").inner_text()
    assert "EXPIRED 30.4 h before the run" in said
    assert "active, 6.73 d left" in said


@pytest.mark.parametrize(("name", "scheme"), [("hold", "dark"), ("night", "light")])
def test_axe_finds_nothing(browser: Browser, tmp_path: Path, name: str, scheme: str) -> None:
    """axe-core, every rule; except for colours, the dark page equals the light one. It needs JavaScript, so the policy is off."""
    file = tmp_path / "signoff.html"
    file.write_text(html.render(RECORDS[name]()), encoding="utf-8")
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(file.as_uri())
    found = Axe().run(page)
    context.close()
    assert len(found.response["passes"]) > 20
    assert [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found.response["violations"]] == []


def test_with_styles_stripped_order_and_words_are_the_same(browser: Browser, tmp_path: Path) -> None:
    """As in a ticket system: no style sheet, and plots that keep their own colours."""
    file = tmp_path / "bare.html"
    text = re.sub(r"<style>.*?</style>", "", html.render(sample_night.bad()), flags=re.DOTALL)
    file.write_text(text, encoding="utf-8")
    page = browser.new_page(java_script_enabled=False)
    page.goto(file.as_uri())
    said = page.locator("main").inner_text()
    page.close()
    headings = ("Why ROLLBACK", "20 fail", "at a glance", "action, in full", "Each role signs exactly")
    order = [said.index(words) for words in headings]
    assert order == sorted(order)
    assert 'fill="#a8201a"' in text


@pytest.mark.long
def test_on_paper_passes_stay_folded_and_what_needs_action_is_open(opened: Opener) -> None:
    page = opened(sample_night.good())
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    rows = page.locator("details.row")
    assert rows.count() > 100
    assert rows.locator("> summary").evaluate_all(
        "all => all.every(e => e.getBoundingClientRect().height > 5)"
    )
    inside = "all => all.every(e => e.getBoundingClientRect().height === 0)"
    assert rows.locator("> :not(summary)").evaluate_all(inside)
    printed = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 10
    page = opened(sample.hold())
    page.emulate_media(media="print")
    assert page.locator("article .reason").evaluate_all(
        "all => all.length > 2 && all.every(e => e.closest('details') || e.getBoundingClientRect().height > 5)"
    )


# What a reader distinguishes without colours: the words, the sign, the brightness of the banner, and its frame.
SHAPE = """() => {
  const top = document.querySelector('.top'), style = getComputedStyle(top);
  const [r, g, b] = style.backgroundColor.match(/[\\d.]+/g).map(Number);
  const filled = style.backgroundColor !== 'rgba(0, 0, 0, 0)';
  return {
    words: top.querySelector('.outcome').textContent,
    sign: top.querySelector('.sign').innerHTML,
    frame: [style.borderTopStyle, style.borderTopWidth, style.borderLeftWidth].join(' '),
    grey: filled ? Math.round(0.2126 * r + 0.7152 * g + 0.0722 * b) : 255,
    striped: getComputedStyle(top, '::before').backgroundImage.includes('gradient'),
  };
}"""


@pytest.mark.parametrize("media", ["screen", "print"])
def test_each_ending_is_known_without_colours(opened: Opener, media: str) -> None:
    seen = {}
    for name, record in sample_outcomes.ALL.items():
        page = opened(record())
        page.emulate_media(media=media)  # type: ignore[arg-type]
        seen[name] = page.evaluate(SHAPE)
    assert [one["words"] for one in seen.values()] == [
        "GO", "GO with 1 waiver", "HOLD", "ROLLBACK", "ROLLED BACK", "ROLLBACK FAILED",
    ]  # fmt: skip
    assert len({one["sign"] for one in seen.values()}) == len(seen)
    for a, b in itertools.combinations(("go", "go-waived", "hold", "rollback", "back"), 2):
        one, other = seen[a], seen[b]
        apart = one["frame"] != other["frame"] or one["striped"] != other["striped"]
        assert apart or abs(one["grey"] - other["grey"]) > 60, (a, b, one, other)


def test_what_was_rolled_back_and_verified_is_not_in_the_colour_of_an_alarm(opened: Opener) -> None:
    background = "getComputedStyle(document.querySelector('.top')).backgroundColor"
    alarm = opened(sample_night.bad()).evaluate(background)
    calm = opened(sample_outcomes.back()).evaluate(background)
    red, green, blue = map(int, re.findall(r"\d+", calm))
    assert calm != alarm
    assert blue >= green >= red


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (400, 850)])
@pytest.mark.parametrize("name", sample_outcomes.ALL)
def test_navigation_is_in_the_first_screen(opened: Opener, name: str, width: int, height: int) -> None:
    page = opened(sample_outcomes.ALL[name](), width)
    box = page.locator("nav").bounding_box()
    assert box
    assert box["y"] + box["height"] < height


def test_the_strip_has_every_phase_with_its_state_and_time(opened: Opener) -> None:
    page = opened(sample_night.bad())
    boxes = page.locator("ol.strip > li").all_inner_texts()
    assert [said.split()[0] for said in boxes] == [phase.id for phase in sample_night.PHASES]
    assert "32 pass" in boxes[0]
    assert "08 Mar 08:27, 9 min" in boxes[0]
    assert "2 fail, 1 not covered" in boxes[3]
    look = page.locator("ol.strip > li").evaluate_all("all => all.map(e => e.classList[0])")
    assert look[0] == "go"
    assert look[3] == "hold"
    assert look[6] == "rollback"
    box = page.locator("ol.strip").bounding_box()
    assert box
    assert box["y"] + box["height"] < 700


def test_phases_of_other_runs_show_their_last_decision_and_the_rest_is_not_run(opened: Opener) -> None:
    record = sample_night.bad()
    items = tuple(dataclasses.replace(r, in_scope=r.item.phase == "golive") for r in record.items)
    page = opened(dataclasses.replace(record, items=items))
    boxes = page.locator("ol.strip > li").all_inner_texts()
    assert "GO before" in boxes[3]
    assert "HOLD" not in boxes[4]  # the later run of phase 3 counts
    assert "not run" in boxes[-1]
    assert page.locator("ol.strip > li.here").count() == 1


def test_what_needs_action_has_title_and_owner(opened: Opener) -> None:
    record = dataclasses.replace(sample.hold(), owners=(("phase2.replication", "dba@example.com"),))
    rows = opened(record).locator("table.glance tbody tr")
    first = rows.first.inner_text()
    assert "Test replication" in first
    assert "dba@example.com" in first
    said = opened(sample_outcomes.waived()).locator("table.glance tbody tr").first.inner_text()
    assert "operations-manager" in said


def test_steps_of_a_rollback_do_not_overlap_and_the_lost_rows_are_one_number(opened: Opener) -> None:
    section = opened(sample_outcomes.back()).locator("section:has(> #back)")
    rows = section.locator("table.steps tbody tr").all_inner_texts()
    assert any("before restore\tcounted\t20:42:15 UTC\t5.4 s" in row for row in rows)
    assert any("restore\tdone, verified\t20:42:20 UTC\t51.5 s" in row for row in rows)
    said = section.inner_text()
    assert "1,231 rows that the new side accepted" in said
    assert "1204" not in said
    assert "1,204" not in said
