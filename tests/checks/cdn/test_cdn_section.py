"""The section `cdn`: what is wrong with it is said in words, and what is weaker is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checks.cdn.section import Keys
from pytest_deploygate.inventory.loader import InventoryError, load
from pytest_deploygate.inventory.weakening import weaker

ASSET = "{name: script, url: 'https://cdn.example.com/app.js'}"
PRIVATE = "nothing_private: true"


def inventory(tmp_path: Path, asset: str = ASSET, private: str = PRIVATE, more: str = "") -> Path:
    """Write an inventory with one asset."""
    file = tmp_path / "prod.yml"
    file.write_text(f"name: prod\ncdn:\n  assets:\n  - {asset}\n  {private}\n  {more}\n")
    return file


def refused(tmp_path: Path, **keys: str) -> str:
    """Return why an inventory is refused."""
    with pytest.raises(InventoryError) as error:
        load(str(inventory(tmp_path, **keys)), tmp_path)
    return str(error.value)


def test_the_least(tmp_path):
    loaded = load(str(inventory(tmp_path)), tmp_path).inventory
    section = loaded.of(Keys).cdn
    assert section is not None
    assert section.fetches == 40
    assert {each.text.partition(",")[0] for each in weaker(loaded)} == {
        "cdn.nothing_private is true",
        "cdn.tried is not set",
    }


WRONG = {
    "no private page, and none said": ({"private": ""}, "say `nothing_private: true`"),
    "both": (
        {
            "more": "private: [{name: a, url: 'https://a.example.com/', a: {header: Cookie, value: 'env:HOME'}, "
            "b: {header: Cookie, value: 'env:HOME'}}]"
        },
        "name a page with a login in `private`, or say",
    ),
    "an address that is a name": ({"more": "addresses: [cdn.example.com]"}, "is not an IP address"),
    "two contents": (
        {"asset": ASSET.replace("}", f", sha256: {'a' * 64}, file: /etc/hostname}}")},
        "`sha256` and `file` are mutually exclusive",
    ),
    "lifetimes that cross": (
        {"asset": ASSET.replace("}", ", lifetime: 2d, max_lifetime: 1d}")},
        "`max_lifetime` is below `lifetime`",
    ),
    "immutable for a day": (
        {"asset": ASSET.replace("}", ", lifetime: 1d, max_lifetime: 2d, immutable: true}")},
        "needs no `max_lifetime`",
    ),
    "a fragment": ({"asset": ASSET.replace("app.js", "app.js#x")}, "has a fragment"),
    "an expression": (
        {"more": "hit: {header: X-Edge, hit: '('}"},
        "is not a regular expression",
    ),
    "a purge without a way": (
        {"more": "tried: {pages: ['https://a.example.com/'], purge: {url: 'https://a.example.com/x'}}"},
        "set exactly one of `requests` and `run`",
    ),
    "a misspelt key": ({"more": "min_hit_ration: 0.9"}, "min_hit_ratio"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(tmp_path, case):
    keys, said = WRONG[case]
    assert said in refused(tmp_path, **keys)
