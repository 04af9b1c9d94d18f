"""The examples of pages as inventories: what an example lacks around the section that it shows is added."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_deploygate.files import yaml
from pytest_deploygate.inventory import loader
from pytest_deploygate.inventory.models import Inventory

_AROUND: dict[str, Any] = {"name": "example", "writes": {"schema": "deploygate"}}
_AROUND_DATABASE: dict[str, Any] = {
    "name": "platform",
    "user": "deploygate",
    "primary": "db1.example.com",
    "replicas": ["db2.example.com", "db3.example.com"],
}


def loaded(plain: Mapping[str, Any], name: str) -> Inventory:
    """Return an example as an inventory. Raises InventoryError if it is not valid."""
    whole = dict(plain)
    if "name" not in whole:  # with a name it is complete
        whole = {**_AROUND, **plain, "database": {**_AROUND_DATABASE, **plain.get("database", {})}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.yml"
        file.write_text(yaml.dumped(whole), encoding="utf-8")
        return loader.load(str(file), Path(folder), []).inventory
