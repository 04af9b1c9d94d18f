"""The comment with which a ticket gets the head of the journal: people read it, and systems take it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import sample

from pytest_deploygate.clients.tickets.ticket import File
from pytest_deploygate.model import Verdict
from pytest_deploygate.report import ticket_comment

HEAD = "f" * 64


def comment(record, **more):
    known = dataclasses.replace(
        record, provenance=dataclasses.replace(record.provenance, journal_head=HEAD), **more
    )
    file = File(Path(), "signoff-CHG-1-00.html", "0" * 64, 12_345, "text/html", "the report")
    return (
        ticket_comment.plain(known, [file]),
        ticket_comment.markdown(known, [file], [f"[{file.name}](/uploads/1/{file.name})"]),
    )


@pytest.mark.parametrize(
    "record", [sample.hold(), sample.go(), sample.hostile()], ids=["hold", "go", "hostile"]
)
def test_the_comment(record):
    plain, markdown = comment(record)
    for text in (plain, markdown):
        assert ticket_comment.mark(HEAD) in text
        assert "0" * 64 in text
    assert len(plain) < 32_000
    assert len(markdown) < 65_536
    assert plain.splitlines()[0].startswith(("HOLD", "GO"))
    assert "\x1b" not in plain + markdown
    assert "| [signoff-CHG-1-00.html](/uploads/1/signoff-CHG-1-00.html) | the report | 12,345 |" in markdown
    assert json.dumps(plain)


def test_the_comment_of_thousands_of_items_fits():
    plain, markdown = comment(sample.large(5000, Verdict.FAIL))
    assert (len(plain) < 32_000, len(markdown) < 65_536) == (True, True)
