"""`deploygate check`: every mistake of all files at once, and none is missed because git does not have the file yet."""

from __future__ import annotations

import json
import subprocess

import pytest
from click.testing import CliRunner
from small_repository import run
from test_waive import WAIVE

from pytest_deploygate.cli import main

ISSUE = "- item: db.pooling\n  owner: ops\n  opened: 2026-03-04T10:00:00Z\n"


def checked(*words: str):
    return CliRunner().invoke(main, ["check", *words])


def test_nothing_wrong(root):
    assert run("waive", "db.pooling", WAIVE).exit_code == 0
    (root / "issues").mkdir()
    (root / "issues" / "CHG-1.yml").write_text(ISSUE)
    (root / "inventories" / "staging.example.yml").write_text("nmae: an example is not checked\n")
    done = checked()
    assert (done.exit_code, done.output) == (
        0,
        "prod: 6 items, 0 attestations, 1 waiver, 1 issue log, no mistake found\n",
    )
    told = json.loads(checked("--json").output)
    assert (told["waivers"], told["issue_logs"], told["problems"]) == (1, 1, [])


def test_every_mistake_is_named_with_its_file(root):
    subprocess.run(
        ["git", "init", "-q"], check=True
    )  # nothing is committed: each record is checked all the same
    for file, text in {
        "inventories/prod.yml": "name: production\npolcy: {}\n",
        "inventories/staging.yml": "name: staging\nnot_applicable: [{item: db.poling, reason: there is no pooler here, owner: ops}]\n",
        "waivers/a.yml": "itm: db.pooling\n",
        "attestations/b.yml": "item: sec.adit\n",
        "issues/CHG-1.yml": ISSUE.replace("pooling", "poling"),
        "issues/CHG-2.yaml": ISSUE,
        "issues/the change.yml": ISSUE,
    }.items():
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_text(text)
    done = checked()
    assert done.exit_code == 4, done.output
    for words in (
        "inventories/prod.yml:2: polcy: no such key; did you mean 'policy'?",
        "staging.yml: not_applicable:",
        "did you mean 'db.pooling'?",
        "waivers/a.yml:1: unknown key 'itm'",
        "attestations/b.yml:1: ",
        "did you mean 'sec.audit'?",
        "issues/CHG-1.yml:1: ",
        "issues/CHG-2.yaml: no run reads it: rename it to CHG-2.yml",
        "issues/the change.yml: no run reads it",
    ):
        assert words in done.output
    told = checked("--json", "--inventory", "prod")
    assert told.exit_code == 4
    assert len(json.loads(told.output)["problems"]) > 5


def test_more_waivers_than_the_strictest_inventory_allows(root):
    assert run("waive", "db.pooling", WAIVE).exit_code == 0
    assert run("waive", "phase1.logs", WAIVE).exit_code == 0
    (root / "inventories" / "staging.yml").write_text("name: staging\npolicy: {max_waivers: 1}\n")
    assert checked("--inventory", "prod").exit_code == 0
    done = checked()
    assert done.exit_code == 4
    assert "2 waivers are active but only 1" in done.output


@pytest.mark.parametrize(
    "words", [["--inventory", "prd"], ["--checklist", "none.md"], ["--inventroy", "prod"]]
)
def test_what_is_not_there(root, words):
    done = checked(*words)
    assert (done.exit_code, "Traceback" in done.output) == (4, False)


def test_no_inventory_is_no_success(root):
    (root / "inventories" / "prod.yml").unlink()
    done = checked()
    assert (done.exit_code, "there is no inventory in" in done.output) == (4, True)


def test_secrets_need_not_be_set(root):
    (root / "inventories" / "prod.yml").write_text(
        "name: production\ndatabase: {name: shop, user: gate, password: env:NOT_SET_HERE, primary: db1}\n"
    )
    done = checked()
    assert done.exit_code == 0, done.output


def test_the_files_may_be_beside_a_repository_s_own_tests(root, monkeypatch):
    (root / "deploygate").mkdir()
    for folder in ("suites", "inventories"):
        (root / folder).rename(root / "deploygate" / folder)
    done = checked()
    assert (done.exit_code, done.output.startswith("prod: 6 items")) == (0, True), done.output
