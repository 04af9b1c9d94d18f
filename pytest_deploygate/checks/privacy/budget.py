"""What probes of personal data may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # A sweep reads every table once.
    "comp.erasure": Limits(requests=50_000, seconds=4 * 3600.0),
}
