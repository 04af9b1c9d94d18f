"""A team's checklist beside the shipped one: each weakening knows the items that it bears on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checklist import comparison, parser

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
        ("sec.audit (Audit) is not in this checklist", ("sec.tls",)),
        ("after.alerts (Alerts) is not in this checklist", ("after.logs",)),
    ]


def test_a_missing_item_without_neighbours_counts_for_every_scope(tmp_path) -> None:
    found = weakenings(
        "## After {#after}\n- [ ] Logs {#after.logs}\n- [ ] Alerts {#after.alerts}\n", tmp_path
    )
    assert [items for _, items in found] == [(), ()]
