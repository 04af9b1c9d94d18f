"""Steps are done once, verified, and resumed after a crash: real commands on real files, a real journal."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_deploygate import hookspecs
from pytest_deploygate.checks.way_back.section.rollback import Rollback, Step
from pytest_deploygate.journal import JournalError, Writer
from pytest_deploygate.report import gone_back
from pytest_deploygate.report.record import StepBack
from pytest_deploygate.rollback import actions, execution, going_back, progress, runbook
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.hooks import Hooks, load


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch):
    """Every writer opened by a test is closed after it, because it locks the folder."""
    opened: list[Writer] = []
    begin = Writer.__init__

    def remembered(self: Writer, folder: Path) -> None:
        begin(self, folder)
        opened.append(self)

    monkeypatch.setattr(Writer, "__init__", remembered)
    yield
    for writer in opened:
        writer.close()


def no_complaint(where: str, what: str) -> None:
    raise AssertionError(f"{where}: {what}")


def tools_of(root: Path) -> Tools:
    return Tools(
        "CHG-1", load(root, no_complaint), lambda items: "" if items == ["good.item"] else f"{items}: fail"
    )


def step(folder: Path, name: str, **more: object) -> Step:
    """A step that adds a line to a file, verified by the file's existence."""
    file = folder / name
    plain = {
        "name": name,
        "run": f"echo did >> {file}",
        "verify": {"run": f"test -s {file}", "within": "1s"},
        "within": "5s",
        "call": "database-admin",
    }
    return Step.model_validate(plain | more)


def times_done(folder: Path, name: str) -> int:
    file = folder / name
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_every_step_is_done_once_and_verified(tmp_path):
    steps = [step(tmp_path, "one"), step(tmp_path, "two", needs=["one"])]
    writer = Writer(tmp_path / "out")
    ended = execution.execute(writer, "r", steps, tools_of(tmp_path))
    assert ended.verified
    assert [(line.step, line.mark.value) for line in ended.progress.lines] == [
        ("", "begun"), ("one", "intent"), ("one", "done"), ("two", "intent"), ("two", "done"), ("", "ended"),
    ]  # fmt: skip
    assert (times_done(tmp_path, "one"), times_done(tmp_path, "two")) == (1, 1)


def test_a_step_that_fails_stops_it_and_says_whom_to_call_and_what_is_left(tmp_path):
    broken = step(tmp_path, "two", run="echo the disk is full; exit 3")
    writer = Writer(tmp_path / "out")
    ended = execution.execute(
        writer, "r", [step(tmp_path, "one"), broken, step(tmp_path, "three")], tools_of(tmp_path)
    )
    assert (ended.failed, ended.call, ended.left) == ("two", "database-admin", ("three",))
    assert "exit code 3: the disk is full" in ended.why
    mended = [step(tmp_path, "one"), step(tmp_path, "two"), step(tmp_path, "three")]
    again = execution.execute(writer, "r", mended, tools_of(tmp_path))
    assert again.verified
    assert times_done(tmp_path, "one") == 1, "what is done is not done twice"


def test_a_step_that_ran_well_and_did_not_take_has_failed(tmp_path):
    hollow = step(tmp_path, "one", run="true")
    ended = execution.execute(Writer(tmp_path / "out"), "r", [hollow], tools_of(tmp_path))
    assert not ended.verified
    assert "ended with exit code 1" in ended.why


def test_a_step_without_verification_never_counts_as_done(tmp_path):
    ended = execution.execute(
        Writer(tmp_path / "out"), "r", [step(tmp_path, "one", verify=None, within="1s")], tools_of(tmp_path)
    )
    assert not ended.verified
    assert ended.why == "nothing verifies this step"


def test_a_step_that_takes_too_long_is_ended_with_its_children(tmp_path):
    slow = step(tmp_path, "slow", run=f"sleep 60 & echo $! > {tmp_path}/pid; wait", within="1s")
    ended = execution.execute(Writer(tmp_path / "out"), "r", [slow], tools_of(tmp_path))
    assert "did not end within 1 s" in ended.why
    child = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    assert not child.exists() or child.read_text().split()[2] == "Z"


def test_items_of_the_checklist_verify_a_step(tmp_path):
    good = step(tmp_path, "one", verify={"items": ["good.item"], "within": "1s"})
    bad = step(tmp_path, "two", verify={"items": ["bad.item"], "within": "1s"})
    ended = execution.execute(Writer(tmp_path / "out"), "r", [good, bad], tools_of(tmp_path))
    assert (ended.failed, ended.why) == ("two", "['bad.item']: fail")


def crashed(tmp_path: Path, name: str) -> Writer:
    """A journal in which a step was begun and has no result."""
    writer = Writer(tmp_path / "out")
    writer.append(
        progress.KIND, progress.to_json(progress.Line("r", progress.Mark.BEGUN, execution.present()))
    )
    writer.append(
        progress.KIND, progress.to_json(progress.Line("r", progress.Mark.INTENT, execution.present(), name))
    )
    return writer


def test_after_a_crash_a_step_that_took_is_not_done_again(tmp_path):
    (tmp_path / "one").write_text("did\n")
    ended = execution.execute(crashed(tmp_path, "one"), "r", [step(tmp_path, "one")], tools_of(tmp_path))
    assert ended.verified
    assert times_done(tmp_path, "one") == 1
    assert ended.progress.lines[-2].after_crash


def test_after_a_crash_a_step_that_did_not_take_is_done(tmp_path):
    ended = execution.execute(crashed(tmp_path, "one"), "r", [step(tmp_path, "one")], tools_of(tmp_path))
    assert ended.verified
    assert times_done(tmp_path, "one") == 1


def test_after_a_crash_what_must_not_be_done_twice_waits_for_a_person(tmp_path):
    once = step(tmp_path, "one", idempotent=False)
    ended = execution.execute(crashed(tmp_path, "one"), "r", [once], tools_of(tmp_path))
    assert not ended.verified
    assert "must not be done twice" in ended.why
    assert times_done(tmp_path, "one") == 0


def test_a_command_that_a_crash_left_behind_is_waited_for(tmp_path):
    """The step's command outlives the process: doing the step again would run it twice."""
    slow = step(tmp_path, "one", run=f"sleep 2; echo did >> {tmp_path}/one")
    script = textwrap.dedent(_ROLL_BACK.format(here=str(Path(__file__).parent), folder=str(tmp_path)))
    script = script.replace(
        "steps = [",
        f"steps = [t.Step.model_validate({slow.model_dump(mode='json', exclude_none=True)!r})] or [",
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.5)
        process.kill()
    ended = execution.execute(Writer(tmp_path / "out"), "r", [slow], tools_of(tmp_path))
    assert ended.verified
    assert times_done(tmp_path, "one") == 1


def test_an_ended_rollback_is_not_begun_again(tmp_path):
    writer = Writer(tmp_path / "out")
    for _ in range(2):
        assert execution.execute(writer, "r", [step(tmp_path, "one")], tools_of(tmp_path)).verified
    assert times_done(tmp_path, "one") == 1


def test_two_rollbacks_at_once_are_impossible(tmp_path):
    Writer(tmp_path / "out")
    with pytest.raises(JournalError, match="another run is writing"):
        Writer(tmp_path / "out")


_ROLL_BACK = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {here!r})
    import test_rollback_execution as t
    folder = Path({folder!r})
    steps = [t.step(folder, name) for name in ("a", "b", "c", "d")]
    writer = t.Writer(folder / "out")
    t.execution.execute(writer, "r", steps, t.tools_of(folder), lambda step, said: print(step, said, flush=True))
"""


@pytest.mark.parametrize("lines", range(1, 9))
def test_a_kill_at_each_boundary_and_a_restart_end_rolled_back(tmp_path, lines):
    """`kill -9` after a given number of output lines; the restart repeats no step that had taken effect."""
    script = textwrap.dedent(_ROLL_BACK.format(here=str(Path(__file__).parent), folder=str(tmp_path)))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    steps = [step(tmp_path, name) for name in ("a", "b", "c", "d")]
    ended = execution.execute(Writer(tmp_path / "out"), "r", steps, tools_of(tmp_path))
    assert ended.verified
    assert [times_done(tmp_path, name) for name in ("a", "b", "c", "d")] == [1, 1, 1, 1]


def test_hooks_do_and_verify_steps_and_an_error_in_one_is_no_success(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "def pytest_deploygate_rollback_execute(step):\n"
        "    return '' if step.name == 'theirs' else None\n"
        "def pytest_deploygate_rollback_verify(step):\n"
        "    if step.name == 'raises':\n"
        "        raise RuntimeError('no route')\n"
        "    return step.name == 'theirs'\n"
    )
    said: list[str] = []
    hooks = load(tmp_path, lambda where, what: said.append(f"{where}: {what}"))
    tools = Tools("CHG-1", hooks, lambda _items: "")
    theirs = step(tmp_path, "theirs", run="exit 1", verify=None, within="1s")
    raises = step(tmp_path, "raises", run="true", verify=None, within="1s")
    ended = execution.execute(Writer(tmp_path / "out"), "r", [theirs, raises], tools)
    why = "this step could not be verified: its hook failed, RuntimeError: no route"
    assert (ended.failed, ended.why) == ("raises", why)
    assert said[0] == "pytest_deploygate_rollback_verify: RuntimeError: no route"


def test_a_hook_that_breaks_off_while_it_does_a_step_fails_it_and_ours_is_not_tried_on_top(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import pytest\ndef pytest_deploygate_rollback_execute(step):\n    pytest.fail('half done')\n"
    )
    hooks = load(tmp_path, lambda _where, _what: None)
    ended = execution.execute(
        Writer(tmp_path / "out"), "r", [step(tmp_path, "a")], Tools("CHG-1", hooks, lambda _items: "")
    )
    assert (ended.failed, "half done" in ended.why) == ("a", True)
    assert times_done(tmp_path, "a") == 0


def test_an_error_in_one_hook_stops_no_other(tmp_path):
    """The suites' conftest answers although that of the root fails; the error is reported."""
    (tmp_path / "suites").mkdir()
    (tmp_path / "conftest.py").write_text("def pytest_deploygate_rerun(items):\n    raise SystemExit(3)\n")
    (tmp_path / "suites" / "conftest.py").write_text(
        "def pytest_deploygate_rerun(items):\n    return ['b']\n"
    )
    said: list[str] = []
    hooks = load(tmp_path, lambda where, what: said.append(f"{where}: {what}"))
    (tmp_path / "conftest.py").touch()
    answers, wrong = hooks.answers("pytest_deploygate_rerun", items=["a"])
    assert answers == [["b"]]
    assert wrong in ([], ["SystemExit: 3"])
    assert len(said) == len(wrong)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise OSError('no such file')", "failed, so the runbook may be incomplete: OSError"),
        ("return ['restart']", "'restart' is not a Step"),
        ("return [Step(name='a', run='true')] * 2", "two steps are called 'a'"),
    ],
)
def test_a_runbook_that_may_lack_steps_is_not_followed(tmp_path, body, why):
    (tmp_path / "conftest.py").write_text(
        "from pytest_deploygate.checks.way_back.section.rollback import Step\n"
        f"def pytest_deploygate_rollback_steps():\n    {body}\n"
    )
    with pytest.raises(going_back.Refusal, match=why):
        going_back.steps(Rollback(), load(tmp_path, lambda _where, _what: None))


def test_a_conftest_that_cannot_be_loaded_is_complained_of(tmp_path):
    (tmp_path / "conftest.py").write_text("import nothing_of_this_name\n")
    said: list[str] = []
    hooks = load(tmp_path, lambda where, what: said.append(f"{where}: {what}"))
    assert "ModuleNotFoundError" in said[0]
    with pytest.raises(going_back.Refusal, match="may add steps to the runbook"):
        going_back.steps(Rollback(), hooks)


def test_every_hook_says_who_calls_it_and_what_its_absence_means():
    for name in dir(hookspecs):
        if name.startswith("pytest_deploygate_"):
            assert len((getattr(hookspecs, name).__doc__ or "").split()) > 12, name


def test_every_hook_is_called_by_somebody_and_says_by_whom():
    """No hook is left uncalled; each docstring has a sentence that begins with `Called`."""
    package = Path(hookspecs.__file__).parent
    code = "\n".join(f.read_text() for f in package.rglob("*.py") if f.name != "hookspecs.py")
    names = {name for name in dir(hookspecs) if name.startswith("pytest_deploygate_")}
    assert {n.removeprefix("pytest_deploygate_") for n in names} == {
        "classify", "quickfix", "rerun", "decide", "rollback_steps", "rollback_execute", "rollback_verify",
        "post_rollback", "notify", "report_section",
    }  # fmt: skip
    assert [name for name in names if f'"{name}"' not in code] == []
    assert [name for name in names if "Called " not in getattr(hookspecs, name).__doc__] == []


def test_the_plan_finds_what_would_go_wrong(tmp_path):
    steps = [
        step(tmp_path, "restore", loses_writes=True, verify=None, call="", estimate="40m"),
        step(tmp_path, "tell", dry_run="echo would tell"),
    ]
    plan = runbook.plan(Rollback(steps=steps), steps, tools_of(tmp_path))
    assert not plan.sound
    said = "\n".join([*plan.problems, *(problem for planned in plan.steps for problem in planned.problems)])
    for words in (
        "nothing verifies it",
        "nobody to call",
        "more than the 30 min",
        "how to count them",
        "no `dry_run`",
    ):
        assert words in said
    assert plan.steps[1].would == "would tell"
    assert times_done(tmp_path, "restore") == times_done(tmp_path, "tell") == 0, "a plan changes nothing"


def test_rehearsals_give_the_estimates(tmp_path):
    file = tmp_path / "rehearsals.json"
    for seconds in (3.0, 5.0, 4.0):
        runbook.remember(file, {"one": seconds})
    steps = [step(tmp_path, "one")]
    plan = runbook.plan(Rollback(steps=steps, rehearsals=file), steps, tools_of(tmp_path))
    assert (plan.steps[0].estimate_s, plan.steps[0].estimated_from) == (4.0, "3 rehearsals")


def test_hooks_that_gather_and_hooks_that_decide_answer_alike_without_implementations(tmp_path):
    hooks = load(tmp_path, no_complaint)
    assert isinstance(hooks, Hooks)
    assert hooks.ask("pytest_deploygate_rollback_steps") == []
    assert hooks.ask("pytest_deploygate_rollback_verify", step=step(tmp_path, "one")) is None
    assert actions.verifiable(step(tmp_path, "one"))


def shown(writer: Writer) -> list[StepBack]:
    """The steps as the report shows them."""
    lines = [entry for entry in writer.entries if entry.kind == progress.KIND]
    return list(gone_back._steps(lines, str(lines[0].body["said"])))


def test_counting_is_not_part_of_the_step_and_steps_do_not_overlap(tmp_path):
    def brink() -> str:
        time.sleep(0.4)
        return ""

    steps = [step(tmp_path, "fence"), step(tmp_path, "restore", loses_writes=True), step(tmp_path, "open")]
    writer = Writer(tmp_path / "out")
    assert execution.execute(writer, "r", steps, tools_of(tmp_path), brink=brink).verified
    fence, restore, opened = shown(writer)
    assert restore.counted_s >= 0.4
    assert restore.took_s < 0.4
    assert fence.counted_s == opened.counted_s < 0.1
    for before, after in itertools.pairwise((fence, restore, opened)):
        assert before.began is not None
        assert after.began is not None
        counting = after.began - timedelta(seconds=after.counted_s)
        assert before.began + timedelta(seconds=before.took_s) <= counting + timedelta(seconds=0.05)


def test_a_step_that_was_tried_twice_shows_its_last_try(tmp_path):
    steps = [step(tmp_path, "one", run="exit 3", idempotent=True), step(tmp_path, "two")]
    writer = Writer(tmp_path / "out")
    assert not execution.execute(writer, "r", steps, tools_of(tmp_path)).verified
    time.sleep(0.3)
    again = time.time()
    steps[0] = step(tmp_path, "one", idempotent=True)
    assert execution.execute(writer, "r", steps, tools_of(tmp_path)).verified
    one, two = shown(writer)
    assert one.tries == 2
    assert one.began is not None
    assert one.began.timestamp() > again - 0.01
    assert two.began is not None
    assert one.began + timedelta(seconds=one.took_s) <= two.began + timedelta(seconds=0.05)
