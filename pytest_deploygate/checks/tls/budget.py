"""What probes of TLS may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # Some two hundred handshakes for each address of each endpoint.
    "sec.tls": Limits(requests=100_000, connections=100_000, seconds=6 * 3600.0),
}
