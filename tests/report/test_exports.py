"""Exports, validated by third-party schemas and readers; nothing that is not a pass is exported as one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from pathlib import Path

import npm_readers
import pytest
import sample
import sample_night
from google.protobuf import json_format
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from jsonschema import Draft7Validator
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from sarif import loader

from pytest_deploygate import redaction
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.model import Item, Kind, Severity, Verdict
from pytest_deploygate.redaction import Secret
from pytest_deploygate.report import causes, grouping, junit, verdicts
from pytest_deploygate.report.exports import cases, ctrf, hdf, in_toto, markdown, sarif
from pytest_deploygate.report.exports.formats import FORMATS
from pytest_deploygate.report.record import Record

RECORDS = {
    "hold": sample.hold,
    "go": sample.go,
    "night": sample_night.bad,
    "hostile": sample_night.hostile,
    "undecided": lambda: dataclasses.replace(sample.go(), decision=None),
}
EACH = pytest.mark.parametrize("name", RECORDS)


def one(verdict: Verdict, severity: Severity, measured: Verdict | None) -> Record:
    """A GO over one item `x.y`, with a passing target besides the measured one."""
    item = Item("x.y", "text", "phase2", severity, Kind.AUTOMATED)
    found = (
        (sample.finding("x.y", "t", measured, "why"), sample.finding("x.y", "u", Verdict.PASS, "good"))
        if measured
        else ()
    )
    return dataclasses.replace(sample.go(), items=(ItemResult(item, verdict, "why", True, found),))


def states(record: Record) -> dict[str, bool]:
    """Whether each machine-readable format reports `x.y` as passed, in its own terms."""
    log = json.loads(sarif.text(record))["runs"][0]
    tests = {t["name"]: t["status"] for t in json.loads(ctrf.text(record))["results"]["tests"]}
    predicate = json.loads(in_toto.text(record))["predicate"]
    passing = predicate["passedTests"] + predicate["warnedTests"]
    return {
        "sarif": not any(r["ruleId"] == "x.y" for r in log["results"]),
        "ctrf": tests["x.y"] == "passed",
        "in-toto": "x.y" in passing,
        "hdf": npm_readers.heimdall(hdf.text(record))["x.y"] == "Passed",
    }


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.MINOR])
@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.NOT_APPLICABLE])
def test_what_is_not_a_pass_is_one_nowhere(verdict: Verdict, severity: Severity) -> None:
    """Also with a passing target beside it, where Heimdall would call passed and skipped together passed."""
    for measured in (None, verdict):
        good = verdict in (Verdict.PASS, Verdict.ATTESTED)
        assert set(states(one(verdict, severity, measured)).values()) == {good}


def test_a_pass_over_a_failed_target_is_not_believed() -> None:
    assert not any(states(one(Verdict.PASS, Severity.CRITICAL, Verdict.FAIL)).values())


def test_what_does_not_apply_passes_nowhere_and_fails_nowhere() -> None:
    record = one(Verdict.NOT_APPLICABLE, Severity.MAJOR, None)
    assert npm_readers.heimdall(hdf.text(record))["x.y"] == "Not Applicable"
    predicate = json.loads(in_toto.text(record))["predicate"]
    assert "x.y" not in json.dumps([predicate["passedTests"], predicate["failedTests"]])


@EACH
def test_sarif_follows_its_schema_and_sarif_tools_reads_it(name: str, tmp_path: Path) -> None:
    text = sarif.text(RECORDS[name]())
    checker = Draft7Validator(npm_readers.schema("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"))
    assert [e.message for e in checker.iter_errors(json.loads(text))] == []
    file = tmp_path / "deploygate.sarif"
    file.write_text(text, encoding="utf-8")
    report = loader.load_sarif_file(str(file)).get_report()
    levels = [r["level"] for r in json.loads(text)["runs"][0]["results"]]
    assert report.get_issue_count_for_severity("error") == levels.count("error")
    assert report.get_issue_count_for_severity("warning") == levels.count("warning")


def test_sarif_suppresses_what_is_waived_and_keeps_fingerprints() -> None:
    results = json.loads(sarif.text(sample_night.bad()))["runs"][0]["results"]
    waived = [r for r in results if r.get("suppressions")]
    assert {r["ruleId"] for r in waived} == set(sample_night.WAIVED)
    prints = [r["partialFingerprints"]["deploygate/v1"] for r in results]
    assert len(set(prints)) == len(prints)
    assert results[0]["ruleId"] == cases.DECISION


@EACH
def test_ctrf_follows_its_schema_and_counts_right(name: str) -> None:
    report = json.loads(ctrf.text(RECORDS[name]()))
    schema = npm_readers.schema("ctrf/dist/ctrf-schema-0.0.json")
    assert [e.message for e in Draft7Validator(schema).iter_errors(report)] == []
    counted = Counter(test["status"] for test in report["results"]["tests"])
    summary = report["results"]["summary"]
    assert summary["tests"] == sum(counted.values())
    assert all(
        summary[state] == counted[state] for state in ("passed", "failed", "skipped", "pending", "other")
    )


def test_heimdall_reads_hdf_with_each_verdict_in_its_own_place() -> None:
    found = Counter(npm_readers.heimdall(hdf.text(sample_night.bad())).values())
    # 20 failed and the decision; 3 not covered and 2 waived; 4 inconclusive; 81 passed and 6 attested.
    assert found == {"Failed": 21, "Not Reviewed": 5, "Profile Error": 4, "Passed": 87}


@EACH
def test_in_toto_is_a_statement_about_verdicts_json(name: str) -> None:
    record = RECORDS[name]()
    text = in_toto.text(record)
    message = json_format.Parse(text, StatementMessage())
    Statement.copy_from_pb(message).validate()
    plain = json.loads(text)
    assert (
        plain["subject"][0]["digest"]["sha256"] == hashlib.sha256(verdicts.text(record).encode()).hexdigest()
    )
    assert plain["predicate"]["result"] == ("WARNED" if name == "go" else "FAILED")  # a note


def test_a_go_that_rests_on_a_waiver_is_not_passed_for_in_toto() -> None:
    predicate = json.loads(in_toto.text(one(Verdict.WAIVED, Severity.MAJOR, Verdict.WAIVED)))["predicate"]
    assert predicate["result"] == "WARNED"
    assert predicate["failedTests"] == ["x.y"]


@EACH
def test_junitparser_reads_junit(name: str) -> None:
    xml = JUnitXml.fromstring(junit.build(RECORDS[name]()).encode())
    cases_read = [case for suite in xml for case in suite]
    assert len(cases_read) == xml.tests
    assert sum(1 for c in cases_read if any(type(r).__name__ == "Failure" for r in c.result)) == xml.failures


@EACH
def test_markdown_is_one_table_of_plain_text(name: str) -> None:
    """Read by a CommonMark reader with GFM's tables: no cell became markup, HTML or a link."""
    record = RECORDS[name]()
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown.text(record))
    inline = [child for t in tokens if t.type == "inline" for child in t.children or ()]
    assert {t.type for t in inline} <= {
        "text",
        "strong_open",
        "strong_close",
        "softbreak",
        "hardbreak",
        "code_inline",
    }
    assert not any(t.type.startswith("html") for t in tokens)
    rows = sum(1 for t in tokens if t.type == "tr_open") - any(t.type == "tr_open" for t in tokens)
    bad = grouping.not_good(grouping.in_scope(record), grouping.held(record))
    assert rows == len(causes.grouped(bad, grouping.held(record)))


def test_markdown_stays_within_a_comment_and_counts_what_it_leaves_out() -> None:
    text = markdown.text(sample.large(5000, Verdict.FAIL))
    assert 50_000 < len(text.encode()) <= markdown.LIMIT
    shown = text.count("| major | fail |")
    assert f"…and {5000 - shown:,} more items: all are in the report." in text


def test_markdown_mentions_and_links_nobody() -> None:
    assert markdown.escaped("ask @team at https://evil.example <b>") == (
        "ask @\u200bteam at https:\u200b//evil.example &lt;b&gt;"
    )


@pytest.mark.parametrize("form", FORMATS)
def test_same_record_same_text_and_no_secret(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", ())
    secret = Secret("s3cr3t & <long>").reveal()
    record = sample.hold()
    spoilt = tuple(dataclasses.replace(r, reason=f"refused {secret}", findings=()) for r in record.items)
    record = dataclasses.replace(record, items=spoilt)
    text = FORMATS[form](record)
    assert text == FORMATS[form](record)
    assert secret not in text
    assert "s3cr3t" not in text
