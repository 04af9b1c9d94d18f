"""Judges of servers: pure functions from facts and the section to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.hosts.judge.servers import judge

__all__ = ["judge"]
