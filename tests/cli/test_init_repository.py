"""A repository written by `deploygate init`, used as its owner would: the shipped suites run beside its own check."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
from types import SimpleNamespace

import forked
import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from pytest_deploygate import __version__
from pytest_deploygate.checklist import parser
from pytest_deploygate.cli import main
from pytest_deploygate.cli.shared import arguments, ci_files, profiles
from pytest_deploygate.files import yaml
from pytest_deploygate.model import CannotTell, Verdict
from pytest_deploygate.session import shipped

OWN = "own.free-disk"
SHIPPED = "pytest_deploygate/suites/"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return tmp_path


def init(*words):
    done = CliRunner().invoke(main, ["init", *words])
    assert done.exit_code == 0, done.output


def run(folder, *words):
    """Run pytest without a path, on a minimal inventory; return exit code, output and items by id."""
    (folder / "inventories" / "prod.yml").write_text("name: prod\n")
    done = forked.run("pytest", ["--inventory", "prod", *words], cwd=folder)
    verdicts = folder / "deploygate-out" / "local" / "verdicts.json"
    assert verdicts.is_file(), done.stdout + done.stderr
    items = json.loads(verdicts.read_text())["items"]
    return done.returncode, done.stdout, {item["id"]: item for item in items if item["in_scope"]}


def findings_of(item):
    return {target["test"].partition("[")[0] for target in item["targets"]}


def own_check(folder):
    return SimpleNamespace(**runpy.run_path(str(folder / "suites" / "test_own.py")))


def test_no_suite_is_copied(repository):
    init()
    assert sorted(p.name for p in (repository / "suites").iterdir()) == ["checklist.md", "test_own.py"]
    for name in (
        "conftest.py",
        "pytest.ini",
        "inventories/staging.example.yml",
        "attestations",
        "waivers",
        "issues",
        ".github/workflows/deploygate.yml",
        "ci/deploygate.gitlab-ci.yml",
    ):
        assert (repository / name).exists(), name


def test_a_run_without_a_path_has_the_shipped_tests_and_the_own_one(repository):
    init()
    code, _, items = run(repository, "-m", "phase2")
    assert code == 21
    assert items[OWN]["verdict"] == "pass"
    assert findings_of(items[OWN]) == {"suites/test_own.py::test_results_have_disk_space"}
    assert items["phase2.migrations"]["verdict"] == "not_covered"
    assert all(test.startswith(SHIPPED) for test in findings_of(items["phase2.migrations"]))
    assert findings_of(items["phase2.migrations"])


def test_the_own_check_is_an_area_of_its_own(repository):
    init()
    code, _, items = run(repository, "-m", "team")
    assert (code, {i: v["verdict"] for i, v in items.items()}) == (0, {OWN: "pass"})


def test_the_own_check_fails_with_the_number_and_the_limit(repository):
    init()
    file = repository / "suites" / "test_own.py"
    text = file.read_text()
    assert text.count("free_gb: float = 1.0") == 1
    file.write_text(text.replace("free_gb: float = 1.0", "free_gb: float = 1e9"))
    code, _, items = run(repository, "-m", "team")
    assert (code, items[OWN]["verdict"]) == (1, "fail")
    assert "limit 1000000000.00 GB" in items[OWN]["reason"]


def test_the_own_judge_and_measurement(repository):
    init()
    own = own_check(repository)
    for free, verdict in ((1.0, Verdict.PASS), (0.999, Verdict.FAIL), (float("nan"), Verdict.FAIL)):
        assert own.judge(own.Disk("/srv", free), own.Limits()).verdict is verdict
    with pytest.raises(CannotTell, match="nowhere cannot be read: No such file or directory; correct"):
        own.measure(repository / "nowhere")


def test_your_own_checklist_runs_with_the_example_at_its_end(repository):
    (repository / "ours.md").write_text("# Switch\n- [ ] Stop the old system\n# Sign-off\n- [ ] Lead: ___")
    init("--from-checklist", "ours.md")
    written = parser.load(repository / "suites" / "checklist.md")
    assert [(item.id, item.phase) for item in written.items] == [
        ("switch.stop-the-old-system", "switch"),
        (OWN, "own"),
    ]
    assert written.roles == ("Lead",)
    code, _, items = run(repository)
    assert code == 21
    assert {i: v["verdict"] for i, v in items.items()} == {
        "switch.stop-the-old-system": "not_covered",
        OWN: "pass",
    }


def test_your_own_tests_run_as_before_and_the_gate_beside_them(repository):
    (repository / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-q'\n")
    (repository / "tests").mkdir()
    (repository / "tests" / "test_shop.py").write_text("def test_shop():\n    pass\n")
    init()
    done = forked.run("pytest", [], cwd=repository)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr
    code, _, items = run(repository / "deploygate", "-m", "team")
    assert (code, {i: v["verdict"] for i, v in items.items()}) == (0, {OWN: "pass"})


def test_a_run_at_the_top_names_the_folder(repository):
    (repository / "conftest.py").write_text("")
    (repository / "pytest.ini").write_text("[pytest]\n")
    init()
    done = forked.run("pytest", ["--inventory", "prod"], cwd=repository)
    assert done.returncode == 4
    assert "are in deploygate/inventories: run `cd deploygate` first" in done.stdout + done.stderr


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_profiles_are_checklists_with_nothing_that_cannot_be_decided(repository, profile):
    init("--profile", profile)
    written = parser.load(repository / "suites" / "checklist.md")
    assert not written.remarks
    shipped_items = {item.id: item for item in parser.load(shipped.checklist()).items}
    tested = {item for function in shipped.functions() for item in function.items} | {OWN}
    asked = {i.check or i.id for i in written.items if i.kind.value != "manual" and not i.closing}
    undecided = asked - tested
    assert not undecided
    for item in written.items:
        known = shipped_items.get(item.id, item)
        assert (item.severity, item.phase, item.waivable) == (known.severity, known.phase, known.waivable)
    assert written.roles


@pytest.mark.parametrize("profile", [name for name in profiles.PROFILES if name != "full"])
def test_what_a_profile_leaves_out_can_be_copied_back(repository, profile):
    init("--profile", profile)
    file = repository / "suites" / "checklist.md"
    text = file.read_text()
    kept = {item.id for item in parser.load(file).items} - {OWN, "phase2.streaming"}
    comment = text.partition("<!-- Left out of this profile.")[2].partition("-->")[0]
    left = {item.id for item in parser.parse(f"# Left\n{comment}", file).items}
    everything = {item.id for item in parser.load(shipped.checklist()).items}
    assert (left & kept, left | kept) == (set(), everything)
    _, said, _ = run(repository, "-m", "team")
    assert f"checklist: without {len(left)} of {len(everything)} shipped items: " in said


def test_profiles_leave_out_only_what_there_is():
    ids = {item.id for item in parser.load(shipped.checklist()).items}
    known = ids | {item.partition(".")[0] for item in ids}
    for name, profile in profiles.PROFILES.items():
        assert set(profile.leaves) <= known, name


def test_a_profile_of_another_name_is_refused(repository):
    done = CliRunner().invoke(main, ["init", "--profile", "mysql"])
    assert (done.exit_code, "'postgres'" in done.output) == (2, True), done.output
    (repository / "ours.md").write_text("# A\n- [ ] B\n")
    done = CliRunner().invoke(main, ["init", "--profile", "web", "--from-checklist", "ours.md"])
    assert (done.exit_code, "mutually exclusive" in done.output) == (2, True), done.output


def ci(folder):
    github = yaml.load((folder / ".github/workflows/deploygate.yml").read_text())
    gitlab = yaml.load((folder / "ci/deploygate.gitlab-ci.yml").read_text())
    return github, gitlab


@pytest.mark.parametrize(
    ("words", "phases"),
    [
        (["--from-checklist", "ours.md"], ["before", "on", "after", "own"]),
        (["--profile", "postgres"], None),
        ([], None),
    ],
)
def test_ci_runs_the_phases_of_the_checklist_in_order(repository, words, phases):
    (repository / "ours.md").write_text("# Before\n- [ ] A\n# On\n- [ ] B\n# After\n- [ ] C\n")
    init("gate", *words)
    folder = repository / "gate"
    written = [p.id for p in parser.load(folder / "suites" / "checklist.md").phases]
    assert phases in (None, written)
    github, gitlab = ci(folder)
    asked = github["on" if "on" in github else True]["workflow_dispatch"]["inputs"]["phase"]["options"]
    assert asked == written
    assert github["jobs"]["gate"]["env"]["PHASE"] == f"${{{{ inputs.phase || '{written[0]}' }}}}"
    jobs = {job: told for job, told in gitlab.items() if not job.startswith(".")}
    assert [told["variables"]["PHASE"] for told in jobs.values()] == written
    assert [told["extends"] for told in jobs.values()] == [
        ".deploygate",
        *[".deploygate by hand"] * (len(written) - 1),
    ]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("release/1.2", "release-1.2"),
        ("CHG-104", "CHG-104"),
        ("v1.2.3", "v1.2.3"),
        ("feature/ä b$(x)", "feature-b-x-"),
        ("_x/" + "y" * 200, "x-" + "y" * 98),
    ],
)
def test_ci_names_the_change_after_branch_tag_or_ticket(repository, name, change):
    init()
    github, gitlab = ci(repository)
    (line,) = [s["run"] for s in github["jobs"]["gate"]["steps"] if "CHANGE=" in s.get("run", "")]
    env = {**os.environ, "NAMED": name, "GITHUB_ENV": str(repository / "env")}
    subprocess.run(["sh", "-c", line], env=env, check=True)
    assert (repository / "env").read_text() == f"CHANGE={change}\n"
    arguments.check_change(change)
    assert any('--change "$CHANGE"' in s.get("run", "") for s in github["jobs"]["gate"]["steps"])
    assert '--change "${CHANGE:-$CI_COMMIT_REF_SLUG}"' in gitlab[".deploygate"]["script"][-1]


def test_ci_ends_with_what_the_run_recorded(repository):
    """pytest's own status is not believed; keys of digests stay out of artifacts."""
    init()
    github, gitlab = ci(repository)
    steps = github["jobs"]["gate"]["steps"]
    (number,) = [n for n, step in enumerate(steps) if step.get("run", "").startswith("pytest")]
    assert steps[number + 1]["run"] == 'deploygate outcome --change "$CHANGE" --since "$BEGAN"'
    assert steps[number + 1]["if"].startswith("always()")
    assert gitlab[".deploygate"]["artifacts"]["exclude"] == ["deploygate-out/**/.key"]
    programs = repository / "programs"
    programs.mkdir()
    for name in ("pytest", "deploygate"):
        (programs / name).write_text('#!/bin/sh\nexit "$(cat "$0.status")"\n')
        (programs / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "CI_COMMIT_REF_SLUG": "x", "PHASE": "p"}
    for pytest_ends, outcome_ends, ends in ((0, 0, 0), (0, 25, 25), (1, 1, 1), (1, 0, 1), (22, 22, 22)):
        (programs / "pytest.status").write_text(str(pytest_ends))
        (programs / "deploygate.status").write_text(str(outcome_ends))
        script = gitlab[".deploygate"]["script"][-1]
        done = subprocess.run(["sh", "-e", "-c", script], env=env, check=False)
        assert done.returncode == ends


@pytest.mark.parametrize(
    ("address", "requirement"),
    [
        ("1.4", "pytest-deploygate[alembic]==1.4"),
        (
            "git+https://git.example.com/gate.git@v1.0",
            "pytest-deploygate[alembic] @ git+https://git.example.com/gate.git@v1.0",
        ),
        (
            "https://git.example.com/gate.git@3f2a",
            "pytest-deploygate[alembic] @ git+https://git.example.com/gate.git@3f2a",
        ),
        (
            "git+ssh://git@git.example.com/gate",
            "pytest-deploygate[alembic] @ git+ssh://git@git.example.com/gate",
        ),
    ],
)
def test_ci_installs_what_was_named(repository, address, requirement):
    Requirement(requirement)
    done = CliRunner().invoke(main, ["init", "--install-from", address])
    assert done.exit_code == 0, done.output
    assert ("names no tag or commit" in done.output) == address.endswith("gate")
    github, gitlab = ci(repository)
    assert f'pip install "{requirement}"' in [s.get("run") for s in github["jobs"]["gate"]["steps"]]
    assert f'pip install "{requirement}"' in gitlab[".deploygate"]["script"]


@pytest.mark.parametrize(
    "address", ["latest", "pytest-deploygate", "/srv/gate", 'git+https://x/"; rm', "1.0; x"]
)
def test_ci_installs_nothing_that_is_neither_version_nor_address(repository, address):
    done = CliRunner().invoke(main, ["init", "--install-from", address])
    assert (done.exit_code, "give a version such as" in done.output) == (4, True), done.output
    assert list(repository.iterdir()) == []


def test_no_password_gets_into_the_ci_files(repository):
    done = CliRunner().invoke(
        main, ["init", "--install-from", "git+https://u:hunter2@git.example.com/gate@v1"]
    )
    assert (done.exit_code, "hunter2" in done.output) == (4, False), done.output


@pytest.mark.parametrize(
    ("origin", "requirement", "doubted"),
    [
        (None, f"pytest-deploygate[alembic]=={__version__}", False),
        ({"url": "file:///srv/gate", "dir_info": {}}, f"pytest-deploygate[alembic]=={__version__}", True),
        (
            {"url": "https://git.example.com/g.git", "vcs_info": {"vcs": "git", "commit_id": "3f2a"}},
            "pytest-deploygate[alembic] @ git+https://git.example.com/g.git@3f2a",
            False,
        ),
    ],
)
def test_ci_installs_what_is_installed_here(monkeypatch, origin, requirement, doubted):
    told = json.dumps(origin) if origin else None
    monkeypatch.setattr(
        ci_files.metadata, "distribution", lambda _: SimpleNamespace(read_text=lambda _: told)
    )
    found = ci_files.installed(None)
    assert (found.requirement, bool(found.doubt)) == (requirement, doubted)


def test_shipped_tests_of_the_items_that_you_keep(repository):
    (repository / "ours.md").write_text("# Data {#phase2}\n- [ ] Migrations are done {#phase2.migrations}\n")
    init("--from-checklist", "ours.md")
    _, _, items = run(repository, "-m", "phase2")
    assert set(items) == {"phase2.migrations", OWN}
    assert all(test.startswith(SHIPPED) for test in findings_of(items["phase2.migrations"]))


def test_line_ends_stay_and_the_example_is_added_once(repository):
    (repository / "ours.md").write_bytes(b"# Switch\r\n- [ ] Stop the old system\r\n")
    init("--from-checklist", "ours.md")
    written = (repository / "suites" / "checklist.md").read_bytes()
    assert written.count(b"\n") == written.count(b"\r\n")
    (repository / "ours.md").write_bytes(written)
    init("--force", "--from-checklist", "ours.md")
    assert (repository / "suites" / "checklist.md").read_bytes() == written


def test_a_checklist_with_an_open_block_is_refused(repository):
    (repository / "ours.md").write_text("# Switch\n- [ ] Stop the old system\n\n```\nsystemctl stop old\n")
    done = CliRunner().invoke(main, ["init", "gate", "--from-checklist", "ours.md"])
    assert (done.exit_code, "block of code" in done.output) == (4, True)
    assert not (repository / "gate").exists()
