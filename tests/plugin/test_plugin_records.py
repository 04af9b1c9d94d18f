"""Attestations, waivers and the issue log count when they are committed, unchanged, on the branch for records."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import forked
import pytest
from project import Project

from pytest_deploygate.signoff import record_files

CHECKLIST = """\
# Release

## Database {#phase2 .database}
- [ ] Migrations {#b.migrations .automated .critical}
- [ ] Audit {#b.audit .manual role=security-lead}

## Sign-off {.sign-off}
- [ ] Security lead: ____
- [ ] Operations: ____
"""
SUITE = """
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate, "fail", "one is pending")
"""
WAIVER = "waivers/b.migrations.yml"
ATTESTATION = "attestations/b.audit.yml"


def git(folder: Path, *words: str) -> str:
    around = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, env=around, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def moment(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def waiver(project: Project, **changed: str) -> None:
    keys = {
        "item": "b.migrations", "owner": "Database admin", "approver": "Operations", "ticket": "OPS-1",
        "reason": "the migration runs tomorrow", "created": moment(-1), "expires": moment(7),
    }  # fmt: skip
    (project.path / "waivers").mkdir(exist_ok=True)
    (project.path / WAIVER).write_text("".join(f"{k}: {v}\n" for k, v in {**keys, **changed}.items()))


def attestation(project: Project) -> None:
    (project.path / "attestations").mkdir(exist_ok=True)
    (project.path / ATTESTATION).write_text(
        f"item: b.audit\nrole: security-lead\nname: Security lead\nat: {moment(-1)}\n"
        f"valid_until: {moment(30)}\nevidence:\n  - url: https://example.com/audit\n"
    )


def commit(project: Project) -> str:
    git(project.path, "add", "-A")
    git(project.path, "commit", "-q", "-m", "records")
    return git(project.path, "rev-parse", "HEAD")


@pytest.fixture
def shop(project: Project) -> Project:
    """A project whose one test fails, in a git repository with one commit and no record."""
    (project.path / "suites" / "checklist.md").write_text(CHECKLIST)
    project.suite(SUITE)
    (project.path / ".gitignore").write_text("deploygate-out/\n__pycache__/\n")
    git(project.path, "init", "-q", "-b", "main")
    commit(project)
    return project


def verdicts(shop: Project) -> tuple[str, str]:
    return shop.verdict("b.migrations"), shop.verdict("b.audit")


def test_records_that_nobody_committed_do_not_count(shop: Project) -> None:
    waiver(shop)
    attestation(shop)
    ran = shop.run("-m", "phase2")
    assert verdicts(shop) == ("fail", "not_covered")
    assert f"deploygate: {WAIVER} does not count: uncommitted" in ran.text
    assert f"deploygate: {ATTESTATION} does not count: uncommitted" in ran.text
    assert f"{ATTESTATION} does not count: uncommitted" in shop.reason("b.audit")
    assert WAIVER in shop.because()
    assert ran.code == 1


def test_records_that_are_committed_count(shop: Project) -> None:
    waiver(shop)
    attestation(shop)
    commit(shop)
    ran = shop.run("-m", "phase2")
    assert verdicts(shop) == ("waived", "attested")
    assert "does not count" not in ran.text
    assert ran.code == 0


@pytest.mark.parametrize("how", ["changed", "hidden", "added", "ignored", "link"])
def test_a_record_that_is_not_as_committed_does_not_count(shop: Project, how: str, tmp_path: Path) -> None:
    if how not in {"added", "ignored"}:
        waiver(shop)
        commit(shop)
    if how == "hidden":
        git(shop.path, "update-index", "--assume-unchanged", WAIVER)
    if how == "ignored":
        (shop.path / ".git" / "info" / "exclude").write_text("waivers/\n")
    waiver(shop, expires=moment(30))
    if how == "added":
        git(shop.path, "add", WAIVER)
    if how == "link":
        (tmp_path / "elsewhere.yml").write_text((shop.path / WAIVER).read_text())
        (shop.path / WAIVER).unlink()
        (shop.path / WAIVER).symlink_to(tmp_path / "elsewhere.yml")
        commit(shop)
    ran = shop.run("-m", "phase2")
    assert shop.verdict("b.migrations") == "fail"
    assert f"{WAIVER} does not count: uncommitted" in ran.text


def test_a_filter_cannot_make_a_changed_record_look_unchanged(shop: Project) -> None:
    waiver(shop)
    commit(shop)
    (shop.path / ".git" / "info" / "attributes").write_text("waivers/* filter=lie\n")
    git(shop.path, "config", "filter.lie.clean", f"git show HEAD:{WAIVER}")
    waiver(shop, expires=moment(30))
    assert git(shop.path, "status", "--porcelain") == ""
    shop.run("-m", "phase2")
    assert shop.verdict("b.migrations") == "fail"


def test_line_ends_converted_on_checkout_are_no_change(shop: Project) -> None:
    waiver(shop)
    commit(shop)
    (shop.path / WAIVER).write_bytes((shop.path / WAIVER).read_bytes().replace(b"\n", b"\r\n"))
    shop.run("-m", "phase2")
    assert shop.verdict("b.migrations") == "waived"


def test_records_must_be_on_the_branch_that_the_policy_names(shop: Project) -> None:
    shop.inventory("name: prod\npolicy:\n  records_branch: main\n")
    commit(shop)
    git(shop.path, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(shop.path, "checkout", "-q", "-b", "work")
    waiver(shop)
    commit(shop)
    ran = shop.run("-m", "phase2")
    assert shop.verdict("b.migrations") == "fail"
    assert "there is no such file on origin/main" in " ".join(ran.text.split())
    git(shop.path, "checkout", "-q", "main")
    git(shop.path, "merge", "-q", "work")
    shop.run("-m", "phase2")
    assert shop.verdict("b.migrations") == "fail", "the local main is nobody's approval"
    git(shop.path, "update-ref", "refs/remotes/origin/main", "main")
    git(shop.path, "checkout", "-q", "--detach", "main")  # as CI does
    shop.run("-m", "phase2")
    assert shop.verdict("b.migrations") == "waived"


def test_a_waiver_withdrawn_on_the_branch_does_not_count(shop: Project) -> None:
    shop.inventory("name: prod\npolicy:\n  records_branch: main\n")
    waiver(shop)
    commit(shop)
    git(shop.path, "checkout", "-q", "-b", "work")
    git(shop.path, "checkout", "-q", "main")
    git(shop.path, "rm", "-q", WAIVER)
    commit(shop)
    git(shop.path, "checkout", "-q", "work")
    shop.run("-m", "phase2")
    assert shop.verdict("b.migrations") == "fail"


def test_a_clone_without_the_branch_says_what_to_fetch(shop: Project) -> None:
    shop.inventory("name: prod\npolicy:\n  records_branch: release\n")
    waiver(shop)
    commit(shop)
    ran = shop.run("-m", "phase2")
    assert shop.verdict("b.migrations") == "fail"
    assert "there is no branch release here" in " ".join(ran.text.split())
    assert "git fetch origin release" in " ".join(ran.text.split())


def test_a_shallow_clone_of_a_merge_commit_counts_what_it_has(shop: Project, tmp_path: Path) -> None:
    waiver(shop)
    attestation(shop)
    commit(shop)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{shop.path}", str(clone))
    git(clone, "checkout", "-q", "--detach")
    ran = forked.run("pytest", ["--inventory", "prod", "-m", "phase2"], cwd=clone)
    assert ran.returncode == 0, ran.stdout
    assert "does not count" not in ran.stdout


def test_without_a_work_tree_all_records_count_and_the_report_says_so(shop: Project) -> None:
    waiver(shop)
    attestation(shop)
    (shop.path / ".git").rename(shop.path / "elsewhere")
    shop.run("-m", "phase2")
    assert verdicts(shop) == ("waived", "attested")
    assert "not in a git work tree" in shop.verdicts()["provenance"]["commit_unknown"]
    assert "not in a git work tree" in (shop.out / "signoff.html").read_text()


def test_a_named_branch_without_a_work_tree_counts_nothing(shop: Project) -> None:
    shop.inventory("name: prod\npolicy:\n  records_branch: main\n")
    waiver(shop)
    (shop.path / ".git").rename(shop.path / "elsewhere")
    shop.run("-m", "phase2")
    assert shop.verdict("b.migrations") == "fail"


def test_git_that_cannot_be_asked_counts_nothing(shop: Project) -> None:
    waiver(shop)
    commit(shop)
    ran = shop.run_process("-m", "phase2", PATH="")
    assert shop.verdict("b.migrations") == "fail"
    assert "git is not installed" in " ".join(ran.text.split())


def test_an_uncommitted_waiver_does_not_use_up_the_cap(shop: Project) -> None:
    shop.inventory("name: prod\npolicy:\n  max_waivers: 0\n")
    waiver(shop)
    ran = shop.run("-m", "phase2")
    assert ran.code == 1, ran.text


def test_an_uncommitted_issue_log_documents_nothing(shop: Project) -> None:
    (shop.path / "suites" / "checklist.md").write_text(
        CHECKLIST.replace("## Sign-off", "- [ ] Issues {#b.issues .documented}\n\n## Sign-off")
    )
    commit(shop)
    (shop.path / "issues").mkdir()
    (shop.path / "issues" / "local.yml").write_text(
        "".join(
            f"- {{item: {item}, owner: Operations, severity: major, decision: fix, summary: known, "
            f"opened: '{moment(-1)}'}}\n"
            for item in ("b.migrations", "b.audit")
        )
    )
    shop.run("-m", "phase2")
    assert shop.verdict("b.issues") == "fail"
    assert "issues/local.yml does not count: uncommitted" in shop.reason("b.issues")
    commit(shop)
    shop.run("-m", "phase2")
    assert shop.verdict("b.issues") == "pass"


def test_the_report_names_commit_branch_changed_files_user_and_host(shop: Project) -> None:
    waiver(shop)
    shop.run("-m", "phase2")
    told = shop.verdicts()["provenance"]
    assert told["commit"] == git(shop.path, "rev-parse", "HEAD")
    assert told["branch"] == "main"
    assert told["dirty"] == ["waivers/"]
    assert told["user"]
    assert told["host"]
    page = (shop.out / "signoff.html").read_text()
    assert told["commit"] in page
    assert "1 file differs from it" in page
    assert f"{WAIVER} does not count: uncommitted" in page
    journal = [json.loads(line) for line in (shop.out / "journal.jsonl").read_text().splitlines()]
    assert next(line for line in journal if line["kind"] == "run")["aside"][0]["file"] == WAIVER


def test_workers_see_the_same_records(shop: Project) -> None:
    waiver(shop)
    attestation(shop)
    ran = shop.run_process("-m", "phase2", "-n", "2")
    assert verdicts(shop) == ("fail", "not_covered"), ran.text
    commit(shop)
    shop.run_process("-m", "phase2", "-n", "2")
    assert verdicts(shop) == ("waived", "attested")


def key(folder: Path, name: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    return folder / name


def allow(shop: Project, **keys: Path) -> None:
    lines = [
        f'{role.replace("_", "-")} namespaces="deploygate-waiver,deploygate-attestation" '
        f"{' '.join(signer.with_name(f'{signer.name}.pub').read_text().split()[:2])}\n"
        for role, signer in keys.items()
    ]
    (shop.path / "allowed_signers").write_text("".join(lines))


@pytest.fixture
def signing(shop: Project) -> Project:
    """The project with a waiver and an attestation on record and a policy that wants them signed."""
    shop.inventory("name: prod\npolicy:\n  signed_records: true\n")
    waiver(shop)
    attestation(shop)
    commit(shop)
    return shop


def test_records_without_the_signatures_that_the_policy_wants(signing: Project) -> None:
    ran = signing.run("-m", "phase2")
    assert verdicts(signing) == ("fail", "fail")
    assert f"{WAIVER} does not count: unsigned: there is no allowed_signers" in " ".join(ran.text.split())
    assert "must be: `deploygate sign --record attestations/b.audit.yml" in signing.reason("b.audit")


def test_records_with_the_signatures_that_the_policy_wants(signing: Project, tmp_path: Path) -> None:
    mine = {name: key(tmp_path, name) for name in ("database_admin", "operations", "security_lead")}
    allow(signing, **mine)
    record_files.sign(signing.path, signing.path / WAIVER, "database-admin", mine["database_admin"])
    record_files.sign(signing.path, signing.path / WAIVER, "operations", mine["operations"])
    record_files.sign(signing.path, signing.path / ATTESTATION, "security-lead", mine["security_lead"])
    signing.run("-m", "phase2")
    assert verdicts(signing) == ("fail", "inconclusive"), "allowed_signers is not committed"
    commit(signing)
    signing.run("-m", "phase2")
    assert verdicts(signing) == ("waived", "attested")


def test_a_key_listed_for_the_name_only_does_not_sign_for_the_role(signing: Project, tmp_path: Path) -> None:
    mine = key(tmp_path, "somebody")
    record_files.sign(signing.path, signing.path / ATTESTATION, "security-lead", mine)
    public = " ".join(mine.with_name("somebody.pub").read_text().split()[:2])
    (signing.path / "allowed_signers").write_text(f'"Security lead" {public}\n')
    commit(signing)
    signing.run("-m", "phase2")
    assert signing.verdict("b.audit") == "fail"
    assert "not for security-lead" in signing.reason("b.audit")


def test_two_roles_of_an_attestation_are_two_keys(signing: Project, tmp_path: Path) -> None:
    (signing.path / "suites" / "checklist.md").write_text(
        CHECKLIST.replace("role=security-lead", "role=security-lead,operations")
    )
    second = signing.path / "attestations" / "second.yml"
    text = (signing.path / ATTESTATION).read_text()
    second.write_text(text.replace("security-lead", "operations").replace("Security lead", "The other one"))
    mine, other = key(tmp_path, "mine"), key(tmp_path, "other")
    allow(signing, security_lead=mine, operations=mine)
    record_files.sign(signing.path, signing.path / ATTESTATION, "security-lead", mine)
    record_files.sign(signing.path, second, "operations", mine)
    commit(signing)
    signing.run("-m", "phase2")
    assert signing.verdict("b.audit") == "fail"
    assert "the key SHA256:" in signing.reason("b.audit")
    allow(signing, security_lead=mine, operations=other)
    record_files.sign(signing.path, second, "operations", other)
    commit(signing)
    signing.run("-m", "phase2")
    assert signing.verdict("b.audit") == "attested"


def test_git_is_started_a_few_times_only(signing: Project, tmp_path: Path) -> None:
    """A run without records starts it twice, one with records four times, however many there are."""
    log, real = tmp_path / "log", shutil.which("git")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "git"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    signing.run_process("-m", "phase2", PATH=path)
    assert len(log.read_text().splitlines()) == 4
    git(signing.path, "rm", "-q", WAIVER, ATTESTATION)
    log.unlink()
    signing.run_process("-m", "phase2", PATH=path)
    assert len(log.read_text().splitlines()) == 2
