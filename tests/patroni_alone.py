"""Patroni's part of the lab without the rest of it, which its tests do not need: up in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_deploygate.lab import programs, up
from pytest_deploygate.lab import values as lab_values
from pytest_deploygate.lab.services import patroni
from pytest_deploygate.lab.services.patroni_config import PROFILE
from pytest_deploygate.lab.state import Lab


@contextmanager
def patroni_alone(folder: Path) -> Iterator[Lab]:
    """Start etcd, three nodes of Patroni and HAProxy; end them afterwards."""
    if lacking := [name for name in patroni.SERVICE.programs if patroni.SERVICE.find(name) is None]:
        pytest.skip(f"there is no {', '.join(lacking)} here")
    up._own_folder(folder)
    held, block = up._reserved_block()
    with held:
        supervisor = up._supervise(folder, held)
    try:
        lab = up._furnish(folder, programs.find(), programs.servers_user(), [PROFILE], block)
        patroni.start(lab)
        lab.ready(supervisor.pid, lab_values.of(lab, [patroni.SERVICE]))
        yield lab
    finally:
        up.clear(folder)
        with supervisor:  # closes its pipe, and waits
            supervisor.wait(10)
