"""The sign-off item: signatures on the report from before this run are verified and judged."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate import journal
from pytest_deploygate.checklist.committed import SIGNERS
from pytest_deploygate.journal import Entry
from pytest_deploygate.model import Judgement, Verdict
from pytest_deploygate.session.settings import Settings
from pytest_deploygate.signoff import judge as judge_signoff
from pytest_deploygate.signoff import verify


def judge(settings: Settings, entries: Sequence[Entry], run: str) -> Judgement:
    """Judge the signatures on the report from before this run."""
    if not any(segment.decision for segment in journal.segments(entries) if segment.run != run):
        return Judgement(
            Verdict.NOT_COVERED,
            "no report to sign: this change has none from before this run; "
            "run its phases, have the report signed (`deploygate sign`), then run handover again",
        )
    if why := settings.records.signers_aside:
        return Judgement(Verdict.INCONCLUSIVE, f"{SIGNERS} does not count, so no signature is trusted: {why}")
    found = verify.verify(settings.out, settings.root / SIGNERS, None, root=settings.root, before_run=run)
    return judge_signoff.judge(found)
