"""Judge the hit ratio of a cache."""

from __future__ import annotations

from pytest_deploygate.checks.postgres.facts import CacheFacts
from pytest_deploygate.checks.postgres.section.statements import Buffers
from pytest_deploygate.fields.redis import Redis
from pytest_deploygate.model import Judgement, Reading, Verdict


def judge_cache(found: CacheFacts, floor: Buffers | Redis | None) -> Judgement:
    """Pass if enough lookups were counted and the hit ratio is at or above its floor."""
    if floor is None:
        return Judgement(Verdict.INCONCLUSIVE, f"{found.name}: the inventory sets no floor for {found.what}")
    enough = floor.min_blocks if isinstance(floor, Buffers) else floor.min_lookups
    total = found.hits + found.misses
    if total < enough:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.what} on {found.name} has counted {total} lookups, at least {enough} are needed: "
            "run again after the platform has been in use for a while",
        )
    ratio = found.hits / total
    readings = [Reading(f"{found.name} hit ratio", round(ratio, 4), limit=f"at least {floor.min_hit_ratio}",
                        ok=ratio >= floor.min_hit_ratio), Reading(f"{found.name} lookups", total)]  # fmt: skip
    if found.evicted is not None:
        readings.append(Reading(f"{found.name} evicted keys", found.evicted))
    if ratio < floor.min_hit_ratio:
        step = (
            "raise shared_buffers, or find the statement that reads whole tables in pg_stat_statements (shared_blks_read)"
            if isinstance(floor, Buffers)
            else "raise maxmemory if keys are evicted, else find the keys that are requested but never stored"
        )
        return Judgement(
            Verdict.FAIL,
            f"{found.what} on {found.name}: {ratio:.1%} of {total} lookups hit, floor {floor.min_hit_ratio:.1%}: {step}",
            tuple(readings),
        )
    return Judgement(
        Verdict.PASS, f"{found.what} on {found.name}: {ratio:.1%} of {total} lookups hit", tuple(readings)
    )
