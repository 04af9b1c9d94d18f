"""`deploygate sign` and `deploygate verify`, as typed."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner
from small_change import ROLES, allow

from pytest_deploygate.cli import main

LEAD, TECH, OPS = ROLES


@pytest.fixture
def typed(project, monkeypatch):
    monkeypatch.chdir(project)
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


def sign_all(typed, keys, *options, change="CHG-1"):
    for role, key in keys.items():
        done = typed(
            "sign", "--change", change, "--role", role, "--key", key, "--name", f"The {role}", *options
        )
        assert done.exit_code == 0, done.output
    return done


def test_from_the_report_to_verified(typed, project, keys):
    """Every role signs, the repository's allowed_signers is found, verify is 0."""
    done = sign_all(typed, keys)
    assert "all roles have signed; next: deploygate verify" in done.output
    allow(project / "allowed_signers", keys)
    done = typed("verify", "--change", "CHG-1")
    assert done.exit_code == 0, done.output
    assert "VERIFIED: 3 of 3 roles signed this report of change CHG-1 (GO)" in done.output
    assert f"The {TECH}" in done.output


def test_from_below_the_repository(typed, project, keys, monkeypatch):
    sign_all(typed, keys)
    allow(project / "allowed_signers", keys)
    monkeypatch.chdir(project / "suites")
    assert typed("verify", "--change", "CHG-1").exit_code == 0
    assert typed("verify", project / "deploygate-out" / "CHG-1").exit_code == 0


def test_verify_as_json(typed, project, keys):
    """Stable keys."""
    sign_all(typed, keys)
    done = typed("verify", "--change", "CHG-1", "--json")
    assert done.exit_code == 26
    told = json.loads(done.stdout)
    assert told["first"]["name"] == "trust"
    assert (told["ok"], told["exit_code"], told["decision"], told["change"]) == (False, 26, "GO", "CHG-1")
    assert told["missing_roles"] == list(ROLES)
    assert set(told["signatures"][0]) == {"role", "name", "at", "meaning", "reason", "key", "trusted"}
    allow(project / "allowed_signers", keys)
    told = json.loads(typed("verify", "--change", "CHG-1", "--json").stdout)
    assert (told["ok"], told["first"], told["exit_code"]) == (True, None, 0)


def test_sign_as_json(typed, keys):
    done = typed("sign", "--change", "CHG-1", "--role", LEAD, "--key", keys[LEAD], "--name", "x", "--json")
    told = json.loads(done.stdout)
    assert told["missing_roles"] == [TECH, OPS]
    assert told["key"].startswith("SHA256:")


def test_the_first_and_all(typed, project, keys):
    """One sentence about the first problem; --all lists the rest."""
    sign_all(typed, keys)
    folder = project / "deploygate-out" / "CHG-1"
    shutil.rmtree(folder / "evidence")
    (folder / "signoff.html").write_text("GO")
    done = typed("verify", "--change", "CHG-1")
    assert done.exit_code == 25
    assert done.output.count("NOT VERIFIED") == 1
    assert "evidence/" in done.output.split("NOT VERIFIED")[1]
    assert "more; --all lists everything" in done.output
    every = typed("verify", "--change", "CHG-1", "--all").output
    assert "WRONG  report" in every
    assert "WRONG  evidence" in every
    assert "ok     journal" in every


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--change", "CHG-11"], "did you mean 'CHG-1'?"),
        (["--change", "../x"], "--change"),
        (["nowhere"], "there is no folder nowhere"),
        (["--bogus"], "No such option"),
        (["--change", "CHG-1", "--allowed-signers", "nowhere"], "there is no such file"),
        (["--change", "CHG-1", "--roles", " , "], "name at least one role"),
        (["--change", "CHG-1", "--at", "yesterday"], "--at yesterday"),
    ],
)
def test_usage(typed, arguments, says):
    """Mistakes on the command line are exit 4, with the nearest valid name."""
    done = typed("verify", *arguments)
    assert done.exit_code == 4, done.output
    assert says in done.output


def test_allowed_signers_from_inside(typed, project, keys):
    sign_all(typed, keys)
    inside = allow(project / "deploygate-out" / "CHG-1" / "allowed_signers", keys)
    done = typed("verify", "--change", "CHG-1", "--allowed-signers", inside)
    assert done.exit_code == 26
    assert "trust not established" in done.output


def test_a_hold_is_signed_as_seen(typed, project, keys):
    """Without a reason it is refused (exit 2); with one both commands report HOLD."""
    done = typed("sign", "--change", "CHG-3", "--role", LEAD, "--key", keys[LEAD], "--name", "x")
    assert done.exit_code == 2
    assert "it can be signed as seen, not as agreed to" in done.output
    done = sign_all(typed, keys, "--reason", "we repair it tomorrow", change="CHG-3")
    assert "as seen, not as agreed to: we repair it tomorrow" in done.output
    allow(project / "allowed_signers", keys)
    done = typed("verify", "--change", "CHG-3")
    assert done.exit_code == 0
    assert "(HOLD)" in done.output


def test_sign_refuses_what_does_not_verify(typed, project, keys):
    (project / "deploygate-out" / "CHG-1" / "junit.xml").write_text("")
    done = typed("sign", "--change", "CHG-1", "--role", LEAD, "--key", keys[LEAD], "--name", "x")
    assert done.exit_code == 25
    assert "junit.xml" in done.output


def test_roles_as_people_write_them(typed, keys):
    done = typed(
        "sign", "--change", "CHG-1", "--role", "Release Captain", "--key", keys[LEAD], "--name", "x",
        "--roles", "Release captain, Technical lead",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "not signed yet: technical-lead" in done.output


def test_the_name_comes_from_git(typed, keys, monkeypatch, tmp_path):
    (tmp_path / "gitconfig").write_text("[user]\n\tname = Named by git\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    done = typed("sign", "--change", "CHG-1", "--role", LEAD, "--key", keys[LEAD])
    assert "Named by git signed as deployment-lead" in done.output
