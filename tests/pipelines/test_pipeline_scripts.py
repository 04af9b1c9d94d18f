"""The templates' scripts, run for real: each shard runs once, a red one reaches the merge, the merge's code counts."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from systems import CHANGE, INVENTORY, PHASES, SHARDS, SYSTEMS, Argo, Azure, GitHub, GitLab, Kubernetes
from workplace import Workplace

RED = 2


@pytest.fixture(params=SYSTEMS, ids=lambda kind: kind.__name__)
def system(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_a_red_shard_reaches_the_merge_and_its_code_is_that_of_the_job(system: Any, tmp_path) -> None:
    merging = Workplace(tmp_path, "merge")
    for number in range(1, SHARDS + 1):
        machine = Workplace(tmp_path, f"machine-{number}")
        code = system.shard(machine, number, {"EXIT_PYTEST": "1"} if number == RED else {})
        assert code == (1 if number == RED else 0)
        assert not (machine.folder / "broken").exists()
    runs = merging.called("pytest")
    assert [one["shard"] for one in runs] == [f"{number}/{SHARDS}" for number in range(1, SHARDS + 1)]
    for one in runs:
        words = one["words"]
        for option, value in (("-m", PHASES), ("--inventory", INVENTORY), ("--change", CHANGE)):
            assert words[words.index(option) + 1] == value
    assert system.merge(merging, {"EXIT_MERGE": "21"}) == 21
    (merge,) = merging.called("deploygate", "merge")
    assert [folder for folder, _ in merge["merged"]] == [f"{n}-of-{SHARDS}" for n in range(1, SHARDS + 1)]
    assert {one["run"] for one in runs} == {merge["run"]}
    assert merge["run"]  # without it, shards of an earlier run would be taken for those of this one


def test_a_good_shard_and_a_good_merge_are_0(system: Any, tmp_path) -> None:
    assert system.shard(Workplace(tmp_path, "machine-1"), 1, {}) == 0
    assert system.merge(Workplace(tmp_path, "merge"), {"WAIT_S": "0"}) == 0


@pytest.mark.parametrize("kind", [Kubernetes, Argo, GitLab])
def test_shards_of_an_earlier_phase_in_another_number_are_left_out(kind: Any, tmp_path) -> None:
    """They are on the volume or in the cache. The others remove them."""
    places = [
        tmp_path / name / "shards/1-of-8" for name in (f"volume/{CHANGE}", f"merge/deploygate-out/{CHANGE}")
    ]
    for folder in places:
        folder.mkdir(parents=True)
        (folder / "journal.jsonl").touch()
    system = kind()
    if kind is not GitLab:
        shutil.rmtree(tmp_path / "merge/deploygate-out")
    system.shard(Workplace(tmp_path, "machine-1"), 1, {})
    place = Workplace(tmp_path, "merge")
    system.merge(place, {"WAIT_S": "0"})
    assert [folder for folder, _ in place.called("deploygate", "merge")[0]["merged"]] == [f"1-of-{SHARDS}"]


@pytest.mark.parametrize("kind", [GitHub, Azure])
def test_the_last_attempt_of_a_shard_is_merged(kind: Any, tmp_path) -> None:
    system = kind()
    for system.attempt in (9, 10):
        machine = Workplace(tmp_path, f"machine-{system.attempt}")
        system.shard(machine, 1, {"MARK": f"attempt {system.attempt}"})
    place = Workplace(tmp_path, "merge")
    system.merge(place, {})
    assert place.called("deploygate", "merge")[0]["merged"] == [[f"1-of-{SHARDS}", "attempt 10"]]


def test_a_killed_pod_does_not_keep_the_merge_waiting_forever(tmp_path) -> None:
    """Three of four left a mark. The merge waits as long as it says, then names what is missing."""
    system = Kubernetes()
    for number in (1, 2, 4):
        system.shard(Workplace(tmp_path, f"machine-{number}"), number, {})
    place = Workplace(tmp_path, "merge")
    assert system.merge(place, {"WAIT_S": "20", "EXIT_MERGE": "25"}) == 25
    assert len(place.called("sleep", "5")) == 4
    assert len(place.called("deploygate", "merge")[0]["merged"]) == 3


def test_the_action_runs_phases_if_it_has_nothing_to_merge(tmp_path) -> None:
    steps = GitHub.action["runs"]["steps"]
    place = Workplace(tmp_path, "run")
    told = {"PHASES": PHASES, "INVENTORY": "", "CHANGE": CHANGE, "GITHUB_OUTPUT": tmp_path / "output"}
    assert place.run(("bash", "-ec"), steps[0]["run"], told) == 1  # an input is missing
    assert place.called("pytest") == []
    told |= {"INVENTORY": INVENTORY, "EXIT_PYTEST": "21"}
    assert place.run(("bash", "-ec"), steps[0]["run"], told) == 0  # `outcome` says it at the end
    assert "code=21" in (tmp_path / "output").read_text()
