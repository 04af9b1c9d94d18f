"""Shared causes of items: one line with all ids and one command, and no item in the wrong line."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import sample
from markdown_it import MarkdownIt

from pytest_deploygate.checks.people.facts import AttestationsSeen
from pytest_deploygate.checks.people.judge.attestations import Needed, judge
from pytest_deploygate.decision.compose import NO_CHECK, ItemResult
from pytest_deploygate.model import Finding, Item, Kind, Severity, Verdict
from pytest_deploygate.report import causes, html, terminal, verdicts
from pytest_deploygate.report.causes import Cause
from pytest_deploygate.report.exports import markdown
from pytest_deploygate.report.record import Record

MISSING = "the inventory has no backup; add `backup: {tool: pgbackrest}`"
DOWN = "db1 (db1.example.com:5432) cannot be used: connection timeout expired; check whether it hangs"
NAMES = ("x.one", "x.two", "x.three")


def nobody(item: str, role: str = "") -> str:
    who = f"nobody in the role {role}" if role else "nobody"
    command = (
        f"deploygate attest {item} --role {role or 'ROLE'} --name NAME --evidence FILE|URL --valid-until 90d"
    )
    return f"{who} has attested it: `{command}`, then merge the file it writes"


def result(
    item: str,
    *found: tuple[Verdict, str],
    verdict: Verdict = Verdict.NOT_COVERED,
    severity: Severity = Severity.MAJOR,
    reason: str = "",
    deferred_to: str = "",
) -> ItemResult:
    findings: tuple[Finding, ...] = tuple(
        sample.finding(item, f"t{n}", said, why, deferred_to=deferred_to if not said.good else "")
        for n, (said, why) in enumerate(found)
    )
    shown = Item(item, f"Do {item}", "phase2", severity, Kind.AUTOMATED)
    return ItemResult(shown, verdict, reason or findings[0].reason, True, findings)


def grouped(*results: ItemResult, against: frozenset[str] | None = None) -> list[tuple[str, ...]]:
    everything = frozenset(r.item.id for r in results)
    return [c.ids for c in causes.grouped(results, everything if against is None else against)]


def of(*results: ItemResult) -> Record:
    return dataclasses.replace(sample.hold(), items=results, planned=())


def test_items_that_nobody_attested_are_one_with_one_command() -> None:
    results = [result(name, (Verdict.NOT_COVERED, nobody(name))) for name in NAMES]
    (cause,) = causes.grouped(results, frozenset(NAMES))
    assert cause.said == "nobody has attested them"
    assert cause.commands() == (
        "deploygate attest x.one x.two x.three --role ROLE --name NAME --evidence FILE --valid-until 90d",
    )
    assert cause.commands(2)[0].startswith("deploygate attest x.one x.two --role")


def test_each_role_that_must_attest_has_a_command_of_its_own() -> None:
    a, b = (result(n, (Verdict.NOT_COVERED, f"{nobody(n, 'ops')}; {nobody(n, 'lead')}")) for n in NAMES[:2])
    other = result("x.three", (Verdict.NOT_COVERED, nobody("x.three", "lead")))
    both, one = causes.grouped((a, b, other), frozenset(NAMES))
    assert both.ids == ("x.one", "x.two")
    assert both.said == "nobody in the role ops has attested them; nobody in the role lead has attested them"
    assert [c.split(" --name")[0] for c in both.commands()] == [
        "deploygate attest x.one x.two --role ops",
        "deploygate attest x.one x.two --role lead",
    ]
    assert one.ids == ("x.three",)


def test_the_words_are_those_of_the_judge_of_attestations() -> None:
    """The cause and its command are parsed from the judge's reason: they change together."""
    for roles in ((), ("ops",), ("ops", "lead")):
        seen = [AttestationsSeen(name, "CHG-1", "prod", sample.START, ()) for name in NAMES]
        judged = [judge(one, Needed(one.item, roles)) for one in seen]
        results = [result(n, (j.verdict, j.reason)) for n, j in zip(NAMES, judged, strict=True)]
        (cause,) = causes.grouped(results, frozenset(NAMES))
        assert len(cause.commands()) == max(1, len(roles))
        assert "`" not in cause.said
        assert " x.one x.two x.three " in cause.commands()[-1]


@pytest.mark.parametrize("reason", [MISSING, NO_CHECK])
def test_one_missing_section_is_one_cause(reason: str) -> None:
    results = [result(name, (Verdict.NOT_COVERED, reason)) for name in NAMES]
    (cause,) = causes.grouped(results, frozenset(NAMES))
    assert (cause.ids, cause.said, cause.commands()) == (NAMES, reason, ())


def test_one_host_that_is_down_is_one_cause_whatever_was_asked_of_it() -> None:
    said = (DOWN, f"no node could be asked: {DOWN}", f"t0: {DOWN}")
    results = [
        result(name, (Verdict.INCONCLUSIVE, why), verdict=Verdict.INCONCLUSIVE)
        for name, why in zip(NAMES, said, strict=True)
    ]
    assert grouped(*results) == [NAMES]
    other = result("x.four", (Verdict.INCONCLUSIVE, DOWN.replace("db1", "db2")), verdict=Verdict.INCONCLUSIVE)
    assert grouped(*results, other) == [NAMES, ("x.four",)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (result("x.one", (Verdict.FAIL, "5 of 9 rows are missing"), verdict=Verdict.FAIL),
         result("x.two", (Verdict.PASS, "good"), (Verdict.FAIL, "5 of 9 rows are missing"), verdict=Verdict.FAIL)),
        (result("x.one", (Verdict.FAIL, "5 of 9 rows are missing"), verdict=Verdict.FAIL),
         result("x.two", (Verdict.FAIL, "6 of 9 rows are missing"), verdict=Verdict.FAIL)),
        (result("x.one", (Verdict.WAIVED, "same"), verdict=Verdict.WAIVED),
         result("x.two", (Verdict.WAIVED, "same"), verdict=Verdict.WAIVED)),
        (result("x.one", (Verdict.NOT_COVERED, "same")),
         result("x.two", (Verdict.INCONCLUSIVE, "same"), verdict=Verdict.INCONCLUSIVE)),
        (result("x.one", (Verdict.NOT_COVERED, "same")),
         result("x.two", (Verdict.NOT_COVERED, "same"), (Verdict.NOT_COVERED, "another"))),
        (result("x.one", (Verdict.INCONCLUSIVE, "s"), verdict=Verdict.INCONCLUSIVE, deferred_to="phase4"),
         result("x.two", (Verdict.INCONCLUSIVE, "s"), verdict=Verdict.INCONCLUSIVE)),
        (result("x.one", (Verdict.NOT_COVERED, "x.one has 3 rows")),
         result("x.two", (Verdict.NOT_COVERED, "x.one has 3 rows"))),
    ],
    ids=["another target", "another number", "waived", "verdict", "one reason more", "deferred", "named"],
)  # fmt: skip
def test_what_is_not_the_same_is_not_one_cause(one: ItemResult, other: ItemResult) -> None:
    assert grouped(one, other, against=frozenset()) == [("x.one",), ("x.two",)]


def test_every_item_stands_in_exactly_one_cause() -> None:
    record = sample.hold()
    ids = [item for cause in causes.grouped(record.items, frozenset()) for item in cause.ids]
    assert sorted(ids) == sorted(r.item.id for r in record.items)


def _mixed() -> Record:
    unattested = [result(f"m.{n}", (Verdict.NOT_COVERED, nobody(f"m.{n}"))) for n in range(25)]
    down = [result(f"d.{n}", (Verdict.INCONCLUSIVE, DOWN), verdict=Verdict.INCONCLUSIVE) for n in range(3)]
    minor = result("m.minor", (Verdict.NOT_COVERED, nobody("m.minor")), severity=Severity.MINOR)
    return of(*unattested, *down, minor)


def test_the_terminal_says_a_cause_once_with_a_command_that_a_shell_takes() -> None:
    text = terminal.text(_mixed())
    assert text.count("nobody has attested them") == 1
    assert "not covered  26 items (25 major, 1 minor)" in text
    assert text.count("cannot be used") == 1
    assert "      d.0, d.1, d.2\n" in text
    begin = text.index("      deploygate attest m.0")
    lines = list(itertools.takewhile(lambda line: line.startswith("      "), text[begin:].splitlines()))
    assert all(len(line) <= 80 for line in lines)
    assert all(line.endswith(" \\") for line in lines[:-1])
    command = " ".join("\n".join(lines).replace(" \\\n", " ").split())
    ids = " ".join([*(f"m.{n}" for n in range(25)), "m.minor"])
    assert command == (f"deploygate attest {ids} --role ROLE --name NAME --evidence FILE --valid-until 90d")


def test_the_page_has_one_row_a_cause_and_every_item_once_in_full() -> None:
    text = html.render(_mixed())
    glance = text[text.index('id="glance"') : text.index('id="attention"')]
    assert glance.count("<tr>") == 3  # the header, and a row each
    assert '<a href="#cause-1">' in glance
    assert text.count("<code>deploygate attest m.0 m.1 ") == 1
    for n in range(25):
        assert text.count(f'id="item-m.{n}"') == 1


def test_a_measured_half_of_an_item_that_nobody_attested_stays_on_the_page() -> None:
    """The machine's finding of a hybrid item is shown, although its manual half shares a cause."""
    both = [
        result(name, (Verdict.NOT_COVERED, nobody(name)), (Verdict.PASS, f"measured {name}: 3 of 3"))
        for name in NAMES
    ]
    text = html.render(of(*both))
    assert all(f"measured {name}: 3 of 3" in text for name in NAMES)


def test_markdown_has_one_row_a_cause() -> None:
    text = markdown.text(_mixed())
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 3
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    said = " ".join(child.content for t in tokens if t.type == "inline" for child in t.children or ())
    assert "26 items" in said
    assert "deploygate attest m.0 m.1" in said
    assert "3 items: d.0, d.1, d.2" in said


def test_verdicts_for_programs_keep_each_item() -> None:
    assert len(verdicts.build(_mixed())["items"]) == 29


def test_one_item_is_shown_as_before() -> None:
    (cause,) = causes.grouped([result("x.one", (Verdict.NOT_COVERED, nobody("x.one")))], frozenset())
    assert not cause.shared
    assert isinstance(cause, Cause)
    assert "deploygate attest x.one --role" in terminal.text(of(*cause.results), width=200)


def test_failed_items_share_a_server_that_cannot_be_used() -> None:
    """Whatever each of them wanted there, and although only the first of them waited for it."""
    again = f"{DOWN} (tried by x.one at 20:27:01 UTC and not again in this run)"
    failed = [
        result("x.one", (Verdict.FAIL, DOWN), verdict=Verdict.FAIL),
        result("x.two", (Verdict.PASS, "good"), (Verdict.FAIL, f"indexes: {again}"), verdict=Verdict.FAIL),
        result("x.three", (Verdict.FAIL, again), verdict=Verdict.FAIL),
    ]
    assert grouped(*failed) == [NAMES]
    page = html.render(of(*failed))
    assert "3 items (3 major), one cause" in page
    assert all(name in page for name in NAMES)
    assert grouped(*(dataclasses.replace(r, verdict=Verdict.INCONCLUSIVE) for r in failed)) == [NAMES]


def test_failed_items_share_words_about_the_same_targets() -> None:
    """Two items that one measurement fails."""
    said = (Verdict.FAIL, "the certificate of www.example.com:443 has expired")
    assert grouped(*(result(name, said, verdict=Verdict.FAIL) for name in NAMES[:2])) == [NAMES[:2]]
