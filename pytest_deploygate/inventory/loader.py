"""From a YAML file to an `Inventory`, or to every problem in it at once, each with file, line and nearest name."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pytest_deploygate.fields.references import ONLY_WHERE, lab_lacks, reading
from pytest_deploygate.files import sha256
from pytest_deploygate.inventory.models import Inventory, composed
from pytest_deploygate.problems import Problem, nearest
from pytest_deploygate.redaction import Secret, redact

Location = tuple[int | str, ...]
_MUST_BE = {
    "string_type": "must be text; put it in quotes",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list: lines that begin with a dash, or [one, two]",
    "model_type": "must hold keys with values",
    "dict_type": "must hold keys with values",
}
_SECRET_KEYS = ("password", "passwd", "pwd", "secret", "token", "api_key", "apikey")


class InventoryError(Exception):
    """The inventory cannot be used; `problems` says everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(redact("\n".join(str(problem) for problem in problems)))


@dataclass(frozen=True, slots=True)
class Loaded:
    """An inventory with the file that it came from and that file's SHA-256."""

    inventory: Inventory
    file: Path
    sha256: str


def available(root: Path) -> list[str]:
    """Return the names that `--inventory NAME` takes below `root`: files of `inventories/`."""
    return sorted(
        path.name.removesuffix(path.suffix)
        for path in (root / "inventories").glob("*.y*ml")
        if path.suffix in (".yml", ".yaml")
    )


def locate(name: str, root: Path) -> Path:
    """Find the file of `--inventory NAME|PATH`. Raises InventoryError with the nearest name there is."""
    if "/" in name or name.endswith((".yml", ".yaml")):
        path = Path(name).expanduser()
        if path.is_file():
            return path
        if path.is_dir():
            raise InventoryError([Problem(name, 0, "is a folder, not an inventory file")])
        hint = nearest(path.stem, available(root))
        raise InventoryError([Problem(name, 0, f"there is no such inventory file{hint}")])
    for suffix in (".yml", ".yaml"):
        path = root / "inventories" / f"{name}{suffix}"
        if path.is_file():
            return path
    hint = nearest(name, available(root)) or "; there are no files in inventories/ yet"
    raise InventoryError([Problem(f"--inventory {name}", 0, f"no inventory has this name{hint}")])


def load(name: str, root: Path, missing: list[str] | None = None) -> Loaded:
    """Read the inventory that `--inventory` names. Raises InventoryError with all that is wrong.

    With a list `missing`, secrets and values of the lab that are not there (yet) are added to it instead: a plan can
    be made before they are. Nothing may be connected to with such an inventory.
    """
    path = locate(name, root)
    shown = _shown(path, root)
    try:
        raw = path.read_bytes()
        text = raw.decode()
    except OSError as error:
        raise InventoryError([Problem(shown, 0, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise InventoryError([Problem(shown, 0, "is not UTF-8 text")]) from None
    document = _parse(text, shown)
    with reading(path, missing):
        try:
            inventory = composed().model_validate(_present(_plain(document)))
        except ValidationError as error:
            raise InventoryError(_problems(error, document, shown)) from None
    return Loaded(inventory, path, sha256(raw))


def _shown(path: Path, root: Path) -> str:
    resolved = path.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(path)


def _parse(text: str, shown: str) -> CommentedMap:
    try:
        document = YAML(typ="rt", pure=True).load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        key = str(error.problem or "").split('"')[1:2]
        raise InventoryError(
            [Problem(shown, line, f"the key {key[0]!r} stands twice" if key else "a key stands twice")]
        ) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        # A password that is not in quotes can be an "alias" or a "tag" to YAML: what stands there is not repeated.
        said = re.sub(r"'[^'<\\][^']+'", "'…'", str(error.problem))
        raise InventoryError(
            [Problem(shown, line, f"this is not YAML: {said} (a value with special characters needs quotes)")]
        ) from None
    except RecursionError:
        raise InventoryError([Problem(shown, 0, "is nested too deeply")]) from None
    except YAMLError:
        raise InventoryError([Problem(shown, 0, "this is not YAML")]) from None
    except ValueError as error:  # 2026-13-41 looks like a date to YAML
        raise InventoryError([Problem(shown, 0, f"a date in it does not exist: {error}")]) from None
    if document is None:
        raise InventoryError([Problem(shown, 0, "is empty; the smallest inventory is `name: staging`")])
    if not isinstance(document, CommentedMap):
        raise InventoryError([Problem(shown, 1, "must begin with keys, for example `name: staging`")])
    return document


def _plain(node: object) -> Any:
    """Turn ruamel's types into plain ones; what stands under a secret's name is known to redaction from here on."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if str(key).lower() in _SECRET_KEYS and isinstance(value, str) and ":" not in value:
                Secret(value)
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _present(node: Any) -> Any:
    """Leave out sections and entries whose `only_where: lab:NAME` names what the running lab does without."""
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if not _elsewhere(value)}
        return {key: _present(value) for key, value in kept.items() if key != ONLY_WHERE}
    return [_present(value) for value in node if not _elsewhere(value)] if isinstance(node, list) else node


def _elsewhere(node: object) -> bool:
    """Tell whether a section, or every entry of a list, is for a lab that has more than this one."""
    if isinstance(node, list):
        return bool(node) and all(_elsewhere(entry) for entry in node)
    return isinstance(node, dict) and lab_lacks(node.get(ONLY_WHERE))


def _problems(error: ValidationError, document: CommentedMap, shown: str) -> list[Problem]:
    """Say each of pydantic's errors in our words, in the order of the file.

    One cause that many places share (the lab is not running) is said once.
    """
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for kind, location, message in _without_unions(error, document):
        line, path = _line(document, location), _path(location)
        text = _text(kind, location, message, document)
        found.setdefault((text, "" if kind == "value_error" else path), []).append((line, path))
    problems = []
    for (text, _), places in found.items():
        line, path = places[0]
        others = ", ".join(str(line) for line, _ in places[1:6]) + (" …" if len(places) > 6 else "")
        more = f" (also in line {others})" if others else ""
        problems.append(Problem(shown, line, f"{path}: {text}{more}" if path else f"{text}{more}"))
    return sorted(problems, key=lambda problem: problem.line)


def _without_unions(error: ValidationError, document: CommentedMap) -> list[tuple[str, Location, str]]:
    """Return pydantic's errors; of a value that may be of several types one, not one for each type.

    Where the value is a mapping the errors are those of the type that has keys.
    """
    found: list[tuple[str, Location, str]] = []
    for detail in error.errors(include_url=False, include_input=False):
        location = _real(detail["loc"], document)
        kind = detail["type"]
        is_mapping = isinstance(_at(document, location), Mapping)
        if location == detail["loc"] or kind in ("extra_forbidden", "missing", "value_error"):
            found.append((kind, location, detail["msg"]))
        elif not is_mapping:
            found.append(("union", location, ""))
    # Why a reference leads nowhere says it all: its value could not be tried against the other types.
    explained = {location for kind, location, _ in found if kind == "value_error"}
    return [e for e in dict.fromkeys(found) if e[0] != "union" or e[1] not in explained]


def _real(location: Location, document: object) -> Location:
    """Return a location without the names of union members that pydantic adds to it."""
    kept: list[int | str] = []
    for number, part in enumerate(location):
        held = _at(document, tuple(kept))
        last = number == len(location) - 1
        stands_there = last and isinstance(held, Mapping) and str(part) in map(str, held)
        if isinstance(part, int) or part in _valid_keys(tuple(kept)) or stands_there:
            kept.append(part)
    return tuple(kept)


def _text(kind: str, location: Location, message: str, document: CommentedMap) -> str:
    if kind == "extra_forbidden":
        return f"there is no such key{nearest(str(location[-1]), _valid_keys(location[:-1]))}"
    if kind == "missing":
        field = _fields(location[:-1]).get(str(location[-1]))
        about = f" ({field.description})" if field and field.description else ""
        return f"is missing{about}"
    if kind == "too_short":
        return "is empty; list at least one, or take the key out (its items are then not covered)"
    if kind == "string_pattern_mismatch" and location[-1] == "host":
        return "is not a host name or address (user, password and database have keys of their own)"
    if kind in ("model_type", "dict_type") and _at(document, location) is None:
        return "has nothing under it; add its keys or take the line out"
    if kind == "union":
        return f"must be {_description(location)}"
    if kind in _MUST_BE:
        return _MUST_BE[kind]
    return message.removeprefix("Value error, ").replace("Input should be", "must be")


def _description(location: Location) -> str:
    """Return what the models say about a key."""
    name = str(next(part for part in reversed(location) if isinstance(part, str)))
    by_key = {field.alias or key: field for key, field in _fields(location[:-1]).items()}
    return str(by_key[name].description) if name in by_key else "something else"


def _path(location: Location) -> str:
    """Write `database.replicas[1].host`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _line(document: object, location: Location) -> int:
    """Return the line (from 1) of the deepest part of `location` that stands in the file."""
    line = 1
    node = document
    for part in location:
        try:
            if isinstance(node, CommentedMap):
                part = next(key for key in node if str(key) == str(part))  # noqa: PLW2901 (a key may be a number)
                line = node.lc.key(part)[0] + 1
            elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
                line = node.lc.item(part)[0] + 1
            else:
                break
            node = node[part]
        except (KeyError, TypeError, StopIteration):
            break
    return line


def _at(document: object, location: Location) -> object:
    node = document
    for part in location:
        try:
            node = node[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def _valid_keys(location: Location) -> list[str]:
    return [field.alias or name for name, field in _fields(location).items()]


def _fields(location: Location) -> dict[str, Any]:
    """Return the fields of the model at a place of the inventory, by following the models' own annotations."""
    model: type[BaseModel] | None = composed()
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        by_key = {field.alias or name: field for name, field in model.model_fields.items()}
        if part in by_key:
            model = _model_in(by_key[part].annotation)
    return dict(model.model_fields) if model else {}


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
