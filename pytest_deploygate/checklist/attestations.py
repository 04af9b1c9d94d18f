"""Attestations: a person confirms, in a file meant for a pull request, that an item holds, with evidence and an end.

One file in `attestations/` is one attestation. An SSH signature may be beside it as `<file>.sig`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from pytest_deploygate.checklist.parser import Checklist, slug
from pytest_deploygate.checklist.records import (
    NEVER,
    Document,
    Fields,
    RecordsError,
    item_problem,
    parse,
    read_folder,
)
from pytest_deploygate.checklist.vocabulary import (
    CLOCK_SLACK,
    LEVELS,
    Attestation,
    Backing,
    FindingsFile,
    roles_asked,
    time_words,
)
from pytest_deploygate.model import Item, Kind
from pytest_deploygate.problems import Problem, nearest

FOLDER = "attestations"
#: Namespace of the SSH signatures.
NAMESPACE = "deploygate-attestation"


_KEYS = (
    "item",
    "role",
    "name",
    "meaning",
    "at",
    "valid_until",
    "evidence",
    "change",
    "inventory",
    "findings",
)
_EVIDENCE_KEYS = ("file", "url", "sha256", "note")
_FINDINGS_KEYS = ("file", "sha256", "allowed")
_EXAMPLE = "item: sec.audit"


def roles_of(checklist: Checklist, more: Collection[str] = ()) -> tuple[str, ...]:
    """Return the roles that may attest: those of sign-off lines as slugs, those that items require, and `more`."""
    asked = (role for item in checklist.items for role in roles_asked(item))
    return tuple(dict.fromkeys([*map(slug, checklist.roles), *asked, *map(slug, more)]))


def attestable(item: Item) -> bool:
    """Tell whether an item can be attested at all."""
    return item.kind is not Kind.AUTOMATED


def load_all(
    root: Path,
    checklist: Checklist,
    *,
    roles: Collection[str] = (),
    also: Collection[str] = (),
    aside: Collection[str] = (),
    now: datetime | None = None,
) -> list[Attestation]:
    """Read every attestation below `root`. Raises RecordsError with every problem found.

    `roles` are roles accepted in addition to the checklist's, `also` ids of automated items that may be attested
    (those of a team's own checklist that no test is bound to). Expired ones are loaded too; they are not judged here.
    Files in `aside` do not count: they are read and returned, but repeat nothing.
    """
    problems: list[Problem] = []
    reader = _Reader(checklist, roles, also, now or datetime.now(UTC), problems)
    found = [a for document in read_folder(root, FOLDER, problems) if (a := reader.read(document))]
    problems += _duplicates([one for one in found if one.file not in aside])
    if problems:
        raise RecordsError(problems)
    return found


def check(text: str, file: str, checklist: Checklist, *, roles: Collection[str] = ()) -> Attestation:
    """Parse one attestation from its text, as loading it would. Raises RecordsError."""
    problems: list[Problem] = []
    document = parse(text.encode(), file, problems)
    reader = _Reader(checklist, roles, (), datetime.now(UTC), problems)
    found = reader.read(document) if document else None
    if found is None:
        raise RecordsError(problems)
    return found


class _Reader:
    def __init__(
        self,
        checklist: Checklist,
        roles: Collection[str],
        also: Collection[str],
        now: datetime,
        problems: list[Problem],
    ) -> None:
        self.checklist = checklist
        self.known = [item.id for item in checklist.items]
        self.roles = roles_of(checklist, roles)
        self.also = also
        self.now = now
        self.problems = problems

    def read(self, document: Document) -> Attestation | None:
        fields = Fields(document.node, document.file, _KEYS, self.problems, _EXAMPLE)
        if not fields.ok and not fields.has("item"):
            return None
        item_id, at = self._item(fields), self._at(fields)
        item = self.checklist.get(item_id)
        found = Attestation(
            file=document.file,
            sha256=document.sha256,
            item=item_id,
            role=self._role(fields),
            name=fields.said("name", need="who attests it"),
            meaning=fields.text("meaning") or (item.text if item else ""),
            at=at,
            valid_until=self._until(fields, at),
            evidence=self._evidence(fields),
            findings=self._findings(fields),
            change=fields.text("change"),
            inventory=fields.text("inventory"),
        )
        return found if fields.ok else None

    def _item(self, fields: Fields) -> str:
        item_id = fields.text("item", need="id of the attested item")
        if not item_id:
            return ""
        item = self.checklist.get(item_id)
        if item is None:
            fields.wrong("item", item_problem(item_id, self.known))
        elif not attestable(item) and item_id not in self.also:
            fields.wrong(
                "item",
                f"{item_id} is automated: a probe measures it, and an attestation cannot replace that. Mark its line in "
                f"{self.checklist.file.name} .hybrid or .manual if a person must attest it (that is reported as a "
                "weakening), or write a waiver",
            )
        return item_id

    def _role(self, fields: Fields) -> str:
        said = fields.text("role", need="role that attests it")
        role = slug(said) if said else ""
        if role and self.roles and role not in self.roles:
            fields.wrong("role", f"unknown role {said!r}{nearest(role, self.roles)}")
        return role

    def _at(self, fields: Fields) -> datetime:
        at = fields.time("at", need="when it was attested")
        if at > self.now + CLOCK_SLACK:
            fields.wrong("at", f"{time_words(at)} is in the future (now: {time_words(self.now)})")
        return at

    def _until(self, fields: Fields, at: datetime) -> datetime:
        until = fields.time("valid_until", need="when it must be attested again")
        if NEVER not in (until, at) and until <= at:
            fields.wrong("valid_until", f"{time_words(until)} is not after `at`, {time_words(at)}")
        return until

    def _evidence(self, fields: Fields) -> tuple[Backing, ...]:
        entries = fields.many("evidence", _EVIDENCE_KEYS, "file: attestations/report.pdf")
        if not entries and not fields.has("findings"):
            fields.wrong("evidence", "is missing: at least one file (with its sha256), URL or findings file")
        backings = []
        for entry in entries:
            if entry.has("file") == entry.has("url"):
                entry.wrong("", "evidence must be either a `file` with its `sha256`, or a `url`")
            digest = "as printed by sha256sum" if entry.has("file") else ""
            backing = Backing(
                entry.path("file"), entry.text("url"), entry.sha256("sha256", need=digest), entry.text("note")
            )
            if why := url_problem(backing.url):
                entry.wrong("url", why)
            fields.ok &= entry.ok
            backings.append(backing)
        return tuple(backings)

    def _findings(self, fields: Fields) -> FindingsFile | None:
        entry = fields.one("findings", _FINDINGS_KEYS, "file: reports/scan.sarif")
        if entry is None:
            return None
        found = FindingsFile(
            entry.path("file", need="the SARIF file"),
            entry.sha256("sha256", need="as printed by sha256sum"),
            entry.choice("allowed", LEVELS, default="warning"),
        )
        fields.ok &= entry.ok
        return found


def url_problem(url: str) -> str:
    """Return why a URL cannot be evidence, or an empty text."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must begin with https:// or http:// and name a host"
    if "@" in parts.netloc:
        return "contains a user or password; many people can read this file"
    return ""


def _duplicates(found: Sequence[Attestation]) -> list[Problem]:
    first: dict[tuple[object, ...], str] = {}
    problems = []
    for one in found:
        key = (one.item, one.role, one.name.casefold(), one.at, one.change, one.inventory)
        if key in first:
            text = f"attests {one.item} again, by the same person at the same time as {first[key]}"
            problems.append(Problem(one.file, 0, text))
        first.setdefault(key, one.file)
    return problems
