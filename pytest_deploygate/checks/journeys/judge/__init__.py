"""Judge journeys, logins, and the critical features that other items measure."""

from pytest_deploygate.checks.journeys.judge.features import judge_named
from pytest_deploygate.checks.journeys.judge.walks import Login, Walk, judge, judge_login

__all__ = ["Login", "Walk", "judge", "judge_login", "judge_named"]
