"""This repository's own `conftest.py`: the report of a run from source names the commit of the checks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TITLE = "<h2>Source of the checks</h2>"


def git(folder, *words):
    options = ["-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *options, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def page(project):
    assert project.run("-m", "phase2").code == 0
    return (project.out / "signoff.html").read_text()


@pytest.fixture
def source(good):
    """A project with this repository's conftest.py."""
    shutil.copy(ROOT / "conftest.py", good.path)
    return good


def test_the_report_names_the_commit_and_what_is_not_in_it(source):
    git(source.path, "init", "--quiet")
    (source.path / ".gitignore").write_text("deploygate-out/\n__pycache__/\n")
    git(source.path, "add", ".")
    git(source.path, "commit", "--quiet", "--message=first")
    commit = git(source.path, "rev-parse", "--short=12", "HEAD")
    text = page(source)
    assert TITLE in text
    assert f"Commit {commit}." in text
    with (source.path / "suites" / "checklist.md").open("a") as file:
        file.write("\n")
    assert f"Commit {commit}-dirty." in page(source)


def test_an_unpacked_archive_has_no_commit(source):
    assert TITLE not in page(source)


def test_without_git_the_run_is_as_good(source, monkeypatch):
    git(source.path, "init", "--quiet")
    monkeypatch.setenv("PATH", str(source.path))
    assert TITLE not in page(source)


def test_it_is_the_conftest_of_runs_here(request):
    """It is loaded in addition to the tests' conftest.py files, and has no other effect."""
    found = [plugin for plugin in request.config.pluginmanager.get_plugins() if _is_root(plugin)]
    assert len(found) == 1
    hooks = [name for name in vars(found[0]) if name.startswith("pytest_")]
    assert hooks == ["pytest_deploygate_report_section"]


def _is_root(plugin):
    return getattr(plugin, "__file__", None) == str(ROOT / "conftest.py")
