"""The pages in `docs/checks/`: their tables are those of the code, and each subject has its page."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_deploygate import checks
from pytest_deploygate.lab.faults import all_faults

DOCS = Path(__file__).parents[2] / "docs"
#: What is written by hand on the page of each subject that suites measure.
BY_HAND = ("## What it does not see", "## Traps", "## Example")


def _script() -> ModuleType:
    sys.path.insert(0, str(DOCS))  # as for a script that is run
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    sys.path.remove(str(DOCS))
    return module


build = _script()


def _pages() -> list[Path]:
    return [DOCS / "items.md", *sorted((DOCS / "checks").glob("*.md"))]


@pytest.fixture(scope="module")
def wanted() -> dict[Path, str]:
    return dict(build.built(DOCS))


def test_each_subject_has_a_page_and_each_page_a_subject():
    pages = {path.stem for path in (DOCS / "checks").glob("*.md")}
    assert pages == {*checks.subjects(), "README", build.SHARED}


@pytest.mark.parametrize("path", _pages(), ids=lambda path: path.stem)
def test_the_tables_are_those_of_the_code(path: Path, wanted: dict[Path, str]):
    assert path.read_text(encoding="utf-8") == wanted[path], f"{path} is out of date: run {build.COMMAND}"


@pytest.mark.parametrize("subject", [s for s in checks.subjects() if s != build.PEOPLE])
def test_a_page_says_what_is_not_seen_which_traps_there_are_and_how_it_is_configured(subject: str):
    text = (DOCS / "checks" / f"{subject}.md").read_text(encoding="utf-8")
    assert all(heading in text for heading in BY_HAND)


def test_every_fault_is_on_a_page():
    shown = {fault.name for subject in checks.subjects() for fault in build.faults_of(subject)}
    assert shown == set(all_faults())


def test_every_key_is_described():
    """Nothing without a meaning, and no type that is a Python name instead of a word."""
    for path in _pages():
        for line in path.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.split(" | ")]
            if len(cells) == 5 and cells[0].startswith("| `") and cells[2] != "severity":
                assert cells[3], f"{path.name}: {line}"
            assert "ForwardRef" not in line
            assert "typing." not in line


def test_an_old_table_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    docs = _copy(tmp_path)
    page = docs / "checks" / "dns.md"
    page.write_text(page.read_text(encoding="utf-8").replace("| `5m` |", "| `9m` |"), encoding="utf-8")
    assert build.main(["--check", "--docs", str(docs)]) == 1
    assert f"{page} is out of date: run {build.COMMAND}" in capsys.readouterr().err
    assert build.main(["--docs", str(docs)]) == 0
    assert page.read_text(encoding="utf-8") == (DOCS / "checks" / "dns.md").read_text(encoding="utf-8")
    assert build.main(["--check", "--docs", str(docs)]) == 0


def test_a_lost_table_is_noticed(tmp_path: Path):
    docs = _copy(tmp_path)
    page = docs / "checks" / "jobs.md"
    page.write_text(
        page.read_text(encoding="utf-8").replace("code: keys -->", "code: kees -->"), encoding="utf-8"
    )
    with pytest.raises(SystemExit, match=r"jobs\.md has places for .*'kees'.* needs exactly these: .*'keys'"):
        build.main(["--check", "--docs", str(docs)])


def test_an_example_that_is_not_valid_is_noticed(tmp_path: Path):
    docs = _copy(tmp_path)
    page = docs / "checks" / "pages.md"
    page.write_text(page.read_text(encoding="utf-8").replace("  terms: {", "  term: {"), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"pages\.md is not a valid inventory: .*did you mean 'terms'"):
        build.main(["--check", "--docs", str(docs)])


def _copy(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    (docs / "checks").mkdir(parents=True)
    for path in _pages():
        (docs / path.relative_to(DOCS)).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    return docs
