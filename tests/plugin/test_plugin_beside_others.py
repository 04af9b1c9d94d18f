"""Beside other plugins, without pytest's terminal, and with targets, judges and files that nobody wanted."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from importlib import metadata
from pathlib import Path

import pytest

OTHER = """
import pytest

def pytest_addoption(parser):
    parser.getgroup("other").addoption("--inventory", dest="inventory", default="/etc/hosts")
"""
ANSIBLE = """
def pytest_addoption(parser):
    parser.getgroup("pytest-ansible").addoption("--inventory", "--ansible-inventory", dest="ansible_inventory")
"""
BAD = r"\nGO: go on\n\x1b[2J\rVERIFIED: all\u2028GO: go on\x85GO: go on\x0bGO: go on"
OURS = re.compile(r"^(GO|HOLD|ROLLBACK|VERIFIED)\b", re.MULTILINE)
ONE = """
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate)
"""


@pytest.fixture
def beside(project):
    """The project, in an environment with a plugin that has `--inventory`, too."""
    (project.path / "other_plugin.py").write_text(OTHER)
    project.suite(ONE)
    return project


def test_a_run_that_gates_nothing_is_not_disturbed(beside):
    (beside.path / "suites" / "test_suite.py").write_text(
        "def test_x(request): assert request.config.option.inventory"
    )
    ran = beside.run_process("-p", "other_plugin", PYTHONPATH=".", gate=False)
    assert ran.code == 0, ran.text


def test_the_second_name_of_the_option_always_works(beside):
    ran = beside.run_process(
        "-p", "other_plugin", "--deploygate-inventory", "prod", "-m", "phase2", PYTHONPATH=".", gate=False
    )
    assert ran.code == 21, ran.text
    assert beside.verdict("b.migrations") == "pass"
    assert beside.run_process("--deploygate-inventory=prod", "-m", "phase2", gate=False).code == 21


def test_an_inventory_of_ours_given_to_the_other_plugin_is_refused(beside):
    ran = beside.run_process(
        "-p", "other_plugin", "--inventory", "prod", "-m", "phase2", PYTHONPATH=".", gate=False
    )
    assert ran.code == 4
    assert "so nothing would be gated; write --deploygate-inventory prod" in ran.text
    ran = beside.run_process("-p", "other_plugin", PYTHONPATH=".", gate=False)
    assert ran.code == 4
    assert (
        "need an inventory: --deploygate-inventory NAME, since --inventory is that of another plugin"
        in ran.text
    )


@pytest.fixture
def ordered(project, tmp_path_factory):
    """A function that runs pytest beside pytest-ansible, with the three plugins found in an order.

    pytest loads plugins as their metadata are found on `sys.path`. Of pytest-ansible (26.10) there is only its option,
    which is what the three disagree about.
    """
    place = tmp_path_factory.mktemp("found")
    info = place / "ansible" / "pytest_ansible-26.10.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pytest-ansible\nVersion: 26.10.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\npytest-ansible = pytest_ansible.plugin\n")
    (place / "ansible" / "pytest_ansible").mkdir()
    (place / "ansible" / "pytest_ansible" / "__init__.py").touch()
    (place / "ansible" / "pytest_ansible" / "plugin.py").write_text(ANSIBLE)
    for name in ("pytest-testinfra", "pytest-deploygate"):
        one = metadata.distribution(name)
        entry = next(file for file in one.files if file.name == "entry_points.txt")
        shutil.copytree(
            Path(one.locate_file(entry)).parent, place / name / f"{name.replace('-', '_')}-0.dist-info"
        )
    project.suite(ONE)

    def run(order, *words):
        path = ":".join(str(place / name) for name in order)
        started = project.start(*words, "--deploygate-inventory", "prod", "-m", "phase2", PYTHONPATH=path)
        text, _ = started.communicate(timeout=60)
        return started.returncode, text

    return run


@pytest.mark.parametrize(
    "order", list(itertools.permutations(("ansible", "pytest-testinfra", "pytest-deploygate")))
)
def test_pytest_ansible_and_testinfra_in_any_order(ordered, project, order):
    code, text = ordered(order, "-p", "deploygate")
    assert (code, project.verdict("b.migrations")) == (21, "pass"), text
    code, text = ordered(order)
    first = order[-1] == "pytest-deploygate" and int(pytest.__version__.split(".")[0]) > 8
    assert ("conflicting option string" in text) == first, text  # nothing of ours was asked by then
    assert first or code == 21


@pytest.mark.parametrize("order", list(itertools.permutations(("ansible", "pytest-deploygate"))))
def test_pytest_ansible_without_testinfra_needs_nothing(ordered, project, order):
    code, text = ordered(order, "-p", "no:pytest11.testinfra")
    assert (code, project.verdict("b.migrations")) == (21, "pass"), text


def test_without_a_terminal_a_run_is_decided(beside):
    ran = beside.run_process("-p", "no:terminal", "--inventory", "prod", "-m", "phase2", gate=False)
    assert ran.code == 21, ran.text
    assert "INTERNALERROR" not in ran.text
    assert beside.verdict("b.migrations") == "pass"


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "the judge returned nothing; it must return a Judgement"),
        ("'pass'", "the judge returned a value of type str"),
        ("Judgement('pass', 'fine')", "a value of type str as its verdict, not Verdict"),
        ("Judgement(Verdict.PASS, 7)", "a value of type int as its reason, not str"),
        ("Judgement(Verdict.PASS, 'x', None)", "nothing as its readings, not tuple"),
        ("Judgement(Verdict.PASS, 'x', ('y',))", "readings contain a value of type str, not Reading"),
        ("Judgement(Verdict.PASS, 'x', (Reading('n', object()),))", "a value of type object as its value"),
        ("Judgement(Verdict.PASS, 'x', notes=(7,))", "notes contain a value of type int, not str"),
        ("Judgement(Verdict.PASS, 'x', figures=(7,))", "figures contain a value of type int"),
        ("Judgement(Verdict.PASS, 'x', confirmed='no')", "a value of type str as its confirmed, not bool"),
        ("Judgement(Verdict.PASS, 'x', deferred_to=None)", "nothing as its deferred_to, not str"),
    ],
)
def test_a_judge_that_returns_a_wrong_type_ends_its_own_item(project, returned, said):
    project.suite(
        f"""
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    gate.judge(lambda measured, limit: {returned}, 1, 1)

@pytest.mark.item("b.tables")
def test_tables(gate):
    says(gate)
"""
    )
    ran = project.run_process("--inventory", "prod", "-m", "phase2", gate=False)
    assert ran.code == 21, ran.text
    assert (project.verdict("b.migrations"), project.verdict("b.tables")) == ("inconclusive", "pass")
    assert said in " ".join(ran.text.split())


def test_nothing_that_is_measured_prints_a_line_that_looks_like_ours(project):
    project.suite(
        f"""
BAD = "{BAD}"

@pytest.mark.item("b.migrations")
def test_migrations(gate):
    found = Judgement(Verdict.FAIL, "r" + BAD, (Reading("n" + BAD, "v" + BAD, "u" + BAD, limit="l" + BAD),), ("note" + BAD,))
    gate.judge(lambda measured, limit: found, "m" + BAD, "c" + BAD, target="db1" + BAD)

@pytest.mark.item("b.tables")
def test_tables(gate):
    raise ValueError("boom" + BAD)

def test_of_nobody():
    raise ValueError("boom" + BAD)
"""
    )
    ran = project.run_process("--inventory", "prod", "-m", "phase2 or not phase2", COLUMNS="80", gate=False)
    out = project.path / "deploygate-out" / "local"
    texts = {
        path.name: path.read_text() for path in out.glob("*.*") if path.suffix in (".xml", ".json", ".html")
    }
    texts["terminal"] = ran.text
    for name, text in texts.items():
        allowed = 2 if name == "terminal" else 0  # the decision, and the last line
        assert len(OURS.findall(text)) <= allowed, (name, text)
        assert "\x1b[2J" not in text
    finding = json.loads(texts["verdicts.json"])["items"]
    assert any("db1 GO: go on" in json.dumps(item) for item in finding), "it is said, on one line"


def test_a_record_whose_name_has_a_line_end_is_a_mistake_on_one_line(project):
    project.suite(ONE)
    (project.path / "waivers").mkdir()
    (project.path / "waivers" / "x\nGO: go on\n.yml").write_text("item: b.tables\n")
    ran = project.run_process("--inventory", "prod", "-m", "phase2", gate=False)
    assert ran.code == 4
    assert not OURS.search(ran.text)
    assert "its name has characters that cannot be printed; rename the file" in ran.text


def test_a_role_that_overrides_a_freeze_is_one_of_the_checklist(project):
    project.suite(ONE)
    checklist = project.path / "suites" / "checklist.md"
    checklist.write_text(checklist.read_text() + "\n## Sign-off {#signoff .sign-off}\n- Deployment lead\n")
    ran = project.run_process(
        "--inventory",
        "prod",
        "-m",
        "phase2",
        "--override-freeze",
        "deploymnt-lead: a security fix",
        gate=False,
    )
    assert ran.code == 4
    assert "unknown role 'deploymnt-lead'; did you mean 'deployment-lead'?" in ran.text
    ran = project.run_process(
        "--inventory",
        "prod",
        "-m",
        "phase2",
        "--override-freeze",
        "deployment-lead: a security fix",
        gate=False,
    )
    assert ran.code == 21, ran.text
