"""`--records-from REF`: a pull request is not judged with its own checklist, inventory, tests or records."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import forked
import pytest
from project import Project

CHECKLIST = """\
## Database {#phase2 .database}
- [ ] Migrations {#b.migrations .automated .critical}
- [ ] Tables {#b.tables .automated}
"""
SUITE = """
from pathlib import Path

@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate, "fail", "one is pending")

@pytest.mark.item("b.tables")
def test_tables(gate, inventory):
    says(gate)
"""
INVENTORY = "name: prod\npolicy: {max_waivers: 1}\n"


def git(folder: Path, *words: str) -> str:
    around = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, env=around, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path, *paths: str) -> str:
    git(folder, "add", "-f", *(paths or ("-A",)))
    git(folder, "commit", "-q", "-m", "next")
    return git(folder, "rev-parse", "HEAD")


def waiver(project: Project, name: str = "a.yml", item: str = "b.migrations") -> None:
    now = datetime.now(UTC)
    created, expires = (f"{now + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (-1, 7))
    (project.path / "waivers").mkdir(exist_ok=True)
    (project.path / "waivers" / name).write_text(
        f"item: {item}\nowner: Database admin\napprover: Operations\nticket: OPS-1\n"
        f"reason: the migration runs tomorrow\ncreated: {created}\nexpires: {expires}\n"
    )


@pytest.fixture
def pull(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project on `origin/main`, whose one test fails, with a branch `pull` checked out."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (project.path / "suites" / "checklist.md").write_text(CHECKLIST)
    project.suite(SUITE)
    project.inventory(INVENTORY)
    (project.path / ".gitignore").write_text("deploygate-out/\n__pycache__/\n*.secret\n")
    git(project.path, "init", "-q", "-b", "main")
    commit(project.path)
    git(project.path, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(project.path, "checkout", "-q", "-b", "pull")
    git(project.path, "branch", "-q", "-D", "main")
    return project


def run(pull: Project, *args: str, ref: str = "origin/main", **more: str):
    return pull.run_process("-m", "phase2", "--records-from", ref, *args, **more)


def weakenings(pull: Project) -> str:
    return "\n".join(pull.verdicts()["weakenings"])


def test_what_a_pull_request_would_change_is_listed_and_not_used(pull: Project) -> None:
    pull.suite(SUITE.replace('"fail", "one is pending"', '"pass"'))
    pull.suite("", "test_more.py")
    pull.inventory(
        "name: prod\npolicy: {max_waivers: 9}\n"
        "not_applicable: [{item: b.migrations, reason: there are none here, owner: lead}]\n"
    )
    (pull.path / "suites" / "checklist.md").write_text(CHECKLIST.replace(".critical", ".minor"))
    (pull.path / "conftest.py").write_text("raise SystemExit(0)\n")
    (pull.path / "suites" / "conftest.py").write_text("raise SystemExit(0)\n")
    (pull.path / "pytest.ini").write_text("[pytest]\ntestpaths = suites\naddopts = --version\n")
    (pull.path / ".github" / "workflows").mkdir(parents=True)
    (pull.path / ".github" / "workflows" / "gate.yml").write_text("on: push\n")
    (pull.path / "allowed_signers").write_text("operations ssh-ed25519 AAAA\n")
    waiver(pull)
    commit(pull.path)
    ran = run(pull)
    assert ran.code == 1, ran.text
    assert pull.verdict("b.migrations") == "fail"
    assert "checklist, inventory, tests and records are those of origin/main" in ran.text
    assert weakenings(pull).splitlines() == [
        "pull request: policy.max_waivers is 9, on origin/main 1",
        "pull request: declares b.migrations not applicable (there are none here)",
        "pull request: suites/checklist.md: b.migrations is minor there, critical on origin/main",
        "pull request: allowed_signers is new; it does not count",
        "pull request: waivers/a.yml (b.migrations) is new; it does not count",
        "pull request: conftest.py is new; it was not used",
        "pull request: pytest.ini is changed; that of origin/main was used",
        "pull request: suites/conftest.py is new; it was not used",
        "pull request: suites/test_more.py is new; it was not used",
        "pull request: suites/test_suite.py is changed; that of origin/main was used",
        "pull request: .github/workflows/gate.yml is new; it may decide how the gate is started, or who reviews it",
    ]  # fmt: skip
    told = pull.verdicts()["provenance"]
    assert told["commit"] == git(pull.path, "rev-parse", "HEAD")
    assert told["branch"] == "pull"
    assert told["records_from"].startswith("origin/main (")
    assert "read from origin/main" in (pull.out / "signoff.html").read_text()


def test_a_pull_request_that_changes_nothing_of_the_gate(pull: Project) -> None:
    (pull.path / "shop.py").write_text("raise RuntimeError\n")
    pull.inventory(INVENTORY.replace("1", "0"))  # stricter
    commit(pull.path)
    ran = run(pull)
    assert ran.code == 1, ran.text
    assert weakenings(pull) == ""


def test_the_branchs_records_count_although_the_pull_request_removes_or_changes_them(pull: Project) -> None:
    waiver(pull)
    commit(pull.path)
    git(pull.path, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(pull.path, "rm", "-q", "waivers/a.yml")
    git(pull.path, "rm", "-q", "suites/test_suite.py")
    commit(pull.path)
    ran = run(pull)
    assert ran.code == 0, ran.text
    assert pull.verdict("b.migrations") == "waived"
    assert "waivers/a.yml (b.migrations) is removed; that of origin/main counts" in weakenings(pull)
    assert "suites/test_suite.py is removed; that of origin/main was used" in weakenings(pull)


def test_uncommitted_files_are_the_pull_requests_too(pull: Project) -> None:
    waiver(pull)
    pull.suite(SUITE.replace('"fail", "one is pending"', '"pass"'))
    assert run(pull).code == 1
    assert pull.verdict("b.migrations") == "fail"


def test_the_policy_may_want_another_branch_for_records(pull: Project) -> None:
    waiver(pull)
    pull.inventory("name: prod\npolicy: {records_branch: protected}\n")
    commit(pull.path)
    git(pull.path, "update-ref", "refs/remotes/origin/main", "HEAD")
    ran = run(pull)
    assert pull.verdict("b.migrations") == "fail"
    assert "there is no branch protected here" in " ".join(ran.text.split())


@pytest.mark.parametrize("ref", ["release", "main^{tree}", "--help", "origin/nowhere"])
def test_a_branch_that_is_not_there(pull: Project, ref: str) -> None:
    git(pull.path, "tag", "release")
    ran = run(pull, f"--records-from={ref}")
    assert ran.code == 4, ran.text
    assert "there is no such branch" in ran.text
    assert "fetch-depth: 0" in ran.text
    assert not pull.out.exists()


def test_a_tag_does_not_stand_for_the_branch(pull: Project) -> None:
    pull.suite(SUITE.replace('"fail", "one is pending"', '"pass"'))
    commit(pull.path)
    git(pull.path, "tag", "origin/main")
    assert run(pull).code == 1


def test_mistakes_that_end_with_exit_code_4(pull: Project, tmp_path: Path) -> None:
    nothing = pull.run_process("--records-from", "origin/main", gate=False)
    assert (nothing.code, "needs an inventory" in nothing.text) == (4, True)
    (pull.path / "conftest.py").write_text("import os\nos._exit(0)\n")
    mine = run(pull, str(pull.path / "suites" / "test_suite.py"))
    assert (mine.code, "is of the pull request" in mine.text) == (4, True)
    (pull.path / "shop").mkdir()
    done = forked.run(
        "pytest", ["--inventory", "prod", "--records-from", "origin/main"], cwd=pull.path / "shop"
    )
    assert (done.returncode, "has no folder shop" in done.stdout + done.stderr) == (4, True)
    (pull.path / ".git").rename(tmp_path / "elsewhere")
    outside = run(pull)
    assert (outside.code, "not in a git work tree" in outside.text) == (4, True)


def test_a_journal_that_the_pull_request_brings_is_refused(pull: Project) -> None:
    pull.run("-m", "phase2")
    commit(pull.path, "deploygate-out")
    ran = run(pull)
    assert ran.code == 4
    assert "is committed; results of a run must not come from the pull request" in ran.text


def test_files_that_git_does_not_keep_are_there_and_the_pull_requests_are_not(pull: Project) -> None:
    pull.suite(
        SUITE
        + """
    assert Path("password.secret").read_text() == "hunter22"
    assert not Path("of_the_pull_request.txt").exists()
    assert not Path("suites/helper.py").exists()
"""
    )
    commit(pull.path)
    git(pull.path, "update-ref", "refs/remotes/origin/main", "HEAD")
    (pull.path / "password.secret").write_text("hunter22")
    (pull.path / "suites" / "helper.py").write_text("")
    (pull.path / "of_the_pull_request.txt").write_text("")
    commit(pull.path, "of_the_pull_request.txt")
    ran = run(pull)
    assert pull.verdict("b.tables") == "pass", ran.text


@pytest.mark.parametrize("folder", ["inventories", "deploy"])
def test_an_inventory_that_the_branch_does_not_have(pull: Project, folder: str) -> None:
    (pull.path / folder).mkdir(exist_ok=True)
    (pull.path / folder / "own.yml").write_text("name: own\n")
    ran = run(pull, f"--inventory={folder}/own.yml")
    assert ran.code == 4
    assert "own.yml is not on origin/main" in ran.text


def test_a_temporary_folder_within_the_pull_request(pull: Project) -> None:
    (pull.path / "temporary").mkdir()
    (pull.path / "conftest.py").write_text("raise SystemExit(0)\n")
    ran = run(pull, TMPDIR=str(pull.path / "temporary"))
    assert ran.code == 1, ran.text
    assert weakenings(pull) == "pull request: conftest.py is new; it was not used"


def test_results_are_written_where_the_command_was_given(pull: Project) -> None:
    ran = run(
        pull, "--junitxml=results/junit.xml", "--ticked", "ticked.md", "--deploygate-out", "out", "-c", os.devnull,
        "--rootdir=.",
    )  # fmt: skip
    assert ran.code == 1, ran.text
    assert (pull.path / "results" / "junit.xml").is_file()
    assert (pull.path / "ticked.md").is_file()
    assert (pull.path / "out" / "signoff.html").is_file()
    assert list(Path(tempfile.gettempdir()).glob("temporary/*")) == []


def test_an_absolute_path_of_inventory_and_checklist_means_the_branchs(pull: Project) -> None:
    pull.inventory("name: prod\npolicy: {max_waivers: 9}\n")
    (pull.path / "suites" / "checklist.md").write_text(CHECKLIST.replace(".critical", ".minor"))
    ran = run(
        pull,
        f"--inventory={pull.path / 'inventories' / 'prod.yml'}",
        f"--checklist={pull.path / 'suites' / 'checklist.md'}",
    )
    assert ran.code == 1, ran.text
    assert "policy.max_waivers is 9, on origin/main 1" in weakenings(pull)
    assert "b.migrations is minor there, critical on origin/main" in weakenings(pull)


def test_a_relative_path_means_the_branchs(pull: Project) -> None:
    pull.suite(SUITE.replace('"fail", "one is pending"', '"pass"'))
    assert run(pull, "suites/test_suite.py").code == 1
    assert pull.verdict("b.migrations") == "fail"


def test_workers_run_the_branchs_tests(pull: Project) -> None:
    pull.suite(SUITE.replace('"fail", "one is pending"', '"pass"'))
    waiver(pull)
    ran = run(pull, "-n", "2")
    assert ran.code == 1, ran.text
    assert pull.verdict("b.migrations") == "fail"


def test_a_pull_requests_inventory_that_cannot_be_read_is_a_weakening(pull: Project) -> None:
    pull.inventory("name: prod\npolicy: {max_waifers: 9}\n")
    (pull.path / "suites" / "checklist.md").write_text("- [ ] a {#b.migrations}\n- [ ] b {#b.migrations}\n")
    assert run(pull).code == 1
    assert "inventories/prod.yml cannot be read: " in weakenings(pull)
    assert "suites/checklist.md cannot be read: " in weakenings(pull)


def test_the_report_can_be_computed_again_from_the_journal(pull: Project) -> None:
    waiver(pull)
    run(pull)
    page = (pull.out / "signoff.html").read_bytes()
    done = forked.run("deploygate", ["report", "--change", "local"], cwd=pull.path)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert (pull.out / "signoff.html").read_bytes() == page


def test_ctrl_c_prints_the_decision_and_leaves_no_copy(pull: Project, tmp_path: Path) -> None:
    started = tmp_path / "started"
    pull.suite(
        f"""
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    open({str(started)!r}, "w").close()
    time.sleep(60)
"""
    )
    commit(pull.path)
    git(pull.path, "update-ref", "refs/remotes/origin/main", "HEAD")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "phase2",
        "--inventory",
        "prod",
        "--records-from",
        "origin/main",
    ]
    process = subprocess.Popen(
        command,
        cwd=pull.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    for _ in range(1200):
        if started.exists():
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=90)
    assert process.returncode == 2, text
    assert "HOLD" in text
    assert list((tmp_path / "temporary").glob("deploygate-base-*")) == []
