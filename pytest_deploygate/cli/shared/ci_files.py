"""CI files that run the phases of a checklist for a named change."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import metadata, resources
from pathlib import Path

import pytest_deploygate
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.lazy import dataclass

_NAME = "pytest-deploygate"
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?")
_GIT = re.compile(r"git\+(https|ssh|file)://[^\s\"'$`\\]+")
_RESULTS = "deploygate-out/"


@dataclass(frozen=True)
class Installed:
    """What CI installs: a requirement of pip. `doubt` says why it may not be found there; empty if nothing is known."""

    requirement: str
    doubt: str = ""


def installed(address: str | None) -> Installed:
    """Return what CI installs: `address` is a version or a git address, None means what is installed here.

    Raises Refused for anything else, and for an address with a password in it.
    """
    if address is None:
        return _as_here()
    if _VERSION.fullmatch(address):
        return Installed(f"{_NAME}[alembic]=={address}")
    if address.startswith("https://") and (address.endswith(".git") or ".git@" in address):
        address = f"git+{address}"
    if not _GIT.fullmatch(address):
        raise Refused(
            f"--install-from {address!r}: give a version such as {pytest_deploygate.__version__}, or a git address such as"
            " git+https://git.example.com/pytest-deploygate.git@v1.0"
        )
    host = address.partition("://")[2].partition("/")[0]
    if ":" in host.rpartition("@")[0]:
        raise Refused("--install-from: the address has a password in it; CI gets it from its secrets instead")
    pinned = "@" in address.partition("://")[2].partition("/")[2]
    doubt = (
        "" if pinned else "the git address names no tag or commit: add @TAG, so that CI runs what you tried"
    )
    return Installed(f"{_NAME}[alembic] @ {address}", doubt)


def _as_here() -> Installed:
    """Return what is installed here: the commit of a git address, else this version."""
    pinned = Installed(f"{_NAME}[alembic]=={pytest_deploygate.__version__}")
    try:
        told = metadata.distribution(_NAME).read_text("direct_url.json")
        origin = json.loads(told) if told else {}
    except (metadata.PackageNotFoundError, ValueError):
        return pinned
    vcs = origin.get("vcs_info")
    if vcs and vcs.get("vcs") == "git" and "@" not in origin["url"]:
        return Installed(f"{_NAME}[alembic] @ git+{origin['url']}@{vcs['commit_id']}")
    if origin:
        return Installed(
            pinned.requirement,
            f"it installs {_NAME} {pytest_deploygate.__version__}, but here that was not installed from a package index: if"
            " yours does not have it, run init with --install-from git+https://…@TAG",
        )
    return pinned


def github(phases: Sequence[str], folder: str, requirement: str) -> str:
    """Return the workflow for GitHub; `folder` is that of the checklist's files, from the top of the repository."""
    return _filled(_template("deploygate.github.yml"), phases, folder, requirement)


def gitlab(phases: Sequence[str], folder: str, requirement: str) -> str:
    """Return the jobs for GitLab, one a phase; `folder` as for `github`."""
    jobs = ""
    for number, phase in enumerate(phases):
        base = ".deploygate by hand" if number else ".deploygate"
        jobs += f"\ndeploygate {phase}:\n  extends: {base}\n  variables: {{PHASE: {_word(phase)}}}\n"
    return _filled(_template("deploygate.gitlab.yml"), phases, folder, requirement) + jobs


def top(folder: Path) -> Path:
    """Return the top of the git repository that a folder is in, else the folder itself."""
    whole = folder.resolve()
    return next((place for place in (whole, *whole.parents) if (place / ".git").exists()), whole)


def _filled(text: str, phases: Sequence[str], folder: str, requirement: str) -> str:
    results = _RESULTS if folder == "." else f"{folder}/{_RESULTS}"
    values = {
        "@PHASES@": ", ".join(map(_word, phases)),
        "@FIRST@": phases[0],
        "@FOLDER@": _quoted(folder),
        "@RESULTS@": _quoted(results),
        "@KEYS@": _quoted(f"{results}**/.key"),
        "@JUNIT@": _quoted(f"{results}*/junit.xml"),
        "@INSTALL@": requirement,
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _quoted(path: str) -> str:
    """Quote a path for YAML and for a shell."""
    return path if re.fullmatch(r"[\w.][\w./*-]*", path) else json.dumps(path, ensure_ascii=False)


def _word(phase: str) -> str:
    """Quote a phase that YAML would read as true, false or nothing."""
    return f'"{phase}"' if phase in ("y", "n", "yes", "no", "on", "off", "true", "false", "null") else phase


def _template(name: str) -> str:
    return (resources.files("pytest_deploygate.cli") / "starter" / name).read_text(encoding="utf-8")
