"""Judges of a WAF: pure functions from facts and the section to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.waf.judge.whole import judge

__all__ = ["judge"]
