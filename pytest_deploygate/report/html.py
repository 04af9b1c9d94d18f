"""`signoff.html`: the record as one document without script, to attach to a change ticket."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from datetime import timedelta
from importlib import resources
from pathlib import Path

import jinja2
from jinja2 import bccache

from pytest_deploygate import __version__
from pytest_deploygate.model import Finding, words_for
from pytest_deploygate.report import changes, ending, size, view, words
from pytest_deploygate.report.leaving import cleaned, plain
from pytest_deploygate.report.plots import coverage, figures
from pytest_deploygate.report.record import Record

_STYLE_GOES_HERE = "/*style*/"
_REASON_AT_MOST = 4000


def render(record: Record) -> str:
    """Return the document. Same record and version, same bytes.

    It has no script, loads nothing, and stays under `size.LIMIT` bytes for checklists of up to several thousand items. If
    that requires it, items are shown in brief, and the document says so.
    """
    known = cleaned(record)
    text = ""
    for room in (size.LIMIT - 60_000, size.LIMIT // 2, 0):
        page = view.page(known, room)
        text = _finished(known, page)
        # What shows nothing in full does not become smaller.
        if not page.full or len(text.encode()) < size.LIMIT:
            break
    return text


def _finished(record: Record, page: view.Page) -> str:
    css, sha256 = style()
    body = template("signoff.html.j2").render(
        page=page,
        record=record,
        titles=_titles(record),
        style=_STYLE_GOES_HERE,
        style_digest=sha256,
    )
    # The values are already masked. Masking the page would break it if a weak secret is a word of HTML.
    return plain(body).replace(_STYLE_GOES_HERE, css, 1)


@functools.cache
def style() -> tuple[str, str]:
    """Return the style sheet and its SHA-256 in the form of a Content-Security-Policy."""
    css = source("signoff.css")
    return css, digest(css)


def digest(text: str) -> str:
    """Return the SHA-256 of an inline style or script in the form of a Content-Security-Policy."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def source(name: str) -> str:
    """Return the text of a file beside the templates."""
    return (resources.files("pytest_deploygate.report") / "templates" / name).read_text(encoding="utf-8")


class _Compiled(bccache.FileSystemBytecodeCache):
    """Compiled templates, kept where Python keeps its compiled modules. A folder that is not writable is not used."""

    def __init__(self) -> None:
        beside = Path(str(resources.files("pytest_deploygate.report") / "templates" / "x.py"))
        folder = Path(importlib.util.cache_from_source(str(beside))).parent
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        super().__init__(str(folder))

    def get_bucket(
        self, environment: jinja2.Environment, name: str, filename: str | None, source: str
    ) -> bccache.Bucket:
        """Jinja identifies a compiled template by its source alone; include what it was compiled with."""
        made_with = (
            jinja2.__version__, __version__, environment.autoescape, environment.trim_blocks,
            environment.lstrip_blocks,
        )  # fmt: skip
        return super().get_bucket(environment, name, filename, f"{made_with} {source}")

    def load_bytecode(self, bucket: bccache.Bucket) -> None:
        with contextlib.suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: bccache.Bucket) -> None:
        if not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):
                super().dump_bytecode(bucket)


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return one of the report's templates, with the filters and functions that all of them use."""
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader("pytest_deploygate.report"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        bytecode_cache=_Compiled(),
    )
    environment.filters.update(
        verdict=words.verdict,
        measured=words.measured,
        met=words.met,
        moment=words.moment,
        thousands=words.thousands,
        brief=functools.partial(words.shortened, most=size.BRIEF),
        long=_long,
        glance=functools.partial(words.shortened, most=150),
        brief_change=functools.partial(words.shortened, most=320),
    )
    environment.globals.update(
        count=words.count,
        listed=functools.partial(words.listed, most=view.ITEMS_PER_RULE),
        elsewhere=words.elsewhere,
        took=words_for,
        before=lambda when, seconds: when - timedelta(seconds=seconds),
        moved=changes.Kind.MOVED.value,
        span=words.span,
        safe_path=view.safe_path,
        sign=ending.sign,
        scope_words=view.scope_words,
        exit_words=view.exit_words,
        tally_words=_tally_words,
        target_words=_target_words,
        changes_at_most=view.CHANGES,
        attested_at_most=view.ATTESTED,
        events_at_most=view.EVENTS,
        items_per_rule=view.ITEMS_PER_RULE,
        meaning=words.MEANING,
        drawn=figures.drawn,
        colour=coverage.COLOURS,
    )
    return environment.get_template(name)


def _long(text: str) -> str:
    """Shorten a text only beyond a length that nobody reads, and say where the rest is."""
    if len(text) <= _REASON_AT_MOST:
        return text
    return f"{text[:_REASON_AT_MOST]}… ({len(text) - _REASON_AT_MOST:,} more characters in verdicts.json)"


def _titles(record: Record) -> dict[str, str]:
    return {r.item.phase: r.item.phase for r in record.items} | {p.id: p.title for p in record.phases}


def _tally_words(findings: Iterable[Finding]) -> str:
    return words.tally_words(f.verdict for f in findings)


def _target_words(findings: Iterable[Finding]) -> str:
    return words.listed((words.shortened(f.target or "whole item", 60) for f in findings), most=8)
