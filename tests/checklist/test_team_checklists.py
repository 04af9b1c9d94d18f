"""Checklists as teams write them: each list line becomes an item, a role or a remark, and none is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checklist import parser
from pytest_deploygate.checklist.parser import Checklist, ChecklistError
from pytest_deploygate.model import Phase


def load(text: str | bytes, tmp_path: Path) -> Checklist:
    file = tmp_path / "team.md"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return parser.load(file)


def ids(text: str | bytes, tmp_path: Path) -> list[str]:
    return [item.id for item in load(text, tmp_path).items]


def remarks(text: str | bytes, tmp_path: Path) -> list[str]:
    return [f"{remark.line}: {remark.text}" for remark in load(text, tmp_path).remarks]


def test_nested_boxes_as_on_github(tmp_path: Path) -> None:
    text = "## Release\n- [x] Build\n  - [ ] Sign\n    - [ ] Timestamp\n- [ ] Ship\n"
    assert ids(text, tmp_path) == ["release.build", "release.sign", "release.timestamp", "release.ship"]


@pytest.mark.parametrize("bullet", ["-", "*", "+", "1.", "2)", "> -"])
def test_all_bullets(bullet: str, tmp_path: Path) -> None:
    assert ids(f"# P\n{bullet} [ ] Do it\n", tmp_path) == ["p.do-it"]


@pytest.mark.parametrize("mark", ["✓", "✔", "✔\ufe0f", "✅", "☐", "☑"])
def test_criteria_and_boxes_as_signs(mark: str, tmp_path: Path) -> None:
    assert [item.text for item in load(f"# P\n- {mark} Fast\n", tmp_path).items] == ["Fast"]


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf# Phase one\r\n\r\n- [ ] A {#x.a}\r\n- [ ] B\r\n"
    found = load(text, tmp_path)
    assert [(item.id, item.line) for item in found.items] == [("x.a", 3), ("phase-one.b", 4)]


def test_headings_with_markup_are_their_words(tmp_path: Path) -> None:
    text = "## 🚀 **Deploy** the [app](https://x.example/y) with `helm` (T-0)\n- [ ] Run `make` for **all**\n"
    found = load(text, tmp_path)
    assert found.phases == (Phase("deploy_the_app_with_helm", "🚀 Deploy the app with helm", "T-0"),)
    assert (found.items[0].id, found.items[0].text) == (
        "deploy-the-app-with-helm.run-make-for-all",
        "Run make for all",
    )


def test_numbered_headings_and_words_that_pytest_has(tmp_path: Path) -> None:
    text = "# 1. Prepare\n- [ ] A\n# Skip\n- [ ] B\n# Not\n- [ ] C\n# 🎉\n- [ ] D\n"
    assert [p.id for p in load(text, tmp_path).phases] == ["phase_1_prepare", "phase_skip", "phase_not", "x"]


def test_an_area_that_pytest_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChecklistError, match=r"team\.md:1: the area \.skip has another meaning"):
        load("# P {#p .skip}\n- [ ] A\n", tmp_path)


def test_the_same_text_twice_gets_two_ids_and_a_remark(tmp_path: Path) -> None:
    text = "# P\n- [ ] Check logs\n- [ ] Check logs\n- [ ] Other {#p.check-logs-2}\n"
    assert ids(text, tmp_path) == ["p.check-logs", "p.check-logs-3", "p.check-logs-2"]
    assert "its id is p.check-logs-3 because p.check-logs is already used" in remarks(text, tmp_path)[0]


def test_the_same_id_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChecklistError, match=r"team\.md:3: the id a\.b is already used in line 2"):
        load("# P\n- [ ] A {#a.b}\n- [ ] B {#a.b}\n", tmp_path)


def test_the_same_heading_below_others_is_another_phase(tmp_path: Path) -> None:
    text = "# Staging (T-1 day)\n## Checks\n- [ ] A\n# Production (T-0)\n## Checks\n- [ ] A\n"
    found = load(text, tmp_path)
    assert [(p.id, p.day) for p in found.phases] == [("checks", "T-1 day"), ("production_checks", "T-0")]
    assert [item.id for item in found.items] == ["checks.a", "production-checks.a"]


def test_boxes_before_any_heading(tmp_path: Path) -> None:
    found = load("- [ ] Just this\n", tmp_path)
    assert (found.phases[0].id, found.items[0].id) == ("checklist", "checklist.just-this")


@pytest.mark.parametrize(
    "text",
    [
        "[ ] no bullet",
        "☐ no bullet",
        "-[ ] no blank",
        "- [] empty brackets",
        "- [-] struck",
        "- \\[ ] escaped",
        "- plain words",
        "-\n  ```\n  [ ] code\n  ```",
        "- [ ]",
        "    - [ ] indented as code",
        "| [ ] | in a table |",
        "| In a table | [ ] |",
        "<details>\n- [ ] hidden\n</details>",
        "• [ ] another bullet",
        "- <b>words</b>",
    ],
)
def test_what_is_no_item_is_remarked_on(text: str, tmp_path: Path) -> None:
    whole = f"# P\n\n- [ ] An item\n\n## Q\n\n{text}\n"
    assert ids(whole, tmp_path) == ["p.an-item"]
    assert len(remarks(whole, tmp_path)) == 1, remarks(whole, tmp_path)


def test_a_second_box_that_went_into_the_line_before_is_remarked_on(tmp_path: Path) -> None:
    assert remarks("# P\n- [ ] A\n[ ] B\n", tmp_path) == [
        "3: looks like an item but is not one; begin it with `- [ ] ` in a list: '[ ] B'"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "```\n- [ ] example\n```",
        "<!-- - [ ] switched off -->",
        "[x]: https://x.example",
        "[x](https://x.example) words",
        "words [ ] words",
        "-",
    ],
)
def test_what_nobody_meant_as_an_item_is_left_alone(text: str, tmp_path: Path) -> None:
    assert remarks(f"# P\n\n- [ ] An item\n\n## Q\n\n{text}\n", tmp_path) == []


def test_a_box_is_a_box_where_x_is_a_link_too(tmp_path: Path) -> None:
    found = load("# P\n- [x] Done\n\n[x]: https://x.example\n", tmp_path)
    assert [(item.id, item.text) for item in found.items] == [("p.done", "Done")]


def test_front_matter_is_no_heading(tmp_path: Path) -> None:
    found = load("---\ntitle: Runbook\n---\n- [ ] A\n# P\n- [ ] B\n", tmp_path)
    assert [(item.id, item.line) for item in found.items] == [("checklist.a", 4), ("p.b", 6)]


def test_braces_of_somebody_else_are_text(tmp_path: Path) -> None:
    found = load("# Deploy {env}\n- [ ] Set {REGION}\n- [ ] Use {{ version }}\n", tmp_path)
    assert [item.text for item in found.items] == ["Set {REGION}", "Use {{ version }}"]
    assert "braces are treated as text" in found.remarks[0].text


@pytest.mark.parametrize("braces", ["{#Db.Restore}", "{#a b}", "{.critical role}", "{.critcal}"])
def test_braces_that_were_meant_for_us_are_checked(braces: str, tmp_path: Path) -> None:
    with pytest.raises(ChecklistError, match=r"team\.md:2: "):
        load(f"# P\n- [ ] A {braces}\n", tmp_path)


def test_other_scripts_and_accents(tmp_path: Path) -> None:
    found = load("# Préparation\n- [ ] Vérifier\n# Подготовка\n- [ ] Резервная копия\n- [ ] 备份\n", tmp_path)
    assert [p.id for p in found.phases] == ["preparation", "подготовка"]
    assert [i.id for i in found.items][1:] == ["подготовка.резервная-копия", "подготовка.备份"]


def test_several_roles_for_one_item(tmp_path: Path) -> None:
    found = load("# P\n- [ ] A {#p.a .manual role=Security-Lead,dpo}\n", tmp_path)
    assert found.items[0].role == "security-lead,dpo"


def test_sign_off_lines_below_sub_headings_are_roles(tmp_path: Path) -> None:
    text = "# P\n- [ ] A\n# Approvals and signoff\n## Business\n- [ ] Sponsor: ___\n## Technical\n* **CTO**: ___\n"
    assert load(text, tmp_path).roles == ("Sponsor", "CTO")


def test_the_windows_of_headings(tmp_path: Path) -> None:
    text = "# A (T-7 days)\n## One\n- [ ] a\n## Two [6 AM – 9 AM]\n- [ ] b\n# B (T−0)\n### Three (12:00–14:00)\n- [ ] c\n"
    assert [(p.title, p.window, p.day) for p in load(text, tmp_path).phases] == [
        ("One", "", "T-7 days"),
        ("Two", "6 AM – 9 AM", "T-7 days"),
        ("Three", "12:00–14:00", "T−0"),
    ]


def test_the_list_that_many_start_from(tmp_path: Path) -> None:
    text = """\
# Production Deployment Checklist
## Pre-Deployment (T-7 days)
### Infrastructure
- [ ] Provision production servers (minimum 3 nodes for HA)
### Database
- [ ] Test restore procedures
## Deployment Day (T-0)
### Go-Live (10:00 PM - 12:00 AM)
- [ ] Switch DNS to new system
- [ ] Document any issues
## Success Criteria
### Performance
- ✓ Response time < 200ms (p50)
## Rollback Procedure
1. **Decision Point** (15 minutes)
   - Assess issue severity
## Emergency Contacts
| Role | Name |
|------|------|
| Lead | N.N. |
## Communication Templates
```
- Brief service interruption
```
## Final Sign-Off
- [ ] Deployment Lead: ___________________ Date: ___________
"""
    found = load(text, tmp_path)
    assert [item.text for item in found.items] == [
        "Provision production servers (minimum 3 nodes for HA)",
        "Test restore procedures",
        "Switch DNS to new system",
        "Document any issues",
        "Response time < 200ms (p50)",
    ]
    assert [remark.line for remark in found.remarks] == [15, 16]
    assert found.roles == ("Deployment Lead",)
