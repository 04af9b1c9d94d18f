"""signoff.html as text: size, reproducibility, secrets, and how it shows runs that went badly."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from types import ModuleType

import jinja2
import jinja2.nodes
import pytest
import sample

from pytest_deploygate import redaction
from pytest_deploygate.model import Evidence, Outcome, Rule, Verdict
from pytest_deploygate.redaction import Secret
from pytest_deploygate.report import html, junit, size, terminal, verdicts, view


def test_same_record_same_bytes() -> None:
    assert html.render(sample.hold()) == html.render(sample.hold())


@pytest.fixture
def kept_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Use a folder for compiled templates, and load them again."""

    def choose(folder: Path) -> None:
        monkeypatch.setattr(html.importlib.util, "cache_from_source", lambda _: str(folder / "x.pyc"))
        monkeypatch.setattr(html.sys, "dont_write_bytecode", False)
        html.template.cache_clear()

    yield choose
    html.template.cache_clear()


def test_compiled_templates_are_kept_and_a_damaged_one_is_made_again(
    tmp_path: Path, kept_in: Callable[[Path], None]
) -> None:
    text = html.render(sample.hold())
    for _ in range(2):
        kept_in(tmp_path)
        assert html.render(sample.hold()) == text
        found = list(tmp_path.glob("__jinja2_*.cache"))
        assert found
        for file in found:
            file.write_bytes(file.read_bytes()[:-40])


@pytest.mark.parametrize("name", ["signoff.html.j2", "_items.html.j2"])
def test_no_constant_goes_through_a_filter(name: str) -> None:
    """Jinja would compile in the filter's result, and keep it when the filter changes."""
    environment = html.template("signoff.html.j2").environment
    source = environment.loader.get_source(environment, name)[0]
    filters = list(environment.parse(source).find_all(jinja2.nodes.Filter))
    assert filters
    for used in filters:
        with pytest.raises(jinja2.nodes.Impossible):
            used.as_const(jinja2.nodes.EvalContext(environment))


@pytest.mark.parametrize("of", [jinja2, html])
def test_a_template_compiled_by_another_version_is_not_used(
    of: ModuleType, tmp_path: Path, kept_in: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_in(tmp_path)
    html.render(sample.hold())
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.setattr(of, "__version__", "9.9")
    kept_in(tmp_path)
    html.render(sample.hold())
    assert [file for file, raw in before.items() if file.read_bytes() == raw] == []


def test_where_no_compiled_template_can_be_kept_the_report_is_the_same(
    tmp_path: Path, kept_in: Callable[[Path], None]
) -> None:
    text = html.render(sample.hold())
    (tmp_path / "file").touch()
    kept_in(tmp_path / "file")
    assert html.render(sample.hold()) == text


def test_policy_allows_our_style_only() -> None:
    text = html.render(sample.hold())
    assert re.search(r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; img-src data:", text)
    assert "<script" not in text
    assert " style=" not in text


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL, Verdict.NOT_COVERED])
def test_five_thousand_items_stay_under_a_megabyte(verdict: Verdict) -> None:
    record = sample.large(5000, verdict)
    text = html.render(record)
    assert len(text.encode()) < size.LIMIT
    assert text.count("<code>area7.item-7</code>") >= 1
    missing = [r.item.id for r in record.items if f"<code>{r.item.id}</code>" not in text]
    assert missing == []
    assert "are shown in one line each" in text
    assert "All items (5,000)" in text
    assert "5000 of" not in text


def test_evidence_in_the_journal_is_shown_while_there_is_room() -> None:
    record = sample.hold()
    one = next(r for r in record.items if r.item.id == "phase2.replication")
    content = '{"a": "<&>"}\n' * 150
    kept = dataclasses.replace(
        one.findings[0], evidence=(Evidence("", "ab" * 32, "measurement", content),), figures=()
    )
    item = dataclasses.replace(one, findings=(kept,))
    text = html.render(dataclasses.replace(record, items=(item,)))
    assert escape(content) in text.replace("&#34;", "&quot;")
    assert '"><code></code></a>' not in text
    more = tuple(
        dataclasses.replace(item, item=dataclasses.replace(item.item, id=f"area.item-{n}"))
        for n in range(600)
    )
    text = html.render(dataclasses.replace(record, items=more))
    assert len(text.encode()) < size.LIMIT
    assert text.count("in the journal</summary>") > 50


def test_one_item_with_very_many_targets_stays_under_a_megabyte() -> None:
    record = sample.hold()
    one = next(r for r in record.items if r.item.id == "phase2.replication")
    many = dataclasses.replace(one, findings=one.findings[:1] * 3000)
    text = html.render(dataclasses.replace(record, items=(many,)))
    assert len(text.encode()) < size.LIMIT
    assert "is shown in one line each" in text


def test_no_decision_is_never_green() -> None:
    text = html.render(dataclasses.replace(sample.go(), decision=None))
    assert "NO DECISION" in text
    assert 'class="top none"' in text


def test_a_failed_target_shows_even_where_its_item_is_attested() -> None:
    record = sample.hold()
    attested = tuple(
        dataclasses.replace(r, verdict=Verdict.ATTESTED) if r.item.id == "phase2.replication" else r
        for r in record.items
    )
    assert "replay is paused" in html.render(dataclasses.replace(record, items=attested))


def test_an_empty_scope_says_that_nothing_was_looked_at() -> None:
    text = html.render(dataclasses.replace(sample.go(), items=(), phases=(), runs=()))
    assert "No item is in scope, so nothing was measured." in text
    assert "every item in scope passed" not in text


def test_inconclusive_is_counted_as_unknown() -> None:
    text = html.render(sample.hold())
    assert "4 of 8</b> items in scope passed. Unknown: 1 inconclusive and 1 not covered." in text


def test_what_a_rule_held_against_is_not_called_deferred() -> None:
    """Once phase 4 is over, the decision holds on an item that was deferred to it; the page and terminal follow."""
    record = sample.hold()
    assert record.decision
    assert "does not hold until then" in html.render(record)
    rule = Rule("unknown is not a pass", Outcome.HOLD, "inconclusive: phase2.indexes", ("phase2.indexes",))
    now = dataclasses.replace(record, decision=dataclasses.replace(record.decision, rules=(rule,)))
    assert "does not hold until then" not in html.render(now)
    assert "does not hold" not in terminal.text(now)


def test_a_secret_leaves_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that escaping or wrapping would split before the finished text is masked."""
    monkeypatch.setattr(redaction, "_known", ())
    secret = Secret("""pa&ss<w>'o"rd with blanks in it""").reveal()
    record = sample.hold()
    spoilt = tuple(
        dataclasses.replace(r, reason=f"{'long words before it ' * 3}{secret}")
        if not r.findings
        else dataclasses.replace(
            r,
            findings=tuple(
                dataclasses.replace(f, reason=f"refused {secret}", target=secret) for f in r.findings
            ),
        )
        for r in record.items
    )
    record = dataclasses.replace(record, items=spoilt)
    outputs = [
        html.render(record),
        junit.build(record),
        verdicts.text(record),
        terminal.text(record, width=60),
    ]
    for text in outputs:
        assert "[secret]" in text
        for piece in (secret, "pa&amp;ss", "pa&ss", 'o\\"rd', "with blanks"):
            assert piece not in text


def test_a_secret_that_is_a_word_of_the_style_does_not_break_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = html.render(sample.hold())
    monkeypatch.setattr(redaction, "_known", ())
    Secret("margin")
    assert before.split("<style>")[1].split("</style>")[0] in html.render(sample.hold())


@pytest.mark.parametrize(
    "path",
    [
        "javascript:alert(1)",
        "//evil.example",
        "../up",
        "/etc/passwd",
        "a b",
        "evidence/../../x",
        "",
        "a//b",
        "x:y",
    ],
)
def test_only_plain_relative_paths_become_links(path: str) -> None:
    assert not view.safe_path(path)


def test_evidence_of_the_folder_becomes_a_link() -> None:
    assert view.safe_path("evidence/phase2.tables/public.users.json")
