"""Git is read as it is, whatever the caller's environment and the repository's own configuration say."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_deploygate import git


def run(folder: Path, *words: str) -> str:
    around = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, env=around, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "shop" / "waivers").mkdir(parents=True)
    run(folder, "init", "-q", "-b", "main")
    (folder / "shop" / "waivers" / "a.yml").write_text("item: a\n")
    (folder / "shop" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "shop" / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("shop/waivers/a.yml")
    run(folder, "add", ".")
    run(folder, "commit", "-q", "-m", "first")
    return folder


def tree_of(folder: Path) -> git.WorkTree:
    found = git.work_tree(folder)
    assert found is not None
    return found


def state(folder: Path, without: Path | None = None) -> git.State:
    return git.Asked(tree_of(folder)).answer(without)


def test_a_folder_without_git_is_in_no_work_tree(tmp_path: Path) -> None:
    assert git.work_tree(tmp_path) is None


def test_a_folder_below_the_top_has_a_prefix(repo: Path) -> None:
    assert git.work_tree(repo / "shop") == git.WorkTree(repo, "shop/")
    assert git.work_tree(repo) == git.WorkTree(repo, "")


def test_commit_branch_and_changed_files(repo: Path) -> None:
    (repo / "shop" / "waivers" / "a.yml").write_text("item: b\n")
    (repo / "shop" / "new file.yml").write_text("")
    run(repo, "mv", "shop/run.sh", "shop/start.sh")
    found = state(repo / "shop")
    assert found.commit == run(repo, "rev-parse", "HEAD")
    assert found.branch == "main"
    assert found.dirty == ("shop/new file.yml", "shop/start.sh", "shop/waivers/a.yml")
    assert found.problem == ""


def test_the_folder_of_results_is_left_out(repo: Path) -> None:
    (repo / "shop" / "deploygate-out" / "local").mkdir(parents=True)
    (repo / "shop" / "deploygate-out" / "local" / "journal.jsonl").write_text("")
    assert state(repo, repo / "shop" / "deploygate-out").dirty == ()


def test_a_detached_head_has_a_commit_and_no_branch(repo: Path) -> None:
    run(repo, "checkout", "-q", "--detach")
    assert (state(repo).commit, state(repo).branch) == (run(repo, "rev-parse", "HEAD"), "")


def test_the_time_of_the_commit_is_told_in_utc(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(repo, "commit", "-q", "--amend", "--no-edit", "--date", "2020-01-01T00:00:00Z")
    then = int(run(repo, "log", "-1", "--format=%ct"))
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    assert datetime.fromisoformat(state(repo).committed) == datetime.fromtimestamp(then, UTC)
    assert state(repo).committed.endswith("+00:00")


def test_no_commit_yet(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q", "-b", "main")
    assert state(tmp_path) == git.State("", "main")
    assert git.branch(tree_of(tmp_path), "HEAD") is None


def test_git_that_is_missing_or_broken_is_a_problem(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo / ".git" / "HEAD").write_text("nonsense")
    assert "git says" in state(repo).problem
    with pytest.raises(git.GitError, match="git says"):
        git.branch(tree_of(repo), "HEAD")
    monkeypatch.setenv("PATH", "")
    assert state(repo).problem == "git is not installed"


def test_the_callers_git_variables_do_not_matter(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    run(other, "init", "-q", "-b", "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert state(repo).branch == "main"
    assert state(repo).dirty == ()


def test_the_repositorys_configuration_starts_no_program(repo: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {started}\n")
    program.chmod(0o755)
    run(repo, "config", "core.fsmonitor", str(program))
    run(repo, "config", "core.hooksPath", str(tmp_path))
    (tmp_path / "post-index-change").symlink_to(program)
    (repo / "shop" / "waivers" / "a.yml").touch()
    assert state(repo).dirty == ()
    found = git.branch(tree_of(repo), "main")
    assert found is not None
    git.files(tree_of(repo), found.commit)
    assert not started.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_folder_of_another_user_is_read(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (repo, repo / ".git"):
        os.chown(path, 12345, 12345)
    monkeypatch.setenv("HOME", "/nonexistent")
    assert state(repo).branch == "main"


def test_a_second_work_tree_and_a_submodule_have_their_own_commit(repo: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    run(repo, "worktree", "add", "-q", "-b", "side", str(second))
    assert state(second).branch == "side"
    outer = tmp_path / "outer"
    outer.mkdir()
    run(outer, "init", "-q", "-b", "main")
    run(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repo), "inner")
    run(outer, "commit", "-q", "-m", "inner")
    assert tree_of(outer / "inner") == git.WorkTree(outer / "inner", "")
    assert state(outer / "inner").commit == run(repo, "rev-parse", "HEAD")
    assert list(git.files(tree_of(outer), run(outer, "rev-parse", "HEAD"))) == [".gitmodules"]


def test_the_servers_branch_goes_before_the_local_one(repo: Path) -> None:
    tree, first = tree_of(repo), run(repo, "rev-parse", "HEAD")
    assert git.branch(tree, "main") == git.Branch("refs/heads/main", first)
    run(repo, "update-ref", "refs/remotes/origin/main", first)
    run(repo, "commit", "-q", "--allow-empty", "-m", "second")
    assert git.branch(tree, "main") == git.Branch("refs/remotes/origin/main", first)
    assert git.branch(tree, "origin/main") == git.Branch("refs/remotes/origin/main", first)
    assert git.branch(tree, "refs/heads/main") == git.Branch(
        "refs/heads/main", run(repo, "rev-parse", "HEAD")
    )
    assert git.branch(tree, "HEAD~1") == git.Branch("HEAD~1", first)
    assert git.branch(tree, first) == git.Branch(first, first)


@pytest.mark.parametrize("name", ["origin/main", "main"])
def test_a_tag_with_the_name_of_a_branch_is_not_that_branch(repo: Path, name: str) -> None:
    run(repo, "checkout", "-q", "-b", "work")
    run(repo, "branch", "-D", "main")
    run(repo, "tag", name)
    assert git.branch(tree_of(repo), name) is None


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\nb", "main^{tree}", "main@{1}", "a..b"])
def test_what_is_no_name_of_a_branch_is_none(repo: Path, name: str) -> None:
    assert git.branch(tree_of(repo), name) is None


def test_a_replacement_of_a_commit_is_ignored(repo: Path) -> None:
    first = run(repo, "rev-parse", "HEAD")
    (repo / "forged.yml").write_text("item: forged\n")
    run(repo, "add", ".")
    run(repo, "commit", "-q", "-m", "forged")
    forged = run(repo, "rev-parse", "HEAD")
    run(repo, "reset", "-q", "--hard", first)
    run(repo, "replace", first, forged)
    assert "forged.yml" not in git.files(tree_of(repo), first)


def test_files_of_a_commit(repo: Path) -> None:
    commit = run(repo, "rev-parse", "HEAD")
    found = git.files(tree_of(repo), commit)
    assert set(found) == {"link", "shop/run.sh", "shop/waivers/a.yml"}
    assert found["link"].link
    assert found["shop/run.sh"].executable
    assert set(git.files(tree_of(repo), commit, ["shop/waivers", "nowhere"])) == {"shop/waivers/a.yml"}


def test_content_is_compared_apart_from_line_ends(repo: Path) -> None:
    kept = git.files(tree_of(repo), run(repo, "rev-parse", "HEAD"))["shop/waivers/a.yml"]
    assert git.same(b"item: a\n", kept)
    assert git.same(b"item: a\r\n", kept)
    assert not git.same(b"item: a\r", kept)
    assert not git.same(b"item: b\n", kept)


def test_content_is_compared_in_a_sha256_repository(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256")
    (tmp_path / "a.yml").write_text("item: a\n")
    run(tmp_path, "add", ".")
    run(tmp_path, "commit", "-q", "-m", "first")
    kept = git.files(tree_of(tmp_path), run(tmp_path, "rev-parse", "HEAD"))["a.yml"]
    assert git.same(b"item: a\n", kept)
    assert not git.same(b"item: b\n", kept)


def test_a_copy_has_every_file_as_it_is_stored(repo: Path, tmp_path: Path) -> None:
    (repo / ".gitattributes").write_text("shop/waivers export-ignore\n*.yml filter=lie\n")
    run(repo, "add", ".")
    run(repo, "commit", "-q", "-m", "attributes")
    run(repo, "config", "filter.lie.smudge", "echo lie")
    run(repo, "config", "filter.lie.clean", "echo lie")
    target = tmp_path / "copy"
    git.copy(tree_of(repo), run(repo, "rev-parse", "HEAD"), target)
    assert (target / "shop" / "waivers" / "a.yml").read_text() == "item: a\n"
    assert os.access(target / "shop" / "run.sh", os.X_OK)
    assert (target / "link").readlink() == Path("shop/waivers/a.yml")


def test_a_partial_clone_says_what_is_missing(repo: Path, tmp_path: Path) -> None:
    run(repo, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    run(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{repo}", str(clone))
    with pytest.raises(git.GitError, match=r"this clone does not have .*fetch it whole|git says"):
        git.copy(tree_of(clone), run(repo, "rev-parse", "HEAD"), tmp_path / "copy")
