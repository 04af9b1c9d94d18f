"""What probes of load balancers may use where the general limits do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.judging.spending import Limits

LIMITS: Mapping[str, Limits] = {
    # Shares are told by many connections, at each address of a balancer and, if they look wrong, once more.
    "infra.load-balancer": Limits(requests=50_000, connections=50_000),
}
