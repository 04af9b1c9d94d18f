"""`deploygate waive`, as typed: invalid input is rejected before anything is written."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta

import pytest
from click.testing import CliRunner
from small_repository import checklist, files, run

from pytest_deploygate.checklist import waivers
from pytest_deploygate.cli import main
from pytest_deploygate.cli.shared import records
from pytest_deploygate.signoff.signing import REFUSED

WAIVE = {
    "--owner": "The database admin",
    "--approver": "The operations manager",
    "--reason": "the pooler is replaced next week",
    "--ticket": "OPS-17",
    "--expires": "7d",
}


def test_waive_writes_what_the_gate_accepts(root):
    done = run("waive", "db.pooling", WAIVE, target="pool*", change="CHG-1")
    assert done.exit_code == 0, done.output
    assert "from then on it fails unless it is fixed" in done.output
    (one,) = waivers.load_all(root, checklist(root))
    assert one.covers("db.pooling", "pool1", "any", "CHG-1")
    assert one.expires - one.created == timedelta(days=7)
    told = json.loads(run("waive", "sec.pentest", WAIVE, json=True).output)
    assert told["file"].startswith("waivers/sec.pentest--")


@pytest.mark.parametrize(
    ("item", "changed", "says"),
    [
        ("db.poling", {}, "did you mean 'db.pooling'?"),
        ("db.restore", {}, "is marked .non-waivable"),
        ("db.pooling", {"approver": "the DATABASE admin"}, "another person must approve"),
        ("db.pooling", {"reason": "later"}, "at least 15 characters"),
        ("db.pooling", {"ticket": "TBD"}, "is a placeholder"),
        ("db.pooling", {"expires": "91d"}, "at most 90 d is allowed"),
        ("db.pooling", {"cap": "0"}, "0 waivers may be active at once"),
    ],
)
def test_waive_refuses(root, item, changed, says):
    done = run("waive", item, WAIVE, **changed)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
    assert files(root, "waivers") == []


def test_waive_the_same_again(root):
    assert run("waive", "db.pooling", WAIVE).exit_code == 0
    done = run("waive", "db.pooling", WAIVE)
    assert "change that file instead" in " ".join(done.output.split())
    assert len(files(root, "waivers")) == 1


def test_invalid_files_are_exit_4_as_in_a_run(root):
    assert run("waive", "db.pooling", WAIVE, checklist="none.md").exit_code == 4
    (root / "waivers").mkdir()
    (root / "waivers" / "a.yml").write_text("itm: x")
    done = run("waive", "db.pooling", WAIVE)
    assert done.exit_code == 4
    assert "waivers/a.yml:1: unknown key 'itm'" in done.output


def test_the_owner_signs_with_the_command_and_the_approver_with_sign(root, tmp_path):
    key = {}
    for name in ("owner", "approver"):
        key[name] = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key[name])], check=True)
    done = run("waive", "db.pooling", WAIVE, key=str(key["owner"]))
    assert done.exit_code == 0, done.output
    waiver = next(name for name in files(root, "waivers") if name.endswith(".yml"))
    assert f"deploygate sign --record waivers/{waiver} --role" in done.output
    assert f"{waiver}.owner.sig" in files(root, "waivers")
    words = ["sign", "--record", f"waivers/{waiver}", "--role", WAIVE["--approver"]]
    same = CliRunner().invoke(main, [*words, "--key", str(key["owner"])])
    assert same.exit_code == REFUSED
    assert "another key" in same.output
    done = CliRunner().invoke(main, [*words, "--key", str(key["approver"]), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["signature"] == f"waivers/{waiver}.approver.sig"


def test_a_waiver_that_cannot_be_signed_is_not_written(root):
    done = run("waive", "db.pooling", WAIVE, key="no-such-key")
    assert done.exit_code != 0
    assert "nothing was written" in done.output
    assert files(root, "waivers") == []


def test_a_waiver_that_is_lost_meanwhile_is_said(root, monkeypatch):
    write = records.write

    def lost(path, text):
        write(path, text)
        path.unlink()

    monkeypatch.setattr(records, "write", lost)
    done = run("waive", "db.pooling", WAIVE)
    assert (done.exit_code, "while the command wrote to it" in " ".join(done.output.split())) == (25, True)
