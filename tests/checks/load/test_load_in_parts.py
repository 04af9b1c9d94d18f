"""A load that several machines send together."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram

sys.path.insert(0, str(Path(__file__).parents[2]))
from slow_server import serving

from pytest_deploygate.checks.load.merged import NotOneLoadError, merged
from pytest_deploygate.checks.load.probe import arrivals
from pytest_deploygate.checks.load.probe.measure import send
from pytest_deploygate.checks.load.probe.saved import saved
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.model import CannotTell
from pytest_deploygate.session.gate import plain


def load_on(port: int, **changes) -> Load:
    plan = {
        "allow": "x",
        "target": {"scheme": "http", "host": "127.0.0.1", "port": port},
        "endpoints": [{"path": "/a"}, {"path": "/b", "weight": 2}],
        "peak_per_second": 200,
        "duration": "2s",
    }
    return Load.model_validate(plan | changes)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Three parts, sent at the same time and saved, as three machines would."""
    folder = tmp_path_factory.mktemp("parts")
    with serving() as server:
        load = load_on(server.port)

        def one(index: int) -> None:
            run = send(load, "x", calibrate=False, part=(index, 3))
            (folder / f"{index}.json").write_text(json.dumps({"measurement": plain(run)}))

        threads = [threading.Thread(target=one, args=(index,)) for index in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return [saved(folder / f"{index}.json") for index in (1, 2, 3)]


def test_all_parts_are_the_plan():
    whole = arrivals.plan(load_on(1).stages, [1.0, 2.0], 100_000)
    each = [arrivals.part(whole, index, 3) for index in (1, 2, 3)]
    due = sorted((due, at) for one in each for due, at in zip(one.due_s, one.endpoint, strict=True))
    assert due == sorted(zip(whole.due_s, whole.endpoint, strict=True))
    assert {one.lasts_s for one in each} == {whole.lasts_s}


def test_counts_and_histograms_are_added_up_without_loss(parts):
    run = merged(parts)
    assert run.whole.requests == sum(part.whole.requests for part in parts) == 400
    assert [found.requests for found in run.endpoints] == [
        sum(part.endpoints[at].requests for part in parts) for at in (0, 1)
    ]
    counted = [0] * len(HdrHistogram.decode(run.whole.histogram).counts)
    for part in parts:
        for at, count in enumerate(HdrHistogram.decode(part.whole.histogram).counts):
            counted[at] += count
    assert list(HdrHistogram.decode(run.whole.histogram).counts) == counted
    assert run.whole.over == tuple(map(sum, zip(*(part.whole.over for part in parts), strict=True)))
    assert sum(second.requests for second in run.whole.seconds) == 400
    assert run.client.planned == run.client.begun == 400
    assert run.client.lag_max_s == max(part.client.lag_max_s for part in parts)
    assert run.whole.max_s == max(part.whole.max_s for part in parts)
    assert run.part is None


def test_quantiles_are_those_of_all_requests_not_an_average(parts):
    """One slow part of three: the median does not move, and p99 is the slow part's."""
    slow = HdrHistogram(1, 3_600_000_000, 3)
    slow.record_value(2_000_000, 133)
    whole = replace(parts[2].whole, histogram=slow.encode().decode(), requests=133)
    run = merged([*parts[:2], replace(parts[2], whole=whole)])
    assert run.whole.p99_s == pytest.approx(2.0, rel=0.001)
    assert run.whole.p50_s < 1.0


def test_failures_beyond_the_ten_causes_that_a_part_names_are_counted(parts):
    failing = replace(parts[0].whole, failed=30, failures={"status 500": 20})
    run = merged([replace(parts[0], whole=failing), *parts[1:]])
    assert run.whole.failures == {"status 500": 20, "other causes": 10}
    assert run.whole.failed == 30


def test_a_part_that_was_stopped_stops_the_whole(parts):
    run = merged([parts[0], replace(parts[1], stopped="Ctrl-C"), parts[2]])
    assert run.stopped == "part 2/3: Ctrl-C"


def test_a_part_that_began_later_counts_in_its_own_seconds(parts):
    first = min(datetime.fromisoformat(part.started) for part in parts)
    at = [0, 3, 0]
    moved = [
        replace(part, started=(first + timedelta(seconds=after)).isoformat(timespec="seconds"))
        for part, after in zip(parts, at, strict=True)
    ]
    run = merged(moved)
    late = sum(second.requests for second in run.whole.seconds if second.second >= 3)
    assert late == parts[1].whole.requests
    assert run.whole.requests == 400
    assert run.lasted_s == pytest.approx(parts[1].lasted_s + 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda parts: parts[:2], "part 3/3 is missing"),
        (lambda parts: [*parts, parts[0]], "part 1/3 is there 2 times"),
        (lambda parts: [*parts[:2], replace(parts[2], part=None)], "no part of one"),
        (lambda parts: [*parts[:2], replace(parts[2], part=(3, 4))], "different divisions: 1/3, 2/3, 3/4"),
        (lambda parts: [*parts[:2], replace(parts[2], target="http://other")], "different targets"),
        (lambda parts: [*parts[:2], replace(parts[2], planned_s=3.0)], "different durations"),
        (
            lambda parts: [*parts[:2], replace(parts[2], started="2026-01-01T00:00:00+00:00")],
            "s apart, so the load was never as high as planned",
        ),
        (lambda _: [], "no part of one"),
    ],
)
def test_what_is_not_one_load_is_refused(parts, change, words):
    with pytest.raises(NotOneLoadError, match=words):
        merged(change(parts))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"measurement": {}}', '{"measurement": {"client": {}}}', "{"]
)
def test_a_file_that_is_no_saved_run_is_said(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(CannotTell, match="is not what `deploygate load --save` writes"):
        saved(tmp_path / "x.json")
    with pytest.raises(CannotTell, match="cannot be read"):
        saved(tmp_path / "nowhere.json")
