"""`deploygate issues`, as typed: items that are not green and have no entry in the issue log."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from small_repository import checklist, files, run

from pytest_deploygate.checklist import issue_log


def item(item_id, verdict, targets=(), **changed):
    return {
        "id": item_id, "phase": "phase1", "verdict": verdict, "severity": "major", "reason": f"{verdict} it is",
        "in_scope": True, "targets": [
            {"target": t, "verdict": v, "reason": f"{t} {v}", "deferred_to": d} for t, v, d in targets
        ], **changed,
    }  # fmt: skip


@pytest.fixture
def verdicts(root):
    items = [
        item("phase1.logs", "fail", [("web1", "fail", ""), ("web2", "pass", ""), ("web3", "inconclusive", "phase4")]),
        item("phase1.issues", "fail"),
        item("db.pooling", "not_covered", [("a", "pass", "")], phase="preflight"),
        item("db.restore", "pass", phase="preflight"),
        item("sec.audit", "not_covered", phase="preflight", in_scope=False),
    ]  # fmt: skip
    folder = root / "deploygate-out" / "CHG-1"
    folder.mkdir(parents=True)
    (folder / "verdicts.json").write_text(json.dumps({"items": items}))
    return root


def listed(**changed):
    done = run("issues", "", {"--change": "CHG-1", "--json": True}, **changed)
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_issues_lists_what_has_no_entry(verdicts):
    told = listed()
    assert [(one["item"], one["target"], one["verdict"]) for one in told["missing"]] == [
        ("phase1.logs", "web1", "fail"),
        ("db.pooling", "", "not_covered"),
    ]
    assert [one["item"] for one in listed(phase="phase1")["missing"]] == ["phase1.logs"]
    done = run("issues", "", {"--change": "CHG-1"})
    assert "2 are without an entry in issues/CHG-1.yml; --write adds stubs" in done.output
    assert files(verdicts, "issues") == []


def test_issues_writes_stubs_to_complete(verdicts):
    assert listed(write=True)["written"] == 2
    again = listed(write=True)
    assert (again["missing"], again["written"]) == ([], 0)
    assert [one["fill_in"] for one in again["incomplete"]] == [["owner", "decision"]] * 2
    path = verdicts / "issues" / "CHG-1.yml"
    path.write_text(
        path.read_text()
        .replace("owner: TODO", "owner: The ops lead")
        .replace("decision: TODO", "decision: fix")
    )
    log = issue_log.load(verdicts, "CHG-1", checklist(verdicts))
    assert [entry.incomplete for entry in log.entries] == [(), ()]
    assert "everything that is not green has its entry" in run("issues", "", {"--change": "CHG-1"}).output


def test_issues_closed_too_early(verdicts):
    listed(write=True)
    path = verdicts / "issues" / "CHG-1.yml"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    path.write_text(path.read_text().replace("decision: TODO", f"decision: fix\n  closed: {now}"))
    assert [one["item"] for one in listed()["closed_but_not_green"]] == ["phase1.logs", "db.pooling"]
    assert "open the entry again" in run("issues", "", {"--change": "CHG-1"}).output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"--change": "CHG-2"}, "first"),
        ({"--change": "../x"}, "use letters"),
        ({"--change": "CHG-1", "--phase": "phase11"}, "did you mean 'phase1'?"),
    ],
)
def test_issues_refuses(verdicts, options, says):
    done = run("issues", "", options)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


def test_issues_says_what_is_wrong_in_the_log(verdicts):
    (verdicts / "issues").mkdir()
    (verdicts / "issues" / "CHG-1.yml").write_text("- itm: x\n")
    done = run("issues", "", {"--change": "CHG-1"})
    assert done.exit_code == 4
    assert "issues/CHG-1.yml:1: unknown key 'itm'" in done.output


def test_items_that_are_not_green_for_one_reason_are_one_entry(verdicts):
    """A run without -m has a hundred of them: a table with a row for each was 1,479 lines long."""
    reason = "this version has no check for it: " + "write a test of your own " * 10
    items = [item(f"infra.part-{n}", "not_covered", reason=reason) for n in range(90)]
    items += [
        item(f"sec.part-{n}", "not_covered", [("attestation", "not_covered", "")], reason="x")
        for n in range(3)
    ]
    items.append(item("db.restore", "fail", [("db1", "fail", "")]))
    file = verdicts / "deploygate-out" / "CHG-1" / "verdicts.json"
    file.write_text(json.dumps({"items": items}))
    done = run("issues", "", {"--change": "CHG-1"})
    lines = done.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 60
    assert lines[0] == "fail, major: db.restore [db1]"
    assert "not covered, 90 (90 major):" in lines
    assert done.output.count("this version has no check for it") == 1
    for n in range(90):
        assert f"infra.part-{n}" in done.output
    assert "[attestation]" not in done.output
