"""What hooks of the repository add to a report, and whom to call after a rollback, from the journal alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_deploygate.journal import Entry

#: Kinds of journal lines that hooks add: a section, and a comment on a failed item.
SECTION, CLASSIFIED = "section", "classified"
_TITLE = "Comments of the repository's hooks on failed items"


def sections(entries: Sequence[Entry], run: str) -> Iterator[tuple[str, str]]:
    """Yield the sections of a run, preceded by the latest comments on failed items from all runs of the change."""
    said = {(e.body["item"], e.body["said"]): e.body["text"] for e in entries if e.kind == CLASSIFIED}
    if said:
        yield _TITLE, "\n\n".join(map(str, said.values()))
    for entry in entries:
        if entry.kind == SECTION and entry.body.get("run") == run:
            yield str(entry.body["title"]), str(entry.body["text"])


def calls(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return whom to call, in order, as `deploygate rollback after` last recorded it."""
    found = [e.body.get("calls", ()) for e in entries if e.kind == "after"]
    return tuple(map(str, found[-1])) if found else ()
