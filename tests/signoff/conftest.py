from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from no_secrets import forget, no_secrets
from small_change import CHECKLIST, ROLES, SUITE, Signed, allow, make_key, run_gate

from pytest_deploygate.signoff.signing import sign

__all__ = ["no_secrets"]  # a fixture for every test here


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A project with a small suite, the changes CHG-1 and CHG-2 (GO) and CHG-3 (HOLD) run, none signed."""
    project = tmp_path_factory.mktemp("small")
    for name, text in {
        "suites/checklist.md": CHECKLIST,
        "suites/test_small.py": SUITE,
        "inventories/small.yml": "name: small\n",
        "pytest.ini": "[pytest]\ntestpaths = suites\n",
    }.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    run_gate(project, "CHG-1")
    run_gate(project, "CHG-2")
    run_gate(project, "CHG-3", errors=7)
    return project


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> dict[str, Path]:
    """One key for each role, one of them RSA."""
    place = tmp_path_factory.mktemp("keys")
    options = {ROLES[1]: ("-t", "rsa", "-b", "2048")}
    return {role: make_key(place, role, *options.get(role, ())) for role in ROLES}


@pytest.fixture(scope="session")
def all_signed(small, keys, tmp_path_factory) -> Path:
    forget()
    folder = tmp_path_factory.mktemp("signed") / "CHG-1"
    shutil.copytree(small / "deploygate-out" / "CHG-1", folder)
    for role, key in keys.items():
        sign(folder, role, key, name=f"The {role}")
    return folder


@pytest.fixture
def project(small, tmp_path) -> Path:
    """A copy of the small project."""
    return shutil.copytree(small, tmp_path / "project")


@pytest.fixture
def signed(project, all_signed, keys) -> Signed:
    """A copy of the small project in which CHG-1 is signed by all roles, and its allowed-signers file."""
    folder = project / "deploygate-out" / "CHG-1"
    shutil.copytree(all_signed, folder, dirs_exist_ok=True)
    return Signed(project, folder, keys, allow(project / "allowed_signers", keys))
