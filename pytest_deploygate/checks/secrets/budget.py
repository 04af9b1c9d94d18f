"""What probes of secrets may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # Every file that may hold a secret is read, on every server.
    "sec.secrets": Limits(received_bytes=10**11, seconds=2 * 3600.0),
}
