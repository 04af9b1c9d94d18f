"""What probes of backups may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # A restore of everything, on a scratch host.
    "db.restore": Limits(received_bytes=10**14, seconds=24 * 3600.0),
    "phase1.backup": Limits(received_bytes=10**14, seconds=4 * 3600.0),
}
