"""The judge of erasure: where a person is still found, and what the control must have found before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pytest_deploygate.checks.privacy.facts import ErasureFacts, Hit, Sweep
from pytest_deploygate.checks.privacy.judge import erasure
from pytest_deploygate.checks.privacy.section import Erasure
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ERASURE = Erasure.model_validate(
    {"role": {"user": "app"}, "create": [{"sql": "SELECT 1"}], "erase": [{"sql": "SELECT 1"}],
     "expected": ["s.users.email"], "allowed": [{"where": "s.requests.*", "reason": "kept as the proof of it"}],
     "backups": [{"name": "base backups", "keep": "30d"}]}
)  # fmt: skip
BEFORE = Sweep("db2", (Hit("s.users.email", 1),), 9, 2, (), ())
ERASED = ErasureFacts("x@example.com", NOW, BEFORE, replace(BEFORE, hits=(Hit("s.requests.email", 1),)), 0.2)


def after(*hits, **more):
    return replace(ERASED, after=replace(BEFORE, hits=tuple(Hit(h, 1) for h in hits), **more))


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (ERASED, Verdict.PASS, "kept as allowed: s.requests.email"),
        (after("s.users.email"), Verdict.FAIL, "only marked as deleted"),
        (after("s.old.body"), Verdict.FAIL, "the erasure itself wrote it there"),
        (replace(after("s.old.body"), before=replace(BEFORE, hits=(*BEFORE.hits, Hit("s.old.body", 1)))), Verdict.FAIL,
         "the erasure misses this place"),
        (replace(ERASED, before=replace(BEFORE, hits=())), Verdict.INCONCLUSIVE, "the control failed"),
        (replace(ERASED, after=None, problem="refused"), Verdict.FAIL, "the erasure itself failed: refused"),
        (after(unread=("s.secret: not readable: GRANT pg_read_all_data",)), Verdict.INCONCLUSIVE, "GRANT pg_read_all_data"),
    ],
)  # fmt: skip
def test_erasure(facts, verdict, words):
    """As parametrized; each backup is listed with the day from which it no longer holds this person."""
    found = erasure.judge_erasure(facts, ERASURE)
    assert found.verdict is verdict, found.reason
    assert words in found.reason
    assert any("2026-03-31" in note for note in found.notes)


def test_erasure_looks_beside_the_database():
    """A key or line that remains is reported with its place and the next step; a cache that should hold the person is a control."""
    wider = Erasure.model_validate(
        ERASURE.model_dump(exclude={"redis", "logs"})
        | {
            "redis": [{"name": "cache", "host": "r", "holds": True}],
            "logs": [{"name": "app", "path": "/a.log"}],
        }
    )
    before = replace(BEFORE, hits=(*BEFORE.hits, Hit("redis cache", 1, "key p:1 (database 0)")))
    whole = replace(ERASED, before=before)
    assert "and from redis cache, log app" in erasure.judge_erasure(whole, wider).reason
    control = erasure.judge_erasure(ERASED, wider)
    assert control.verdict is Verdict.INCONCLUSIVE
    assert "not found in redis cache before" in control.reason
    left = erasure.judge_erasure(replace(whole, after=before), wider)
    assert left.verdict is Verdict.FAIL
    assert "redis cache (1 key, first key p:1 (database 0))" in left.reason
    assert "have it delete the key" in left.reason
    logged = erasure.judge_erasure(
        replace(whole, after=replace(BEFORE, hits=(Hit("log app", 2, "/a.log"),))), wider
    )
    assert "log app (2 lines, first /a.log)" in logged.reason
    assert "log an id instead" in logged.reason
    others = erasure.judge_erasure(replace(whole, before=replace(before, databases=("crm",))), wider)
    assert any("other databases of db2 were not searched: crm" in note for note in others.notes)
