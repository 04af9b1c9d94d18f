"""Checklists as teams write them: what ends a line in Markdown, boxes in tables, headings that are named sign-off."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from pytest_deploygate.checklist import parser, ticked
from pytest_deploygate.checklist.identified import identified

#: What `str.splitlines` takes for the end of a line, and CommonMark does not.
NO_ENDS = ["\f", "\v", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


def load(text):
    return parser.parse(text, Path("checklist.md"))


@pytest.mark.parametrize("end", NO_ENDS)
@pytest.mark.parametrize(
    "text",
    [
        "# A\n\n- [ ] First{}part\n- [ ] Restore tested\n- [ ] DNS checked\n",
        "# A\n\n- [ ] One\n{}\n# B\n\n- [ ] Restore tested\n- [ ] DNS checked\n",
        "# A{}B\n\ntext{}text\n\n- [ ] Restore tested\n",
        "# A\r\n\r\n- [ ] One{}\r\n- [ ] Restore tested\r\n",
    ],
)
def test_ids_are_written_into_the_lines_of_their_items(text, end):
    """The lines are counted as the Markdown parser counts them, and each item keeps its own id."""
    text = text.replace("{}", end)
    before = load(text)
    written = identified(text)
    after = load(written)
    assert [(item.id, item.text, item.line) for item in after.items] == [
        (item.id, item.text, item.line) for item in before.items
    ]
    assert len(MarkdownIt("commonmark").parse(written)) == len(MarkdownIt("commonmark").parse(text))
    own = [item for item in after.items if f"{{#{item.id}}}" in written.split("\n")[item.line - 1]]
    assert len(own) == len(after.items)
    assert ticked.ticked(written, [], datetime(2026, 11, 29, tzinfo=UTC)) == written


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_does_end_a_line(end):
    text = "# A\n\n- [ ] First\n- [ ] Second\n".replace("\n", end)
    assert identified(text) == "# A\n\n- [ ] First {#a.first}\n- [ ] Second {#a.second}\n".replace("\n", end)


TABLE = """\
# Go-live
- [ ] Announced

| # | Item | State | By |
|---|---|---|---|
| 1 | Backup restored | {} | |
| 2 | No box here | yes | |
"""


@pytest.mark.parametrize(
    "box",
    [
        "☐",
        "⬜",
        "☑",
        "✅",
        "✓",
        "🔲",
        "◻",
        "□",
        "❎",
        "[ ]",
        "[x]",
        "\\[ \\]",
        "☐\ufe0f",
        '<input type="checkbox">',
    ],
)
def test_a_box_in_a_table_is_remarked(box):
    found = load(TABLE.format(box))
    assert len(found.items) == 1
    assert [remark.line for remark in found.remarks] == [6]
    assert "Backup restored" in found.remarks[0].text


@pytest.mark.parametrize(
    "line",
    [
        "<ul><li>☐ Backup restored</li></ul>",
        "<table><tr><td>Backup restored</td><td>☐</td></tr></table>",
        '<li><input type="checkbox"> Backup restored</li>',
    ],
)
def test_a_box_in_html_is_remarked(line):
    assert len(load(f"# A\n- [ ] One\n\n{line}\n").remarks) == 1


def test_a_checklist_of_a_table_alone_says_where_it_looks_like_items():
    with pytest.raises(parser.ChecklistError, match="line 6 looks like one"):
        load(TABLE.format("☐").replace("- [ ] Announced\n", "Announced\n"))


@pytest.mark.parametrize("box", ["☐", "⬜", "□", "🔲"])
def test_a_list_line_that_begins_with_a_box_is_an_item(box):
    assert [item.text for item in load(f"# A\n- {box} Backup restored\n").items] == ["Backup restored"]


@pytest.mark.parametrize(
    "heading", ["QA sign-off", "Security Signoff", "UAT sign-offs", "Sign-off", "Load test sign-off"]
)
def test_checks_under_a_heading_that_is_named_sign_off_are_items(heading):
    lines = ["Regression suite passed", "No open critical bugs", "p99 below 1 s", "All tickets are closed"]
    found = load("# A\n- [ ] One\n\n## " + heading + "\n" + "".join(f"- [ ] {line}\n" for line in lines))
    assert [item.text for item in found.items[1:]] == lines
    assert found.roles == ()
    assert len(found.remarks) == len(lines)


@pytest.mark.parametrize(
    ("heading", "line", "role"),
    [
        ("QA sign-off", "QA lead", "QA lead"),
        ("Business sign-off", "Jane Example: ______ Date: ____", "Jane Example"),
        ("Security sign-off", "CISO", "CISO"),
        ("Final sign-off", "Customer success", "Customer success"),
        ("Go-live sign-off", "Head of operations:", "Head of operations"),
        ("QA sign-off {.sign-off}", "Regression suite passed", "Regression suite passed"),
    ],
)
def test_roles_under_such_a_heading_stay_roles(heading, line, role):
    found = load(f"# A\n- [ ] One\n\n## {heading}\n- [ ] {line}\n")
    assert found.roles == (role,)
    assert len(found.items) == 1
    assert found.remarks == ()


def test_roles_and_checks_mixed():
    found = load("# A\n- [ ] One\n\n## QA sign-off\n- [ ] Regression suite passed\n- [ ] QA lead: ____\n")
    assert (len(found.items), found.roles) == (2, ("QA lead",))


#: Checks that no list of words names, in German, French, Finnish, Spanish, Polish, Greek, Japanese, Arabic and Korean.
CHECKS = (
    "Regressionstests bestanden",
    "Sauvegarde restaurée",
    "Varmuuskopio palautettu",
    "Copia de seguridad restaurada",
    "Kopia zapasowa odtworzona",
    "Το αντίγραφο αποκαταστάθηκε",
    "バックアップを復元した",
    "تمت استعادة النسخة الاحتياطية",
    "백업을 복원했다",
)


@pytest.mark.parametrize("line", CHECKS)
@pytest.mark.parametrize("heading", ["Sign-off", "Final sign-off", "QA sign-off"])
def test_a_check_in_any_language_is_no_role(heading, line):
    """Under a heading that is only named sign-off a sentence is an item, and the remark says how to make it a role."""
    found = load(f"# A\n- [ ] One\n\n## {heading}\n- [ ] {line}\n")
    assert [item.text for item in found.items] == ["One", line]
    assert found.roles == ()
    assert ["{.sign-off}" in remark.text for remark in found.remarks] == [True]


@pytest.mark.parametrize(
    "line",
    ["Jane Example", "María de la Cruz Example", "Ludwig van Example", "Ώνα Παράδειγμα", "Abnahmetest"],
)
def test_a_name_by_its_shape_is_a_role_with_a_remark(line):
    """In German a check may be a noun alone: whoever reads the remark can tell."""
    found = load(f"# A\n- [ ] One\n\n## Sign-off\n- [ ] {line}\n")
    assert found.roles == (line,)
    assert ["is taken for a role" in remark.text for remark in found.remarks] == [True]


@pytest.mark.parametrize("line", [*CHECKS, "Jane Example", "プロジェクト責任者"])
def test_lines_under_a_marked_heading_are_roles_in_any_language(line):
    found = load(f"# A\n- [ ] One\n\n## Abnahme {{.sign-off}}\n- [ ] {line}\n")
    assert found.roles == (line,)
    assert found.remarks == ()


@pytest.mark.parametrize(
    "heading", ["Abnahme", "Freigabe", "Hyväksynnät", "承認", "Aprobación final", "Validation"]
)
@pytest.mark.parametrize("place", ["____", "........", "……", "Date: ______"])
def test_a_place_to_sign_under_another_heading_is_remarked(heading, place):
    """By its shape this is a role; it stays an item, which somebody has to attest, and the remark says what to do."""
    found = load(f"# A\n- [ ] One\n\n## {heading}\n- [ ] Projektleiterin: {place}\n")
    assert len(found.items) == 2
    assert [remark.line for remark in found.remarks] == [5]
    assert "{.sign-off}" in found.remarks[0].text


@pytest.mark.parametrize("line", ["`__init__` is deployed", "Wait... and look again", "Set max_connections"])
def test_no_place_to_sign(line):
    assert load(f"# A\n- [ ] One\n- [ ] {line}\n").remarks == ()
