"""Bound tests as declared in the suite's files, read without running them.

Collection shows only what the command line selects (node ids, `--lf`, files that can be imported), so the tests that
should have run are read from the source: functions under `@pytest.mark.item("…")` in the files of `testpaths`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Function:
    """A test function with the items it is bound to, its arguments, and whether it is disruptive.

    `otherwise` is what a disruptive test does if disruption is not allowed; empty: nothing. `reads` are the names
    that its body reads, each with its attributes, such as `inventory.uptime`.
    """

    test: str
    items: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    disruptive: bool = False
    otherwise: str = ""
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class TestFile:
    """A file with its bound test functions.

    `only_bound`: its source shows no other test, so it can be skipped if none of its items is in scope. `sha256` is the
    digest of the source, empty for a file that cannot be read. `unnamed` is the line of an item marker whose ids cannot be
    read from the source, 0 if there is none.
    """

    __test__ = False

    file: Path
    functions: tuple[Function, ...]
    only_bound: bool = False
    sha256: str = ""
    unnamed: int = 0


def files_below(root: Path, places: Sequence[str], patterns: Sequence[str]) -> Iterator[Path]:
    """Yield the files below `root` that pytest would collect."""
    yield from sorted(set(_files(root, places, patterns)))


def read(file: Path, name: str) -> TestFile:
    """Read one file, whose node ids begin with `name`."""
    try:
        source = bounded.read(file, bounded.MADE)
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return TestFile(file, ())  # pytest reports unreadable files itself
    marks = _assigned_marks(tree)
    # Of the source as it is written: a name may get another value where nobody looks.
    only_bound = all(map(_plain, marks)) and all(_only_bound(node, marks) for node in tree.body)
    tree = _with_names(tree)
    marks = _assigned_marks(tree)
    return TestFile(file, tuple(_bound(tree, f"{name}::", marks)), only_bound, sha256(source), _unnamed(tree))


def left_out(declared: dict[str, tuple[str, ...]], collected: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the declared tests that were not collected at all."""
    seen = {nodeid.partition("[")[0] for nodeid in collected}
    return {test: ids for test, ids in declared.items() if test not in seen}


def _files(root: Path, places: Sequence[str], patterns: Sequence[str]) -> Iterator[Path]:
    for place in places:
        for folder in root.glob(place):
            for file in folder.rglob("*.py") if folder.is_dir() else [folder]:
                if any(fnmatch(file.name, pattern) for pattern in patterns):
                    yield file


def _bound(tree: ast.AST, prefix: str, outer: tuple[ast.expr, ...]) -> Iterator[Function]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _bound(node, f"{prefix}{node.name}::", (*outer, *node.decorator_list))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            marks = (*outer, *node.decorator_list)
            ids = tuple(name for mark in marks for name in _ids(mark))
            if ids:
                yield _function(prefix + node.name, ids, node, marks)


def _only_bound(node: ast.stmt, outer: tuple[ast.expr, ...], *, in_class: bool = False) -> bool:
    """Tell whether a statement defines no tests other than bound ones; false if in doubt."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            marks = (*outer, *node.decorator_list)
            bound = any(map(_ids, marks)) and all(map(_plain, marks))
            return bound or not node.name.startswith("test")
        case ast.ClassDef(bases=[], keywords=[]) if node.name.startswith("Test"):
            marks = (*outer, *node.decorator_list)
            return all(map(_plain, marks)) and all(_only_bound(n, marks, in_class=True) for n in node.body)
        case ast.ClassDef():  # with bases it may be a unittest.TestCase, which has any name
            return not node.name.startswith("Test") and not node.bases and not node.keywords
        case ast.Import():
            return not any(_like_a_test(name.asname or "") for name in node.names)
        case ast.ImportFrom():
            return not any(name.name == "*" or _like_a_test(name.asname or name.name) for name in node.names)
        case ast.Assign():
            names = [target.id if isinstance(target, ast.Name) else "*" for target in node.targets]
            return not any(n == "*" or _like_a_test(n) or (in_class and n == "pytestmark") for n in names)
        case ast.Expr():
            return isinstance(node.value, ast.Constant)
        case _:
            return isinstance(node, ast.Pass)


def _like_a_test(name: str) -> bool:
    return name.startswith(("test", "Test")) or name == "pytest_plugins"


def _plain(mark: ast.expr) -> bool:
    """Tell whether a mark is written as `pytest.mark.…`, an `item` mark with plain strings only."""
    called = mark.func if isinstance(mark, ast.Call) else mark
    root: ast.expr = called
    while isinstance(root, ast.Attribute):
        root = root.value
    if root is called or not isinstance(root, ast.Name) or root.id != "pytest":
        return False
    if _named(mark) == "item":
        return isinstance(mark, ast.Call) and not mark.keywords and len(_ids(mark)) == len(mark.args) > 0
    return not (isinstance(mark, ast.Call) and any(map(_has_marks, (*mark.args, *mark.keywords))))


def _has_marks(value: ast.AST) -> bool:
    """Tell whether a mark gives marks to single parameters: `pytest.param(1, marks=…)`."""
    if isinstance(value, ast.Constant | ast.Name):
        return False  # nearly all values: there is nothing in them
    return (isinstance(value, ast.keyword) and value.arg == "marks") or any(
        map(_has_marks, ast.iter_child_nodes(value))
    )


def _function(
    test: str,
    ids: tuple[str, ...],
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    marks: Sequence[ast.expr],
) -> Function:
    disruptive = [mark for mark in marks if _named(mark) == "disruptive"]
    keywords = [word for mark in disruptive if isinstance(mark, ast.Call) for word in mark.keywords]
    otherwise = [w.value for w in keywords if w.arg == "otherwise"]
    given = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    return Function(
        test,
        ids,
        tuple(argument.arg for argument in given if argument.arg != "self"),
        bool(disruptive),
        "".join(str(v.value) for v in otherwise if isinstance(v, ast.Constant)),
        names_read(node),
    )


def names_read(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    """Return the names that a function's body reads, each once, with its attributes: `inventory.writes`."""
    return tuple(dict.fromkeys(name for statement in function.body for name in _reads(statement)))


def _reads(node: ast.AST) -> Iterator[str]:
    """Yield every name below a node with the attributes read from it: `inventory.writes.schema_`, `inventory`."""
    attributes: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        attributes.insert(0, inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield ".".join((inner.id, *attributes))
        return
    for child in ast.iter_child_nodes(inner):
        yield from _reads(child)


def _with_names(tree: ast.Module) -> ast.Module:
    """Put the texts and marks that a module gives a name to in the place of that name in its marks.

    So `@pytest.mark.item(TABLES)` after `TABLES = "b.tables"` names its item, as does `@tables` after
    `tables = pytest.mark.item("b.tables")`.
    """
    known = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and _is_text_or_mark(node.value)
    }
    if known:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                node.decorator_list = [_named_out(mark, known) for mark in node.decorator_list]
        for node in tree.body:
            if isinstance(node, ast.Assign):
                node.value = _named_out(node.value, known)
    return tree


def _unnamed(tree: ast.Module) -> int:
    """Return the line of the first `item` marker whose ids are not in this file."""
    marks = [mark for node in _definitions(tree) for mark in node.decorator_list] + list(
        _assigned_marks(tree)
    )
    calls = [mark for mark in marks if isinstance(mark, ast.Call) and _named(mark) == "item"]
    return next((mark.lineno for mark in calls if len(_ids(mark)) < len(mark.args)), 0)


#: The fields in which a statement, or a part of one, has others.
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


def _definitions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield the functions and classes within statements; expressions, of which there are many more, have none."""
    for block in _BLOCKS:
        for child in getattr(node, block, ()):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield child
            yield from _definitions(child)


def _is_text_or_mark(value: ast.expr) -> bool:
    return (isinstance(value, ast.Constant) and isinstance(value.value, str)) or _named(value) == "item"


def _named_out(mark: ast.expr, known: Mapping[str, ast.expr]) -> ast.expr:
    if isinstance(mark, ast.Name):
        return known.get(mark.id, mark)
    if isinstance(mark, ast.List | ast.Tuple):
        mark.elts = [_named_out(inner, known) for inner in mark.elts]
    if isinstance(mark, ast.Call):
        mark.func = _named_out(mark.func, known)
        mark.args = [known.get(a.id, a) if isinstance(a, ast.Name) else a for a in mark.args]
    return mark


def _assigned_marks(tree: ast.Module) -> tuple[ast.expr, ...]:
    """Return the marks of a module-wide `pytestmark = pytest.mark.item("…")` (or a list of marks)."""
    found: list[ast.expr] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets
        ):
            found += node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
    return tuple(found)


def _ids(mark: ast.expr) -> list[str]:
    if not isinstance(mark, ast.Call) or _named(mark) != "item":
        return []
    return [a.value for a in mark.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]


def _named(mark: ast.expr) -> str:
    """Return `item` for `pytest.mark.item(…)` and for `pytest.mark.item`."""
    called = mark.func if isinstance(mark, ast.Call) else mark
    return called.attr if isinstance(called, ast.Attribute) else ""
