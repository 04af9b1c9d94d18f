"""Redeploying the old version. kubectl, docker and systemctl are stand-ins that record their calls.

They respond as documented in their references; no real cluster, Swarm or systemd is used. Commands and links are real.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks.way_back.section.rollback_actions import Redeploy
from pytest_deploygate.rollback import redeploy

_STAND_IN = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done >>{folder}/argv
echo --- >>{folder}/argv
case "$*" in
{cases}
*) echo "error: unexpected: $*" >&2; exit 1;;
esac
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Return a function that puts a program into PATH: a shell pattern of its arguments and what it prints."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def make(name: str, **answers: str) -> None:
        cases = "\n".join(f"{pattern}) {script};;" for pattern, script in answers.items())
        (tmp_path / name).write_text(_STAND_IN.format(folder=tmp_path, cases=cases))
        (tmp_path / name).chmod(0o755)

    make.calls = lambda: [  # type: ignore[attr-defined]
        call.split("\n") for call in (tmp_path / "argv").read_text().split("\n---\n") if call
    ]
    return make


def kubernetes(**more: object) -> Redeploy:
    return Redeploy(kubernetes={"deployment": "web", "image": "web:1.4.2", "namespace": "shop"} | more)  # type: ignore[arg-type]


GET, UNDO, STATUS = "*' get deployment/web '*", "*' rollout undo '*", "*' rollout status '*"


def test_a_rollout_is_undone_in_its_context_to_its_revision(stand_in):
    """The image is read first, then the rollout is undone."""
    stand_in("kubectl", **{GET: "printf web:2.0.0", UNDO: "echo 'deployment.apps/web rolled back'"})
    wanted = kubernetes(context="prod", revision=7, container="app")
    assert redeploy.deploy(wanted, 5.0) == ""
    get, undo = stand_in.calls()
    head = ["--context=prod", "--namespace=shop"]
    path = '--output=jsonpath={.spec.template.spec.containers[?(@.name=="app")].image}'
    assert get == [*head, "get", "deployment/web", path]
    assert undo == [*head, "rollout", "undo", "deployment/web", "--to-revision=7"]


def test_a_rollout_that_is_undone_already_is_not_undone_again(stand_in):
    """A second undo would bring the new version back: after a crash nothing is done if the old image is already set."""
    stand_in("kubectl", **{GET: "printf web:1.4.2"})
    assert redeploy.deploy(kubernetes(), 5.0) == ""
    assert len(stand_in.calls()) == 1


@pytest.mark.parametrize(
    ("image", "status", "good", "says"),
    [
        ("web:1.4.2", 'deployment "web" successfully rolled out', True, "successfully rolled out"),
        ("web:1.4.2", "Waiting for deployment to finish: 1 of 3 updated", False, "Waiting"),
        ("web:2.0.0", "", False, "web:2.0.0, not web:1.4.2"),
        ("", "", False, "none, not web:1.4.2"),
    ],
)
def test_a_rollout_counts_once_its_image_is_old_and_it_is_over(stand_in, image, status, good, says):
    """`rollout status --watch=false` always ends with 0: its output counts."""
    stand_in("kubectl", **{GET: f"printf '{image}'", STATUS: f"echo '{status}'"})
    found = redeploy.verify(kubernetes())
    assert found.good is good
    assert says in found.said


def test_a_cluster_that_does_not_answer_is_no_success(stand_in):
    """Neither for the plan, nor for the step, nor for its verification."""
    stand_in("kubectl", **{"*": "echo 'Unable to connect to the server' >&2; exit 1"})
    assert "Unable to connect" in redeploy.plan(kubernetes()).said
    assert "Unable to connect" in redeploy.deploy(kubernetes(), 5.0)
    assert not redeploy.verify(kubernetes()).good


def test_an_undo_is_tried_on_the_server_before(stand_in):
    """The plan has the API server check it: --dry-run=server."""
    stand_in("kubectl", **{GET: "printf web:2.0.0", UNDO: "echo 'rolled back (server dry run)'"})
    assert redeploy.plan(kubernetes()).good
    assert stand_in.calls()[-1][-1] == "--dry-run=server"


SWARM = Redeploy(docker={"service": "shop_web", "image": "web:1.4.2"})  # type: ignore[arg-type]


def test_a_swarm_service_gets_the_old_image(stand_in):
    """By name, so that twice does no harm; --detach=false waits for its tasks."""
    stand_in("docker", **{"*": ":"})
    assert redeploy.deploy(SWARM, 5.0) == ""
    assert stand_in.calls() == [["service", "update", "--detach=false", "--image=web:1.4.2", "shop_web"]]


@pytest.mark.parametrize(
    ("spec", "tasks", "good"),
    [
        ("web:1.4.2@sha256:aa", "web:1.4.2 Running 5 seconds ago;", True),
        ("web:1.4.2@sha256:aa", "web:1.4.2 Running 5 seconds ago;\nweb:1.4.2 Starting 1 second ago;", False),
        ("web:1.4.2@sha256:aa", "web:2.0.0 Running 2 hours ago;", False),
        ("web:1.4.2@sha256:aa", "", False),
        ("web:2.0.0@sha256:bb", "web:2.0.0 Running 2 hours ago;", False),
    ],
)
def test_a_swarm_service_counts_once_all_its_tasks_run_the_old_image(stand_in, spec, tasks, good):
    """No task at all is not a success."""
    stand_in("docker", **{"'service inspect'*": f"echo {spec}", "'service ps'*": f"echo '{tasks}'"})
    assert redeploy.verify(SWARM).good is good


def compose(folder: Path) -> Redeploy:
    told = {
        "compose": folder / "compose.yml",
        "services": ["web"],
        "variable": "WEB_IMAGE",
        "image": "web:1.4.2",
    }
    return Redeploy(docker=told)  # type: ignore[arg-type]


def test_a_compose_project_is_started_with_the_old_image(stand_in, tmp_path):
    """The variable of the file is set; --wait waits until the services are healthy."""
    stand_in("docker", **{"*": f'printf %s "$WEB_IMAGE" >{tmp_path}/image'})
    assert redeploy.deploy(compose(tmp_path), 5.0) == ""
    file = f"--file={tmp_path}/compose.yml"
    assert stand_in.calls() == [["compose", file, "up", "--detach", "--wait", "--no-deps", "web"]]
    assert (tmp_path / "image").read_text() == "web:1.4.2"


@pytest.mark.parametrize("array", [True, False], ids=["an array", "one object per line"])
@pytest.mark.parametrize(
    ("container", "good"),
    [
        ({"Service": "web", "Image": "web:1.4.2", "State": "running", "Health": "healthy"}, True),
        ({"Service": "web", "Image": "web:1.4.2", "State": "running", "Health": ""}, True),
        ({"Service": "web", "Image": "web:1.4.2", "State": "running", "Health": "starting"}, False),
        ({"Service": "web", "Image": "web:2.0.0", "State": "running", "Health": "healthy"}, False),
        ({"Service": "db", "Image": "web:1.4.2", "State": "running", "Health": "healthy"}, False),
    ],
)
def test_a_compose_project_counts_once_every_service_is_up_with_the_old_image(
    stand_in, tmp_path, container, good, array
):
    """Compose prints an array, or since 2.21 one object per line."""
    text = json.dumps([container]) if array else json.dumps(container)
    stand_in("docker", **{"*": f"printf '%s\\n' {shlex.quote(text)}"})
    assert redeploy.verify(compose(tmp_path)).good is good


def systemd(folder: Path) -> Redeploy:
    told = {"units": ["app.service"], "link": f"{folder}/current", "to": f"{folder}/releases/1.4.2"}
    return Redeploy(systemd=told)  # type: ignore[arg-type]


@pytest.fixture
def releases(tmp_path):
    """Two releases, the link on the new one."""
    for name in ("1.4.2", "2.0.0"):
        (tmp_path / "releases" / name).mkdir(parents=True)
    (tmp_path / "current").symlink_to(tmp_path / "releases" / "2.0.0")
    return tmp_path


def test_the_link_leads_to_the_old_release_and_the_units_are_restarted(stand_in, releases):
    """The link is really switched; systemctl is a stand-in whose unit started just now."""
    stand_in("systemctl", **{"show*": "date +@%s", "*": ":"})
    assert redeploy.deploy(systemd(releases), 5.0) == ""
    assert (releases / "current").resolve().name == "1.4.2"
    assert stand_in.calls() == [["daemon-reload"], ["restart", "app.service"]]
    assert redeploy.verify(systemd(releases)).good


def test_a_unit_that_runs_since_before_the_switch_runs_the_new_version(stand_in, releases):
    """A crash between switching the link and the restart: the step has not taken effect."""
    stand_in("systemctl", **{"show*": "echo @1", "*": ":"})
    assert redeploy.deploy(systemd(releases), 5.0) == ""
    found = redeploy.verify(systemd(releases))
    assert (found.good, "was started before the link was switched" in found.said) == (False, True)


def test_without_the_old_release_nothing_is_switched(stand_in, releases):
    """The link stays where it was."""
    stand_in("systemctl", **{"*": ":"})
    (releases / "releases" / "1.4.2").rmdir()
    assert "there is no folder" in redeploy.deploy(systemd(releases), 5.0)
    assert (releases / "current").resolve().name == "2.0.0"
    assert not redeploy.plan(systemd(releases)).good


def test_a_command_deploys_and_its_check_tells(tmp_path):
    """Real commands, run in a shell on this host."""
    wanted = Redeploy(command=f"echo 1.4.2 >{tmp_path}/version", check=f"grep -x 1.4.2 {tmp_path}/version")
    assert not redeploy.verify(wanted).good
    assert redeploy.deploy(wanted, 5.0) == ""
    assert redeploy.verify(wanted).good


def test_a_command_without_a_check_is_no_redeploy():
    """Nothing could tell whether it took effect."""
    with pytest.raises(ValidationError, match="belong together"):
        Redeploy(command="deploy 1.4.2")
