"""Examples of files, read by what reads such a file in the product. Each function raises WrongError."""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import from_code
import pytest
from example_commands import WrongError, commands, known, tried
from example_inventories import loaded
from example_templates import of_pipeline
from page_examples import ALL, ROOT, Block
from yaml import YAMLError

from pytest_deploygate.checklist import issue_log
from pytest_deploygate.checklist.parser import parse
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.checks.backups.facts import RestoreFacts
from pytest_deploygate.checks.load_balancer.probe import hook
from pytest_deploygate.comparison import servers
from pytest_deploygate.drills import record
from pytest_deploygate.files import yaml
from pytest_deploygate.inventory.loader import InventoryError
from pytest_deploygate.inventory.models import composed
from pytest_deploygate.model import CannotTell

#: Where a part of a section belongs, by page and its first key: the first complete example of the page has the rest.
PLACES = {
    ("docs/hosts.md", "name"): ("hosts", "servers"),
    ("docs/rollback.md", "name"): ("rollback", "steps"),
    ("docs/checks/backups.md", "scratch"): ("backup",),
}


#: What the sentences around an example say that there is.
AROUND: dict[str, dict[str, Any]] = {
    "docs/discover.md": {
        "database": {
            "replicas": [{"name": "db2", "host": "db2.example.com"}],
            "partitioning": [{"table": "platform.readings", "column": "at", "interval": "1d"}],
        }
    }
}


def as_yaml(block: Block, config: pytest.Config) -> bool:
    """Try YAML as what it is: an inventory or a part of one, an issue log, steps of CI, a pre-commit hook. False: none of these."""
    data = _read(block.text)
    if isinstance(data, Mapping) and set(data) & set(_top()):
        _inventory(block, data)
    elif isinstance(data, Mapping) and (wrong := of_pipeline(data)) is not None:
        if wrong:
            raise WrongError(wrong)
    elif isinstance(data, Mapping) and "script" in data:
        _scripts("\n".join(data["script"]), config)
    elif isinstance(data, Mapping) and _first_key(data) and (block.page, _first_key(data)) in PLACES:
        _part(block, data)
    elif isinstance(data, list) and all(isinstance(entry, Mapping) for entry in data):
        return _entries(block, data, config)
    else:
        return False
    return True


def _top() -> list[str]:
    return list(composed().model_fields)


def _read(text: str) -> Any:
    try:
        return yaml.load(text)
    except (YAMLError, ValueError):  # what is no YAML is something else
        return None


def _first_key(data: Mapping[str, Any]) -> str:
    return str(next(iter(data), ""))


def _inventory(block: Block, data: Mapping[str, Any]) -> None:
    """Read an example as an inventory: as it is, or as a part of another example of its page."""
    wholes = [{**AROUND.get(block.page, {}), **data}]
    others = [found for found in _wholes(block.page) if set(data) <= set(found) and found != data]
    wholes += [{**found, **_merged(found, data)} for found in others]
    said = ""
    for whole in wholes:
        try:
            loaded(whole, "example")
        except InventoryError as error:
            said = said or str(error)
        else:
            return
    raise WrongError(f"not a valid inventory: {said}")


def _merged(whole: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {**whole[key], **value} if isinstance(value, Mapping) else value for key, value in part.items()
    }


def _part(block: Block, data: Any) -> None:
    """Put a part of a section into the first example of its page that has this section, and read that."""
    first = data[0] if isinstance(data, list) else data
    place = PLACES[block.page, _first_key(first)]
    whole = next(found for found in _wholes(block.page) if place[0] in found)
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    old = inner[place[-1]]
    if isinstance(data, Mapping):
        inner[place[-1]] = {**old, **data}
    else:
        new = {entry["name"]: entry for entry in data}
        kept = [{**entry, **new.pop(entry.get("name"), {})} for entry in old]
        inner[place[-1]] = [*kept, *new.values()]
    _inventory(block, whole)


def _wholes(page: str) -> Iterator[dict[str, Any]]:
    for block in ALL:
        if block.page == page:
            for text in (block.text, *parts(block.text)):
                if isinstance(found := _read(text), dict):
                    yield found


def parts(text: str) -> list[str]:
    """Return the parts of a block with an empty line between them."""
    return [part for part in re.split(r"\n\s*\n", text.strip("\n")) if part.strip()]


def _entries(block: Block, data: list[Mapping[str, Any]], config: pytest.Config) -> bool:
    keys = {key for entry in data for key in entry}
    if (block.page, _first_key(data[0])) in PLACES:
        _part(block, data)
    elif "item" in keys:
        _issues(block.text)
    elif "uses" in keys or "run" in keys:
        _steps(data, config)
    elif "repo" in keys:
        _hooks_of_pre_commit(data, config)
    else:
        return False
    return True


def _issues(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / issue_log.FOLDER / "example.yml"
        file.parent.mkdir()
        file.write_text(text, encoding="utf-8")
        try:
            log = issue_log.load(Path(folder), "example", from_code.checklist())
        except RecordsError as error:
            raise WrongError(f"not an issue log: {error}") from None
    if not log.entries or any(entry.incomplete for entry in log.entries):
        raise WrongError("an entry of the issue log is incomplete")


def _steps(steps: list[Mapping[str, Any]], config: pytest.Config) -> None:
    """Try the steps of a job: our action takes what they give it, and what they run is tried as commands."""
    inputs = yaml.load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    for step in steps:
        if "pytest-deploygate@" in step.get("uses", ""):
            required = {name for name, said in inputs.items() if said.get("required")}
            if unknown := set(step["with"]) - set(inputs):
                raise WrongError(f"the action has no input {', '.join(unknown)}")
            if missing := required - set(step["with"]):
                raise WrongError(f"the action needs {', '.join(missing)}")
        _scripts(step.get("run", ""), config)


def _scripts(text: str, config: pytest.Config) -> None:
    for words in commands(text):
        if known(words):
            tried(words, config)


def _hooks_of_pre_commit(repositories: list[Mapping[str, Any]], config: pytest.Config) -> None:
    ours = {
        each["id"]: each for each in yaml.load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    }
    for used in [each for repository in repositories for each in repository["hooks"]]:
        if used["id"] not in ours:
            raise WrongError(f"there is no hook {used['id']}")
        tried([*ours[used["id"]]["entry"].split(), *used.get("args", [])], config)


def as_json(block: Block) -> None:
    """Try JSON as what reads it: a load balancer's hook, or the record of a drill."""
    data = json.loads(block.text)
    if "backends" in data:
        try:
            hook.of("balancer", data)
        except CannotTell as error:
            raise WrongError(str(error)) from None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "record.json"
        file.write_text(block.text, encoding="utf-8")
        found, problem = record.read(file, RestoreFacts)
    if (
        found is None
        or data.keys() - {"date", "outcome", "by", "reason"} - RestoreFacts.__dataclass_fields__.keys()
    ):
        raise WrongError(problem or "keys that the record of a restore does not have")


def as_toml(block: Block) -> None:
    """Try TOML as a project's entry points: those that we read."""
    groups = tomllib.loads(block.text)["project"]["entry-points"]
    if set(groups) != {servers.GROUP}:
        raise WrongError(f"the entry points that are read are {servers.GROUP}")


def as_checklist(block: Block) -> None:
    """Try lines of a checklist: each is an item, nothing is reported, and checks that are borrowed are there."""
    read = parse(f"# Checklist\n\n## Before {{#before}}\n\n{block.text}", Path("checklist.md"))
    if len(read.items) != block.text.count("- [ ]"):
        raise WrongError("not every box is an item")
    ids = {item.id for item in from_code.checklist().items}
    if unknown := {item.check for item in read.items if item.check} - ids:
        raise WrongError(f"there is no item {', '.join(unknown)}")


def _entry_of_decisions(text: str) -> bool:
    return all(
        f"\n- **{field}:** " in text for field in ("Date", "Status", "Context", "Decision", "Consequence")
    )


def _place_of_a_table(text: str) -> bool:
    begin, end = text.strip().split("\n")
    page = (ROOT / "docs/checks/dns.md").read_text(encoding="utf-8")
    return begin in page and end in page


#: What else Markdown may be, by what it begins with.
MARKDOWN: dict[str, Callable[[str], bool]] = {
    "## ": _entry_of_decisions,
    "<!-- made from the code: ": _place_of_a_table,
}
