"""The item about signatures: those on the report as it was before this run are verified and judged."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate import journal
from pytest_deploygate.journal import Entry
from pytest_deploygate.model import Judgement, Verdict
from pytest_deploygate.session.settings import Settings
from pytest_deploygate.signoff import judge as judge_signoff
from pytest_deploygate.signoff import verify


def judge(settings: Settings, entries: Sequence[Entry], run: str) -> Judgement:
    """Judge the signatures on the report as it was before this run."""
    if not any(segment.decision for segment in journal.segments(entries) if segment.run != run):
        return Judgement(
            Verdict.NOT_COVERED,
            "nobody can have signed: this change has no report from before this run; "
            "run its phases, have the report signed (`deploygate sign`), then run handover again",
        )
    found = verify.verify(
        settings.out, settings.root / "allowed_signers", None, root=settings.root, before_run=run
    )
    return judge_signoff.judge(found)
