"""Clients that write to a PostgreSQL cluster and keep account of each answer, for several subjects."""

from pytest_deploygate.clients.writers.ledger import Ledger
from pytest_deploygate.clients.writers.load import (
    COMMIT_BOUND_S,
    COUNTERS,
    Load,
    Planned,
)
from pytest_deploygate.clients.writers.there import last_count, present
from pytest_deploygate.clients.writers.ways import AnyOf, Pool, Way

__all__ = [
    "COMMIT_BOUND_S",
    "COUNTERS",
    "AnyOf",
    "Ledger",
    "Load",
    "Planned",
    "Pool",
    "Way",
    "last_count",
    "present",
]
