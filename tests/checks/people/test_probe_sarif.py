"""SARIF 2.1.0 as the standard defines it: levels from rules, suppressions, baselines, scans that did not finish."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.people.judge.sarif import Allowed, judge
from pytest_deploygate.checks.people.probe.sarif import measure, read
from pytest_deploygate.model import Verdict

RULES = [
    {"id": "SQLI", "defaultConfiguration": {"level": "error"}},
    {"id": "STYLE", "defaultConfiguration": {"level": "note"}},
    {"id": "PLAIN"},
]


def log(*results, **run):
    tool = {"driver": {"name": "scanner", "version": "1.2", "rules": RULES}}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": tool, "results": list(results), **run}],
    }


def result(**fields):
    return {"message": {"text": "query from\n input"}, **fields}


def seen(content):
    return read(json.dumps(content).encode(), "scan.sarif")


@pytest.mark.parametrize(
    ("one", "level"),
    [
        (result(ruleId="SQLI"), "error"),
        (result(ruleIndex=0), "error"),
        (result(rule={"index": 1}), "note"),
        (result(rule={"id": "STYLE"}), "note"),
        (result(ruleId="SQLI/7"), "error"),
        (result(ruleId="SQLI", level="warning"), "warning"),
        (result(ruleId="PLAIN"), "warning"),
        (result(ruleId="unknown"), "warning"),
        (result(), "warning"),
        (result(ruleId="SQLI", level="none"), "none"),
        (result(ruleId="SQLI", suppressions=[]), "error"),
        (result(ruleId="SQLI", suppressions=[{"kind": "external", "status": "rejected"}]), "error"),
        (result(ruleId="SQLI", suppressions=[{"kind": "inSource"}, {"kind": "external", "status": "underReview"}]), "error"),
        (result(ruleId="SQLI", baselineState="unchanged"), "error"),
    ],
)  # fmt: skip
def test_levels_of_open_results(one, level):
    assert dict(seen(log(one)).open) == {level: 1}


@pytest.mark.parametrize(
    ("one", "suppressed", "undecided"),
    [
        (result(ruleId="SQLI", suppressions=[{"kind": "inSource"}]), 1, 0),
        (result(ruleId="SQLI", suppressions=[{"kind": "external", "status": "accepted"}]), 1, 0),
        (result(ruleId="SQLI", baselineState="absent"), 0, 0),
        (result(ruleId="SQLI", kind="pass"), 0, 0),
        (result(ruleId="SQLI", kind="notApplicable"), 0, 0),
        (result(ruleId="SQLI", kind="review"), 0, 1),
    ],
)
def test_results_that_are_not_open(one, suppressed, undecided):
    found = seen(log(one))
    assert (dict(found.open), found.suppressed, found.undecided) == ({}, suppressed, undecided)


def test_levels_of_extensions_and_overrides():
    content = log(
        result(ruleId="X1", rule={"toolComponent": {"index": 0}, "index": 0}), result(ruleId="STYLE")
    )
    run = content["runs"][0]
    run["tool"]["extensions"] = [
        {"name": "pack", "rules": [{"id": "X1", "defaultConfiguration": {"level": "error"}}]}
    ]
    run["invocations"] = [
        {
            "executionSuccessful": True,
            "endTimeUtc": "2026-03-04T10:00:00Z",
            "ruleConfigurationOverrides": [{"descriptor": {"id": "STYLE"}, "configuration": {"level": "error"}}],
        }
    ]  # fmt: skip
    found = seen(content)
    assert dict(found.open) == {"error": 2}
    assert (found.ended, found.tools) == ("2026-03-04T10:00:00Z", ("scanner 1.2",))


def test_judged_with_count_rule_and_place():
    place = [{"physicalLocation": {"artifactLocation": {"uri": "app.py"}, "region": {"startLine": 3}}}]
    judged = judge(seen(log(result(ruleId="STYLE"), result(ruleId="SQLI", locations=place))), Allowed())
    assert judged.verdict is Verdict.FAIL
    assert "1 at error open, where warning is the highest" in judged.reason
    assert "SQLI in app.py:3 (query from input)" in judged.reason


@pytest.mark.parametrize(
    ("level", "verdict"),
    [
        ("error", Verdict.PASS),
        ("warning", Verdict.PASS),
        ("note", Verdict.FAIL),
        ("none", Verdict.FAIL),
        ("high", Verdict.INCONCLUSIVE),
    ],
)
def test_the_allowed_level(level, verdict):
    assert judge(seen(log(result(ruleId="PLAIN"))), Allowed(level)).verdict is verdict


def test_a_clean_scan_passes_and_one_to_review_is_inconclusive():
    assert judge(seen(log()), Allowed()).verdict is Verdict.PASS
    assert judge(seen(log(result(kind="open"))), Allowed()).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "is not SARIF 2.1.0"),
        ([], "is not SARIF 2.1.0"),
        ({"version": "2.0.0", "runs": []}, "is not SARIF 2.1.0"),
        ({"version": "2.1.0", "runs": []}, "nothing was scanned"),
        ({"version": "2.1.0", "runs": [{"results": []}]}, "name of its tool"),
        (log(results=None), "it did not scan"),
        (log(invocations=[{"executionSuccessful": False}]), "did not finish"),
        (log(invocations=[{}]), "did not finish"),
        (log(externalPropertyFileReferences={"results": [{}]}), "in other files"),
        (log(result(level="high")), "unknown level"),
        (log(result(kind="bad")), "unknown kind"),
        (log("x"), "a result that is not an object"),
        (log(result(suppressions={})), "suppressions that is not a list"),
        (log(result(rule={"toolComponent": {"index": "x"}})), "structure of SARIF"),
    ],
)
def test_what_says_nothing_is_inconclusive(content, says):
    judged = judge(seen(content), Allowed())
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert says in judged.reason


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_inconclusive(raw):
    assert "is not JSON" in read(raw, "scan.sarif").problem


def test_files(tmp_path):
    assert "No such file" in measure(tmp_path / "none.sarif").problem
    (tmp_path / "bom.sarif").write_bytes(b"\xef\xbb\xbf" + json.dumps(log()).encode())
    assert measure(tmp_path / "bom.sarif").problem == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    key=st.sampled_from(["level", "kind", "rule", "ruleId", "ruleIndex", "message", "locations", "suppressions"]),
    other=st.sampled_from(["tool", "invocations", "results", "externalPropertyFileReferences"]),
    value=JSON,
)  # fmt: skip
def test_nothing_in_a_file_breaks_the_reader(key, other, value):
    seen(log(result(**{key: value})))
    seen(log(result(), **{other: value}))
