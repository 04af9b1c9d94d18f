"""Reports of tests under pytest-xdist: sent as one value each."""

from __future__ import annotations

import contextlib
import marshal
from collections.abc import Generator
from typing import Any

import pytest

#: Key of a report that pytest-xdist sends: its values as one.
_PACKED = "deploygate_packed"
_MARSHAL = 4  # is read by every Python that we support


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
    """Under pytest-xdist, send a report as one value.

    execnet writes and reads every key and value by itself, in Python: for a test with a finding that takes longer than to
    run it. What marshal does not know is left to execnet.
    """
    data = yield
    if data is not None:
        with contextlib.suppress(ValueError):
            return {_PACKED: marshal.dumps(data, _MARSHAL)}
    return data


@pytest.hookimpl(tryfirst=True)
def pytest_report_from_serializable(data: dict[str, Any]) -> None:
    """Read what `pytest_report_to_serializable` wrote. It is from a process that this run started."""
    if _PACKED in data:
        data.update(marshal.loads(data.pop(_PACKED)))  # noqa: S302
