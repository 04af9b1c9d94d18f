"""Observes; never sees a limit. `attack` sends attacks, with inert payloads, only where that is allowed."""

from __future__ import annotations

from pytest_deploygate.checks.waf.probe.measure import attack

__all__ = ["attack"]
