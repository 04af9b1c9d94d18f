"""What wrk2 measured: one output that it printed, and others in its form."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from wrk2_output import STALL

from pytest_deploygate.checks.load.judge.spectrum import judge_spectrum, spectrum_criteria
from pytest_deploygate.checks.load.probe.wrk2 import wrk2
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.cli import main
from pytest_deploygate.model import CannotTell, Verdict

TARGET = {"scheme": "http", "host": "127.0.0.1", "port": 8080}
LOAD = {"target": TARGET, "endpoints": [{"path": "/a"}], "peak_per_second": 500, "duration": "20s"}
#: wrk does not have wrk2's histograms: this is Debian's wrk 4.1.0.
WRK = """\
Running 3s test @ http://127.0.0.1:8080/a
  1 threads and 10 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   385.66ms  601.75ms   1.99s    80.51%
    Req/Sec     8.58k     3.93k   11.76k    81.82%
  Latency Distribution
     50%    2.11ms
     75%  703.68ms
     90%    1.48s\x20
     99%    1.94s\x20
  9584 requests in 3.03s, 374.38KB read
Requests/sec:   3158.85
Transfer/sec:    123.39KB
"""


def printed(
    rows=((0.5, 1), (2.0, 4960), (9.0, 4970)), answers=9994, more="", calibrated=True, recorded=None
) -> str:
    """An output with these rows of (ms, answers within them)."""
    total = rows[-1][1] if recorded is None else recorded
    lines = ["Running 20s test @ http://127.0.0.1:8080/a", "  2 threads and 20 connections"]
    lines += ["  Thread calibration: mean lat.: 1.6ms, rate sampling interval: 10ms"] * 2 * calibrated
    lines += ["  Latency Distribution (HdrHistogram - Recorded Latency)", " 50.000%    1.43ms", ""]
    lines += [
        "  Detailed Percentile spectrum:",
        "       Value   Percentile   TotalCount 1/(1-Percentile)",
        "",
    ]
    lines += [f"{ms:12.3f}     {within / max(1, total):.6f} {within:12d}         1.00" for ms, within in rows]
    lines += [
        "#[Mean    =        1.120, StdDeviation   =        0.510]",
        f"#[Max     =        9.872, Total count    = {total:12d}]",
    ]
    lines += ["-" * 58, f"  {answers} requests in 20.00s, 390.39KB read"] + ([more] if more else [])
    return "\n".join([*lines, f"Requests/sec:    {answers / 20:.2f}", "Transfer/sec:     19.52KB", ""])


def judged(tmp_path: Path, text: str, **changes) -> list:
    """The judgements of p50 and p99."""
    load = Load.model_validate(LOAD | changes)
    file = tmp_path / "printed.txt"
    file.write_text(text)
    found = wrk2(file, load)
    return [judge_spectrum(found, criterion) for criterion in spectrum_criteria(load)]


def test_a_real_output_is_read_and_its_stall_fails(tmp_path):
    (tmp_path / "printed.txt").write_text(STALL)
    found = wrk2(tmp_path / "printed.txt", Load.model_validate(LOAD))
    assert (found.answered, found.planned, found.recorded, found.due) == (9994, 10_000, 4970, 4976)
    assert found.over(0.5) == (744, 869)
    assert found.within(0.99) == pytest.approx(1.913, abs=0.001)
    p50, p99 = judged(tmp_path, STALL)
    assert p99.verdict is Verdict.FAIL
    assert "744 of 4970 answers (14.97%) took longer" in p99.reason
    assert p50.verdict is Verdict.INCONCLUSIVE
    assert "does not print whether they were one stall" in p50.reason


def test_quick_answers_pass_and_what_wrk2_does_not_tell_is_said(tmp_path):
    p50, p99 = judged(tmp_path, printed())
    assert (p50.verdict, p99.verdict) == (Verdict.PASS, Verdict.PASS)
    assert "an answer counts as good if its status is below 400" in p99.reason
    said = " ".join(p99.notes)
    assert all(
        word in said for word in ("redirects", "no method", "how late it was itself", "a stall before")
    )
    # 5 requests had no answer at the end; they count as slow, and as one stall.
    assert "at most 5 of 4975 requests" in p99.reason


@pytest.mark.parametrize(
    ("text", "verdict", "words"),
    [
        # 20 of 4,975 are 0.4 %, under 1 %; as one stall they do not show that it would hold the next time.
        (printed(((2.0, 4950), (900.0, 4970))), Verdict.INCONCLUSIVE, "one stall"),
        (printed(((2.0, 4800), (600.0, 4801), (900.0, 4970))), Verdict.FAIL, "169 of 4970 answers"),
        (printed(more="  Non-2xx or 3xx responses: 9994"), Verdict.FAIL, "a status of 400 or above"),
        (printed(more="  Non-2xx or 3xx responses: 40"), Verdict.INCONCLUSIVE, "0 to 45 of 4975"),
        (
            printed(more="  Socket errors: connect 0, read 30, write 0, timeout 9"),
            Verdict.INCONCLUSIVE,
            "0 to 44 of 4975",
        ),
        # The server stood still from the 17th second on: wrk2 ends without those answers.
        (printed(((2.0, 3470),), answers=8494), Verdict.INCONCLUSIVE, "8494 answers of 10000 planned"),
        # Half of what was due while wrk2 recorded is missing, though all answers are there.
        (printed(((2.0, 2485),)), Verdict.INCONCLUSIVE, "0 to 2490 of 4975"),
        (printed(((2.0, 200),)), Verdict.INCONCLUSIVE, "200 recorded answers are too few"),
    ],
)
def test_what_could_have_been_slow_never_passes(tmp_path, text, verdict, words):
    _, p99 = judged(tmp_path, text)
    assert (p99.verdict, words in p99.reason) == (verdict, True), p99.reason


def test_a_rate_under_the_peak_does_not_pass(tmp_path):
    _, p99 = judged(tmp_path, printed(), peak_per_second=700, rate_per_second=500)
    assert p99.verdict is Verdict.INCONCLUSIVE
    assert "run wrk2 with -R 700" in p99.reason


def test_a_run_without_calibration_counts_from_its_start(tmp_path):
    short = (
        printed(((2.0, 4000),), answers=4000, calibrated=False).replace("20s", "8s").replace("20.00s", "8s")
    )
    short = re.sub(r"Requests/sec: .*", "Requests/sec:    500.00", short)
    _, p99 = judged(tmp_path, short, duration="8s")
    assert p99.verdict is Verdict.PASS
    assert not any("a stall before" in note for note in p99.notes)


@pytest.mark.parametrize(
    ("text", "changes", "words"),
    [
        ("", {}, "there is no line `Running"),
        (WRK, {"duration": "3s"}, "closed loop"),
        (WRK.replace("  Latency Distribution\n", ""), {}, "run wrk2 with --latency"),
        (STALL + STALL, {}, "2 runs of wrk2"),
        (STALL[: STALL.index("Requests/sec:")], {}, "cut off"),
        (STALL.replace("     2003.967     1.000000         4970          inf\n", ""), {}, None),
        (printed(recorded=4990), {}, "last row has 4970 of 4990"),
        (printed(((3.0, 9), (2.0, 4970))), {}, "not whole"),
        (printed(((0.0, 0),)), {}, "recorded no answer"),
        (printed(((2.0, 4970),)).replace("2.000 ", "2.0.0 "), {}, "no number"),
        (STALL, {"endpoints": [{"path": "/a"}, {"path": "/b"}]}, "each of 2 endpoints"),
        (STALL, {"endpoints": [{"path": "/b"}]}, "wrk2 requested /a"),
        (STALL, {"target": TARGET | {"port": 81}}, "`load.target` is http://127.0.0.1:81"),
        (STALL, {"duration": "60s"}, "give --duration 20s"),
        (STALL, {"peak_per_second": 100}, "give --rate"),
        (
            STALL,
            {"profile": [{"rate": 10, "to": 500, "lasts": "20s"}], "duration": None},
            "wrk2 sends at one rate",
        ),
    ],
)
def test_what_is_not_wrk2s_or_of_another_load_is_refused(tmp_path, text, changes, words):
    file = tmp_path / "printed.txt"
    file.write_text(text)
    if words is None:  # the row before has all answers, too
        assert wrk2(file, Load.model_validate(LOAD)).recorded == 4970
        return
    with pytest.raises(CannotTell, match=re.escape(words)):
        wrk2(file, Load.model_validate(LOAD | changes))


def test_the_command_has_the_exit_codes_of_a_load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("here.yml").write_text(json.dumps({"name": "here", "load": LOAD | {"allow": "here"}}))
    for text, code in ((printed(), 0), (STALL, 1), (printed(((2.0, 200),)), 21), (WRK, 4)):
        Path("printed.txt").write_text(text)
        done = CliRunner().invoke(main, ["load", "--inventory", "here.yml", "--wrk2", "printed.txt"])
        assert done.exit_code == code, done.output
        assert ("redirects" in done.output) == (code != 4)
    told = CliRunner().invoke(
        main, ["load", "--inventory", "here.yml", "--wrk2", "printed.txt", "--save", "x"]
    )
    assert told.exit_code == 4
    assert "--wrk2 does not go with --save" in told.output
