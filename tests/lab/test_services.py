"""A service is one module: started, shown, given a port and a secret, scheduled, reset and ended with no edit elsewhere."""

from __future__ import annotations

import json
import os
import pkgutil
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import pytest_deploygate.lab
from pytest_deploygate.cli.commands.lab import lab as command
from pytest_deploygate.lab import cluster, faults, jobs, leftovers, services, up, values
from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.state import Lab, LabError

TOY = """
import shutil, sys
from pathlib import Path

from pytest_deploygate.lab import client, sql
from pytest_deploygate.lab.services import Job, Service
from pytest_deploygate.lab.supervisor import Program


def where(lab):
    return lab.folder / "jobs" / "toy"


def start(lab):
    where(lab).mkdir()
    (where(lab) / "password-length").write_text(str(len(lab.password("toy").reveal())))
    words = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(where(lab))]
    client.start(lab, "toy", Program([*words, str(lab.ports["toy"])]))


def note(name):
    return lambda lab: (where(lab) / name).write_text("done")


SERVICE = Service(
    name="toy",
    servers={"toy": "a toy, served over HTTP"},
    more_ports=("toy-spare",),
    programs=(),
    missing="nothing is missed",
    start=start,
    where=where,
    values=lambda lab: {"toy.folder": str(where(lab))},
    once_up=note("once-up"),
    reset=note("reset"),
    jobs=lambda lab: {"play": Job("0 0 1 1 *", note("played"))},
    secrets=("toy",),
    profiles=("toys",),
    modules=("http.server",),
    leaves=("toy.left",),
)
"""
DEPENDENT = """
from pytest_deploygate.lab.services import Service

SERVICE = Service(
    name="toybox", servers={"toybox": "a box, for toys"}, programs=(), missing="toys lie around", start=print,
    where=lambda lab: lab.folder, after=("toy",), profiles=("boxes",),
)
"""


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which the lab looks for services, with a toy in it."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(services, "__path__", [*services.__path__, str(tmp_path)])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(f"{services.__name__}.toy")]:
        del sys.modules[name]


def silently(_what: str, _seconds: float) -> None:
    """Say nothing of the lab's progress."""


def invoke(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, words)
    return result.exit_code, " ".join(result.output.split())


def test_a_service_of_a_profile_is_one_module(
    toys: Path, lab_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lab_place / "toys"
    monkeypatch.setenv("DEPLOYGATE_LAB", str(folder))
    try:
        lab, _ = up.up(folder, silently, profiles=["toys"])
        told = json.loads(invoke("status", "--json")[1])
        shown = next(server for server in told["servers"] if server["name"] == "toy")
        assert shown["what"] == "a toy, served over HTTP"
        assert (shown["state"], shown["port"]) == ("running", lab.ports["toy"])
        assert shown["where"] == told["values"]["toy.folder"]
        assert told["profiles"] == {"up": ["toys"], "available": services.known_profiles()}
        assert f"profiles: toys; there are {', '.join(services.known_profiles())}" in invoke("status")[1]
        assert {"toy.port", "toy-spare.port", "password.toy"} <= told["values"].keys()
        assert "without.toy" not in told["values"]
        assert told["values"] == json.loads((folder / "state.json").read_text())["values"]
        url = f"http://127.0.0.1:{lab.ports['toy']}"
        with urllib.request.urlopen(f"{url}/password-length", timeout=5) as answer:
            assert int(answer.read()) > 20
        with urllib.request.urlopen(f"{url}/once-up", timeout=5) as answer:
            assert answer.read() == b"done"

        assert (
            f"0 0 1 1 * {sys.executable} -m pytest_deploygate.lab.jobs {folder} play"
            in lab.crontab.read_text()
        )
        assert jobs.run(lab, "play") == 0
        assert json.loads(lab.job_status("play").read_text())["exit_code"] == 0
        cluster.reset(lab)
        assert {file.name for file in Path(shown["where"]).iterdir()} >= {"played", "reset"}

        assert invoke("server", "stop", "toy")[0] == 0
        assert cluster.ailments(lab) == ["toy has stopped"]
        assert invoke("heal")[0] == 0
        assert invoke("up", "--with", "toys")[0] == 0
        assert invoke("up")[0] == 0, "a lab with more than was asked for is fine"

        pid = next(
            s["pid"] for s in json.loads(invoke("status", "--json")[1])["servers"] if s["name"] == "toy"
        )
        assert pid in {process.pid for process in leftovers.belonging_to(folder)}
    finally:
        assert up.down(folder)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    folder.mkdir()
    (folder / "toy.left").touch()
    assert up.down(folder), "what it leaves does not make the folder somebody else's"


def test_a_lab_without_the_profile_does_without_its_services(lab: Lab, toys: Path) -> None:
    assert values.of(lab, services.running(lab))["without.toy"] == "true"
    code, said = invoke("up", "--with", "toys")
    assert code == 1
    assert "the lab runs without the profile toys" in said
    assert "`deploygate lab down`, then `deploygate lab up --with toys`" in said
    needing = Fault("toy-broken", "", {}, print, print, says="", needs=("toy",))
    with pytest.raises(
        LabError, match="needs toy, which this lab does without: `deploygate lab up --with toys`"
    ):
        faults.put_in(lab, needing)


def test_an_unknown_profile_is_refused_with_the_nearest_and_the_list(toys: Path) -> None:
    (toys / "toybox.py").write_text(DEPENDENT)
    code, said = invoke("up", "--with", "boxes,toyz")
    assert code == 2
    assert (
        "there is no profile 'toyz'; did you mean 'toys'? (the profiles are application, boxes, migration, monitoring, notices, patroni, people, toys)"
        in said
    )


def test_a_profile_that_does_not_exist_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "__path__", [])
    code, said = invoke("up", "--with", "toys")
    assert code == 2
    assert "there is no profile 'toys' (the lab has no profiles)" in said


def test_a_service_whose_neighbour_is_in_another_profile_says_which(toys: Path) -> None:
    (toys / "toybox.py").write_text(DEPENDENT)
    _, can, missing = up._beside(["boxes"])
    assert {"toy", "toybox"}.isdisjoint(service.name for service in can)
    assert "no a box (it needs toy: add --with toys): toys lie around" in missing
    _, can, _ = up._beside(["boxes", "toys"])
    assert [service.name for service in can][-2:] == ["toy", "toybox"]


def test_only_what_watches_the_platform_and_the_platform_itself_are_in_profiles() -> None:
    """The default lab has all others."""
    by_default = [service for service in services.all_services() if service.asked_for(())]
    assert len(by_default) >= 6
    others = [service for service in services.all_services() if service not in by_default]
    assert {service.profiles for service in others} == {
        ("application",),
        ("migration",),
        ("monitoring",),
        ("notices",),
        ("patroni",),
        ("people",),
    }


def test_every_program_of_the_package_that_a_service_runs_is_ended(lab: Lab) -> None:
    """Also without the supervisor: `lab down` finds each server by what its module says of it."""
    told = json.loads(invoke("status", "--json")[1])
    found = {process.pid for process in leftovers.belonging_to(lab.folder)}
    running = {server["name"]: server["pid"] for server in told["servers"] if server["pid"]}
    assert {name for name, pid in running.items() if pid not in found} == set()


def test_no_module_of_the_lab_hides_one_of_python():
    """Alembic runs with the lab's folder first in its path."""
    modules = {found.name for found in pkgutil.iter_modules(pytest_deploygate.lab.__path__)}
    assert modules & sys.stdlib_module_names == set()
