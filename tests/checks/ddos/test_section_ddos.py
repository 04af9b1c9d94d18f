"""The section as people write it, and what a mistake in it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checks.ddos.section import FORGED, Ddos, Limit, Slow
from pytest_deploygate.inventory import loader

INVENTORY = """name: staging
hosts:
  servers: [{{name: monitor1, connection: "ssh://deploy@monitor1.example.net"}}]
ddos:
  second: {second}
  limits: [{{name: search, url: "https://app.example.com/search", rate: {rate}, burst: 40{more}}}]
  slow: [{{name: front, url: "https://app.example.com/"}}]
"""


def load(tmp_path: Path, second: str = "{host: monitor1}", rate: str = "20/s", more: str = "") -> Ddos:
    file = tmp_path / "staging.yml"
    file.write_text(INVENTORY.format(second=second, rate=rate, more=more))
    found: Ddos = loader.load(str(file), tmp_path).inventory.ddos  # type: ignore[attr-defined]
    return found


def limit(**more: object) -> Limit:
    return Limit.model_validate(
        {"name": "a", "url": "https://app.example.com/", "rate": "20/s", "burst": 20, **more}
    )


@pytest.mark.parametrize(
    ("rate", "per_second"), [("20/s", 20), ("30/min", 0.5), ("30/m", 0.5), ("7200/h", 2)]
)
def test_rates(tmp_path, rate, per_second):
    assert load(tmp_path, rate=rate).limits[0].rate == per_second


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate": "20"}, "is not a rate: write for example 20/s, 30/min or 100/h"),
        ({"rate": "0/s"}, "is not a rate"),
        ({"second": "{host: monitor2}"}, "no host is named 'monitor2'.*monitor1"),
        ({"second": "{}"}, "set `host`, or `address`"),
        ({"second": "{address: front}"}, "'front' is not an IP address"),
        ({"more": ", paths: [search]"}, "'search' is not a path"),
        ({"more": ", token: env:HOME"}, "would have its secret on a command line"),
        ({"more": ", limit: 3"}, "limit"),
    ],
)
def test_mistakes(tmp_path, change, said):
    with pytest.raises(loader.InventoryError, match=f"(?s){said}"):
        load(tmp_path, **change)


def test_a_limit_with_a_login_is_asked_from_here(tmp_path):
    assert load(tmp_path, second="{address: 192.0.2.7}", more=", token: env:HOME").limits[0].login


@pytest.mark.parametrize("rate", ["1/min", "1/s", "20/s", "500/s"])
@pytest.mark.parametrize("burst", [1, 5, 100, 2000])
def test_what_is_sent_is_bounded_and_more_than_declared(rate, burst):
    one = limit(rate=rate, burst=burst, most=5000)
    assert burst < one.at_once <= 5000
    assert one.offered >= 2 * one.rate
    assert one.lasts_s <= 60
    assert one.every_s >= 0.2
    # The second source asks less than the declared limit lets through.
    assert 1 + one.lasts_s / one.every_s <= one.burst + one.rate * one.lasts_s


def test_headers_that_are_trusted_from_here_are_not_forged():
    given = {
        "limits": [limit()],
        "slow": [Slow(name="a", url="https://app.example.com/")],
        "second": {"address": "192.0.2.7"},
    }
    assert Ddos.model_validate(given).forged == list(FORGED)
    some = Ddos.model_validate(
        {**given, "trusted_headers": ["x-forwarded-for"], "more_headers": ["Fastly-Client-IP"]}
    )
    assert some.forged == [*FORGED[1:], "Fastly-Client-IP"]


def test_kinds_of_slow_clients():
    slow = {"name": "a", "url": "https://app.example.com/"}
    assert Slow.model_validate(slow).kinds == ("headers", "body", "stalled-body", "silent", "kept")
    assert Slow.model_validate({**slow, "large": "/manual.pdf", "leave_out": ["body"]}).kinds == (
        "headers",
        "stalled-body",
        "silent",
        "kept",
        "reader",
    )
