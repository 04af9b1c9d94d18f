"""A repository with a checklist of six items, an inventory and some evidence, and a helper to run commands in it."""

from __future__ import annotations

from click.testing import CliRunner

from pytest_deploygate.checklist import parser
from pytest_deploygate.cli import main

CHECKLIST = """\
## Preflight {#preflight .security}
- [ ] Security audit completed {#sec.audit .manual role=security-lead}
- [ ] Penetration testing passed {#sec.pentest .critical .manual}
- [ ] Restore {#db.restore .critical .non-waivable}
- [ ] Pooling {#db.pooling}
## Phase 1 {#phase1}
- [ ] Logs {#phase1.logs}
- [ ] Document any issues {#phase1.issues .hybrid}
## Sign-off {.sign-off}
- [ ] Technical lead: ____
"""
SARIF = {
    "version": "2.1.0",
    "runs": [{"tool": {"driver": {"name": "scanner"}}, "results": []}],
}


def run(command, item, options, **changed):
    given = {**options, **{f"--{key.replace('_', '-')}": value for key, value in changed.items()}}
    words = [
        word
        for key, value in given.items()
        if value is not None
        for word in ([key] if value is True else [key, value])
    ]
    items = item if isinstance(item, list) else [item] if item else []
    return CliRunner().invoke(main, [command, *items, *words])


def files(root, folder):
    return sorted(file.name for file in (root / folder).glob("*")) if (root / folder).exists() else []


def checklist(root):
    return parser.load(root / "suites" / "checklist.md")
