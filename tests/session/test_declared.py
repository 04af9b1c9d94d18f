"""Which files contain only bound tests, as far as their source shows."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_deploygate.session import declared

BOUND = """
    import os.path
    from pathlib import Path
    import pytest

    LIMIT = 3

    def helper(value):
        return value

    @pytest.fixture
    def thing():
        return 1

    @pytest.mark.item("a.one")
    @pytest.mark.parametrize("name", ["x", "y"])
    def test_one(gate, name):
        pass
"""


def read(tmp_path: Path, text: str) -> declared.TestFile:
    file = tmp_path / "test_it.py"
    file.write_text(textwrap.dedent(text))
    return declared.read(file, "suites/test_it.py")


@pytest.mark.parametrize(
    "more",
    [
        "",
        '@pytest.mark.item("a.two", "a.three")\nasync def test_two(gate):\n    pass\n',
        'class TestAll:\n    @pytest.mark.item("a.two")\n    def test_two(self, gate):\n        pass\n',
        '@pytest.mark.item("a.two")\nclass TestAll:\n    """All."""\n\n    def test_two(self, gate):\n        pass\n',
        "class Helper:\n    pass\n",
    ],
)
def test_only_bound_tests(tmp_path: Path, more: str) -> None:
    found = read(tmp_path, textwrap.dedent(BOUND) + more)
    assert found.only_bound
    assert found.functions[0] == declared.Function(
        "suites/test_it.py::test_one", ("a.one",), ("gate", "name"), reads=()
    )


@pytest.mark.parametrize(
    "more",
    [
        "def test_two():\n    pass\n",
        "class TestAll:\n    def test_two(self):\n        pass\n",
        'class TestAll:\n    pytestmark = pytest.mark.item("a.two")\n\n    @pytest.mark.item("a.one")\n    def test_two(self):\n        pass\n',
        'class TestAll(Base):\n    @pytest.mark.item("a.two")\n    def test_two(self, gate):\n        pass\n',
        "class Cases(unittest.TestCase):\n    pass\n",
        "from shared import *\n",
        "from shared import test_two\n",
        "from shared import two as test_two\n",
        "import shared as test_two\n",
        "test_two = made()\n",
        'globals()["test_two"] = helper\n',
        "made()\n",
        "if True:\n    def test_two():\n        pass\n",
        'ITEM = "a.two"\n@pytest.mark.item("a.one", ITEM)\ndef test_two(gate):\n    pass\n',
        '@pytest.mark.item(*["a.two"])\ndef test_two(gate):\n    pass\n',
        'item = pytest.mark.item\n@item("a.two")\n@pytest.mark.item("a.one")\ndef test_two(gate):\n    pass\n',
        '@pytest.mark.item("a.one")\n@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.item("a.two"))])\ndef test_two(x):\n    pass\n',
        'pytestmark = [pytest.mark.item("a.one"), *MORE]\n',
        "pytestmark = MARKS\n",
        'pytest_plugins = ["shared"]\n',
    ],
)
def test_what_may_be_another_test_or_item_is_not_overlooked(tmp_path: Path, more: str) -> None:
    assert not read(tmp_path, textwrap.dedent(BOUND) + more).only_bound


@pytest.mark.parametrize(
    "around",
    [
        "if x:",
        "if x:\n    pass\nelse:",
        "try:\n    pass\nexcept E:",
        "match x:\n  case 1:",
        "class A:\n  def b():",
    ],
)
def test_a_marker_whose_ids_are_not_written_is_found_in_any_block(tmp_path: Path, around: str) -> None:
    text = f"{around}\n    @pytest.mark.item(UNKNOWN)\n    def test_two(gate):\n        pass\n"
    assert read(tmp_path, text).unnamed == text[: text.index("@")].count("\n") + 1


def test_a_file_that_is_no_python_is_left_to_pytest(tmp_path: Path) -> None:
    assert read(tmp_path, "def test_it(:\n") == declared.TestFile(tmp_path / "test_it.py", ())
