"""The lab's inventory loads while the lab runs, and its snapshot is the lab's structure."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_deploygate.checks.structure.probe import catalog
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.sources.lab import INVENTORIES as LAB_INVENTORIES
from pytest_deploygate.inventory import loader
from pytest_deploygate.lab.state import Lab

ROOT = Path(__file__).parents[2]


def test_the_committed_snapshot_is_the_labs_structure(lab: Lab, tmp_path: Path) -> None:
    """Day partitions and the server's version must not appear in it."""
    inventory = loader.load("lab", ROOT).inventory
    assert inventory.database
    assert inventory.writes
    cluster = Cluster(inventory.database, inventory.writes.schema_)
    try:
        structure = catalog.write_snapshot(cluster, ["platform"], tmp_path / "live.json")
    finally:
        cluster.close()
    assert structure.children == {}
    live = json.loads((tmp_path / "live.json").read_text())
    committed = json.loads((LAB_INVENTORIES / "lab.tables.json").read_text())
    assert live | {"server_major": 0} == committed | {"server_major": 0}
