"""What pytest itself writes (terminal, log file, trace, names of parameters, reports of plugins): with secrets masked.

Reports are masked when they are made, so that every plugin that writes them has them masked.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Generator, Iterable
from typing import Any

import pytest

from pytest_deploygate.redaction import redact
from pytest_deploygate.streams import Masked


def begin(config: pytest.Config) -> None:
    """Mask what goes to the terminal from now on, also that of tests whose output is not captured."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        writer = reporter._tw  # noqa: SLF001 (as pytest's own plugins do)
        write = writer.write
        # One character, such as the letter of a test, holds no secret.
        writer.write = lambda text, **markup: write(redact(text) if len(text) > 1 else text, **markup)
    if config.option.capture == "no":
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            setattr(sys, name, Masked(stream))
            config.add_cleanup(functools.partial(setattr, sys, name, stream))
    elif config.option.capture == "tee-sys":
        manager: Any = config.pluginmanager.get_plugin("capturemanager")
        captured = manager._global_capturing  # noqa: SLF001 (nor is there a public way to this)
        for tee in (captured.out.tmpfile, captured.err.tmpfile):
            tee._other = Masked(tee._other)  # noqa: SLF001
    trace = config.trace.root
    if told := trace._writer:  # noqa: SLF001 (--debug: a writer can be set, but not read)
        trace.setwriter(lambda text: told(redact(text)))


class _Formatter(logging.Formatter):
    """Masks what another formatter made."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redact(self._inner.format(record))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Mask the log file and the live log, which exist by now."""
    logs = session.config.pluginmanager.get_plugin("logging-plugin")
    for handler in (getattr(logs, name, None) for name in ("log_file_handler", "log_cli_handler")):
        if isinstance(handler, logging.Handler) and handler.formatter is not None:
            handler.setFormatter(_Formatter(handler.formatter))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a parameter without the secrets in its value: the name is in node ids, which are written everywhere."""
    if isinstance(val, str) and (shown := redact(val)) != val:
        return shown
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Name parameters without secrets where the test itself gives the names; pytest numbers those that are the same then."""
    given = metafunc.parametrize

    def parametrize(argnames: Any, argvalues: Iterable[Any], *more: Any, **named: Any) -> None:
        if "ids" in named:
            named["ids"] = _names(named["ids"])
        given(argnames, [_named(value) for value in argvalues], *more, **named)

    vars(metafunc)["parametrize"] = parametrize


def _named(value: Any) -> Any:
    name = value.id if isinstance(value, type(pytest.param())) else None
    return value._replace(id=redact(name)) if isinstance(name, str) else value


def _names(ids: Any) -> Any:
    if callable(ids):
        return lambda value: _name(ids(value))
    return ids if ids is None else map(_name, ids)


def _name(name: object) -> object:
    return redact(name) if isinstance(name, str) else name


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Mask why a file could not be collected."""
    report = yield
    hide(report)
    return report


def hide(report: pytest.CollectReport | pytest.TestReport) -> None:
    """Mask a report's output, properties and traceback, which pytest and its plugins write."""
    if report.sections:
        report.sections = [(name, redact(text)) for name, text in report.sections]
    if isinstance(report, pytest.TestReport) and report.user_properties:
        report.user_properties = [
            (name, redact(value) if isinstance(value, str) else value)
            for name, value in report.user_properties
        ]
    if report.longrepr is None:
        return
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        file, line, why = report.longrepr
        report.longrepr = (file, line, redact(why))
        return
    told = report.longreprtext
    if (hidden := redact(told)) != told:
        report.longrepr = hidden
