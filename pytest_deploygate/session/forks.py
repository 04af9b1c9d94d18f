"""Forks of a process that runs tests: what a test forked must not go on with the session."""

from __future__ import annotations

import os

import pytest

from pytest_deploygate.decision.rules import EXIT_INCOMPLETE

#: The process that the run belongs to.
PROCESS = pytest.StashKey[int]()


class _Forks:
    """Whether this process is a fork of one that had loaded this module: cheaper to ask, for each report, than its number."""

    seen = False

    @classmethod
    def note(cls) -> None:
        cls.seen = True


os.register_at_fork(after_in_child=_Forks.note)


def end_forks(config: pytest.Config) -> None:
    """End a process that a test forked and that goes on with the session: it would ask everything a second time."""
    if _Forks.seen and os.getpid() != config.stash[PROCESS]:
        text = f"deploygate: process {os.getpid()} is a fork of the run in process {config.stash[PROCESS]}: it ends here"
        os.write(2, f"{text}, and nothing of it is recorded\n".encode())
        os._exit(EXIT_INCOMPLETE)


class Alone:
    """Ends forks of a process that runs tests before they report anything; pytest-forked's children do not report."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        """End a fork that went on beyond its test."""
        end_forks(self.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """End a fork that goes to the session's end, e.g. by pytest.exit."""
        end_forks(self.config)
