"""All endpoints of an inventory, measured concurrently on first use; each test judges its part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from pytest_deploygate.checks.tls.facts import Certificates, Offers
from pytest_deploygate.checks.tls.probe import certificates as tls
from pytest_deploygate.checks.tls.probe import protocols as tls_offers
from pytest_deploygate.checks.tls.section.endpoints import Endpoint, Tls
from pytest_deploygate.clients.budget import Budget

M = TypeVar("M")
_AT_ONCE = 64


class Edge:
    """The endpoints of an inventory. Each measurement is taken once, in threads, and cached."""

    def __init__(self, endpoints: Sequence[Endpoint], settings: Tls) -> None:
        self.endpoints = tuple(endpoints)
        self.tls = settings
        self._pool = ThreadPoolExecutor(min(_AT_ONCE, max(1, len(self.endpoints))), thread_name_prefix="edge")
        self._certificates: dict[str, Future[Certificates]] = {}
        self._offers: dict[str, Future[Offers]] = {}

    def certificates(self, endpoint: Endpoint) -> Certificates:
        """Return the certificates of an endpoint. Raises CannotTell."""
        return self._gathered(self._certificates, tls.measure)[endpoint.name].result()

    def certificates_now(self, endpoint: Endpoint) -> Certificates:
        """Measure an endpoint's certificates again, without the cache. Raises CannotTell."""
        return tls.measure(endpoint, self.tls)

    def offers(self, endpoint: Endpoint, budget: Budget | None = None) -> Offers:
        """Return what an endpoint agrees to. Raises CannotTell."""
        measure = partial(tls_offers.measure, budget=budget)
        return self._gathered(self._offers, measure)[endpoint.name].result()

    def offers_now(self, endpoint: Endpoint, budget: Budget | None = None) -> Offers:
        """Measure what an endpoint agrees to again, without the cache. Raises CannotTell."""
        return tls_offers.measure(endpoint, self.tls, budget)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _gathered(
        self, kept: dict[str, Future[M]], measure: Callable[[Endpoint, Tls], M]
    ) -> dict[str, Future[M]]:
        if not kept:
            kept |= {e.name: self._pool.submit(measure, e, self.tls) for e in self.endpoints}
        return kept
