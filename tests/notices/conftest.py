from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mail_server import MailServer, serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "CHG-1" / "notices"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    with serving(tmp_path / "boxes") as found:
        yield found
