"""Pure: what arrived of the messages, and how they must arrive."""

from __future__ import annotations

from pytest_deploygate.checks.log_delivery.judge.delivered import judge

__all__ = ["judge"]
