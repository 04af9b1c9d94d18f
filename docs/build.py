"""Fill the tables of `docs/checks/` and `docs/items.md` from the code.

    .venv/bin/python docs/build.py            write the pages
    .venv/bin/python docs/build.py --check    change nothing, name the pages that are out of date, exit with 1

A table is between `<!-- made from the code: NAME -->` and `<!-- end -->`. All other text is written by hand.

The grants of a subject depend on the inventory. They are those of the example on its page: the first fenced block
marked `yaml`. Every such block is read as an inventory, so an example that is not valid fails the build.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from example_inventories import loaded
from from_code import PEOPLE, checklist, faults_of, file_of, items_of, needs, subjects_of, tests
from inventory_keys import SHARED, keys_tables, shared_keys
from markdown_tables import code, codes, table

from pytest_deploygate import checks
from pytest_deploygate.checklist.attestations import attestable
from pytest_deploygate.fields import grants
from pytest_deploygate.files import yaml
from pytest_deploygate.inventory import loader
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.inventory.sections import Handed
from pytest_deploygate.model import Closing, Item

DOCS = Path(__file__).parent
COMMAND = ".venv/bin/python docs/build.py"
_BLOCK = re.compile(r"(<!-- made from the code: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_EXAMPLE = re.compile(r"^```yaml\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def main(arguments: Sequence[str]) -> int:
    """Write or check the pages; return the exit code."""
    parser = argparse.ArgumentParser(description="Fill the tables of docs/checks/ and docs/items.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a page is old")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages (default: docs)")
    options = parser.parse_args(arguments)
    old = [path for path, text in built(options.docs) if path.read_text(encoding="utf-8") != text]
    if not options.check:
        for path, text in built(options.docs):
            path.write_text(text, encoding="utf-8")
        return 0
    for path in old:
        sys.stderr.write(f"{path} is out of date: run {COMMAND}\n")
    return 1 if old else 0


def built(docs: Path) -> Iterator[tuple[Path, str]]:
    """Yield each page that has tables with its text as it should be."""
    yield docs / "items.md", filled(docs / "items.md", {"items": whole_checklist})
    folder = docs / "checks"
    yield folder / "README.md", filled(folder / "README.md", {"subjects": index})
    yield folder / f"{SHARED}.md", filled(folder / f"{SHARED}.md", {"keys": shared_keys})
    for subject in checks.subjects():
        yield folder / f"{subject}.md", page(folder / f"{subject}.md", subject)


def page(path: Path, subject: str) -> str:
    """Return the page of a subject with its tables. Raises SystemExit where a table or an example is missing."""
    tables: dict[str, Callable[[], str]] = {
        "items": lambda: items_table(subject),
        "tests": lambda: tests_table(subject),
        "keys": lambda: keys_tables(subject),
        "grants": lambda: grants_table(subject, path),
        "faults": lambda: faults_table(subject),
    }
    return filled(path, tables)


def filled(path: Path, tables: dict[str, Callable[[], str]]) -> str:
    """Return a page with each table in its place. Raises SystemExit where one has no place."""
    if not path.is_file():
        raise SystemExit(f"{path} is missing: write it by hand, with a place for {', '.join(tables)}")
    text = path.read_text(encoding="utf-8")
    places = [found["name"] for found in _BLOCK.finditer(text)]
    if sorted(places) != sorted(tables):
        raise SystemExit(f"{path} has places for {places}, and needs exactly these: {sorted(tables)}")
    return _BLOCK.sub(lambda found: f"{found[1]}\n{tables[found['name']]()}\n\n{found[3]}", text)


def items_table(subject: str) -> str:
    """Return the items of a subject with severity and kind."""
    rows = [(f"`{i.id}`", i.text, i.severity.value, i.kind.value) for i in items_of(subject)]
    return table(("item", "line of the checklist", "severity", "kind"), rows)


def tests_table(subject: str) -> str:
    """Return the tests of a subject with what each needs of the inventory."""
    rows = [
        (f"`{test.name}`", test.docstring, codes(test.function.items), needs(test.function))
        for test in tests()
        if test.subject == subject
    ]
    if not rows:
        return "None in the suites: the items are judged from files when a run closes."
    return table(("test", "passes when", "items", "needs"), rows)


def faults_table(subject: str) -> str:
    """Return the lab's faults of a subject."""
    rows = [
        (
            f"`{fault.name}`",
            fault.what,
            ", ".join(f"`{item}` {verdict}" for item, verdict in fault.items.items()),
        )
        for fault in faults_of(subject)
    ]
    return table(("fault", "what it breaks", "what changes"), rows) if rows else "None."


def whole_checklist() -> str:
    """Return every item of the checklist with what measures it."""
    parts = []
    for phase in checklist().phases:
        mine = [item for item in checklist().items if item.phase == phase.id]
        rows = [(f"`{item.id}`", item.text, covered(item)) for item in mine]
        parts.append(f"### {phase.title} (`-m {phase.id}`)\n\n{table(('item', 'line', 'covered by'), rows)}")
    return "\n\n".join(part for part in parts if part)


def covered(item: Item) -> str:
    """Return the subjects that measure an item, and whether a person attests it."""
    found = [f"[{subject}](checks/{subject}.md)" for subject in subjects_of(item) if subject != PEOPLE]
    if item.closing:
        found.append(
            f"[{'signatures' if item.closing is Closing.SIGNED else 'issue log'}](checks/{PEOPLE}.md)"
        )
    elif attestable(item):
        found.append(f"[attested](checks/{PEOPLE}.md)")
    return ", ".join(found) or "not covered yet"


def index() -> str:
    """Return the subjects with the first sentence of each and how many items, tests and faults it has."""
    rows = []
    for subject in checks.subjects():
        described = ast.get_docstring(ast.parse(file_of(f"{checks.__name__}.{subject}").read_bytes())) or ""
        mine = [test for test in tests() if test.subject == subject]
        counts = (str(len(items_of(subject))), str(len(mine)), str(len(faults_of(subject))))
        rows.append((f"[{subject}]({subject}.md)", " ".join(described.partition("\n\n")[0].split()), *counts))
    return table(("subject", "what it checks", "items", "tests", "faults"), rows)


# Grants


def grants_table(subject: str, path: Path) -> str:
    """Return what the gate's role must be granted for the example of a page. Raises SystemExit for a bad example."""
    examples = [example(found["text"], path) for found in _EXAMPLE.finditer(path.read_text(encoding="utf-8"))]
    module = checks.part(subject, "grants")
    if module is None:
        return "None."
    if not examples:
        raise SystemExit(
            f"{path} has no example of its section, a fenced block marked yaml, to work grants out for"
        )
    rows = [
        (grant, codes(need.items), why)
        for need in module.needs(Handed(examples[0]))
        for grant, why in [_granted(need)]
    ]
    return table(("grant", "items", "what for"), list(dict.fromkeys(rows)))


def example(text: str, path: Path) -> Inventory:
    """Return the example of a page as an inventory."""
    try:
        return loaded(yaml.load(text), path.stem)
    except loader.InventoryError as error:
        raise SystemExit(f"the example in {path} is not a valid inventory: {error}") from None


def _granted(need: grants.Need) -> tuple[str, str]:
    match need:
        case grants.Statistics():
            return "`GRANT pg_monitor`", "to see settings, statistics and statements of other roles"
        case grants.ReadEverything():
            return "`GRANT pg_read_all_data`", "to read what queries and sweeps name"
        case grants.ReadTable():
            return f"`GRANT SELECT ON {need.table}`", "to read it"
        case grants.MarkerRows():
            return "CREATE in the schema that `writes` names", "for the gate's marker rows"
        case grants.Statement():
            return code(need.sql), need.why
        case grants.BesideSql():
            return need.what, "outside of SQL"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
