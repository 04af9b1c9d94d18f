"""Judges what was seen."""

from __future__ import annotations

from pytest_deploygate.checks.firewall.judge.network import judge

__all__ = ["judge"]
