"""Pure: measurement and criterion to a judgement."""

from __future__ import annotations

from pytest_deploygate.checks.cdn.judge.assets import Wanted, judge_asset
from pytest_deploygate.checks.cdn.judge.private import judge_private
from pytest_deploygate.checks.cdn.judge.tried import judge_down, judge_purge, judge_tries

__all__ = ["Wanted", "judge_asset", "judge_down", "judge_private", "judge_purge", "judge_tries"]
