"""A new subject is a folder of checks, a test, a module of faults, a line of the checklist and a page: nothing else.

The toy subject here is complete and lives in a temporary folder. A plugin adds it to the packages through their
`__path__`, as if its files were in them. No file of the product is edited.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_deploygate.session import shipped

ROOT = Path(__file__).parents[1]

SUBJECT = {
    "checks/toys/__init__.py": '''\
"""Toys: whether enough of them are in the box."""

__all__ = ["judge", "probe"]
''',
    "checks/toys/section.py": '''\
"""The inventory's key `toys`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.types import FilePath, Given, InventoryKeys, Section


class Toys(Section):
    """A box of toys."""

    box: FilePath = Field(description="file with a line for each toy")
    at_least: int = Field(json_schema_extra={"weaker": "smaller"}, default=3, description="least number of toys")
    register: str = Field(default="play.toys", description="table with the toys that were bought")


class Keys(InventoryKeys):
    """The key `toys`."""

    toys: Annotated[Toys | None, Given("toys", "toys: {box: toys.txt}")] = Field(
        default=None, description="the box of toys"
    )
''',
    "checks/toys/facts.py": '''\
"""What is known of a box."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """The toys in a box by name."""

    toys: tuple[str, ...]
''',
    "checks/toys/probe.py": '''\
"""Observes; never reads a limit."""

from __future__ import annotations

from pathlib import Path

from pytest_deploygate.checks.toys.facts import Box
from pytest_deploygate.model import CannotTell

__all__ = ["look"]


def look(file: Path) -> Box:
    """Return the toys in a box. Raises CannotTell where the file cannot be read."""
    try:
        return Box(tuple(file.read_text().split()))
    except OSError as error:
        raise CannotTell(f"{file} cannot be read: {error.strerror}") from None
''',
    "checks/toys/judge.py": '''\
"""Judges, pure: a measurement and a criterion in, a judgement out."""

from __future__ import annotations

from pytest_deploygate.checks.toys.facts import Box
from pytest_deploygate.checks.toys.section import Toys
from pytest_deploygate.model import Judgement, Verdict

__all__ = ["judge"]


def judge(found: Box, expected: Toys) -> Judgement:
    """Pass when enough toys are in the box."""
    enough = len(found.toys) >= expected.at_least
    verdict = Verdict.PASS if enough else Verdict.FAIL
    return Judgement(verdict, f"{len(found.toys)} toys are in the box, at least {expected.at_least} are expected")
''',
    "checks/toys/fixtures.py": '''\
"""The opened box."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.toys import probe
from pytest_deploygate.checks.toys.facts import Box
from pytest_deploygate.checks.toys.section import Toys


@pytest.fixture(scope="session")
def opened_box(toys: Toys) -> Box:
    """The box, looked into once a run."""
    return probe.look(toys.box)
''',
    "checks/toys/grants.py": '''\
"""What the checks of this subject must be granted."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import Need, ReadTable
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections that the inventory has need."""
    if toys := sections.get("toys"):
        yield ReadTable(toys.register, ("toys.box",))
''',
    "checks/toys/drills.py": '''\
"""The drill: the box is tidied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from pytest_deploygate.drills.planned import Drill
from pytest_deploygate.drills.record import GOOD, Record
from pytest_deploygate.fields.handed import Sections


def drills(sections: Sections, environment: str, _writes_schema: str | None) -> Iterator[Drill]:
    """Yield the drill, if there is a box."""
    if sections.get("toys"):
        yield Drill("box tidied", "box", lambda: Record(datetime.now(UTC), GOOD, None, environment=environment))
''',
    "suites/test_toys.py": '''\
"""Toys: whether enough of them are in the box."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.toys import judge


@pytest.mark.item("toys.box")
def test_box_is_full(gate, toys, opened_box):
    """Enough toys are in the box."""
    gate.judge(judge.judge, opened_box, toys, target="box")
''',
    "faults/toys.py": '''\
"""Faults of toys."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault

EMPTIED = Fault(
    "toys-box-emptied",
    "somebody emptied the box of toys",
    {"toys.box": "fail"},
    breaks=lambda lab: (lab.folder / "toys.txt").write_text(""),
    heals=lambda lab: (lab.folder / "toys.txt").write_text("bear\\nball\\nkite\\n"),
    says="0 toys are in the box",
)
''',
    "docs/checks/toys.md": """\
# Toys

The box of toys is opened and its toys are counted.

## Example

```yaml
toys: {box: toys.txt}
```

<!-- made from the code: items -->
<!-- end -->

<!-- made from the code: tests -->
<!-- end -->

<!-- made from the code: keys -->
<!-- end -->

<!-- made from the code: grants -->
<!-- end -->

<!-- made from the code: faults -->
<!-- end -->
""",
}
LINE = "- [ ] The box of toys is full {#toys.box .minor}"

#: Adds the subject to the packages, and runs the command line with it.
PLUGIN = """\
import sys
from pathlib import Path

from pytest_deploygate import checks, suites
from pytest_deploygate.lab import faults

here = Path(__file__).parent
checks.__path__.append(str(here / "checks"))
suites.__path__.insert(0, str(here / "suites"))
faults.__path__.append(str(here / "faults"))

if __name__ == "__main__":
    from pytest_deploygate.cli import main

    main()
"""

INVENTORY = """\
name: nursery
database: {name: nursery, user: gate, primary: db1.example.com}
toys: {box: toys.txt}
"""


@dataclass(frozen=True)
class Toys:
    """A repository that uses the product, with the toy subject added to the product's own."""

    plugin: Path
    repository: Path

    @property
    def folder(self) -> Path:
        """A lab folder with what the fault needs."""
        return self.repository / "inventories"

    def python(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run Python with the plugin importable."""
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=self.repository,
            env={
                **os.environ,
                "PYTHONPATH": str(self.plugin),
                "DEPLOYGATE_LAB": str(self.repository / "no-lab"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def deploygate(self, *arguments: object) -> str:
        """Run a command with the toy subject; return its output."""
        ran = self.python("-m", "toyplugin", *arguments)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def verdict(self) -> tuple[str, str]:
        """Run the toy's item; return its verdict and the reason."""
        command = (
            "-m",
            "pytest",
            "-p",
            "toyplugin",
            "--inventory",
            "nursery",
            "--items",
            "toys.box",
            "--fresh",
        )
        ran = self.python(*command)
        file = self.repository / "deploygate-out" / "local" / "verdicts.json"
        assert file.is_file(), ran.stdout + ran.stderr
        found = [item for item in json.loads(file.read_text())["items"] if item["id"] == "toys.box"]
        assert found, ran.stdout + ran.stderr
        return found[0]["verdict"], json.dumps(found[0])


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    plugin, repository = tmp_path / "plugin", tmp_path / "repository"
    _write(plugin, {**SUBJECT, "toyplugin.py": PLUGIN, "suites/checklist.md": _with_line()})
    shutil.copytree(ROOT / "docs", plugin / "docs", dirs_exist_ok=True)
    _write(repository, {"pytest.ini": "[pytest]\n", "inventories/nursery.yml": INVENTORY})
    (repository / "inventories" / "toys.txt").write_text("bear\nball\nkite\n")
    return Toys(plugin, repository)


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _with_line() -> str:
    """Return the shipped checklist with one additional line."""
    text = shipped.checklist().read_text()
    before = "- [ ] Run schema migrations"
    assert text.count(before) == 1
    return text.replace(before, f"{LINE}\n{before}")


def test_it_is_five_places(toys: Toys):
    """The steps that CONTRIBUTING lists for adding a check, counted."""
    places = {name.rsplit("/", 1)[0] if name.startswith("checks/") else name for name in SUBJECT}
    assert places == {"checks/toys", "suites/test_toys.py", "faults/toys.py", "docs/checks/toys.md"}
    assert len({*places, LINE}) == 5
    steps = (ROOT / "CONTRIBUTING.md").read_text().partition("A check of a new subject is")[2]
    assert [line[:2] for line in steps.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4.", "5."]


def test_it_runs_and_its_fault_turns_it_red(toys: Toys):
    verdict, said = toys.verdict()
    assert verdict == "pass", said
    assert "3 toys are in the box" in said
    for change, expected in (("breaks", "fail"), ("heals", "pass")):
        code = (
            "import pathlib, types, toyplugin; from pytest_deploygate.lab.faults import all_faults; "
            f"lab = types.SimpleNamespace(folder=pathlib.Path({str(toys.folder)!r})); "
            f"fault = all_faults()['toys-box-emptied']; fault.{change}(lab); print(fault.says)"
        )
        ran = toys.python("-c", code)
        assert ran.returncode == 0, ran.stderr
        verdict, said = toys.verdict()
        assert verdict == expected, said
        assert (ran.stdout.strip() in said) == (expected == "fail")


def test_it_follows_its_section(toys: Toys):
    inventory = toys.repository / "inventories" / "nursery.yml"
    inventory.write_text(INVENTORY.replace("toys.txt}", "toys.txt, at_least: 4}"))
    assert toys.verdict()[0] == "fail"
    inventory.write_text(INVENTORY.partition("toys:")[0])
    verdict, said = toys.verdict()
    assert verdict == "not_covered"
    assert "the inventory has no toys; add `toys: {box: toys.txt}`" in said


def test_a_weaker_setting_is_counted(toys: Toys):
    inventory = toys.repository / "inventories" / "nursery.yml"
    inventory.write_text(INVENTORY.replace("toys.txt}", "toys.txt, at_least: 1}"))
    assert toys.verdict()[0] == "pass"
    verdicts = (toys.repository / "deploygate-out" / "local" / "verdicts.json").read_text()
    assert "toys.at_least is 1, by default 3" in verdicts


def test_it_is_granted(toys: Toys):
    printed = toys.deploygate("grants", "--inventory", "nursery")
    assert 'GRANT SELECT ON "play"."toys" TO "gate"' in printed
    assert "toys.box" in printed


def test_it_is_scheduled(toys: Toys):
    planned = json.loads(toys.deploygate("plan", "-m", "phase2", "--inventory", "nursery", "--json"))
    [phase] = planned["phases"]
    [item] = [item for item in phase["items"] if item["id"] == "toys.box"]
    assert [test["test"] for test in item["tests"]] == [
        "pytest_deploygate/suites/test_toys.py::test_box_is_full"
    ]
    assert item["tests"][0]["targets"] == 1
    assert item["missing"] == []


def test_its_drill_is_found(toys: Toys):
    code = (
        "import toyplugin; from pathlib import Path; from pytest_deploygate.cli.shared import lab_drills; "
        "from pytest_deploygate.inventory.loader import load; "
        "drills = lab_drills.planned(load('nursery', Path.cwd()).inventory); "
        "print([(drill.name, drill.run().outcome, drill.run().environment) for drill in drills])"
    )
    ran = toys.python("-c", code)
    assert ran.stdout.strip() == "[('box tidied', 'good', 'nursery')]", ran.stderr


def test_the_schema_has_its_key(toys: Toys):
    schema = json.loads(toys.deploygate("schema"))
    assert "toys" in schema["properties"]
    assert "at_least" in schema["$defs"]["Toys"]["properties"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("toyz: {box: toys.txt}", "toyz: no such key; did you mean 'toys'?"),
        ("toys: {box: toys.txt, at_last: 4}", "toys.at_last: no such key; did you mean 'at_least'?"),
    ],
)
def test_a_misspelt_key_gets_the_nearest_name(toys: Toys, line: str, said: str):
    inventory = toys.repository / "inventories" / "nursery.yml"
    inventory.write_text(INVENTORY.replace("toys: {box: toys.txt}", line))
    ran = toys.python("-m", "toyplugin", "plan", "--inventory", "nursery")
    assert ran.returncode != 0
    assert f"inventories/nursery.yml:3: {said}" in ran.stdout + ran.stderr


def test_its_page_gets_its_tables(toys: Toys):
    docs = toys.plugin / "docs"
    built = _build(toys, docs)
    assert built.returncode == 0, built.stderr
    page = (docs / "checks" / "toys.md").read_text()
    for row in (
        "| `toys.box` | The box of toys is full | minor | automated |",
        "| `test_box_is_full` | Enough toys are in the box. | `toys.box` | `toys` |",
        "| `toys` | [Toys](#toys) | – | the box of toys |  |",
        "| `at_least` | integer | `3` | least number of toys | smaller |",
        "| `GRANT SELECT ON play.toys` | `toys.box` | to read it |",
        "| `toys-box-emptied` | somebody emptied the box of toys | `toys.box` fail |",
    ):
        assert row in page
    index = (docs / "checks" / "README.md").read_text()
    assert "| [toys](toys.md) | Toys: whether enough of them are in the box. | 1 | 1 | 1 |" in index
    assert (
        "| `toys.box` | The box of toys is full | [toys](checks/toys.md) |" in (docs / "items.md").read_text()
    )


def test_a_subject_without_a_page_is_noticed(toys: Toys):
    (toys.plugin / "docs" / "checks" / "toys.md").unlink()
    built = _build(toys, toys.plugin / "docs")
    assert built.returncode != 0
    assert "toys.md is missing" in built.stderr


def _build(toys: Toys, docs: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "docs" / "build.py"
    arguments: Sequence[str] = (str(script), "--docs", str(docs))
    code = (
        f"import runpy, sys, toyplugin; sys.argv = {list(arguments)!r}; sys.path.insert(0, {str(script.parent)!r}); "
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    return toys.python("-c", code)
