"""A team's checklist compared with the shipped one: each weakening lists the items that it affects."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checklist import comparison, parser
from pytest_deploygate.model import Closing, Kind

SHIPPED = """\
## Before {#before .security}
- [ ] Audit {#sec.audit .manual}
- [ ] TLS {#sec.tls .critical .non-waivable}
## After {#after}
- [ ] Logs {#after.logs}
- [ ] Alerts {#after.alerts}
"""


def weakenings(text: str, tmp_path: Path) -> list[tuple[str, tuple[str, ...]]]:
    (tmp_path / "ours.md").write_text(text)
    (tmp_path / "shipped.md").write_text(SHIPPED)
    ours, shipped = (parser.load(tmp_path / name) for name in ("ours.md", "shipped.md"))
    return [(w.text, w.items) for w in comparison.weakenings(ours, shipped)]


def test_the_same_checklist_is_not_weaker(tmp_path) -> None:
    assert weakenings(SHIPPED, tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{#after.logs}", "{#after.logs .minor}", "after.logs is minor here, major in the shipped checklist"),
        ("{#after.logs}", "{#after.logs .manual}", "after.logs is attested by a person here"),
        (" .non-waivable", "", "sec.tls can be waived here"),
    ],
)
def test_a_weaker_item_bears_on_itself(old, new, said, tmp_path) -> None:
    ((text, items),) = weakenings(SHIPPED.replace(old, new), tmp_path)
    assert said in text
    assert items == (text.partition(" ")[0],)


def test_a_missing_item_bears_on_those_of_its_phase_and_its_area(tmp_path) -> None:
    moved = "## After {#after}\n- [ ] Logs {#after.logs}\n## Other {#other .security}\n- [ ] TLS {#sec.tls .critical .non-waivable}\n"
    assert weakenings(moved, tmp_path) == [
        ("this checklist does without 1 of 4 shipped items: sec.audit", ("sec.tls",)),
        ("this checklist does without 1 of 4 shipped items: after.alerts", ("after.logs",)),
    ]


def test_a_missing_item_without_neighbours_counts_for_every_scope(tmp_path) -> None:
    assert weakenings("## After {#after}\n- [ ] Logs {#after.logs}\n", tmp_path) == [
        ("this checklist does without 2 of 4 shipped items: all 2 of sec", ()),
        ("this checklist does without 1 of 4 shipped items: after.alerts", ("after.logs",)),
    ]


def test_a_line_that_borrows_a_check_takes_the_place_of_the_shipped_line(tmp_path) -> None:
    borrowed = "## Ours {#ours}\n- [ ] Logs {#after.logs}\n- [ ] TLS {#ours.tls check=sec.tls .minor}\n"
    assert weakenings(borrowed, tmp_path) == [
        ("ours.tls (check sec.tls) is minor here, critical in the shipped checklist", ("ours.tls",)),
        ("ours.tls (check sec.tls) can be waived here, not in the shipped checklist", ("ours.tls",)),
        ("this checklist does without 2 of 4 shipped items: sec.audit, after.alerts", ()),
    ]


def test_what_an_independent_checklist_leaves_out_is_no_weakening(tmp_path) -> None:
    text = "# Ours\n- [ ] Stop\n- [ ] TLS {#ours.tls check=sec.tls .critical .non-waivable}\n"
    assert weakenings(text, tmp_path) == []


def test_a_phase_that_a_freeze_or_a_missing_decision_no_longer_stops_is_weaker(tmp_path) -> None:
    marked = SHIPPED.replace("{#after}", "{#after .read-only .whole-change}")
    assert weakenings(marked, tmp_path) == [
        (
            "after is read-only here and runs in a freeze, unlike in the shipped checklist",
            ("after.logs", "after.alerts"),
        ),
        ("no phase waits for after here, unlike in the shipped checklist", ("after.logs", "after.alerts")),
    ]


def test_an_item_that_the_issue_log_decides_instead_of_tests_is_weaker(tmp_path) -> None:
    ((text, items),) = weakenings(SHIPPED.replace("{#after.logs}", "{#after.logs .documented}"), tmp_path)
    assert text == "after.logs is documented here, decided by tests or a person in the shipped checklist"
    assert items == ("after.logs",)


def test_what_a_team_leaves_out_is_as_in_the_shipped_checklist(tmp_path) -> None:
    known = "## After {#after .read-only .whole-change}\n- [ ] Issues {#after.issues .hybrid .documented}\n"
    (tmp_path / "shipped.md").write_text(known)
    (tmp_path / "ours.md").write_text(
        "## Afterwards {#after}\n- [ ] Issues {#after.issues .automated}\n- [ ] Ours {#after.ours .resolved}\n"
    )
    ours, shipped = (parser.load(tmp_path / name) for name in ("ours.md", "shipped.md"))
    found = comparison.resolved(ours, shipped, bound=())
    assert [(item.closing, item.kind) for item in found.items] == [
        (Closing.DOCUMENTED, Kind.AUTOMATED),
        (Closing.RESOLVED, Kind.AUTOMATED),  # not attested in addition to the log
    ]
    assert [(phase.read_only, phase.whole_change) for phase in found.phases] == [(True, True)]


def resolved(text: str, tmp_path: Path, bound: set[str]) -> parser.Checklist:
    (tmp_path / "ours.md").write_text(text)
    (tmp_path / "shipped.md").write_text(SHIPPED)
    ours, shipped = (parser.load(tmp_path / name) for name in ("ours.md", "shipped.md"))
    return comparison.resolved(ours, shipped, bound)


@pytest.mark.parametrize(
    ("braces", "kind"),
    [
        ("{#ours.a check=sec.tls}", Kind.AUTOMATED),
        ("{#ours.a check=sec.audit}", Kind.MANUAL),
        ("{#ours.a check=sec.tls .hybrid}", Kind.HYBRID),
        ("{#ours.a check=own.disk}", Kind.AUTOMATED),
        ("{#ours.a}", Kind.MANUAL),
    ],
)
def test_a_line_that_borrows_a_check_is_decided_as_the_shipped_line_is(braces, kind, tmp_path) -> None:
    found = resolved(f"# Ours\n- [ ] A {braces}\n", tmp_path, {"sec.tls", "own.disk"})
    assert [item.kind for item in found.items] == [kind]


def test_a_borrowed_check_that_does_not_exist_is_refused_with_its_line(tmp_path) -> None:
    with pytest.raises(
        parser.ChecklistError, match=r"ours\.md:2: no check 'sec\.tsl' to borrow; did you mean"
    ):
        resolved("# Ours\n- [ ] A {#ours.a check=sec.tsl}\n", tmp_path, {"sec.tls"})
