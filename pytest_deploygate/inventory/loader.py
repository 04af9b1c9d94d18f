"""Load a YAML file as an `Inventory`, or report every problem in it, each with file, line and nearest name."""

import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from yaml.error import MarkedYAMLError, YAMLError

from pytest_deploygate.fields.references import ONLY_WHERE, Value, lacks, reading
from pytest_deploygate.fields.renamed import FormerKey, Key, Renamed, noting
from pytest_deploygate.fields.sources.lab import INVENTORIES
from pytest_deploygate.fields.types import Section
from pytest_deploygate.files import bounded, sha256, yaml
from pytest_deploygate.inventory import checked, index, listing, sections, unconfirmed, weakening
from pytest_deploygate.inventory.checked import Checked
from pytest_deploygate.inventory.models import Database, Inventory, Others, composed
from pytest_deploygate.inventory.weakening import Weaker
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import Problem, nearest
from pytest_deploygate.redaction import RECORD_WORDS, Secret, hide_those_of_url, redact, weak

#: Where `deploygate init` puts its files in a repository that has tests of its own.
BESIDE = "deploygate"
Location = tuple[int | str, ...]
#: Our words for pydantic's errors; `{…}` are what it says of the limit.
_MUST_BE = {
    "string_type": "must be text; put it in quotes",
    "string_too_short": "is too short: at least {min_length} characters",
    "string_too_long": "is too long: at most {max_length} characters",
    "string_pattern_mismatch": "is not written as expected: it must match {pattern}",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "has too few entries: at least {min_length} are needed",
    "too_long": "has too many entries: at most {max_length}",
    "is_instance_of": "is of another kind than expected here",
    "none_required": "must be left out here",
    "date_type": "must be a day, for example 2026-12-01",
    "date_parsing": "must be a day, for example 2026-12-01",
    "date_from_datetime_parsing": "must be a day, for example 2026-12-01",
    "date_from_datetime_inexact": "must be a day without a time, for example 2026-12-01",
    "datetime_type": "must be a time with its zone, for example 2026-12-24T00:00:00Z, in quotes",
    "datetime_parsing": "must be a time with its zone, for example 2026-12-24T00:00:00Z, in quotes",
    "datetime_from_date_parsing": "must be a time with its zone, for example 2026-12-24T00:00:00Z, in quotes",
    "timezone_aware": "needs a time zone, for example 2026-12-24T00:00:00Z, in quotes",
    "tuple_type": "must be a list: lines beginning with a dash, or [one, two]",
    "set_type": "must be a list: lines beginning with a dash, or [one, two]",
    "list_type": "must be a list: lines beginning with a dash, or [one, two]",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
}
_SECRET_KEYS = ("password", "passwd", "pwd", "secret", "token", "api_key", "apikey")
_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token")


class InventoryError(Exception):
    """The inventory cannot be used; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(redact("\n".join(str(problem) for problem in problems)))


@dataclass(frozen=True)
class Loaded:
    """An inventory with its file and that file's SHA-256. `notes` are keys to rename in it.

    `values` are its references (`env:NAME`) with what they stand for, secrets among them: never to be written. `secrets`
    are those references that are read as secrets only. `document` is the file's text as mappings that know their lines.
    `listed` is what its sections have from elsewhere, for other processes of the same run; never to be written either.
    `known` is what an earlier check found, if the inventory was composed only of the sections that this run needs.
    """

    inventory: Inventory
    file: Path
    sha256: str
    notes: tuple[Problem, ...] = ()
    values: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    listed: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = frozenset()
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    known: Checked | None = None

    @property
    def weaker(self) -> Sequence[Weaker]:
        """The inventory's weaker settings, also those of sections that this run has not read."""
        return self.known.weaker if self.known else weakening.weaker(self.inventory)


def available(root: Path) -> list[str]:
    """Return the names accepted by `--inventory NAME` below `root`: files in `inventories/`."""
    return sorted(
        path.name.removesuffix(path.suffix)
        for path in (root / "inventories").glob("*.y*ml")
        if path.suffix in (".yml", ".yaml")
    )


def locate(name: str, root: Path) -> Path:
    """Find the file of `--inventory NAME|PATH`. Raises InventoryError with the nearest name."""
    if "/" in name or name.endswith((".yml", ".yaml")):
        path = Path(name).expanduser()
        if path.is_dir():
            raise InventoryError([Problem(name, 0, "is a folder, not an inventory file")])
        if path.exists():  # a device or a pipe is refused when it is read, by what it is
            return path
        hint = nearest(path.stem, available(root))
        raise InventoryError([Problem(name, 0, f"no such inventory file{hint}")])
    for path in _places(name, root):
        if path.exists() and not path.is_dir():
            return path
    hint = nearest(name, available(root)) or _in_other_folder(root)
    raise InventoryError([Problem(f"--inventory {name}", 0, f"no inventory has this name{hint}")])


def _places(name: str, root: Path) -> list[Path]:
    """Return the files that a name may stand for: those of the repository, then the lab's, which come with the package."""
    own = [root / "inventories" / f"{name}{suffix}" for suffix in (".yml", ".yaml")]
    return [*own, INVENTORIES / f"{name}.yml"]


def _in_other_folder(root: Path) -> str:
    """Name the folder that `deploygate init` chose in a repository with tests of its own."""
    if available(root / BESIDE):
        return f"; the inventories of this repository are in {BESIDE}/inventories: run `cd {BESIDE}` first"
    return "; inventories/ is empty"


def load(
    name: str,
    root: Path,
    missing: list[str] | None = None,
    *,
    told: Mapping[str, Any] | None = None,
    needed: frozenset[str] | None = None,
) -> Loaded:
    """Read the inventory named by `--inventory`. Raises InventoryError with every problem found.

    With `told`, entries that sections have from elsewhere are asked for (`inventory.listing`), except those that it has:
    `{}` in a run, or what another process of the same run has listed. Without it such sections stay without entries.

    `needed` are the subjects that a run has tests of: if an earlier run has checked this inventory whole, only these are
    checked, and others if something asks for them.

    With a list `missing`, missing secrets and lab values are added to it instead, so that a plan can be made before
    they exist. Such an inventory must not be used to connect to anything.
    """
    path = locate(name, root)
    shown = _shown(path, root)
    try:
        raw = bounded.read(path)
        text = bounded.decoded(raw)
    except OSError as error:
        problem = Problem(shown, bounded.line_of(error), f"cannot be read: {error.strerror}")
        raise InventoryError([problem]) from None
    except bounded.OddTextError as error:
        raise InventoryError([Problem(shown, error.line, str(error))]) from None
    document = _parse(text, shown)
    subjects = subjects_of(document)
    if needed is not None and subjects is not None and not subjects <= needed:
        part = _part(path, shown, document, subjects & needed)
        if part is not None:
            return dataclasses.replace(part, sha256=sha256(raw))
    read = _read(path, shown, document, missing)
    if misplaced := list(_misplaced(document, shown)):
        raise InventoryError(misplaced)
    inventory, found = read.inventory, dict[str, Any]()
    if told is not None:
        try:
            inventory, found = listing.complete(inventory, told)
        except listing.ListingError as error:
            text = f"{_path(error.location)}: {error}" if error.location else str(error)
            raise InventoryError([Problem(shown, _line(document, error.location), text)]) from None
        except ValidationError as error:
            raise InventoryError(_problems(error, document, shown)) from None
    if needed is not None and not found and not read.former:
        named = sections.named(inventory, (subjects or frozenset()) | index.with_defaults())
        content = checked.digest(read.plain)
        checked.keep(path, content, read.values, read.looked, named, weakening.weaker(inventory))
    notes = (*(Problem(shown, key.line, str(key)) for key in read.former), *_weak_secrets(document, shown))
    return _loaded(inventory, path, sha256(raw), notes, read.values, found, document)


@dataclass(frozen=True)
class _Read:
    """An inventory, the plain data that it was made of, and what was asked for on the way."""

    inventory: Inventory
    plain: Any
    former: list[FormerKey]
    values: list[Value]
    looked: list[Path]


def _read(path: Path, shown: str, document: yaml.Mapping, missing: list[str] | None = None) -> _Read:
    """Check a file whole. Raises InventoryError."""
    former, values, looked = list[FormerKey](), list[Value](), list[Path]()
    with reading(path, missing, values, looked), noting(former):
        try:
            plain = _present(_plain(document))
            inventory = composed(subjects_of(document)).model_validate(plain)
        except ValidationError as error:
            raise InventoryError(_problems(error, document, shown)) from None
    former.sort(key=lambda key: key.line)
    return _Read(inventory, plain, former, values, looked)


def _part(path: Path, shown: str, document: yaml.Mapping, subjects: frozenset[str]) -> Loaded | None:
    """Read the sections of some subjects, if a run has checked the whole before. None: it has to be checked again.

    The other sections are checked again, all of them, when something asks for one.
    """
    values: list[Value] = []
    with reading(path, None, values):
        plain = _present(_plain(document))
        known = checked.recall(path, checked.digest(plain))
        if known is None:
            return None
        try:
            inventory = composed(subjects).model_validate(index.of_subjects(plain, subjects))
            checked.read_rest(known, values)
        except ValueError:  # also pydantic's: the whole check says what it is
            return None
    others = (subjects_of(document) or frozenset()) - subjects
    read = sections.names(subjects)
    named = {name: one for name, one in known.named.items() if name not in read}
    whole = Others(others, named, cache(lambda: _read(path, shown, document).inventory))
    for section in (inventory, inventory.database):
        if section is not None:
            section.beside(whole)
    notes = tuple(_weak_secrets(document, shown))
    return dataclasses.replace(_loaded(inventory, path, "", notes, values, {}, document), known=known)


def _loaded(
    inventory: Inventory,
    path: Path,
    sha256: str,
    notes: tuple[Problem, ...],
    values: Sequence[Value],
    found: Mapping[str, Any],
    document: yaml.Mapping,
) -> Loaded:
    others = {reference for reference, _, secret in values if not secret}
    secrets = frozenset(reference for reference, _, secret in values if secret) - others
    noted = tuple((reference, value) for reference, value, _ in values)
    return Loaded(inventory, path, sha256, notes, (*noted, *listing.values(found)), found, secrets, document)


def subjects_of(document: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the subjects whose keys a file has; None if it has another key, so that all are compared with it."""
    return index.subjects(document, {"": Inventory.model_fields, "database": Database.model_fields})


def _misplaced(document: yaml.Mapping, shown: str) -> Iterator[Problem]:
    """Yield a problem for each entry of `discovered` that is no place of this inventory."""
    for number, text in unconfirmed.wrong(document):
        location = (unconfirmed.KEY, number)
        yield Problem(shown, _line(document, location), f"{_path(location)}: {text}")


def _weak_secrets(document: yaml.Mapping, shown: str) -> Iterator[Problem]:
    """Yield a note for each secret that cannot be masked everywhere without making reports unreadable."""
    values = [(location, value) for location, value in _leaves(document) if isinstance(value, str)]
    words = [*(value for _, value in values), *{str(part) for location, _ in values for part in location}]
    found = weak([RECORD_WORDS], "of every record") | weak(words)
    for source, why in found.items():
        for location in (location for location, value in values if value == source):
            text = (
                f"{_path(location)}: the secret in {source} {why}, so it is masked only where it stands as a password "
                "could; use a longer one"
            )
            yield Problem(shown, _line(document, location), text)


def _leaves(node: object, location: Location = ()) -> Iterator[tuple[Location, object]]:
    if isinstance(node, Mapping):
        for key, inner in node.items():
            yield from _leaves(inner, (*location, str(key)))
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _leaves(inner, (*location, number))
    else:
        yield location, node


def _shown(path: Path, root: Path) -> str:
    resolved = path.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(path)


def _parse(text: str, shown: str) -> yaml.Mapping:
    try:
        document = yaml.load(text)
    except yaml.DuplicateKeyError as error:
        raise InventoryError(
            [Problem(shown, error.problem_mark.line + 1, f"duplicate key {error.problem!r}")]
        ) from None
    except yaml.TooMuchError as error:
        raise InventoryError([Problem(shown, error.problem_mark.line + 1, str(error.problem))]) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        # A password without quotes can be an "alias" or a "tag" to YAML: the text is not repeated in the message.
        said = re.sub(r"'[^'<\\][^']+'", "'…'", str(error.problem))
        raise InventoryError(
            [Problem(shown, line, f"this is not YAML: {said} (a value with special characters needs quotes)")]
        ) from None
    except (YAMLError, RecursionError) as error:
        line, why = yaml.where(error, text)
        raise InventoryError([Problem(shown, line, f"this is not YAML{why}")]) from None
    except (ValueError, OverflowError):  # 2026-13-41 looks like a date to YAML
        raise InventoryError([_no_such_day(text, shown)]) from None
    if document is None:
        raise InventoryError([Problem(shown, 0, "is empty; the smallest inventory is `name: staging`")])
    if not isinstance(document, yaml.Mapping):
        raise InventoryError([Problem(shown, 1, "must begin with keys, for example `name: staging`")])
    return document


def _no_such_day(text: str, shown: str) -> Problem:
    """Find the day that does not exist, and say why in words."""
    for number, line in enumerate(text.splitlines(), 1):
        for year, month, day in re.findall(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b", line):
            try:
                date(int(year), int(month), int(day))
            except ValueError:
                why = "has no such day" if 1 <= int(month) <= 12 else "is no month: write 01 to 12"
                what = f"{year}-{month}" if 1 <= int(month) <= 12 else month
                return Problem(
                    shown,
                    number,
                    f"{year}-{month}-{day} does not exist: {what} {why}, for example 2026-12-01",
                )
    return Problem(shown, 0, "a date or time in it does not exist; write for example 2026-12-01")


def _plain(node: object, location: Location = ()) -> Any:
    """Convert to plain types; secrets, also those in a URL, are masked from now on.

    Keys keep their position, for notes about them.
    """
    if isinstance(node, yaml.Mapping):
        plain = {}
        for key, value in node.items():
            if str(key).lower() in _SECRET_KEYS and isinstance(value, str) and ":" not in value:
                Secret(value)
            if str(key).lower() in _SECRET_HEADERS and isinstance(value, str):
                Secret(value.split()[-1] if value.split() else "")  # without `Bearer`
            here = (*location, str(key))
            plain[Key(str(key), _line_of(node, key), _path(here))] = _plain(value, here)
        return plain
    if isinstance(node, list):
        return [_plain(value, (*location, number)) for number, value in enumerate(node)]
    if isinstance(node, str):
        hide_those_of_url(node)
    return node


def _line_of(node: yaml.Mapping, key: Any) -> int:
    """Return the line of a key; that of its mapping if the key comes from another one (`<<: *anchor`)."""
    return node.lines.get(key, node.line)


def _present(node: Any) -> Any:
    """Leave out sections and entries whose `only_where: lab:NAME` names a value missing from the running lab."""
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if not _elsewhere(value)}
        return {key: _present(value) for key, value in kept.items() if key != ONLY_WHERE}
    return [_present(value) for value in node if not _elsewhere(value)] if isinstance(node, list) else node


def _elsewhere(node: object) -> bool:
    """Tell whether a section, or every entry of a list, needs a value that this lab does not have."""
    if isinstance(node, list):
        return bool(node) and all(_elsewhere(entry) for entry in node)
    return isinstance(node, dict) and lacks(node.get(ONLY_WHERE))


def _problems(error: ValidationError, document: yaml.Mapping, shown: str) -> list[Problem]:
    """Translate pydantic's errors into our messages, in file order.

    A cause shared by many places (the lab is not running) is reported once.
    """
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for kind, location, message, limits in _without_unions(error, document):
        line, path = _line(document, location), _path(location)
        text = _text(kind, location, message, document, limits)
        found.setdefault((text, "" if kind == "value_error" else path), []).append((line, path))
    problems = []
    for (text, _), places in found.items():
        line, path = places[0]
        others = ", ".join(str(line) for line, _ in places[1:6]) + (" …" if len(places) > 6 else "")
        more = f" (also in line {others})" if others else ""
        problems.append(Problem(shown, line, f"{path}: {text}{more}" if path else f"{text}{more}"))
    return sorted(problems, key=lambda problem: problem.line)


#: Kind, place, pydantic's words, and the limits in them.
_Error = tuple[str, Location, str, tuple[tuple[str, object], ...]]


def _without_unions(error: ValidationError, document: yaml.Mapping) -> list[_Error]:
    """Return pydantic's errors; for a value of a union type only one, not one per type.

    If the value is a mapping, the errors are those of the type with keys.
    """
    found: list[_Error] = []
    for detail in error.errors(include_url=False, include_input=False):
        location = _real(detail["loc"], document)
        kind = detail["type"]
        is_mapping = isinstance(_at(document, location), Mapping)
        if detail["loc"][-1:] == ("[key]",):  # a key of a mapping whose keys are words of ours
            found.append(("key", detail["loc"][:-1], "", tuple(detail.get("ctx", {}).items())))
        elif location == detail["loc"] or kind in ("extra_forbidden", "missing", "value_error"):
            limits = tuple(
                (name, f"{limit:g}" if isinstance(limit, float) else str(limit))
                for name, limit in detail.get("ctx", {}).items()
            )
            found.append((kind, location, detail["msg"], limits))
        elif not is_mapping:
            found.append(("union", location, "", ()))
    # A reference that cannot be resolved is the only cause: its value could not be tried against other types.
    explained = {location for kind, location, *_ in found if kind == "value_error"}
    return [e for e in dict.fromkeys(found) if e[0] != "union" or e[1] not in explained]


def _real(location: Location, document: object) -> Location:
    """Return a location without the union member names that pydantic adds."""
    kept: list[int | str] = []
    for number, part in enumerate(location):
        held = _at(document, tuple(kept))
        last = number == len(location) - 1
        stands_there = last and isinstance(held, Mapping) and str(part) in map(str, held)
        if isinstance(part, int) or part in _valid_keys(tuple(kept)) or stands_there:
            kept.append(part)
    return tuple(kept)


def _text(
    kind: str, location: Location, message: str, document: yaml.Mapping, limits: Sequence[tuple[str, object]]
) -> str:
    if kind == "extra_forbidden":
        if new := _former_keys(location[:-1]).get(str(location[-1])):
            return f"this is the old name of `{new.to}`, which is also set; remove it"
        return f"no such key{nearest(str(location[-1]), _valid_keys(location[:-1]))}"
    if kind == "key":
        valid = re.findall(r"'([^']*)'", str(dict(limits).get("expected", "")))
        return f"no such key{nearest(str(location[-1]), valid)}"
    if kind == "missing":
        field = _fields(location[:-1]).get(str(location[-1]))
        about = f" ({field.description})" if field and field.description else ""
        return f"is missing{about}"
    if kind == "too_short" and str(dict(limits).get("min_length", "1")) == "1":
        return "is empty; add at least one entry, or remove the key (its items are then not covered)"
    if kind == "string_pattern_mismatch" and location[-1] == "host":
        return "is not a host name or address (user, password and database have keys of their own)"
    if kind in ("model_type", "dict_type") and _at(document, location) is None:
        return "has no value; add its keys or remove the line"
    if kind == "union":
        return f"must be {_description(location)}"
    if kind == "literal_error":
        wanted = str(dict(limits)["expected"])
        valid = re.findall(r"'([^']*)'", wanted)
        near = nearest(str(_at(document, location)), valid)
        return f"must be {wanted}{near if near.startswith('; did you') else ''}"
    if kind in _MUST_BE:
        return _MUST_BE[kind].format_map(dict(limits))
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return f"must be {_description(location)}"


def _description(location: Location) -> str:
    """Return a key's description from the models."""
    name = str(next(part for part in reversed(location) if isinstance(part, str)))
    by_key = {field.alias or key: field for key, field in _fields(location[:-1]).items()}
    return str(by_key[name].description) if name in by_key else "another value"


def _path(location: Location) -> str:
    """Format a location as `database.replicas[1].host`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _line(document: object, location: Location) -> int:
    """Return the line (from 1) of the deepest part of `location` that is in the file."""
    line = 1
    node = document
    for part in location:
        try:
            if isinstance(node, yaml.Mapping):
                part = next(key for key in node if str(key) == str(part))  # noqa: PLW2901 (a key may be a number)
                line = _line_of(node, part)
            elif isinstance(node, yaml.Sequence) and isinstance(part, int) and part < len(node):
                line = node.lines[part]
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
    model = _model(location)
    return dict(model.model_fields) if model else {}


def _former_keys(location: Location) -> dict[str, Renamed]:
    model = _model(location)
    return model.former_keys() if model and issubclass(model, Section) else {}


def _model(location: Location) -> type[BaseModel] | None:
    """Return the model at a place of the inventory, by following the models' own annotations."""
    model: type[BaseModel] | None = composed()
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        by_key = {field.alias or name: field for name, field in model.model_fields.items()}
        if part in by_key:
            model = _model_in(by_key[part].annotation)
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
