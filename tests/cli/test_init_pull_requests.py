"""The CI files of `deploygate init` on a pull request: their shell lines, run in git repositories with a real server side."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import forked
import pytest
from click.testing import CliRunner

from pytest_deploygate.cli import main
from pytest_deploygate.files import yaml

#: Where the files of `init` are, and the branch that a pull request is to be merged into.
FOLDERS = ["gate", "deploy gate"]
BASE = "release/1.2"
INVENTORY = "name: staging\npolicy: {max_waivers: MOST}\n"


class Clone:
    """A clone in CI, in which a pull request is checked out, and the shell lines of both CI files."""

    def __init__(self, place: Path, folder: str) -> None:
        self.place, self.gate = place, place / folder
        github = yaml.load((place / ".github/workflows/deploygate.yml").read_text())
        steps = [step["run"] for step in github["jobs"]["gate"]["steps"] if "run" in step]
        self.records = next(line for line in steps if "GITHUB_BASE_REF" in line)
        self.pytest = next(line for line in steps if line.startswith("pytest"))
        self.checkout = github["jobs"]["gate"]["steps"][0]
        gitlab = yaml.load((self.gate / "ci/deploygate.gitlab-ci.yml").read_text())
        self.gitlab = [line for line in gitlab[".deploygate"]["script"] if not line.startswith("pip")]

    def github_run(self, base: str) -> tuple[int, str, list[str]]:
        """Run GitHub's two steps; return exit code, what they print, and the arguments of pytest."""
        env_file = self.place.parent / "env"
        env_file.write_text("")
        env = {"GITHUB_BASE_REF": base, "GITHUB_ENV": str(env_file)}
        code, said, _ = self._shell("bash", self.records, self.gate, env)
        if code:
            return code, said, []
        exported = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
        more = {"PHASE": "phase2", "CHANGE": "x", **exported}
        code, told, given = self._shell("bash", self.pytest, self.gate, more)
        return code, said + told, given

    def gitlab_run(self, base: str) -> tuple[int, str, list[str]]:
        """Run GitLab's lines, as its runner does: in one shell."""
        env = {"CI_COMMIT_REF_SLUG": "x", "PHASE": "phase2"}
        more = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": base} if base else {}
        return self._shell("sh", "\n".join(self.gitlab), self.place, env | more)

    def _shell(self, shell: str, text: str, cwd: Path, env: dict[str, str]) -> tuple[int, str, list[str]]:
        """`pytest` is a program that prints its arguments, one a line."""
        programs = self.place.parent / "programs"
        programs.mkdir(exist_ok=True)
        given = self.place.parent / "given"
        given.write_text("")
        (programs / "pytest").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{given}'\n")
        (programs / "pytest").chmod(0o755)
        (programs / "deploygate").write_text("#!/bin/sh\ntest \"$1 $2\" = 'outcome --change'\n")
        (programs / "deploygate").chmod(0o755)
        whole = {**os.environ, **env, "PATH": f"{programs}:{os.environ['PATH']}"}
        done = subprocess.run(
            [shell, "-e", "-c", text], cwd=cwd, env=whole, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr, given.read_text().splitlines()


def git(place: Path, *words: str) -> None:
    author = ["-c", "user.name=Developer", "-c", "user.email=developer@example.com"]
    subprocess.run(["git", *author, *words], cwd=place, check=True, capture_output=True)


@pytest.fixture(params=FOLDERS)
def cloned(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[bool], Clone]:
    """Give a clone of a repository whose base branch has adopted the gate, or not yet; a pull request is checked out."""

    def make(adopted: bool, *, only_the_pull_request: bool = False) -> Clone:
        server = tmp_path / "server"
        server.mkdir()
        git(server, "init", "-q", "-b", BASE)
        (server / "README").write_text("shop\n")
        git(server, "add", "-A")
        git(server, "commit", "-qm", "Shop")
        if not adopted:
            git(server, "switch", "-qc", "pull-request")
        monkeypatch.chdir(server)
        done = CliRunner().invoke(main, ["init", request.param])
        assert done.exit_code == 0, done.output
        inventory = server / request.param / "inventories" / "staging.yml"
        inventory.write_text(INVENTORY.replace("MOST", "5"))
        git(server, "add", "-A")
        git(server, "commit", "-qm", "The gate")
        if adopted:
            git(server, "switch", "-qc", "pull-request")
            inventory.write_text(INVENTORY.replace("MOST", "9"))
            git(server, "commit", "-qam", "More waivers")
        clone = tmp_path / "clone"
        one = ("--single-branch",) if only_the_pull_request else ()
        git(tmp_path, "clone", "-q", *one, "--branch", "pull-request", "server", "clone")
        git(clone, "switch", "-q", "--detach")
        return Clone(clone, request.param)

    return make


RUNS = pytest.mark.parametrize("run", [Clone.github_run, Clone.gitlab_run], ids=["github", "gitlab"])


@RUNS
def test_a_pull_request_is_judged_with_the_records_of_its_base_branch(cloned, run):
    code, said, given = run(cloned(True), BASE)
    assert code == 0, said
    assert given[-2:] == ["--records-from", f"origin/{BASE}"]
    assert given[:4] == ["-m", "phase2", "--inventory", "staging"]
    assert "its own files" not in said


@RUNS
def test_a_pull_request_that_adopts_the_gate_is_judged_with_its_own_files_and_says_so(cloned, run):
    code, said, given = run(cloned(False), BASE)
    assert code == 0, said
    assert "--records-from" not in given
    assert [line for line in said.splitlines() if "its own files" in line] == [said.strip()]
    assert f"origin/{BASE} has no inventories/staging.yml yet" in said


@RUNS
def test_a_tag_and_a_run_by_hand_have_no_base_branch(cloned, run):
    code, said, given = run(cloned(True), "")
    assert (code, said) == (0, "")
    assert given[-2:] == ["--change", "x"]


@RUNS
def test_a_base_branch_that_is_not_there_ends_the_job(cloned, run):
    """Without it nothing is known about the records; the pull request's own must not be used instead."""
    code, said, given = run(cloned(True), "release/9")
    assert (code != 0, given) == (True, []), said
    assert "release/9" in said


def test_gitlab_fetches_the_branch_that_its_clone_does_not_have(cloned):
    code, said, given = cloned(True, only_the_pull_request=True).gitlab_run(BASE)
    assert code == 0, said
    assert given[-2:] == ["--records-from", f"origin/{BASE}"]


def test_github_checks_out_all_branches(cloned):
    assert cloned(True).checkout["with"]["fetch-depth"] == 0


@RUNS
def test_the_run_itself_names_what_the_pull_request_weakens(cloned, run):
    """What the lines give to pytest is what pytest takes."""
    clone = cloned(True)
    _, _, given = run(clone, BASE)
    done = forked.run("pytest", given, cwd=clone.gate)
    assert "policy.max_waivers is 9" in done.stdout, done.stdout + done.stderr
    assert done.returncode in (1, 21, 25), done.stdout
