"""The line with which a run begins: everything besides the findings that its results depend on, so that they can be
computed again.
"""

from __future__ import annotations

import dataclasses
import getpass
import os
import platform
import socket
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest_deploygate
from pytest_deploygate import moments
from pytest_deploygate.checklist import windows
from pytest_deploygate.decision import recorded_change_state
from pytest_deploygate.decision.change_state import ChangeState
from pytest_deploygate.fields.tickets import ticket_of
from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.model import Item
from pytest_deploygate.session import gate, incident, own_clock
from pytest_deploygate.session.settings import Settings
from pytest_deploygate.session.sharding import Shard

#: `dataclasses.asdict` copies each value of each item, which are all plain.
_ITEM = tuple(field.name for field in dataclasses.fields(Item))


def run_line(
    settings: Settings, run: str, kept: Iterable[str], inputs: Mapping[str, Any], state: ChangeState | None
) -> dict[str, Any]:
    """Return the body of the line; `inputs` are those of `kept.inputs`, `state` is that of the change's ticket."""
    checklist = settings.checklist
    return {
        "run": run,
        "change": settings.change,
        "inventory": {
            "name": settings.inventory.name,
            "description": settings.inventory.description,
            "sha256": settings.loaded.sha256,
        },
        "checklist": {
            "file": checklist.file.name,
            "path": _below(settings.root, checklist.file),
            "sha256": checklist.sha256,
            "phases": [dataclasses.asdict(phase) for phase in checklist.phases],
            "items": [{name: getattr(item, name) for name in _ITEM} for item in checklist.items],
            "roles": checklist.roles,
        },
        "options": settings.options,
        **({"shard": shard_line(settings, settings.shard)} if settings.shard else {}),
        "scope": settings.scope_words,
        "scope_items": settings.scope_items,
        "not_applicable": settings.not_applicable,
        "policy": {
            "rollback_from": settings.inventory.policy.rollback_from,
            "change_state": settings.inventory.policy.change_state,
            "decision_valid_s": settings.inventory.policy.decision_valid.total_seconds(),
            "times": dataclasses.asdict(incident.times(settings.inventory)),
        },
        "waivers": [gate.plain(waiver) for waiver in settings.records.waivers],
        "aside": [dataclasses.asdict(one) for one in settings.records.aside],
        "source": dataclasses.asdict(settings.source),
        "records_from": settings.base.words if settings.base else "",
        "weakenings": [dataclasses.asdict(weakening) for weakening in settings.weakenings],
        "contacts": [
            contact.model_dump(include={"role", "name", "phone", "mail"})
            for contact in settings.inventory.contacts
        ],
        "clock": dataclasses.asdict(own_clock.read()),
        "moment": moments.to_json(moments.present()),
        "attestations": _attestations(settings),
        "records": _digests(settings),
        "owners": _owners(settings),
        "chained": settings.chained,
        "windows": _windows(settings),
        "remarks": settings.remarks,
        "ticket": ticket_of(settings.inventory.tickets, settings.change),
        "change_state": state and recorded_change_state.to_json(state),
        "waived_exit": settings.waived_exit,
        "resumes": settings.resume,
        "kept": sorted(kept),
        "inputs": inputs,
        "who": _who(),
        "host": socket.gethostname(),
        "versions": {
            "pytest-deploygate": pytest_deploygate.__version__,
            "pytest": metadata.version("pytest"),
            "python": platform.python_version(),
        },
    }


def _below(root: Path, file: Path) -> str:
    """Return a file's path in the repository; empty if it is elsewhere."""
    real, top = file.resolve(), root.resolve()
    return real.relative_to(top).as_posix() if real.is_relative_to(top) else ""


def shard_line(settings: Settings, shard: Shard) -> dict[str, Any]:
    """Return what a shard says of itself; all but `index` and `said_by` must be the same in all shards of a run.

    `given` are the options of pytest with which `deploygate merge` finds the same settings.
    """
    return {
        "index": shard.index,
        "of": shard.of,
        "said_by": shard.said_by,
        "belongs": shard.belongs,
        "durations": shard.durations,
        "settings": shard.settings,
        "secrets": shard.secrets,
        "expression": settings.expression,
        "only": settings.only,
        "allow_disruptive": settings.allow_disruptive,
        "override_freeze": settings.override_freeze,
    }


def _windows(settings: Settings) -> dict[str, list[str]]:
    """Return start and end of each phase planned by its heading and the inventory's schedule."""
    timetable = settings.inventory.timetable
    if timetable is None:
        return {}
    found = {
        phase.id: windows.planned(phase, timetable.t0, timetable.zone) for phase in settings.checklist.phases
    }
    return {phase: [w[0].isoformat(), w[1].isoformat()] for phase, w in found.items() if w}


def _owners(settings: Settings) -> list[tuple[str, str]]:
    """Return items with their owners in the open, complete entries of the issue log."""
    entries = settings.records.issue_log.entries if settings.records.issue_log else ()
    return [(e.item, e.owner) for e in entries if e.closed is None and not e.incomplete]


def _digests(settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of every record file that this run depends on, by path below the root."""
    records = settings.records
    files = [attestation.file for attestation in records.attestations]
    files += [waiver.file for waiver in records.waivers]
    if records.issue_log and records.issue_log.exists:
        files.append(records.issue_log.file)
    return {file: sha256(bounded.read(settings.root / file)) for file in files}


def _attestations(settings: Settings) -> list[dict[str, str]]:
    """Return the attestations of this change and inventory that count: a later phase looks whether they still do."""
    return [
        {"file": a.file, "item": a.item, "role": a.role, "valid_until": a.valid_until.isoformat()}
        for a in settings.records.attestations
        if a.change in ("", settings.change) and a.inventory in ("", settings.inventory.name)
    ]


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
