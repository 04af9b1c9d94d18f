"""Faults of the gate itself: what its probes leave behind when they do not end."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from pytest_deploygate.lab.faults import Fault, by_sql
from pytest_deploygate.lab.state import Lab

_SCOPE = "preflight and guard"
_TABLE = "deploygate.deploygate_replication"
_RUN = "a run that was killed"
#: A folder as young as a few seconds may be one that a restore makes right now.
_OLD_S = 7200


def _folder(lab: Lab) -> Path:
    return lab.private / "scratch" / "dgr-0badc0de"


def _leave_folder(lab: Lab) -> None:
    folder = _folder(lab)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "PG_VERSION").write_text("15\n")
    owner = folder.parent.stat()
    for path in (folder, folder / "data", folder / "data" / "PG_VERSION"):
        os.chown(path, owner.st_uid, owner.st_gid)
    then = time.time() - _OLD_S
    os.utime(folder, (then, then))


def _remove_folder(lab: Lab) -> None:
    shutil.rmtree(_folder(lab), ignore_errors=True)


ROWS = Fault(
    "gate-rows-left",
    "a write load of the gate was killed two hours ago: its rows are still in the gate's own schema",
    {"guard.blast-radius": "fail"},
    by_sql(
        f"INSERT INTO {_TABLE} (run, id, written_at) SELECT '{_RUN}', n, now() - interval '2 hours' FROM generate_series(1, 40) n"
    ),
    by_sql(f"DELETE FROM {_TABLE} WHERE run = '{_RUN}'"),
    says="40 rows of a run that did not end are left",
    tests=("test_gate_does_no_harm",),
    scope=_SCOPE,
)
FOLDER = Fault(
    "gate-restore-left",
    "a restore of the gate was killed with its guard two hours ago: its copy of the database is still there",
    {"guard.blast-radius": "fail"},
    _leave_folder,
    _remove_folder,
    says="of a restore that did not end is left",
    tests=("test_gate_does_no_harm",),
    scope=_SCOPE,
)
