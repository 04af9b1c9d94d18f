"""What hooks of the repository add to a report, and whom to call after a rollback; from the journal alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_deploygate.journal import Entry

#: The journal's kinds of lines that hooks bring: a section, and words about a red item.
SECTION, CLASSIFIED = "section", "classified"
_TITLE = "What the repository's hooks say of what is red"


def sections(entries: Sequence[Entry], run: str) -> Iterator[tuple[str, str]]:
    """Yield the sections of a run, and first what was said of red items in any run of the change, the newest word each."""
    said = {(e.body["item"], e.body["said"]): e.body["text"] for e in entries if e.kind == CLASSIFIED}
    if said:
        yield _TITLE, "\n\n".join(map(str, said.values()))
    for entry in entries:
        if entry.kind == SECTION and entry.body.get("run") == run:
            yield str(entry.body["title"]), str(entry.body["text"])


def calls(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return whom to call in which order, as `deploygate rollback after` wrote it down last."""
    found = [e.body.get("calls", ()) for e in entries if e.kind == "after"]
    return tuple(map(str, found[-1])) if found else ()
