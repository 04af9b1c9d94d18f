"""The judge of caches: the hit ratio, and how many lookups it needs."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.postgres.facts import CacheFacts
from pytest_deploygate.checks.postgres.judge import caches
from pytest_deploygate.checks.postgres.section.statements import Buffers
from pytest_deploygate.model import Verdict


@pytest.mark.parametrize(
    ("hits", "misses", "verdict"),
    [
        (9500, 500, Verdict.PASS),
        (9499, 501, Verdict.FAIL),
        (9999, 0, Verdict.INCONCLUSIVE),
        (0, 0, Verdict.INCONCLUSIVE),
    ],
)
def test_a_hit_ratio(hits, misses, verdict):
    assert caches.judge_cache(CacheFacts("db1", "shared_buffers", hits, misses), Buffers()).verdict is verdict
