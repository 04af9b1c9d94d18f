"""A repository written by `deploygate init`, used as its owner would: the shipped suites run beside its own check."""

from __future__ import annotations

import json
import runpy
from types import SimpleNamespace

import forked
import pytest
from click.testing import CliRunner

from pytest_deploygate.checklist import parser
from pytest_deploygate.cli import main
from pytest_deploygate.model import CannotTell, Verdict

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


def test_ci_files_name_no_phase_that_your_checklist_lacks(repository):
    (repository / "ours.md").write_text("# Switch\n- [ ] Stop the old system\n")
    init("with", "--from-checklist", "ours.md")
    init("without")
    for file in (".github/workflows/deploygate.yml", "ci/deploygate.gitlab-ci.yml"):
        assert "pytest --inventory staging" in (repository / "with" / file).read_text()
        assert "pytest -m phase2 --inventory staging" in (repository / "without" / file).read_text()


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
