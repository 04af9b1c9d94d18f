"""What suites may import is stable: it is small, named, and documents its parameters, results and exceptions."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_deploygate import checks
from pytest_deploygate.session import shipped

PACKAGE = "pytest_deploygate"
SUBJECTS = checks.subjects()
SUITES = sorted(read.file for read in shipped.files())
_UNIT = re.compile(r"_(s|ms|bytes|days|per_second|ratio|port)$")


def _surface() -> Iterator[tuple[str, ModuleType, str]]:
    """Yield each public name with its module and its dotted path below `checks`."""
    for subject in SUBJECTS:
        for part in importlib.import_module(f"{checks.__name__}.{subject}").__all__:
            module = importlib.import_module(f"{checks.__name__}.{subject}.{part}")
            for name in module.__all__:
                yield f"{subject}.{part}.{name}", module, name


NAMES = {path: (module, name) for path, module, name in _surface()}
FUNCTIONS = {
    path: function
    for path, (module, name) in NAMES.items()
    if inspect.isfunction(function := inspect.unwrap(getattr(module, name, None)))  # a cached one is wrapped
}


@pytest.mark.parametrize("file", SUITES, ids=lambda file: file.stem)
def test_a_suite_imports_only_the_parts_of_a_subject(file: Path):
    """`from pytest_deploygate.checks.<subject> import judge, probe`: nothing deeper, nothing else of the package."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            assert all(alias.name.partition(".")[0] != PACKAGE for alias in node.names), f"line {node.lineno}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE:
            subject = (node.module or "").removeprefix(f"{checks.__name__}.")
            assert subject in SUBJECTS, f"line {node.lineno} imports from {node.module}"
            assert subject == file.stem.removeprefix("test_"), (
                f"line {node.lineno}: a suite uses its own subject"
            )
            parts = importlib.import_module(str(node.module)).__all__
            assert {alias.name for alias in node.names} <= set(parts), f"line {node.lineno}"


@pytest.mark.parametrize("file", SUITES, ids=lambda file: file.stem)
def test_a_suite_uses_only_public_names_of_these_parts(file: Path):
    subject = importlib.import_module(f"{checks.__name__}.{file.stem.removeprefix('test_')}")
    tree = ast.parse(file.read_bytes())
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in subject.__all__
    }
    assert used
    for part, name in sorted(used):
        module = importlib.import_module(f"{subject.__name__}.{part}")
        assert name in module.__all__, f"{part}.{name} is not public"


def test_nothing_is_public_that_no_suite_uses():
    """What is never imported need not be stable."""
    text = "\n".join(file.read_text() for file in SUITES)
    unused = [path for path in NAMES if not re.search(rf"\b{path.split('.', 1)[1]}\b", text)]
    assert unused == []


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_is_described_in_one_sentence_and_imports_nothing(subject: str):
    module = importlib.import_module(f"{checks.__name__}.{subject}")
    described = module.__doc__ or ""
    assert re.fullmatch(r"[A-Z][^.\n]*\.", described), described
    tree = ast.parse(Path(str(module.__file__)).read_bytes())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert isinstance(module.__all__, list)
    assert module.__all__ == sorted(module.__all__)


@pytest.mark.parametrize("path", NAMES)
def test_a_public_name_exists_and_is_described(path: str):
    module, name = NAMES[path]
    value: Any = inspect.unwrap(getattr(module, name))
    if callable(value):
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}("), "a dataclass without a docstring of its own"
    else:
        assert re.search(rf"^#: .+\n{name} = ", _source_of(module, name), re.MULTILINE), (
            "needs a comment `#: …`"
        )


def _source_of(module: ModuleType, name: str) -> str:
    """Return the text of the file in which a constant is defined."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return inspect.getsource(importlib.import_module(str(node.module)))
    return inspect.getsource(module)


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_public_function_says_what_it_takes_and_returns(path: str):
    signature = inspect.signature(FUNCTIONS[path])
    described = [*signature.parameters.values()]
    assert all(parameter.annotation not in (inspect.Parameter.empty, "Any") for parameter in described)
    assert signature.return_annotation not in (inspect.Signature.empty, "Any", "dict", "None")


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_number_has_a_unit(path: str):
    """In its name, or in the docstring beside its name."""
    function = FUNCTIONS[path]
    for parameter in inspect.signature(function).parameters.values():
        if str(parameter.annotation) in ("int", "float", "int | None", "float | None"):
            named = re.search(rf"`{parameter.name}` (bytes|seconds)", function.__doc__ or "")
            assert _UNIT.search(parameter.name) or named, f"{parameter.name}: in which unit?"


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_public_function_names_what_it_raises(path: str):
    function = FUNCTIONS[path]
    raised = _raised(function)
    assert all(name in (function.__doc__ or "") for name in raised), raised


@pytest.mark.parametrize("path", [path for path in FUNCTIONS if path.split(".")[1] == "probe"])
def test_a_probe_says_what_becomes_of_an_answer_that_did_not_come(path: str):
    """Either it raises, or what was not seen is a value in the measurement."""
    assert re.search(r"\bRaises (CannotTell|NotCovered)\b|\bis a value\b", FUNCTIONS[path].__doc__ or "")


def _raised(function: Callable[..., object]) -> list[str]:
    tree = ast.parse(inspect.getsource(function))
    calls = [
        node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    return [call.func.id for call in calls if isinstance(call.func, ast.Name)]
