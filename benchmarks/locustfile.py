"""Locust's fast user, for load.py in this folder: at the rate in the environment (requests per second and user), else flat out."""

from __future__ import annotations

import os

from locust import FastHttpUser, constant, constant_throughput, task

_RATE = float(os.environ.get("BENCHMARK_RATE", "0"))


class User(FastHttpUser):
    """Requests one page repeatedly."""

    wait_time = constant_throughput(_RATE) if _RATE else constant(0)

    @task
    def page(self) -> None:
        """Request it once."""
        self.client.get("/")
