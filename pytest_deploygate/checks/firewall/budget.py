"""What probes of the firewall may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # `firewall.most` attempts from each place, each once more where nothing answers.
    "sec.firewall": Limits(requests=2_000_000, connections=2_000_000, seconds=3600.0, concurrency=5_000),
}
