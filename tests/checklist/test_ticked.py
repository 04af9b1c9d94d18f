from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checklist import parser, ticked
from pytest_deploygate.checklist.markdown import NOTE
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Finding, Item, Verdict

AT = datetime(2026, 12, 1, 14, 2, tzinfo=UTC)
TEAM = """\
\ufeff# 🚀 Launch (T-0) {#launch}\r
\r
* [ ] One {#a.one .critical}  \r
* [x] Two\r
  goes on here {#a.two}\r
    1. [X] Nested\r
- ✓ Below 200 ms {#a.fast}\r
+ no item\r
\r
> - [ ] Quoted\r
\r
```\r
- [ ] not one\r
```\r
| a | b |\r
\f\x0b\u2028 odd blanks\r
## Sign-off {.sign-off}\r
- [ ] Lead: ____ Date: ____"""


def results(text: str, verdicts: dict[str, Verdict], reason: str = "why") -> list[ItemResult]:
    items = parser.parse(text, Path("c.md")).items
    return [result(item, verdicts.get(item.id, Verdict.NOT_COVERED), reason) for item in items]


def result(item: Item, verdict: Verdict, reason: str, *, in_scope: bool = True) -> ItemResult:
    at = datetime(2026, 12, 1, 13, 0, tzinfo=UTC)
    finding = Finding(item.id, "", verdict, reason, "t", at, 0.1)
    found = () if verdict is Verdict.NOT_COVERED else (finding,)
    return ItemResult(item, verdict, reason, in_scope, found)


def test_boxes_are_ticked_and_the_words_stand_behind() -> None:
    given = {
        "a.one": Verdict.PASS,
        "a.two": Verdict.FAIL,
        "launch.nested": Verdict.ATTESTED,
        "a.fast": Verdict.WAIVED,
    }
    found = ticked.ticked(TEAM, results(TEAM, given), AT).split("\r\n")
    assert found[2] == f"* [x] One {{#a.one .critical}} {NOTE} **pass**: why (2026-12-01 13:00 UTC)  "
    assert found[3] == "* [ ] Two"
    assert found[4] == f"  goes on here {{#a.two}} {NOTE} **fail**: why (2026-12-01 13:00 UTC)"
    assert found[5] == f"    1. [X] Nested {NOTE} **attested**: why (2026-12-01 13:00 UTC)"
    assert found[6] == f"- ✓ Below 200 ms {{#a.fast}} {NOTE} **waived**: why (2026-12-01 13:00 UTC)"
    assert found[9] == f"> - [ ] Quoted {NOTE} **not covered**: why (2026-12-01 14:02 UTC)"
    assert found[-1] == "- [ ] Lead: ____ Date: ____"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_good_verdicts_are_ticked(verdict: Verdict) -> None:
    text = "# P\n- [ ] Do it\n"
    line = ticked.ticked(text, results(text, {"p.do-it": verdict}), AT).split("\n")[1]
    assert line.startswith("- [x]") is verdict.good
    assert f"**{verdict.replace('_', ' ')}**" in line


def test_a_ticked_file_is_the_same_checklist_and_can_be_ticked_again() -> None:
    verdicts = dict.fromkeys(("a.one", "launch.nested"), Verdict.PASS)
    once = ticked.ticked(TEAM, results(TEAM, verdicts), AT)
    assert ticked.ticked(once, results(once, verdicts), AT) == once
    before, after = (parser.parse(text, Path("c.md")) for text in (TEAM, once))
    assert (before.items, before.roles, before.remarks) == (after.items, after.roles, after.remarks)
    other = ticked.ticked(once, results(once, {}), AT)
    assert other == ticked.ticked(TEAM, results(TEAM, {}), AT)


def without_words(text: str) -> str:
    lines = [line.partition(f" {NOTE}")[0].rstrip(" ") for line in text.split("\n")]
    return "\n".join(line.replace("[x]", "[ ]").replace("[X]", "[ ]").rstrip("\r") for line in lines)


def test_nothing_else_changes() -> None:
    once = ticked.ticked(TEAM, results(TEAM, {"a.one": Verdict.PASS}), AT)
    plain = without_words(TEAM.replace("  \r\n", "\r\n"))
    assert without_words(once) == plain


@given(st.text(st.sampled_from("- [x]*>1.#{}ab\n\r\t ✓`<!\\|_:"), max_size=120))
def test_any_text_can_be_ticked_twice_with_the_same_result(text: str) -> None:
    text = f"{text}\n\n# P\n- [ ] one more\n"
    try:
        found = results(text, {}, "a `b` *c* [d] <e> {f} g_h")
    except parser.ChecklistError:
        return
    good = [ItemResult(r.item, Verdict.PASS, r.reason, r.in_scope, r.findings) for r in found]
    once = ticked.ticked(text, good, AT)
    after = parser.parse(once, Path("c.md"))
    assert [i.id for i in after.items] == [r.item.id for r in found]
    assert ticked.ticked(once, good, AT) == once


def test_out_of_scope_is_said() -> None:
    text = "# P\n- [x] Do it\n"
    item = parser.parse(text, Path("c.md")).items[0]
    found = ticked.ticked(text, [result(item, Verdict.NOT_COVERED, "no test", in_scope=False)], AT)
    assert found == f"# P\n- [ ] Do it {NOTE} out of scope: not checked\n"


def test_a_long_reason_is_shortened_and_is_no_markup() -> None:
    text = "# P\n- [ ] Do it\n"
    reason = "the *table* `a_b` has <b>\n" + "rows " * 60
    line = ticked.ticked(text, results(text, {"p.do-it": Verdict.FAIL}, reason), AT).split("\n")[1]
    assert r"the \*table\* \`a_b\` has \<b> rows" in line
    assert "…" in line
    assert len(line) < 250


def test_another_checklist_is_refused() -> None:
    with pytest.raises(ticked.TickError, match=r"no longer has the item 'p\.do-it'"):
        ticked.ticked("# Q\n- [ ] Other\n", results("# P\n- [ ] Do it\n", {}), AT)


def test_files_are_written_byte_for_byte(tmp_path: Path) -> None:
    source, target = tmp_path / "c.md", tmp_path / "new" / "ticked.md"
    source.write_bytes(TEAM.encode())
    ticked.write(source, target, results(TEAM, {}), AT)
    assert target.read_bytes() == ticked.ticked(TEAM, results(TEAM, {}), AT).encode()
    assert [file.name for file in target.parent.iterdir()] == ["ticked.md"]


def test_the_shipped_checklist_is_ticked() -> None:
    file = Path(__file__).parents[2] / "pytest_deploygate" / "suites" / "checklist.md"
    text = file.read_text()
    found = ticked.ticked(text, results(text, {"phase2.tables": Verdict.PASS}), AT)
    assert found.count(NOTE) == len(parser.parse(text, file).items)
    assert found.count("- [x]") == 1
    assert parser.parse(found, file).items == parser.parse(text, file).items
