from __future__ import annotations

import json

import pytest
from small_repository import CHECKLIST, SARIF


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "checklist.md").write_text(CHECKLIST)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "audit.pdf").write_bytes(b"report")
    (tmp_path / "reports" / "scan.sarif").write_text(json.dumps(SARIF))
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "prod.yml").write_text("name: production\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path
