"""The ledger of a run's active probes: in the journal, in the report, and judged when the run closes."""

from __future__ import annotations

import json

import pytest

PHASE = """
## Guards {#guards .guard}
- [ ] The gate does no harm {#guard.blast-radius}
"""
PROBE = """
@pytest.mark.item("b.tables")
def test_tables(gate, budget, tmp_path):
    with budget.probe("corpus", unwatched="a test") as spending:
        for _ in range(20):
            with spending.request(100) as asked:
                asked.answered(1000)
        {more}
    says(gate)
"""


@pytest.fixture
def guarded(project):
    project.checklist_with(PHASE)
    return project


def spent(project) -> list[dict]:
    lines = [json.loads(line) for line in (project.out / "journal.jsonl").read_text().splitlines()]
    return [entry for line in lines if line["kind"] == "spent" for entry in line["entries"]]


def of_ledger(project) -> dict:
    item = next(i for i in project.verdicts()["items"] if i["id"] == "guard.blast-radius")
    return next(t for t in item["targets"] if t["target"] == "ledger")


@pytest.mark.parametrize("workers", [0, 2])
def test_what_was_spent_is_in_journal_and_report(guarded, workers: int):
    guarded.suite(PROBE.format(more="pass"))
    ran = guarded.run_process(*(["-n", str(workers)] if workers else []))
    (entry,) = spent(guarded)
    assert (entry["item"], entry["probe"], entry["ended"]) == ("b.tables", "corpus", ["done"])
    assert (entry["requests"], entry["sent_bytes"], entry["received_bytes"]) == (20, 2000, 20_000)
    assert of_ledger(guarded)["verdict"] == "pass", ran.text
    assert guarded.verdict("guard.blast-radius") == "pass"
    (told,) = guarded.verdicts()["spent"]
    assert told["requests"] == 20
    page = (guarded.out / "signoff.html").read_text()
    assert "What the gate" in page
    assert "20 of 10" in page
    assert "not watched: a test" in page


@pytest.mark.parametrize(
    ("more", "verdict", "words"),
    [
        ("spending.leaves('folder x', lambda: False)", "fail", "corpus of b.tables: it left folder x"),
        ("spending.give(received_bytes=2 * 10**12, closes=0, peak=0)", "pass", "kept to its budget"),
        ("os._exit(3)", "inconclusive", "its process died before it ended"),
    ],
)
def test_the_ledger_is_judged_when_the_run_closes(guarded, more: str, verdict: str, words: str):
    guarded.suite(PROBE.format(more=more))
    workers = ["-n", "1"] if "_exit" in more else []
    guarded.run_process(*workers)
    assert of_ledger(guarded)["verdict"] == verdict
    assert words in of_ledger(guarded)["reason"]


def test_the_section_lowers_a_budget(guarded):
    guarded.inventory("name: prod\nblast_radius: {items: [{item: b.tables, requests: 5}]}\n")
    guarded.suite(PROBE.format(more="pass"))
    guarded.run()
    assert guarded.verdict("b.tables") == "inconclusive"
    assert "the 5 requests of its budget are used up" in guarded.reason("b.tables")
    assert "blast_radius.items.b.tables" in guarded.reason("b.tables")
    assert spent(guarded)[0]["requests"] == 5
    assert of_ledger(guarded)["verdict"] == "pass"


def test_more_than_shipped_is_a_weakening(guarded):
    guarded.inventory(
        "name: prod\nblast_radius: {items: [{item: b.tables, requests: 50000, more: a large corpus}]}\n"
    )
    guarded.suite(PROBE.format(more="pass"))
    guarded.run()
    said = guarded.verdicts()["weakenings"]
    assert "blast_radius.items[b.tables].more is a large corpus, by default not set" in said


def test_a_misspelt_item_ends_the_run_with_the_nearest(guarded):
    guarded.inventory("name: prod\nblast_radius: {items: [{item: b.tabels, requests: 5}]}\n")
    guarded.suite(PROBE.format(more="pass"))
    ran = guarded.run()
    assert ran.code == 4
    assert "blast_radius.items: no item 'b.tabels' in the checklist" in ran.text
    assert "b.tables" in ran.text


def test_a_stop_is_made_and_removed_by_the_command(guarded):
    import forked

    guarded.suite(PROBE.format(more="pass"))
    guarded.run()
    made = forked.run("pytest_deploygate", ["stop", "--because", "the checkout is slow"], cwd=guarded.path)
    assert made.returncode == 0, made.stdout + made.stderr
    guarded.run()
    assert guarded.verdict("b.tables") == "inconclusive"
    assert "the checkout is slow" in guarded.reason("b.tables")
    forked.run("pytest_deploygate", ["stop", "--off"], cwd=guarded.path)
    guarded.run()
    assert guarded.verdict("b.tables") == "pass"
    wrong = forked.run("pytest_deploygate", ["stop", "--change", "lcal"], cwd=guarded.path)
    assert wrong.returncode == 4


def test_the_section_limits_all_probes_together(guarded):
    guarded.inventory("name: prod\nblast_radius: {together: {requests: 12}}\n")
    guarded.suite(PROBE.format(more="pass"))
    guarded.run()
    assert guarded.verdict("b.tables") == "inconclusive"
    assert "the 12 requests of the budget of all probes together are used up" in guarded.reason("b.tables")
    assert "blast_radius.together" in guarded.reason("b.tables")
    ledger = of_ledger(guarded)
    assert ledger["verdict"] == "pass"
    (told,) = [m for m in ledger["measurements"] if m["name"] == "requests of all probes together"]
    assert told["value"] == 12
