"""Which tables have rows that decide what a statement does: a rehearsal has none of them, so it did not see that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_deploygate.checks.migrations.probe.rehearsal.plans import Read
from pytest_deploygate.checks.migrations.probe.rehearsal.relay import Turn

#: Functions of the server itself, and keywords that it writes like functions.
BUILT_IN = """
SELECT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
UNION SELECT unnest('{COALESCE,GREATEST,LEAST,NULLIF,ROW,GROUPING,EXTRACT,XMLELEMENT,XMLFOREST,varying,character,interval}'::text[])
"""
#: Commands within which code of the server decides what to do next.
_RUNS_CODE = {"DO", "CALL", "SELECT"}
_QUERIES = re.compile(r"\s*(SELECT|WITH|DECLARE|FETCH)\b(?!.*\bINTO\b)", re.IGNORECASE | re.DOTALL)
#: Tables of the tools themselves, which they read on each run: Django, Rails, Liquibase.
_OF_TOOLS = (
    "django_content_type",
    "auth_permission",
    "django_site",
    "ar_internal_metadata",
    "databasechangeloglock",
)


def decisive(
    turn: Turn, reads: Sequence[Read], harmless: frozenset[str], record: str, answers_decide: bool
) -> Iterator[tuple[str, str]]:
    """Yield schema and name of tables whose rows decide what a command of the tool does.

    Code of the server read them: then their statement is not the one that was sent. Or that one did, and calls a
    function for each row, or a program waits for the answer (`answers_decide`). `harmless` are functions that change
    nothing else, `record` is the tool's table of versions, which the rehearsal has with its rows.
    """
    text = "; ".join(turn.texts)
    sent = " ".join(text.split()).rstrip("; ")
    runs = {tag.split()[0] for tag in turn.tags if tag}
    asks = bool(answers_decide and _QUERIES.match(text))
    own = {*_OF_TOOLS, record.rpartition(".")[2].strip('"')}
    for one in reads:
        calls = "SELECT" in runs and one.calls - harmless
        by_code = runs & _RUNS_CODE and one.text != sent
        # Nobody goes on by the number to which a sequence was set.
        if calls or ("setval" not in one.calls and (asks or by_code)):
            yield from (table for table in one.tables if table[1] not in own)
