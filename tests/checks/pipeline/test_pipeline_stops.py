"""A stop ends a test of the pipeline, and takes the synthetic events away all the same."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from event_platform import served

from pytest_deploygate.checks.pipeline import probe
from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.clients import budget, stopping
from pytest_deploygate.clients.budget import Ended


def test_stop_ends_it_and_cleans_up(tmp_path: Path) -> None:
    with served() as platform:
        section = Pipeline.model_validate(
            {
                "opt_in": "ours",
                "devices": ["synthetic-1"],
                "events": 10_000,
                "per_second": 50,
                "entrances": [{"name": "http", "http": {"url": f"{platform.url}/readings"}}],
                "exits": [{"name": "live", "websocket": {"url": f"{platform.socket}/socket"}}],
                "clean_up": [{"http": {"url": f"{platform.url}/readings?device={{device}}"}}],
            }
        )
        drawn = budget.unrecorded("phase3.pipeline", stop_file=tmp_path / "STOP")
        asked: list[float] = []

        def stop() -> None:
            while len(platform.stored) < 20:
                time.sleep(0.02)
            asked.append(time.monotonic())
            stopping.stop(tmp_path / "STOP", "a test")

        thread = threading.Thread(target=stop, daemon=True)
        thread.start()
        try:
            with pytest.raises(Ended, match="stopped by the stop file"):
                probe.measured(section, "ours", None, drawn, allowed=False)
            took_s = time.monotonic() - asked[0]
        finally:
            stopping.begin(None)
        assert took_s < 10  # a second, and whatever this machine does besides
        assert platform.cleaned == 2
        assert not platform.stored
