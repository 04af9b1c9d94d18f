"""What the commands of `deploygate notify` share: the notices of an inventory, and where their record is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_deploygate.checks.notices import section as subject
from pytest_deploygate.cli.shared import inventories, journals
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.fields.notices import Audience, Notices
from pytest_deploygate.inventory.contacts import Contact
from pytest_deploygate.journal import utcnow
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.notices import calendar, message, record, sending
from pytest_deploygate.notices.calendar import Diary, Issued
from pytest_deploygate.notices.recipients import UnaddressableError
from pytest_deploygate.notices.templates import UnrenderableError
from pytest_deploygate.notices.values import Said
from pytest_deploygate.problems import nearest


@dataclass(frozen=True)
class Work:
    """The notices of a change: what they say, whom the inventory knows, and the folder of their record."""

    said: Said
    contacts: tuple[Contact, ...]
    folder: Path

    @property
    def section(self) -> Notices:
        """The section of the inventory."""
        return self.said.section

    def audiences(self, names: Sequence[str]) -> list[Audience]:
        """Return audiences by name. Raises Refused with the nearest one."""
        known = [audience.name for audience in self.section.audiences]
        found = []
        for name in dict.fromkeys(names):
            audience = self.section.audience(name)
            if audience is None:
                hint = nearest(name, known) or "; the inventory has no `notices.audiences`"
                raise Refused(f"--to {name}: there is no such audience{hint}")
            found.append(audience)
        return found

    def diary(self) -> tuple[Diary | None, dict[str, Issued]]:
        """Return the calendar file of the window and what is to be recorded of it; None without a window."""
        found = [
            one for one in calendar.entries(self.section, self.said.change, None) if one.what == "window"
        ]
        before = calendar.issued(self.folder)
        numbers = before | calendar.numbered(found, before, utcnow())
        if not found:
            return None, numbers
        content = calendar.rendered(found, numbers, self.said.change, *message.origin(self.section))
        return Diary(content, "".join(one.key for one in found)), numbers


def work(inventory: str, change: str, out: Path | None, given: Sequence[str] = ()) -> Work:
    """Read the notices of an inventory. Raises Refused (exit 4)."""
    loaded = inventories.read(inventory)
    section = loaded.inventory.of(subject.Keys).notices
    if section is None:
        raise Refused(f"{loaded.file} has no section `notices`; docs/checks/notices.md has an example")
    place = journals.place_of(change, out)
    said = Said(section, change, dict(map(_pair, given)))
    return Work(said, tuple(loaded.inventory.contacts), record.folder_of(section.record, place, change))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise Refused(f"--set {text}: write NAME=TEXT, such as --set 'summary=All services are up.'")
    return name, value.replace("\\n", "\n")


def refuse_in_tests() -> None:
    """Raise Refused within a run of tests, which must never send anything."""
    try:
        sending.refuse_in_tests()
    except sending.WithinTestsError as error:
        raise Refused(str(error)) from None


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what is wrong with templates, recipients and files into a list of problems, and exit 4."""
    try:
        with journals.plainly():
            yield
    except (UnrenderableError, UnaddressableError) as error:
        listed = "\n".join(f"  {problem}" for problem in error.problems)
        raise Refused(f"nothing was sent or written, because of:\n{listed}") from None
    except CannotTell as error:
        raise Refused(str(error)) from None


def as_json(plain: object) -> str:
    """Return JSON as all commands print it."""
    return json.dumps(plain, indent=1, ensure_ascii=False)
