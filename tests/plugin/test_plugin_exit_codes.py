"""The exit code contract: what each way to run and to end means, and that nothing incomplete looks complete."""

from __future__ import annotations

from pathlib import Path

import forked
import pytest
from project import Ran

from pytest_deploygate import disk


def one(body: str, marks: str = "", item: str = "b.migrations") -> str:
    """Return a suite of one test for an item, with a good one for the other item that can hold."""
    return f"""
@pytest.mark.item("b.tables")
def test_other(gate):
    says(gate)

{marks}
@pytest.mark.item("{item}")
def test_it(gate):
    {body}
"""


def test_all_good_is_go(good):
    """Every critical and major item good: GO, exit 0, and the five files exist."""
    ran = good.run("-m", "phase2")
    assert ran.code == 0
    assert "GO" in ran.text
    decision = good.verdicts()["decision"]
    assert (decision["outcome"], decision["exit_code"], decision["scope"]) == ("GO", 0, "phase2")
    assert {p.name for p in good.out.iterdir()} >= {
        "journal.jsonl",
        "verdicts.json",
        "signoff.html",
        "junit.xml",
        "evidence",
    }
    assert not list(good.out.rglob("*.part"))
    out_of_scope = [entry["id"] for entry in good.verdicts()["items"] if not entry["in_scope"]]
    assert out_of_scope == ["a.servers", "a.tls", "c.errors"]


@pytest.mark.parametrize(
    ("body", "code", "verdict", "reason"),
    [
        ("says(gate, 'fail', 'three are missing')", 1, "fail", "three are missing"),
        ("says(gate, 'inconclusive', 'nobody answers')", 21, "inconclusive", "nobody answers"),
        ("says(gate, 'not_covered', 'nothing to see')", 21, "not_covered", "nothing to see"),
        ("says(gate, 'pass'); says(gate, 'fail', 'worse', target='two')", 1, "fail", "worse"),
        ("assert 1 == 2, 'one is not two'", 1, "fail", "one is not two"),
        ("says(gate); assert False, 'afterwards'", 1, "fail", "afterwards"),
        ("pytest.fail('said so')", 1, "fail", "said so"),
        ("raise CannotTell('db1 refuses us')", 21, "inconclusive", "db1 refuses us"),
        ("raise NotCovered('add a section')", 21, "not_covered", "add a section"),
        ("raise RuntimeError('our bug')", 21, "inconclusive", "the check itself failed with an error"),
        ("says(gate); raise RuntimeError('our bug')", 21, "inconclusive", "our bug"),
        ("pytest.skip('not today')", 21, "not_covered", "the test was skipped: not today"),
        ("says(gate); pytest.skip('not today')", 21, "not_covered", "not today"),
        ("pytest.xfail('known')", 1, "fail", "known"),
        ("raise SystemExit(0)", 21, "inconclusive", "SystemExit"),
        ("raise BaseException('base')", 21, "inconclusive", "base"),
        ("judge.x", 21, "inconclusive", "AttributeError"),
        ("gate.judge(lambda m, c: None, 1, 2)", 21, "inconclusive", "failed with an error"),
        ("pass", 25, "not_covered", "yielded no finding"),
        ("return", 25, "not_covered", "yielded no finding"),
    ],
)
def test_how_a_test_ends(project, body, code, verdict, reason):
    """Every way a bound test can end has a verdict, a reason and an exit code, and none is an unearned pass."""
    project.suite(one(body))
    ran = project.run("-m", "phase2")
    assert (ran.code, project.verdict("b.migrations")) == (code, verdict)
    assert reason in project.reason("b.migrations")
    assert project.verdicts()["decision"]["outcome"] == "HOLD"
    assert project.verdict("b.tables") == "pass"
    assert "Traceback" not in ran.text
    assert "INTERNALERROR" not in ran.text


@pytest.mark.parametrize(
    ("marks", "body", "code", "verdict"),
    [
        ("@pytest.mark.skip('later')", "says(gate)", 21, "not_covered"),
        ("@pytest.mark.skipif(True, reason='later')", "says(gate)", 21, "not_covered"),
        ("@pytest.mark.xfail(reason='known')", "says(gate, 'fail', 'red')", 1, "fail"),
        ("@pytest.mark.xfail(reason='known')", "assert 0", 1, "fail"),
        ("@pytest.mark.xfail(run=False, reason='known')", "says(gate)", 1, "fail"),
        ("@pytest.mark.xfail(raises=RuntimeError)", "raise RuntimeError()", 21, "inconclusive"),
        ("@pytest.mark.timeout(0.2)", "time.sleep(20); says(gate)", 21, "inconclusive"),
        ("@pytest.mark.timeout(0.2)", "says(gate); time.sleep(20)", 21, "inconclusive"),
        ("@pytest.mark.usefixtures('breaks_before')", "says(gate)", 21, "inconclusive"),
        ("@pytest.mark.usefixtures('breaks_after')", "says(gate)", 21, "inconclusive"),
        ("@pytest.mark.usefixtures('asserts_after')", "says(gate)", 1, "fail"),
        ("@pytest.mark.usefixtures('no_such_fixture')", "says(gate)", 21, "inconclusive"),
        ("@pytest.mark.parametrize('x', [])", "says(gate)", 21, "not_covered"),
    ],
)
def test_marks_and_fixtures_do_not_turn_it_green(project, marks, body, code, verdict):
    """Skips, expected failures, time limits, broken fixtures and empty parameter lists never end as a pass."""
    takes = "gate, x" if "parametrize" in marks else "gate"
    project.suite(
        """
        @pytest.fixture
        def breaks_before():
            raise RuntimeError("before")

        @pytest.fixture
        def breaks_after():
            yield
            raise RuntimeError("after")

        @pytest.fixture
        def asserts_after():
            yield
            assert False, "after"
        """,
        "conftest.py",
    )
    project.suite(one(body, marks).replace("def test_it(gate)", f"def test_it({takes})"))
    ran = project.run("-m", "phase2")
    assert (ran.code, project.verdict("b.migrations")) == (code, verdict)
    assert "Traceback" not in ran.text


def test_a_failed_minor_item_does_not_hold(project):
    """A minor item that fails is listed; the run is GO with exit 0, although pytest counts a failure."""
    project.suite(
        """
        @pytest.mark.item("b.migrations", "b.tables")
        def test_good(gate):
            says(gate)

        @pytest.mark.item("b.notes")
        def test_bad(gate):
            says(gate, "fail", "no notes")
        """
    )
    ran = project.run("-m", "phase2")
    assert ran.code == 0
    assert "no notes" in ran.text
    assert project.verdict("b.notes") == "fail"


def test_no_test_for_an_item(project):
    """An item in scope without a finding holds with 21 and is named, although every test passed."""
    project.suite(
        """
        @pytest.mark.item("b.migrations")
        def test_one(gate):
            says(gate)
        """
    )
    assert project.run("-m", "phase2").code == 21
    assert project.verdict("b.tables") == "not_covered"
    assert "b.tables" in project.because()


def test_no_test_at_all(project):
    """A scope for which nothing is collected holds; pytest's 5 is not what CI sees."""
    assert project.run("-m", "golive").code == 21
    assert "no item of this scope was measured or attested" in project.because()


@pytest.mark.parametrize(
    "args",
    [
        ["-k", "migrations"],
        ["-k", "not alerts"],
        ["suites/test_suite.py::test_migrations"],
        ["suites/test_suite.py::test_table[users]"],
        ["--deselect", "suites/test_suite.py::test_notes"],
        ["-k", "nothing_has_this_name"],
        ["--ignore", "suites/test_suite.py"],
    ],
)
def test_a_run_that_left_tests_out_is_incomplete(good, args):
    """-k, node ids, --deselect and --ignore do not change the scope: exit 25, naming the tests without a finding."""
    ran = good.run("-m", "phase2", *args)
    assert ran.code == 25
    assert "bound tests yielded no finding" in good.because()


def test_stopping_at_the_first_failure_is_incomplete(project):
    """-x after a failure leaves tests without a finding: 25, which takes precedence over 1."""
    project.suite(
        """
        @pytest.mark.item("b.migrations")
        def test_a(gate):
            says(gate, "fail", "red")

        @pytest.mark.item("b.tables")
        def test_b(gate):
            says(gate)
        """
    )
    assert project.run("-m", "phase2", "-x").code == 25
    assert "1 bound tests yielded no finding: suites/test_suite.py::test_b" in project.because()
    assert "failed: b.migrations" in project.because()


@pytest.mark.parametrize(("body", "code"), [("assert 1", 0), ("assert 0", 1), ("raise RuntimeError", 1)])
def test_an_ordinary_test_beside_it(good, body, code):
    """A test without an item counts as in any pytest run: its failure is 1 if the decision is GO."""
    good.suite(f"@pytest.mark.phase2\ndef test_ordinary():\n    {body}\n", "test_more.py")
    assert good.run("-m", "phase2").code == code
    assert good.verdicts()["decision"]["outcome"] == ("HOLD" if code else "GO")


def test_a_file_that_cannot_be_collected(good):
    """A suite file with an error ends as in pytest (2) or, if pytest continues, as missing evidence."""
    good.suite("def broken(:\n", "test_broken.py")
    assert good.run("-m", "phase2").code == 2
    assert good.run("-m", "phase2", "--continue-on-collection-errors").code == 25


def test_a_bound_file_that_cannot_be_imported(good):
    """Bound tests of a file that cannot be imported are known from its source and reported as missing."""
    good.suite(
        'import nothing_of_this_name\n@pytest.mark.item("b.tables")\ndef test_x(gate):\n    says(gate)\n',
        "test_b.py",
    )
    assert good.run("-m", "phase2", "--continue-on-collection-errors").code == 25
    assert "suites/test_b.py::test_x" in good.because()


@pytest.mark.parametrize(
    ("expression", "items"),
    [
        ("", 6),
        ("phase2", 3),
        ("preflight and infrastructure", 1),
        ("preflight and not infrastructure", 1),
        ("preflight or golive", 3),
        ("database", 3),
        ("not phase2", 3),
    ],
)
def test_the_scope_is_what_m_names(good, expression, items):
    """Phases and areas with and, or, not select the items in scope."""
    good.run(*(["-m", expression] if expression else []))
    found = good.verdicts()
    assert sum(entry["in_scope"] for entry in found["items"]) == items
    assert found["decision"]["scope"] == (expression or "the whole checklist")


@pytest.mark.parametrize("expression", ["phase2 and (", "phase2 or", "phase2 &"])
def test_a_scope_that_cannot_be_read_is_refused(good, expression):
    """With a sentence and exit code 4, before anything runs."""
    ran = good.run("-m", expression)
    assert ran.code == 4
    assert f"-m {expression!r} cannot be read: " in ran.text
    assert "write for example -m 'phase2 and database'" in ran.text
    assert "Traceback" not in ran.text
    assert "INTERNALERROR" not in ran.text


def test_a_full_disk_is_incomplete_evidence(good) -> None:
    """The journal cannot grow any more: the run stops with 25 and says what to do."""
    good.suite(
        """
        import resource

        @pytest.mark.item("b.migrations")
        def test_migrations(gate):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            size = (_out() / "journal.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            says(gate)

        def _out():
            import pathlib
            return pathlib.Path("deploygate-out/local")
        """,
        "test_a_disk.py",
    )
    process = good.start("-m", "phase2", "--inventory", "prod")  # into a pipe, which no disk bounds
    text, _ = process.communicate(timeout=120)
    ran = Ran(process.returncode, text)
    assert ran.code == 25, ran.text
    assert "pytest -m phase2 --inventory prod --resume" in ran.text
    assert "Report: none" in ran.text
    assert not (good.out / "signoff.html").exists()
    assert "Traceback" not in ran.text
    assert "(pytest: " not in ran.text


def test_a_disk_that_fails_later_ends_the_run_before_the_next_test(good, monkeypatch) -> None:
    """The journal is brought to the disk while a test is torn down: another process says that it could not be."""
    monkeypatch.setattr(disk, "WORTH_S", 0.0)
    monkeypatch.setattr(disk, "_PROCESS", disk._PROCESS.replace("bring(descriptor)", "os.fdatasync(0)"))
    good.suite(
        """
        import pathlib

        @pytest.mark.item("b.migrations")
        @pytest.mark.parametrize("n", range(5))
        def test_migrations(gate, n):
            with pathlib.Path("begun").open("a") as file:
                file.write(f"{n}")
            says(gate)
        """,
        "test_a_disk.py",
    )
    ran = good.run("-m", "phase2")
    assert ran.code == 25, ran.text
    assert "cannot be written: Invalid argument; free disk space" in ran.text
    assert (good.path / "begun").read_text() in ("0", "01")
    assert "Traceback" not in ran.text


def test_a_path_above_the_project_after_an_option_is_named(good) -> None:
    """pytest takes an existing file after an unknown option for its root; the message says so, not "no inventory"."""
    project = good.path / "below"
    project.mkdir()
    for name in ("pytest.ini", "suites", "inventories"):
        (good.path / name).rename(project / name)
    (good.path / "ticked.md").write_text("")
    code, text = _in(project, "--ticked", "../ticked.md")
    assert code == 4
    assert "write it with an equals sign" in text
    code, text = _in(project, "--ticked=../ticked.md")
    assert code == 0, text


def _in(folder: Path, *args: str) -> tuple[int, str]:
    done = forked.run("pytest", ["-m", "phase2", "--inventory", "prod", *args], cwd=folder)
    return done.returncode, done.stdout + done.stderr


def test_what_was_deferred_is_measured_again_once_its_phase_is_behind(project):
    """Phase 2 is GO with a table that waits for phase 4; go-live holds until that table was measured with its rows."""
    project.checklist_with("## Data {#phase4}\n- [ ] Rows {#d.rows .automated}\n")
    waits = "gate.judge(lambda m, c: Judgement(Verdict.INCONCLUSIVE, 'empty', deferred_to='phase4'), 1, 2)"
    others = "".join(
        f"""
@pytest.mark.item("{item}")
def test_{item.replace(".", "_")}(gate):
    says(gate)
"""
        for item in ("a.servers", "a.tls", "b.migrations", "b.notes", "c.errors", "d.rows")
    )
    test = '@pytest.mark.item("b.tables")\ndef test_tables(gate):\n    '
    project.suite(others + test + waits)
    ran = [project.run("-m", phase, "--change", "C1") for phase in ("preflight", "phase2", "phase4")]
    assert [r.code for r in ran] == [0, 0, 0]
    held = project.run("-m", "golive", "--change", "C1")
    assert held.code == 21
    assert "b.tables was deferred to phase4 and has not been measured since" in " ".join(held.text.split())
    project.suite(others + test + "says(gate)")
    assert project.run("-m", "phase2", "--change", "C1").code == 0
    assert project.run("-m", "golive", "--change", "C1").code == 0


def last(ran: Ran) -> str:
    """pytest's own closing line."""
    return next(line for line in reversed(ran.text.splitlines()) if line.startswith("="))


def test_the_closing_line_agrees_with_the_exit_code(project):
    """It names decision and exit code, and does not call a HOLD passed."""
    project.suite(one("says(gate, 'inconclusive', 'nobody answers')"))
    ran = project.run("-m", "phase2")
    assert ran.code == 21
    assert "HOLD (exit code 21), 2 tests of the checklist in " in last(ran)
    assert "passed" not in last(ran)
    assert "Exit code 21 (HOLD" in ran.text


def test_the_closing_line_counts_tests_outside_the_checklist(good):
    """A GO with another test that failed exits with 1, and both places say that it is not good."""
    good.suite("def test_other():\n    assert 0\n\ndef test_more():\n    pass\n", "test_more.py")
    good.suite(
        """
        @pytest.mark.item("a.servers")
        @pytest.mark.item("a.tls")
        @pytest.mark.item("c.errors")
        def test_rest(gate):
            says(gate)
        """,
        "test_rest.py",
    )
    ran = good.run()
    assert ran.code == 1
    assert "GO: proceed" not in ran.text
    assert "Exit code 0" not in ran.text
    assert "attach the report to the change ticket and proceed" not in ran.text
    assert "Exit code 1 (HOLD, a test outside the checklist failed)" in ran.text
    assert "1 test outside the checklist failed: suites/test_more.py::test_other" in ran.text
    assert "HOLD (exit code 1), 5 tests of the checklist, 1 other passed, 1 other failed in " in last(ran)


@pytest.mark.parametrize("body", ["assert 0", "raise RuntimeError"])
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_failure_beside_a_go_is_one_outcome(good, body, workers):
    """No line says GO or 0 when the process ends with 1."""
    good.suite(f"@pytest.mark.phase2\ndef test_ordinary():\n    {body}\n", "test_more.py")
    ran = good.run_process("-m", "phase2", *workers)
    assert ran.code == 1
    assert ran.text.count("HOLD: do not proceed") == 1
    assert "GO:" not in ran.text
    assert good.verdicts()["decision"]["outcome"] == "HOLD"
    assert good.verdicts()["decision"]["exit_code"] == 1
    assert "Do not proceed" in (good.out / "signoff.html").read_text()
    again = good.run_process("-m", "phase2", "--deselect", "suites/test_more.py::test_ordinary", *workers)
    assert again.code == 0, again.text
    assert "Exit code 0" not in ran.text
    assert "and proceed" not in ran.text


def test_a_status_that_another_plugin_sets_is_the_one_that_is_said(good):
    good.suite(
        """
        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish(session):
            session.exitstatus = 7
        """,
        "conftest.py",
    )
    ran = good.run_process("-m", "phase2")
    assert ran.code == 7
    assert "Exit code 0" not in ran.text
    assert "Exit code 7" in ran.text
    assert "GO:" not in ran.text


def test_next_is_typed_as_the_run_was(good):
    """A change that nobody named is not named; paths and the folder are, or `--resume` would find another journal."""
    elsewhere = good.path / "other.yml"
    (good.path / "inventories" / "prod.yml").rename(elsewhere)
    ran = good.run(
        "-m", "phase2", "-k", "nothing", "--inventory=./other.yml", "--deploygate-out=out", gate=False
    )
    assert ran.code == 25, ran.text
    told = " ".join(ran.text.replace("\\\n", " ").split())
    assert "pytest -m phase2 --inventory=./other.yml --deploygate-out out --resume" in told
    assert "--change" not in told
