"""The checklist: content of the shipped one, and how any team's Markdown is parsed without losing a line."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checklist import parser
from pytest_deploygate.checklist.parser import ChecklistError, slug
from pytest_deploygate.model import Closing, Kind, Severity
from pytest_deploygate.session.shipped import checklist as shipped_checklist


def words(text: str) -> list[str]:
    return text.split()


CRITICAL = words("""
infra.certificates db.replication db.continuous-backup db.restore sec.tls sec.waf sec.secrets sec.pentest comp.erasure
day.final-backup day.rollback-plan phase1.services phase2.migrations phase2.tables phase2.replication phase3.services
phase3.api phase3.auth phase4.integrity phase4.calculations golive.dns golive.errors golive.performance golive.logins
golive.workflows hand.sign-off
""")
MINOR = words("""
day.briefing day.support phase1.issues stab.documentation stab.support-brief stab.improvements after.tickets
hand.briefing hand.knowledge
""")
PHASES = words("""
preflight morning phase1 phase2 phase3 phase4 golive postdeploy stabilization handover criteria
""")
AREAS = words("""
infrastructure database security compliance application migration performance functionality ux
""")
SIZES = {"preflight": 32, "criteria": 12} | dict.fromkeys(PHASES[1:-1], 8)


@pytest.fixture(scope="module")
def shipped() -> parser.Checklist:
    return parser.load(shipped_checklist())


@pytest.fixture
def parse(tmp_path):
    """Parse a text; return the checklist, or the problems as texts without the file's name."""

    def parse_text(text: str | bytes):
        file = tmp_path / "list.md"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        try:
            return parser.load(file)
        except ChecklistError as error:
            return [str(problem).removeprefix(str(file)) for problem in error.problems]

    return parse_text


def test_the_shipped_one_is_whole(shipped):
    """104 items and 12 criteria in eleven phases, plus guards, five roles, unique ids, no line left over."""
    source = [item for item in shipped.items if not item.id.startswith("guard.")]
    assert len(source) == 116
    assert Counter(item.phase for item in source) == SIZES
    assert [phase.id for phase in shipped.phases] == PHASES
    assert set(shipped.areas) == {*AREAS, "guard"}
    assert len({item.id for item in shipped.items}) == len(shipped.items)
    assert shipped.roles == (
        "Deployment lead",
        "Technical lead",
        "Operations manager",
        "Customer success",
        "Executive sponsor",
    )
    assert shipped.remarks == ()
    assert shipped.sha256 == hashlib.sha256(shipped_checklist().read_bytes()).hexdigest()


def test_every_shipped_item_has_its_own_id_in_the_file(shipped):
    """Ids are written in the file, not derived, so that rewording a line keeps its history; line numbers are right."""
    lines = shipped.file.read_text().splitlines()
    for item in shipped.items:
        assert f"{{#{item.id}" in lines[item.line - 1]
        assert item.text in lines[item.line - 1]
        assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9-]+", item.id)


def test_severities_are_those_of_the_specification(shipped):
    """Critical and minor are exactly those listed, all criteria are critical, all others major."""
    criteria = [item.id for item in shipped.items if item.phase == "criteria"]
    by_severity = {s: sorted(i.id for i in shipped.items if i.severity is s) for s in Severity}
    assert by_severity[Severity.CRITICAL] == sorted([*CRITICAL, *criteria])
    assert by_severity[Severity.MINOR] == sorted(MINOR)


def test_what_may_not_be_waived(shipped):
    """Zero data loss, restore and the sign-off refuse waivers; nothing else does."""
    assert {item.id for item in shipped.items if not item.waivable} == {
        "crit.data-loss",
        "db.restore",
        "hand.sign-off",
    }


def test_kinds(shipped):
    """Phase 2 is all automated; audits are manual; the issue logs need machine and person."""
    kinds = {item.id: item.kind for item in shipped.items}
    assert {kind for item, kind in kinds.items() if item.startswith("phase2.")} == {Kind.AUTOMATED}
    assert kinds["sec.audit"] is Kind.MANUAL
    for item in ("phase1.issues", "golive.issues", "phase4.discrepancies", "stab.issues"):
        assert kinds[item] is Kind.HYBRID


def test_what_is_decided_when_a_run_closes(shipped):
    """The issue log and the signatures decide these; nothing else waits for the end of a run."""
    assert {item.id: item.closing for item in shipped.items if item.closing} == {
        "phase1.issues": Closing.DOCUMENTED,
        "golive.issues": Closing.DOCUMENTED,
        "phase4.discrepancies": Closing.DOCUMENTED,
        "stab.issues": Closing.RESOLVED,
        "hand.sign-off": Closing.SIGNED,
    }
    about_the_log = [item.id for item in shipped.items if item.about_the_log]
    assert about_the_log == ["phase1.issues", "phase4.discrepancies", "golive.issues", "stab.issues"]


def test_phases_that_freezes_and_the_chain_leave_alone(shipped):
    assert [phase.id for phase in shipped.phases if phase.read_only] == ["preflight", "criteria"]
    assert [phase.id for phase in shipped.phases if phase.whole_change] == ["criteria"]


def test_a_class_of_a_phase_is_no_area(tmp_path):
    text = "# Looks {#look .read-only .whole-change .network}\n- [ ] DNS {#look.dns}\n## More {#look}\n- [ ] TLS {#look.tls}\n"
    found = parser.parse(text, tmp_path / "checklist.md")
    assert [(item.id, item.area) for item in found.items] == [("look.dns", "network"), ("look.tls", "")]
    (phase,) = found.phases
    assert (phase.read_only, phase.whole_change) == (True, True)


def test_get(shipped):
    """An item is found by its id; an unknown id is None."""
    assert shipped.get("db.restore").severity is Severity.CRITICAL
    assert shipped.get("db.restroe") is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("- [ ] Verify backups", "Verify backups"),
        ("- [x] Verify backups", "Verify backups"),
        ("- [X] Verify backups", "Verify backups"),
        ("* [ ] Verify backups", "Verify backups"),
        ("+ [ ] Verify backups", "Verify backups"),
        ("1. [ ] Verify backups", "Verify backups"),
        ("- ✓ Verify backups", "Verify backups"),
        ("- [ ] Verify\n  backups", "Verify backups"),
    ],
)
def test_forms_of_an_item(parse, line, text):
    """Boxes empty or ticked, with any list marker, and lines with a tick are items; a wrapped line is one item."""
    (item,) = parse(f"# Day\n\n{line}\n").items
    assert (item.text, item.phase, item.id, item.line) == (text, "day", "day.verify-backups", 3)
    assert (item.severity, item.kind, item.waivable) == (Severity.MAJOR, Kind.AUTOMATED, True)


def test_attributes(parse):
    """Braces set id, severity, kind, waivability and role of an item; id and area of a heading."""
    found = parse(
        "# Day zero {#day .database}\n- [ ] Restore {#db.restore .critical .hybrid .non-waivable role=Technical-Lead}\n"
    )
    (item,) = found.items
    assert (item.id, item.text, item.phase, item.area) == ("db.restore", "Restore", "day", "database")
    assert (item.severity, item.kind, item.waivable, item.role) == (
        Severity.CRITICAL,
        Kind.HYBRID,
        False,
        "technical-lead",
    )


def test_a_derived_id_does_not_hang_on_its_neighbours(parse):
    """An id without braces is derived from heading and text only: other lines, boxes and positions do not change it."""
    one = parse("## Go live!\n- [ ] Switch DNS (now)\n").items[0]
    two = parse("# X\n## Go live!\n- [ ] Before\n* [x] Switch DNS (now)\n").items[1]
    assert one.id == two.id == "go-live.switch-dns-now"
    assert one.phase == "go_live"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("# A\n- [ ] One {.critcal}\n", [":2: unknown item property .critcal; did you mean 'critical'?"]),
        (
            "# A\n- [ ] One {#A.B}\n",
            [":2: '#A.B' is neither #id (lowercase letters, digits, - _ .), .property, role=ROLE nor"],
        ),
        ("# A\n- [ ] One {#a..b}\n", [":2: '#a..b' is neither"]),
        ("# A\n- [ ] One {#a.b check=}\n", [":2: 'check=' is neither"]),
        (
            "# A {#a check=infra.cdn}\n- [ ] One\n",
            [":1: 'check=infra.cdn' is a property of an item, not of a heading"],
        ),
        (
            "# A\n- [ ] One {#x}\n- [ ] Two {#x}\n",
            [":3: the id x is already used in line 2; set another with {#id}"],
        ),
        (
            "# A\n- [ ] One {.majr}\n- [ ] Two {.minr}\n",
            [
                ":2: unknown item property .majr; did you mean 'major'?",
                ":3: unknown item property .minr",
            ],
        ),
        ("", [": has no items; write each as a line such as `- [ ] Verify backups`"]),
        ("# Only\n\ntext\n", [": has no items"]),
        (b"# A\n- [ ] \xff\n", [":2: is not UTF-8 text: byte 11 is 0xff"]),
    ],
)
def test_mistakes_are_said_with_line_and_nearest_name(parse, text, problems):
    """Each mistake is a problem with its line; all of them at once."""
    found = parse(text)
    assert len(found) == len(problems)
    for line, said in zip(found, problems, strict=True):
        assert line.startswith(said)


def test_a_file_that_is_not_there(tmp_path):
    """A missing checklist, or a folder in its place, is a problem that names it."""
    with pytest.raises(ChecklistError, match=r"nope\.md: cannot be read: No such file"):
        parser.load(tmp_path / "nope.md")
    with pytest.raises(ChecklistError, match="cannot be read: it is a folder, not a file"):
        parser.load(tmp_path)


def test_a_list_line_that_is_no_item_is_reported(parse):
    """Lines without a box are neither items nor lost: each is a remark with its line."""
    found = parse("# A\n- [ ] One\n- just a note\n- [] Two\n-[ ] Three\n")
    assert [item.text for item in found.items] == ["One"]
    assert "just a note" in " ".join(remark.text for remark in found.remarks)
    assert "[] Two" in " ".join(remark.text for remark in found.remarks)
    assert {remark.line for remark in found.remarks} >= {3, 4}


def test_an_item_before_any_heading_is_kept_or_refused(parse):
    """A box above the first heading is never lost."""
    found = parse("- [ ] First\n\n# A\n- [ ] Second\n")
    assert isinstance(found, list) or [item.text for item in found.items] == ["First", "Second"]


@pytest.mark.parametrize(
    ("heading", "title", "window"),
    [
        ("Phase 2: database (2:00 PM - 4:00 PM)", "Phase 2: database", "2:00 PM - 4:00 PM"),
        ("Go-live (10:00 PM - 12:00 AM)", "Go-live", "10:00 PM - 12:00 AM"),
        ("Pre-deployment (T-7 days)", "Pre-deployment", "T-7 days"),
        ("Checks (all of them)", "Checks (all of them)", ""),
    ],
)
def test_windows_in_headings(parse, heading, title, window):
    """A time in brackets in a heading is the phase's planned window and not part of its name."""
    (phase,) = parse(f"## {heading}\n- [ ] One\n").phases
    assert (phase.title, phase.window) == (title, window)


def test_roles_stand_under_the_sign_off_heading(parse):
    """Lines under a heading named sign-off, or marked so, are roles; text after the colon is ignored."""
    for heading in ("## Final sign-off", "## Sign-off", "## Names {.sign-off}"):
        found = parse(
            f"# A\n- [ ] One\n{heading}\n- [ ] Deployment lead: ____ Date: ____\n- Technical lead\n"
        )
        assert found.roles == ("Deployment lead", "Technical lead")
        assert len(found.items) == 1


FOREIGN = """\
Release checklist of the web team
=================================

Some words, and a link [x](https://example.com).

Before
------
 * [ ] Tell **support**
     * [ ] by mail
     * [x] by phone
 * [ ] `make release`

1. [ ] Tag
2. [x] Push

```
- [ ] not an item, an example
```

> - [ ] quoted

After
-----
- [ ] Watch dashboards <b>closely</b>
- [ ] Watch dashboards again
"""


def test_a_foreign_checklist_loses_nothing(parse):
    """Setext headings, nested and numbered boxes, emphasis and code: every box is an item, an example in a code
    block is not."""
    found = parse(FOREIGN)
    texts = " | ".join(item.text for item in found.items)
    for words in (
        "support",
        "by mail",
        "by phone",
        "make release",
        "Tag",
        "Push",
        "quoted",
        "Watch dashboards again",
    ):
        assert words in texts
    assert "an example" not in texts
    assert {item.phase for item in found.items} == {"before", "after"}
    assert len({item.id for item in found.items}) == len(found.items) == 9


def test_two_equal_lines_do_not_become_one(parse):
    """The same text twice under one heading gives two items, or a problem; never silently one item."""
    found = parse("# A\n- [ ] Same\n- [ ] Same\n")
    assert (isinstance(found, list) and "taken by line 2" in found[0]) or len(found.items) == 2


@given(st.text(max_size=80))
def test_a_slug_can_be_an_id(text):
    """Whatever the line, its slug is short and has no spaces, capitals or signs."""
    made = slug(text)
    assert 0 < len(made) <= 60
    assert not re.search(r"[\s.#{}]", made)
    assert slug(made) == made


@given(
    st.lists(
        st.sampled_from(
            ["# ", "## ", "- ", "* ", "[ ] ", "[x] ", "✓ ", "a", "b ", "{#x}", "{.minor}", "\n", "  "]
        ),
        max_size=40,
    )
)
def test_any_text_is_a_checklist_or_a_list_of_problems(parts):
    """No Markdown makes the parser crash; it returns a checklist with unique ids, or problems."""
    try:
        found = parser._Parser(Path("list.md")).parse("".join(parts), "")
    except ChecklistError as error:
        said = [problem.text for problem in error.problems]
    else:
        said = sorted({item.id for item in found.items})
        assert len(said) == len(found.items)
    assert said
