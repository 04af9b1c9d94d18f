"""Shards on several machines give together what one comparison gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_deploygate.comparison import engine, journal, parts, shards
from pytest_deploygate.comparison.differences import NAME
from pytest_deploygate.comparison.spec import Shard

CHANGES = """
UPDATE app.everything SET v = 'other' WHERE id % 97 = 0; DELETE FROM app.by_text WHERE v % 1000 = 7;
INSERT INTO app.no_key VALUES ('new', 1); UPDATE app.by_two SET v = 0 WHERE site = 2 AND v % 500 = 2
"""


@pytest.fixture
def compared(both, sides, tables, tmp_path, monkeypatch) -> Callable[[int], list[Path]]:
    """Compare in so many shards; return their folders."""
    monkeypatch.setattr(parts, "rows_per_range", lambda _rows: 500)
    both[1].sql(CHANGES)

    def run(of: int) -> list[Path]:
        for number in range(1, of + 1):
            engine.compare(tables(), *sides, tmp_path / f"{number}of{of}", shard=Shard(number, of))
        return [tmp_path / f"{number}of{of}" for number in range(1, of + 1)]

    return run


def test_shards_give_together_what_one_comparison_gives(compared, tmp_path):
    (whole,) = compared(1)
    folders = compared(3)
    outcome = shards.merge(folders[::-1], tmp_path / "merged")
    assert (tmp_path / "merged" / NAME).read_bytes() == (whole / NAME).read_bytes()
    one, merged = (
        json.loads((folder / engine.RESULT).read_text()) for folder in (whole, tmp_path / "merged")
    )
    assert merged == one
    assert outcome.certain


def test_shards_that_do_not_belong_together(both, sides, tables, compared, tmp_path):
    (_, *_), (one, two) = compared(3), compared(2)
    into = tmp_path / "merged"

    def said(*folders: Path) -> str:
        with pytest.raises(shards.CannotMerge) as refused:
            shards.merge(folders, into)
        assert not into.exists()
        return str(refused.value)

    assert "shard 2 of 2 is missing" in said(one)
    assert "shard 1 of 2 is given more than once" in said(one, one, two)
    assert "is one of 3 shards" in said(one, two, tmp_path / "3of3")
    assert "cannot be read" in said(one, tmp_path / "nothing")
    content = (two / journal.NAME).read_text().splitlines(keepends=True)
    (two / journal.NAME).write_text("".join(content[:-1]))
    assert "shard 2 of 2 in" in said(one, two)
    engine.compare(tables(), *sides, two, shard=Shard(2, 2), resume=True)
    assert shards.merge([one, two], tmp_path / "again").differences
    other = [
        line.replace('"bounds":[["', '"bounds":[["7') if "app.by_text" in line else line for line in content
    ]
    (two / journal.NAME).write_text("".join(other))
    assert "divides app.by_text in other parts" in said(one, two)
    for server in both:
        server.sql("ALTER TABLE app.empty ADD COLUMN more int")
    engine.compare(tables(), *sides, two, shard=Shard(2, 2))
    assert "is of another comparison than" in said(one, two)
