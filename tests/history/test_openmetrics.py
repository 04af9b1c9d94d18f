"""The metrics are read by the parsers of others: Prometheus's client for Python and promtool."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from recorded_changes import Records, many

from pytest_deploygate.cli import main
from pytest_deploygate.history import openmetrics
from pytest_deploygate.journal import FILE


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    assert text.endswith("# EOF\n")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: dict, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted({"inventory": "prod", **labels}.items()))))


def test_the_figures_are_there_with_units_in_their_names(records: Records) -> None:
    many(records)
    found = parsed(openmetrics.text(records.read()))
    assert value(found, "deploygate_deployments", outcome="succeeded") == 7
    assert value(found, "deploygate_deployments", outcome="failed") == 1
    assert value(found, "deploygate_change_failure_ratio") == 0.125
    assert value(found, "deploygate_time_to_restore_median_seconds") == pytest.approx(100, abs=20)
    assert value(found, "deploygate_lead_time_median_seconds") == pytest.approx(10800, abs=300)
    item = {"item": "phase2.lag"}
    assert value(found, "deploygate_item_runs", **item, verdict="pass") == 8
    assert value(found, "deploygate_item_reading_bytes", **item, target="db1", reading="lag") == 9 * 1024**2
    assert value(found, "deploygate_item_duration_last_seconds", **item) == 1
    assert found["deploygate_history_folders", (("kind", "counted"),)] == 8


def test_what_is_unknown_has_no_sample(records: Records) -> None:
    change = records.change("CHG-1")
    change.committed = None
    change.run()
    found = parsed(openmetrics.text(records.read()))
    names = {name for name, _ in found}
    assert value(found, "deploygate_change_failure_ratio") == 0, "none of one failed"
    assert (
        names
        & {
            "deploygate_lead_time_median_seconds",
            "deploygate_time_to_restore_median_seconds",
            "deploygate_deployments_per_week",
            "deploygate_item_flaky_ratio",
        }
        == set()
    )


def test_damaged_folders_are_a_metric_and_the_file_is_written(records: Records, tmp_path: Path) -> None:
    many(records, 2)
    journal = records.out / "CHG-1" / FILE
    journal.write_bytes(journal.read_bytes().replace(b"as wanted", b"as needed", 1))
    done = CliRunner().invoke(main, ["history", "--openmetrics", "x.prom"])
    assert done.exit_code == 25
    found = parsed((tmp_path / "x.prom").read_text())
    assert found["deploygate_history_folders", (("kind", "damaged"),)] == 1
    assert found["deploygate_history_folders", (("kind", "counted"),)] == 1


def test_names_of_any_kind_are_escaped(records: Records) -> None:
    target = 'db "1"\\n{}= é'
    records.change("CHG-1").run(target=target)
    found = parsed(openmetrics.text(records.read()))
    assert (
        value(found, "deploygate_item_reading_bytes", item="golive.p99", target=target, reading="lag")
        is not None
    )


def test_promtool_finds_nothing_to_complain_about(records: Records) -> None:
    if shutil.which("promtool") is None:
        if os.environ.get("DEPLOYGATE_NO_APT"):
            pytest.skip("promtool is not there and DEPLOYGATE_NO_APT forbids to install it")
        pytest.fail("promtool is not there: apt-get install prometheus, or set DEPLOYGATE_NO_APT=1")
    many(records)
    text = openmetrics.text(records.read())
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
