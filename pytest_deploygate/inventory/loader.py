"""Load a YAML file as an `Inventory`, or report every problem in it, each with file, line and nearest name."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from yaml.error import MarkedYAMLError, YAMLError

from pytest_deploygate.fields.references import ONLY_WHERE, Value, lacks, reading
from pytest_deploygate.fields.renamed import FormerKey, Key, noting
from pytest_deploygate.fields.sources.lab import INVENTORIES
from pytest_deploygate.files import bounded, sha256, yaml
from pytest_deploygate.inventory import checked, index, listing, mistakes, sections, unconfirmed, weakening
from pytest_deploygate.inventory.checked import Checked
from pytest_deploygate.inventory.mistakes import Location
from pytest_deploygate.inventory.models import Database, Inventory, Others, composed
from pytest_deploygate.inventory.weakening import Weaker
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import Problem, nearest
from pytest_deploygate.redaction import RECORD_WORDS, Secret, hide_those_of_url, redact, weak

#: Where `deploygate init` puts its files in a repository that has tests of its own.
BESIDE = "deploygate"
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
    if needed is not None and subjects is not None and not subjects <= needed | index.revealing():
        # The value of a secret is not kept, so what depends on it is checked each time.
        part = _part(path, shown, document, subjects & (needed | index.revealing()))
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
            text = f"{mistakes.dotted(error.location)}: {error}" if error.location else str(error)
            raise InventoryError([Problem(shown, mistakes.line_at(document, error.location), text)]) from None
        except ValidationError as error:
            raise InventoryError(mistakes.problems(error, document, shown)) from None
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
            raise InventoryError(mistakes.problems(error, document, shown)) from None
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
        yield Problem(shown, mistakes.line_at(document, location), f"{mistakes.dotted(location)}: {text}")


def _weak_secrets(document: yaml.Mapping, shown: str) -> Iterator[Problem]:
    """Yield a note for each secret that cannot be masked everywhere without making reports unreadable."""
    values = [(location, value) for location, value in _leaves(document) if isinstance(value, str)]
    words = [*(value for _, value in values), *{str(part) for location, _ in values for part in location}]
    found = weak([RECORD_WORDS], "of every record") | weak(words)
    for source, why in found.items():
        for location in (location for location, value in values if value == source):
            text = (
                f"{mistakes.dotted(location)}: the secret in {source} {why}, so it is masked only where it stands as a password "
                "could; use a longer one"
            )
            yield Problem(shown, mistakes.line_at(document, location), text)


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
            plain[Key(str(key), mistakes.line_of(node, key), mistakes.dotted(here))] = _plain(value, here)
        return plain
    if isinstance(node, list):
        return [_plain(value, (*location, number)) for number, value in enumerate(node)]
    if isinstance(node, str):
        hide_those_of_url(node)
    return node


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
