"""Workers of pytest-xdist on another host, over ssh: a real sshd, and a folder of its own for them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from project import Project

sys.path.insert(0, str(Path(__file__).parents[1] / "checks"))
from ssh_server import serving

SUITE = """
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate)

@pytest.mark.item("b.tables")
@pytest.mark.parametrize("name", ["users", "alerts"])
def test_table(gate, name):
    says(gate, "fail" if name == "alerts" else "pass", "off")

@pytest.mark.item("b.notes")
def test_notes(gate):
    import os
    says(gate, reason=f"measured in {os.getcwd()}")
"""


def test_the_decision_is_that_of_one_process(project: Project, tmp_path: Path):
    project.suite(SUITE)
    one = project.run_process("-m", "phase2", "--deploygate-out=deploygate-out/one")
    keys, there = tmp_path / "keys", tmp_path / "there"
    keys.mkdir()
    shutil.copytree(project.path, there, ignore=shutil.ignore_patterns("deploygate-out"))
    with serving(keys) as host:
        login, _, config = host.removeprefix("ssh://").partition("?ssh_config=")
        user_host, port = login.rsplit(":", 1)
        spec = f"ssh=-p {port} {user_host}//ssh_config={config}//python={sys.executable}//chdir={there}"
        words = ("-m", "phase2", "--dist=load", f"--tx={spec}", f"--tx={spec}")
        refused = project.run_process(*words, "--deploygate-out=deploygate-out/two")
        ran = project.run_process(*words, f"--deploygate-out={tmp_path / 'shared'}")
    assert refused.code == 4
    assert "name one that all of them share" in refused.text
    assert ran.code == one.code == 1, ran.text
    assert _of(project.path / "deploygate-out" / "one") == _of(tmp_path / "shared")
    assert f"measured in {there}" in (tmp_path / "shared" / "journal.jsonl").read_text()


def _of(out: Path) -> dict[str, object]:
    plain = json.loads((out / "verdicts.json").read_text())
    return {
        "items": [(item["id"], item["verdict"]) for item in plain["items"]],
        "decision": (plain["decision"]["outcome"], plain["decision"]["exit_code"]),
    }
