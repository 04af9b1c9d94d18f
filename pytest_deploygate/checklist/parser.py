"""From a Markdown checklist to phases, items and sign-off roles.

Headings are phases, lines with a box (`- [ ]`, `- [x]`, `* [ ]`, `1. [ ]`) are items, `- ✓` lines are criteria. A
trailing `{#id .class …}` (the attribute syntax of Pandoc and kramdown) sets id and properties; without it the id is
derived from heading and text. `check=ID` borrows the tests of another id. Lines under a heading with `.sign-off` are roles. Any other list line gives a remark.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from functools import cached_property
from pathlib import Path

from pytest_deploygate.checklist.markdown import Line, What, lines
from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Closing, Item, Kind, Phase, Severity
from pytest_deploygate.problems import Problem, nearest

_ATTRIBUTES = re.compile(r"\s*\{([^{}]*)\}\s*$")
_BOX = re.compile(r"\[[ xX]\]\s+(.*)", re.DOTALL)
_CRITERION = re.compile(r"[✓✔✅☐☑⬜◻□▢🔲]\ufe0f?\s*(\S.*)", re.DOTALL)
_WINDOW = re.compile(
    r"\s*[(\[]([^()\[\]]*(?:\d{1,2}:\d{2}|\b\d{1,2}\s*[ap]\.?m\b|\bT\s*[-+−–]\s*\d)[^()\[\]]*)[)\]]\s*$",
    re.IGNORECASE,
)
_DAY = re.compile(r"\bT\s*[-+−–]\s*\d+(?:\s*(?:days?|weeks?|hours?|d|w|h)\b)?", re.IGNORECASE)
#: Properties with a value, of items only.
_VALUED = ("role=", "check=")
_ID_PART = re.compile(r"[^\W_][\w-]*")
_ITEM_CLASSES = {
    **{severity.value: ("severity", severity) for severity in Severity},
    **{kind.value: ("kind", kind) for kind in Kind},
    "non-waivable": ("waivable", False),
    **{closing.value: ("closing", closing) for closing in Closing},
}
# Classes of a heading that are properties of its phase; any other class is the area.
_SIGN_OFF = "sign-off"
#: Words before `sign-off` in a heading that do not say whose or what's it is.
_PLAIN = frozenset(
    (
        "final",
        "formal",
        "overall",
        "approval",
        "approvals",
        "and",
        "the",
        "release",
        "deployment",
        "project",
        "production",
        "go",
        "live",
    )
)
#: Under a heading that is only named sign-off: a place to sign, the last word of a role, and words of a check.
_PLACE_TO_SIGN = re.compile(r"_{2,}|\.{4,}|…|:\s*$")
_LINE_TO_SIGN = re.compile(r"_{3,}|\.{5,}|…{2,}")
#: `de`, `of`, `van` and such stand within names.
_PARTICLE = 3
_ROLE = re.compile(
    r"\b(?:lead(?:er)?|manager|owner|engineer|officer|sponsor|head|director|admin(?:istrator)?|architect|analyst|coordinator"
    r"|representative|rep|team|dba|sre|qa|uat|cto|cio|ciso|ceo|coo|cfo|dpo|vp|pm|po|legal|security|operations|ops|compliance|support"
    r"|success|business|product|stakeholder|approver|reviewer|developer|tester|auditor|supervisor|specialist|commander|master"
    r"|executive|counsel|leiter(?:in)?|verantwortlicher?)s?$",
    re.IGNORECASE,
)
_CHECK = re.compile(
    r"\b(?:no|all|every|is|are|was|were|has|have|been|works?|open|closed|done|ok|green|ready|pass(?:es|ed)?|complete|below|under|within"
    r"|verify|check|confirm|test|run|ensure|review|[a-z]{2,}ed)\b|[<>≤≥%]|\d",
    re.IGNORECASE,
)
_READ_ONLY = "read-only"
_WHOLE_CHANGE = "whole-change"
#: Words with another meaning for `-m` or pytest: as a phase or area they would skip tests or select none.
_TAKEN = frozenset(
    (
        *("and", "or", "not", "skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"),
        *("timeout", "item", "disruptive", "tryfirst", "trylast"),
    )
)


class ChecklistError(Exception):
    """The checklist cannot be used; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True)
class Checklist:
    """A parsed checklist. `remarks` are lines that look like items or are in lists but are not items, with line numbers."""

    file: Path
    sha256: str
    phases: tuple[Phase, ...]
    items: tuple[Item, ...]
    roles: tuple[str, ...]
    remarks: tuple[Problem, ...]
    kind_given: frozenset[str] = frozenset()  # items whose line has .automated, .hybrid or .manual

    @property
    def areas(self) -> tuple[str, ...]:
        """The areas of the items, in order of appearance."""
        return tuple(dict.fromkeys(item.area for item in self.items if item.area))

    def get(self, item_id: str) -> Item | None:
        """Return the item with this id."""
        return self._by_id.get(item_id)

    @cached_property
    def _by_id(self) -> dict[str, Item]:
        return {item.id: item for item in self.items}


@dataclass(frozen=True)
class Attributes:
    """The content of the braces at the end of a line, and the text before them. `wrong` are unknown words."""

    text: str
    id: str = ""
    classes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    braces: bool = False


@dataclass(frozen=True)
class _Heading:
    level: int
    phase: str
    title: str
    window: str
    area: str
    is_sign_off: bool  # by its own words, or by a heading above
    is_marked: bool = False  # with .sign-off, here or above
    is_plain: bool = False  # its name says sign-off and nothing else


_NONE = _Heading(0, "", "", "", "", is_sign_off=False)


def load(file: Path) -> Checklist:
    """Read and parse a checklist. Raises ChecklistError with file, line and the nearest valid name."""
    try:
        raw = bounded.read(file)
        text = bounded.decoded(raw)
    except OSError as error:
        problem = Problem(str(file), bounded.line_of(error), f"cannot be read: {error.strerror}")
        raise ChecklistError([problem]) from None
    except bounded.OddTextError as error:
        raise ChecklistError([Problem(str(file), error.line, str(error))]) from None
    return _Parser(file).parse(text, sha256(raw))


def parse(text: str, file: Path) -> Checklist:
    """Parse a checklist's text; `file` is its name in problems. Raises ChecklistError."""
    return _Parser(file).parse(text, sha256(text.encode()))


def attributes(text: str) -> Attributes:
    """Split a line into its text and the content of its braces.

    Braces without a word that begins with `#` or `.` or contains `=`, such as `{environment}`, stay text.
    """
    found = _ATTRIBUTES.search(text)
    words = found[1].split() if found else []
    if not found or not any(word[0] in "#." or word.startswith(_VALUED) for word in words):
        return Attributes(text.strip(), braces=found is not None)
    own_id, classes, wrong = "", [], []
    for word in words:
        if word.startswith("#") and _is_id(word[1:]):
            own_id = word[1:]
        elif word.startswith(".") and len(word) > 1:
            classes.append(word[1:])
        elif word.startswith(_VALUED) and not word.endswith("="):
            classes.append(word)
        else:
            wrong.append(word)
    return Attributes(text[: found.start()].strip(), own_id, tuple(classes), tuple(wrong), braces=True)


def slug(text: str) -> str:
    """Return a stable id for a text: `Verify all services healthy` gives `verify-all-services-healthy`.

    Accents are removed, letters of other scripts stay.
    """
    plain = "".join(map(_unaccented, unicodedata.normalize("NFC", text))).lower()
    return re.sub(r"[\W_]+", "-", plain).strip("-")[:60].strip("-") or "x"


def _unaccented(char: str) -> str:
    parts = unicodedata.normalize("NFKD", char)
    return "".join(c for c in parts if c.isascii()) if parts[0].isascii() else char


def _is_id(text: str) -> bool:
    return text == text.lower() and all(_ID_PART.fullmatch(part) for part in text.split("."))


def _named_sign_off(title: str) -> bool:
    return slug(title).endswith((_SIGN_OFF, "sign-offs", "signoff", "signoffs"))


def _plain_sign_off(title: str) -> bool:
    """Tell `Final sign-off`, whose lines are people, from `QA sign-off`, whose lines are mostly checks."""
    words = slug(title).removesuffix("s").removesuffix(_SIGN_OFF).removesuffix("signoff").split("-")
    return _named_sign_off(title) and {*words, ""} <= _PLAIN | {""}


def _who(text: str) -> str:
    return re.split(r"[:(–—]| - ", text)[0].strip()


def _stands_for_a_role(text: str) -> bool:
    """Tell a role from a check under a heading that is only named sign-off, by a place to sign or the role's own word."""
    return bool(_PLACE_TO_SIGN.search(text) or _ROLE.search(_who(text)))


def _is_shaped_like_a_name(text: str) -> bool:
    """Tell a name from a sentence in any language that has capitals: all words but short ones begin with one."""
    words = re.findall(r"[^\W\d_]+", _who(text))
    named = [word for word in words if len(word) > _PARTICLE or not word.islower()]
    return bool(named) and all(word[0].isupper() for word in named) and not _CHECK.search(text)


class _Parser:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.phases: dict[str, Phase] = {}
        self.parents: dict[str, _Heading] = {}
        self.own_phases: set[str] = set()
        self.items: dict[str, Item] = {}
        self.kind_given: set[str] = set()
        self.own_ids: set[str] = set()
        self.roles: list[str] = []
        self.remarks: list[Problem] = []
        self.problems: list[Problem] = []
        self.headings: list[_Heading] = []  # from the outermost to the current one

    def parse(self, text: str, sha256: str) -> Checklist:
        found = [(line, attributes(line.text)) for line in lines(text)]
        self.own_ids = {said.id for line, said in found if line.what is What.LIST_LINE} - {""}
        for line, said in found:
            if line.what is What.HEADING:
                self._take_heading(line, said)
            elif line.what is What.LIST_LINE:
                self._take_list_line(line, said)
            else:
                self._remark(line, "looks like an item but is not one; begin it with `- [ ] ` in a list")
        if not self.items and not self.problems:
            first = next((remark for remark in self.remarks if "looks like an item" in remark.text), None)
            hint = f" (line {first.line} looks like one)" if first else ""
            self._wrong(0, f"has no items{hint}; write each as a line such as `- [ ] Verify backups`")
        if self.problems:
            raise ChecklistError(self.problems)
        used = {item.phase for item in self.items.values()}
        return Checklist(
            self.file,
            sha256,
            tuple(phase for phase in self.phases.values() if phase.id in used),
            tuple(self.items.values()),
            tuple(self.roles),
            tuple(self.remarks),
            frozenset(self.kind_given),
        )

    @property
    def heading(self) -> _Heading:
        return self.headings[-1] if self.headings else _NONE

    def _wrong(self, line: int, text: str) -> None:
        self.problems.append(Problem(str(self.file), line, text))

    def _remark(self, line: Line, text: str) -> None:
        shown = line.text if len(line.text) <= 60 else f"{line.text[:59]}…"
        self.remarks.append(Problem(str(self.file), line.line, f"{text}: {shown!r}"))

    def _take_heading(self, line: Line, said: Attributes) -> None:
        while self.headings and self.headings[-1].level >= line.level:
            self.headings.pop()
        self._check_words(line, said)
        found = _WINDOW.search(said.text)
        title = _WINDOW.sub("", said.text) or said.text
        above = self.heading
        areas = [name for name in said.classes if name not in (_SIGN_OFF, _READ_ONLY, _WHOLE_CHANGE)]
        for name in [name for name in areas if name.startswith(_VALUED)]:
            self._wrong(line.line, f"{name!r} is a property of an item, not of a heading")
            areas.remove(name)
        for name in areas:
            if name in _TAKEN:
                self._wrong(line.line, f"the area .{name} has another meaning in pytest; choose another word")
        heading = _Heading(
            line.level,
            self._phase_id(line, said.id, title, above),
            title,
            found[1].strip() if found else "",
            areas[0] if areas else "",
            above.is_sign_off or _SIGN_OFF in said.classes or _named_sign_off(title),
            above.is_marked or _SIGN_OFF in said.classes,
            above.is_plain or _plain_sign_off(title),
        )
        self._take_phase(heading, above, shared=bool(said.id) and heading.phase in self.own_phases)
        for name in said.classes:
            known = self.phases[heading.phase]
            if name == _READ_ONLY:
                self.phases[heading.phase] = dataclasses.replace(known, read_only=True)
            elif name == _WHOLE_CHANGE:
                self.phases[heading.phase] = dataclasses.replace(known, whole_change=True)
        if said.id:
            self.own_phases.add(heading.phase)
        self.headings.append(heading)

    def _phase_id(self, line: Line, own_id: str, title: str, above: _Heading) -> str:
        """Return the phase of a heading: the id in its braces, else a name made from its words."""
        if own_id:
            phase = own_id.replace("-", "_")
            if not phase.isidentifier() or phase in _TAKEN:
                self._wrong(
                    line.line, f"the phase id {phase!r} cannot be used with -m; use letters, digits and _"
                )
            return phase
        phase = slug(title).replace("-", "_")
        if not phase.isidentifier() or phase in _TAKEN:
            phase = f"phase_{phase}"
        if phase in self.phases and self.parents[phase].phase != above.phase and above.phase:
            # `Checks` below `Staging` and `Checks` below `Production` are two phases.
            phase = f"{above.phase}_{phase}"
        return phase

    def _take_phase(self, heading: _Heading, above: _Heading, *, shared: bool) -> None:
        day = next(
            (said[0] for h in reversed(self.headings) if (said := _DAY.search(f"{h.window} {h.title}"))), ""
        )
        if heading.phase not in self.phases:
            self.phases[heading.phase] = Phase(heading.phase, heading.title, heading.window, day)
            self.parents[heading.phase] = above
        elif shared and above.title and self.parents[heading.phase] == above:
            # Several headings share this phase: the heading above them gives the name.
            day = day if day not in above.window else ""
            known = self.phases[heading.phase]
            self.phases[heading.phase] = dataclasses.replace(
                known, title=above.title, window=above.window, day=day
            )

    def _take_list_line(self, line: Line, said: Attributes) -> None:
        self._check_words(line, said)
        found = _CRITERION.match(said.text)
        if _BOX.match(line.source):
            # With `[x]: address` somewhere in the file a box is a link, and its brackets are removed.
            found = _BOX.match(said.text) or re.match(r"[xX]?\s*(.*)", said.text)
        if self.heading.is_sign_off:
            text = found[1] if found else said.text
            if self.heading.is_marked or _stands_for_a_role(text):
                self.roles.append(text.split(":")[0].strip())
                return
            if self.heading.is_plain and _is_shaped_like_a_name(text):
                self._remark(
                    line,
                    "this line is taken for a role; mark its heading with {.sign-off}, or move the line if it is an item",
                )
                self.roles.append(text.split(":")[0].strip())
                return
            if found:
                self._remark(line, "this line is an item; if it is a role, mark its heading with {.sign-off}")
        if not found:
            self._remark(line, "this list line is not an item")
            return
        if not self.heading.is_sign_off and _LINE_TO_SIGN.search(found[1]):
            self._remark(
                line, "this line is an item; if a role signs there, mark its heading with {.sign-off}"
            )
        if said.braces and not (said.id or said.classes or said.wrong):
            self._remark(line, "the braces are treated as text; an id begins with #, a property with a dot")
        self._take_item(line, said, found[1])

    def _take_item(self, line: Line, said: Attributes, text: str) -> None:
        if not self.heading.phase:
            # Boxes before any heading: a short list needs no heading.
            self.phases.setdefault("checklist", Phase("checklist", "Checklist"))
            self.parents.setdefault("checklist", _NONE)
        phase = self.heading.phase or "checklist"
        properties = self._properties(line, said)
        item_id = said.id or self._derived_id(line, phase, text)
        if item_id in self.items:
            first = self.items[item_id].line
            self._wrong(
                line.line, f"the id {item_id} is already used in line {first}; set another with {{#id}}"
            )
            return
        if "kind" in properties:
            self.kind_given.add(item_id)
        self.items[item_id] = Item(
            id=item_id,
            text=text,
            phase=phase,
            area=self.heading.area,
            line=line.line,
            severity=properties.get("severity", Severity.MAJOR),  # type: ignore[arg-type]
            kind=properties.get("kind", Kind.AUTOMATED),  # type: ignore[arg-type]
            waivable=bool(properties.get("waivable", True)),
            role=str(properties.get("role", "")),
            closing=properties.get("closing"),  # type: ignore[arg-type]
            check=str(properties.get("check", "")),
        )

    def _properties(self, line: Line, said: Attributes) -> dict[str, object]:
        properties: dict[str, object] = {}
        for name in said.classes:
            if name.startswith("role="):
                roles = [role for role in name.removeprefix("role=").split(",") if role]
                properties["role"] = ",".join(map(slug, roles))
            elif name.startswith("check="):
                properties["check"] = name.removeprefix("check=")
            elif name in _ITEM_CLASSES:
                key, value = _ITEM_CLASSES[name]
                properties[key] = value
            else:
                self._wrong(line.line, f"unknown item property .{name}{nearest(name, _ITEM_CLASSES)}")
        return properties

    def _derived_id(self, line: Line, phase: str, text: str) -> str:
        """Derive an id from heading and text; if it is already used, a number is appended and a remark says so."""
        base = wanted = f"{phase.replace('_', '-')}.{slug(text)}"
        number = 1
        while wanted in self.items or wanted in self.own_ids:
            number += 1
            wanted = f"{base}-{number}"
        if number > 1:
            self._remark(line, f"its id is {wanted} because {base} is already used; set its own with {{#id}}")
        return wanted

    def _check_words(self, line: Line, said: Attributes) -> None:
        for word in said.wrong:
            self._wrong(
                line.line,
                f"{word!r} is neither #id (lowercase letters, digits, - _ .), .property, role=ROLE nor check=ID",
            )
