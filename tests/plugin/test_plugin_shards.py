"""A run in shards, and the one record that is made of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import forked
import pytest
from project import CHECKLIST, Project, Ran

from pytest_deploygate.files import sha256
from pytest_deploygate.journal import FILE, Writer, read

SUITE = """
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate)

@pytest.mark.item("b.tables")
@pytest.mark.parametrize("name", [f"t{n}" for n in range(6)])
def test_table(gate, name):
    says(gate)

@pytest.mark.item("b.notes")
@pytest.mark.alone
def test_notes(gate):
    says(gate)
"""
FAILS = SUITE.replace(
    "gate, name):\n    says(gate)", "gate, name):\n    says(gate, 'fail' if name == 't4' else 'pass', 'off')"
)
UNKNOWN = SUITE.replace(
    "test_migrations(gate):\n    says(gate)", "test_migrations(gate):\n    raise CannotTell('no answer')"
)
UNCOVERED = SUITE.replace('@pytest.mark.item("b.migrations")\ndef test_migrations(gate):\n    says(gate)', "")
SILENT = SUITE.replace(
    "gate, name):\n    says(gate)", "gate, name):\n    if name != 't2':\n        says(gate)"
)
SKIPPED = SUITE.replace(
    "test_migrations(gate):\n    says(gate)", "test_migrations(gate):\n    pytest.skip('later')"
)
OTHER = SUITE + "\ndef test_of_nobody():\n    assert False\n"
MINOR = SUITE.replace("test_notes(gate):\n    says(gate)", "test_notes(gate):\n    says(gate, 'fail', 'off')")
#: One phase has an item that is judged from the results of the others, when a run closes.
WITH_A_LOG = CHECKLIST.replace(
    "- [ ] Notes {#b.notes .automated .minor}",
    "- [ ] Notes {#b.notes .automated .minor}\n- [ ] Issues documented {#b.issues .hybrid .documented}",
)


def whole(project: Project, out: str, *args: str) -> Ran:
    """Run all of it; without a name, a change needs no phase before."""
    return project.run_process("-m", "phase2", f"--deploygate-out=deploygate-out/{out}", *args)


def shard(project: Project, which: str, *args: str, **env: str) -> Ran:
    words = ["-m", "phase2", "--deploygate-out=deploygate-out/C1", "--shard", which, *args]
    return project.run_process(*words, **env)


def all_shards(project: Project, of: int = 3, *args: str) -> list[Ran]:
    return [shard(project, f"{index}/{of}", *args) for index in range(1, of + 1)]


def shards_of_change(project: Project) -> list[Ran]:
    """Run three shards of a change that has a name."""
    return [
        project.run_process("-m", "phase2", "--change", "C1", "--shard", f"{index}/3") for index in (1, 2, 3)
    ]


def merge(project: Project, *args: object) -> Ran:
    done = forked.run("pytest_deploygate", ["merge", *args], cwd=project.path)
    return Ran(done.returncode, done.stdout + done.stderr)


def place(project: Project, change: str = "C1") -> Path:
    return project.path / "deploygate-out" / change


def decision(out: Path) -> dict[str, object]:
    """Return what was decided, without times: each item with its verdict and reason, the rules, the exit code."""
    plain = json.loads((out / "verdicts.json").read_text())
    items = [
        (item["id"], item["verdict"], item["reason"], sorted(target["target"] for target in item["targets"]))
        for item in plain["items"]
    ]
    said = plain["decision"]
    return {
        "items": items,
        "outcome": said["outcome"],
        "exit_code": said["exit_code"],
        "rules": [(rule["name"], rule["because"]) for rule in said["rules"]],
    }


def verified(project: Project) -> list[dict[str, object]]:
    done = forked.run("pytest_deploygate", ["verify", "deploygate-out/C1", "--json"], cwd=project.path)
    return json.loads(done.stdout)["checks"]


@pytest.mark.parametrize(
    "suite",
    [SUITE, FAILS, UNKNOWN, UNCOVERED, SILENT, SKIPPED, OTHER, MINOR],
    ids=["good", "fails", "unknown", "uncovered", "silent", "skipped", "other", "minor"],
)
def test_the_decision_is_that_of_one_run_and_of_workers(project: Project, suite: str) -> None:
    project.suite(suite)
    one = whole(project, "C2")
    all_shards(project)
    merged = merge(project, place(project) / "shards")
    assert merged.code == one.code, merged.text
    assert decision(place(project)) == decision(place(project, "C2"))
    checks = {check["name"]: check["ok"] for check in verified(project)}
    assert checks["shards"] is checks["journal"] is checks["evidence"] is checks["report"] is True
    if suite == FAILS:
        assert whole(project, "C3", "-n", "2").code == one.code
        assert decision(place(project, "C3")) == decision(place(project, "C2"))


def test_shards_run_their_parts_under_workers_too(project: Project) -> None:
    project.suite(SUITE)
    ran = all_shards(project, 2, "-n", "2")
    assert [one.code for one in ran] == [0, 0], ran[0].text
    assert merge(project, place(project)).code == 0
    assert len(decision(place(project))["items"][3][3]) == 6


def test_a_shard_says_that_it_decides_nothing(project: Project) -> None:
    project.suite(FAILS)
    ran = all_shards(project)
    good, red = (next(one for one in ran if one.code == code) for code in (0, 1))
    assert "1/3): its part only" not in good.text
    assert "3 (--shard): its part only; `deploygate merge` decides" in good.text
    assert "GOOD: this part of the run is good. It decides nothing for the change" in good.text
    assert "Next:   when all shards have ended, make one record of them:" in good.text
    assert "GO:" not in good.text
    assert "HOLD: do not proceed" in red.text
    page = (place(project) / "shards" / "1-of-3" / "signoff.html").read_text()
    assert "for phase2, shard 1 of 3" in page
    assert "--shard " in red.text.partition("Next:")[2]


def test_a_shard_for_which_no_test_is_left_is_good(project: Project) -> None:
    project.suite(SUITE)
    ran = all_shards(project, 9)
    assert {one.code for one in ran} == {0}
    assert any("no test is left for this part of the run" in one.text for one in ran)
    assert merge(project, place(project)).code == 0


def test_a_selection_on_the_command_line_cannot_make_the_shards_look_whole(project: Project) -> None:
    project.suite(SUITE)
    all_shards(project, 2, "-k", "not t3")
    ran = merge(project, place(project))
    assert ran.code == 25
    assert "1 bound tests yielded no finding: suites/test_suite.py::test_table[t3]" in ran.text


def test_what_is_judged_when_a_run_closes_is_judged_by_merge(project: Project) -> None:
    (project.path / "suites" / "checklist.md").write_text(WITH_A_LOG)
    project.suite(FAILS)
    whole(project, "C2")
    all_shards(project)
    merge(project, place(project))
    assert decision(place(project)) == decision(place(project, "C2"))
    assert ("b.issues", "fail") in [one[:2] for one in decision(place(project))["items"]]


def test_the_phases_before_are_asked_by_merge(project: Project) -> None:
    project.suite(
        SUITE + '\n@pytest.mark.item("a.servers", "a.tls")\ndef test_before(gate):\n    says(gate)\n'
    )
    assert {one.code for one in shards_of_change(project)} == {0}
    held = merge(project, place(project))
    assert held.code == 21
    assert "preflight" in held.text
    assert project.run_process("-m", "preflight", "--change", "C1").code == 0
    assert merge(project, place(project)).code == 0


@pytest.fixture
def sharded(project: Project) -> Project:
    project.suite(SUITE)
    all_shards(project)
    return project


def cut(file: Path, lines: int) -> None:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-lines]))


def test_what_is_not_all_shards_of_one_run_is_refused(sharded: Project, tmp_path: Path) -> None:
    shards = place(sharded) / "shards"
    one, two, three = (shards / f"{index}-of-3" for index in (1, 2, 3))
    kept = tmp_path / "kept"

    def refused(code: int, words: str, *places: object) -> None:
        ran = merge(sharded, *(places or (shards,)))
        assert (ran.code, words in ran.text, "Traceback" in ran.text) == (code, True, False), ran.text
        assert not (place(sharded) / FILE).exists()

    refused(
        25, "shard 2 of 3 is missing: name its folder, or run `pytest -m phase2 --inventory prod", one, three
    )
    shutil.copytree(two, kept)
    refused(4, "shard 2 is there twice", shards, kept)

    killed = kept / FILE
    whole = killed.read_text()
    cut(killed, 1)
    refused(25, "was killed, or still runs: its last line is of", one, three, kept)
    killed.write_text(whole[:-9])
    refused(25, "is cut off: its last", one, three, kept)
    killed.write_text(whole.replace('"pass"', '"fail"', 1))
    refused(25, "damaged", one, three, kept)
    killed.write_text(whole)
    next((kept / "evidence").iterdir()).write_text("{}")
    refused(25, "evidence is missing or was altered", one, three, kept)

    refused(4, "has the journal of whole runs", one, two, _whole(sharded))
    refused(25, "has no shard's journal", sharded.path / "suites")
    refused(4, "does not exist", sharded.path / "nowhere")


def _whole(project: Project) -> Path:
    whole(project, "C9")
    return place(project, "C9")


def test_shards_of_other_runs_are_refused(sharded: Project) -> None:
    shards = place(sharded) / "shards"
    mine = [shards / f"{index}-of-3" for index in (1, 2)]

    def refused(words: str, other: Path) -> None:
        ran = merge(sharded, *mine, other)
        assert (ran.code, words in ran.text) == (4, True), ran.text

    shard(sharded, "3/3", "--fresh", "--change=C2")
    refused("the change of shard 1 and shard 3 differ: local and C2", shards / "3-of-3")
    shard(sharded, "3/4")
    refused("the number of shards of shard 1 and shard 3 differ: 3 and 4", shards / "3-of-4")
    shard(sharded, "3/3", "--fresh", "--items", "b.tables")
    refused("the scope (--items) of shard 1 and shard 3 differ", shards / "3-of-3")
    shard(sharded, "3/3", "--fresh", GITHUB_RUN_ID="7")
    refused("the pipeline run of shard 1 and shard 3 differ", shards / "3-of-3")
    sharded.suite(SUITE + "\n# changed\n")
    shard(sharded, "3/3", "--fresh")
    refused("the tests of shard 1 and shard 3 differ", shards / "3-of-3")
    sharded.suite(SUITE)
    sharded.inventory("name: prod\ndescription: another\n")
    shard(sharded, "3/3", "--fresh")
    refused("the inventory file of shard 1 and shard 3 differ", shards / "3-of-3")


def test_other_secrets_are_another_run_where_a_key_can_tell(project: Project, monkeypatch) -> None:
    project.suite(SUITE)
    project.inventory(
        "name: prod\nload: {target: {host: a.example.com}, endpoints: [{path: /}], peak_per_second: 1,\n"
        "       auth: {user: x, password: env:LOGS}}\n"
    )
    monkeypatch.setenv("LOGS", "s3cret-one")
    shards, key = place(project) / "shards", "a-word-that-all-shards-have"

    def ran(which: str, secret: str, word: str = "") -> None:
        given = {"DEPLOYGATE_SHARDS_KEY": word} if word else {}
        done = shard(project, which, "--fresh", LOGS=secret, **given)
        assert done.code == 0, done.text
        for journal in shards.rglob(FILE):
            assert not any(value in journal.read_text() for value in (key, "s3cret"))

    def merged() -> tuple[int, str]:
        done = merge(project, shards)
        return done.code, done.text

    ran("1/2", "s3cret-one", key)
    ran("2/2", "s3cret-two", key)
    code, text = merged()
    assert (code, "the values of env:LOGS of shard 1 and shard 2 differ" in text) == (4, True), text
    ran("2/2", "s3cret-one", key + "!")
    code, text = merged()
    assert (code, "the values of DEPLOYGATE_SHARDS_KEY of shard 1" in text) == (4, True), text
    ran("2/2", "s3cret-one", key)
    code, text = merged()
    assert (code, "not compared" in text) == (0, False), text
    ran("2/2", "s3cret-two")
    code, text = merged()
    assert (code, "shard 1 has DEPLOYGATE_SHARDS_KEY and shard 2 has not" in text) == (4, True), text
    ran("1/2", "s3cret-one")
    code, text = merged()
    assert (code, "the value of a secret was not compared between the shards" in text) == (0, True), text


def test_evidence_outside_of_a_shards_folder_is_neither_read_nor_written(sharded: Project) -> None:
    secret = sharded.path / "secret.json"
    secret.write_text("{}")
    three = place(sharded) / "shards" / "3-of-3"
    entries, _ = read(three)
    (three / FILE).unlink()
    forged = Writer(three)
    for entry in entries:
        body = {key: value for key, value in entry.body.items() if key not in ("at", "kind", "prev", "seq")}
        for finding in body.get("findings", ()):
            finding["evidence"] = [
                {"path": "../../../../secret.json", "sha256": sha256(b"{}"), "title": "measurement"}
            ]
        forged.append(entry.kind, body)
    forged.close()
    ran = merge(sharded, place(sharded))
    assert ran.code == 25
    assert "evidence is missing or was altered: ../../../../secret.json of shard 3" in ran.text
    assert not (place(sharded) / FILE).exists()


@pytest.mark.parametrize("key", ["policy", "shard", "inputs", "options", "change"])
def test_a_shard_of_another_version_is_refused_in_a_sentence(sharded: Project, key: str) -> None:
    one = place(sharded) / "shards" / "1-of-3"
    entries, _ = read(one)
    (one / FILE).unlink()
    forged = Writer(one)
    for entry in entries:
        body = {
            name: value for name, value in entry.body.items() if name not in ("at", "kind", "prev", "seq")
        }
        forged.append(entry.kind, {**body, key: {}} if entry.kind == "run" else body)
    forged.close()
    ran = merge(sharded, place(sharded))
    assert ran.code in (4, 25), ran.text
    assert "Traceback" not in ran.text
    assert not (place(sharded) / FILE).exists()


def test_merge_runs_where_the_shards_ran(sharded: Project) -> None:
    sharded.inventory("name: prod\ndescription: another\n")
    ran = merge(sharded, place(sharded))
    assert ran.code == 4
    assert "the inventory here is not the one that the shards ran with" in ran.text


def test_a_shard_that_was_killed_goes_on(sharded: Project) -> None:
    two = place(sharded) / "shards" / "2-of-3"
    cut(two / FILE, 3)
    ran = shard(sharded, "2/3", "--resume")
    assert ran.code == 0, ran.text
    assert "keeping" in ran.text
    assert merge(sharded, place(sharded)).code == 0


def test_a_folder_is_that_of_one_shard(sharded: Project) -> None:
    ran = sharded.run_process("-m", "phase2", "--deploygate-out", str(place(sharded) / "shards" / "2-of-3"))
    assert ran.code == 4
    assert "has the journal of shard 2 of 3, and this is a whole run" in ran.text


def test_a_shard_merged_twice_is_no_repeat(project: Project) -> None:
    """A failure counts as seen twice when it was measured twice."""
    project.suite(FAILS)
    all_shards(project)
    for _ in range(2):
        merge(project, place(project))
    findings = [
        f
        for e in read(place(project))[0]
        if e.kind == "test"
        for f in e.findings
        if f.verdict.value == "fail"
    ]
    assert len(findings) == 2
    verdicts = json.loads((place(project) / "verdicts.json").read_text())
    assert '"confirmed": true' not in json.dumps(verdicts)
    all_shards(project, 3, "--fresh")
    merge(project, place(project))
    assert '"confirmed": true' in (place(project) / "verdicts.json").read_text()


def test_what_failed_while_another_shard_disturbed_the_platform_is_unknown(project: Project) -> None:
    project.suite(FAILS.replace("@pytest.mark.alone", "@pytest.mark.disruptive").replace("t4", "t3"))
    all_shards(project, 3, "--allow-disruptive=prod")
    ran = merge(project, place(project))
    assert ran.code == 21, ran.text
    assert (
        "disturbed the platform meanwhile (suites/test_suite.py::test_notes"
        in project.verdicts(place(project))["items"][3]["reason"]
    )
    assert {check["name"]: check["ok"] for check in verified(project)}["shards"] is True


def test_what_only_a_whole_run_can_do_is_refused(project: Project) -> None:
    project.suite(SUITE)
    for option, words in (
        ("--ticked=x.md", "`deploygate merge --ticked`"),
        ("--rollback=execute", "`deploygate rollback execute`"),
    ):
        ran = shard(project, "1/2", option)
        assert (ran.code, words in ran.text) == (4, True), ran.text


def test_a_record_that_differs_from_its_shards_is_seen(sharded: Project) -> None:
    merge(sharded, place(sharded))
    journals = sorted((place(sharded) / "shards").glob("*.jsonl"))

    def wrong() -> list[str]:
        done = forked.run("pytest_deploygate", ["verify", "--change", "C1", "--json"], cwd=sharded.path)
        return [
            c["text"] for c in json.loads(done.stdout)["checks"] if c["name"] == "shards" and c["ok"] is False
        ]

    assert wrong() == []
    whole = journals[0].read_text()
    journals[0].write_text(whole + "\n")
    assert "was altered" in wrong()[0]
    journals[0].unlink()
    assert "is missing" in wrong()[0]
    journals[0].write_text(whole)
    with_one_more = Writer(place(sharded))
    begin = next(e.body for e in reversed(with_one_more.entries) if e.kind == "run")
    line = next(e.body for e in reversed(with_one_more.entries) if e.kind == "test")
    findings = [{**line["findings"][0], "verdict": "pass", "target": "invented"}]
    with_one_more.append(
        "test", {"run": begin["run"], "test": line["test"], "findings": findings, "shard": 1}
    )
    with_one_more.close()
    assert "did not find what the record has of it" in wrong()[0]


def test_durations_of_an_earlier_run_balance_the_shards(project: Project) -> None:
    project.suite(
        SUITE.replace(
            "gate, name):\n    says(gate)",
            "gate, name):\n    time.sleep(0.4 if name == 't0' else 0)\n    says(gate)",
        )
    )
    whole(project, "C2")
    shards = [
        shard(project, f"{index}/2", "--shard-durations", str(place(project, "C2"))) for index in (1, 2)
    ]
    assert {one.code for one in shards} == {0}
    tests = [
        len([e for e in read(place(project) / "shards" / f"{index}-of-2")[0] if e.kind == "test"])
        for index in (1, 2)
    ]
    assert sorted(tests) == [1, 7]
    assert merge(project, place(project)).code == 0


def test_shards_of_an_earlier_pipeline_run_are_not_taken_for_those_of_this_one(project: Project) -> None:
    """They lie in the same folder of a shared volume if no shard of this run has started."""
    project.suite(SUITE)
    for index in (1, 2):
        assert shard(project, f"{index}/2", DEPLOYGATE_SHARDS_RUN="17").code == 0
    codes = []
    for run in ("18", "17"):
        env = {**os.environ, "DEPLOYGATE_SHARDS_RUN": run}
        done = forked.run("pytest_deploygate", ["merge", "deploygate-out/C1"], cwd=project.path, env=env)
        codes.append(done.returncode)
        assert ("DEPLOYGATE_SHARDS_RUN=17, and this is" in done.stderr) == (run == "18")
    assert codes == [4, 0]
