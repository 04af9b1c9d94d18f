"""The section as people write it, and what a mistake in it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.inventory import loader, weakening

GOOD = "waf: {url: https://app.example.com, read: /search, write: /api/echo, opt_in: staging, origins: [https://203.0.113.7]}\n"


def load(folder: Path, text: str):
    path = folder / "staging.yml"
    path.write_text(f"name: staging\n{text}")
    return loader.load(str(path), folder).inventory


def test_a_good_one(tmp_path):
    waf = load(tmp_path, GOOD).waf
    assert waf.paranoia == 1
    assert waf.least_of("sqli") == 95
    assert weakening.weaker(load(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("write: /api/echo, ", ""), "need `write: PATH`"),
        (("read: /search", "read: /search?q=1"), "is not a path such as /search"),
        (
            ("https://app.example.com,", "https://app.example.com/shop,"),
            "has a path; write it as `read` and `write`",
        ),
        (("opt_in: staging", "no_origins: it runs in the WAF"), "leave it out, or `origins`"),
        (("origins: [https://203.0.113.7]", "no_origins: none"), "10"),
        (("origins: [https://203.0.113.7]", "origins: [{urls: https://203.0.113.7}]"), "did you mean 'url'"),
        (
            ("origins: [https://203.0.113.7]", "origins: [{url: https://203.0.113.7, also_from: [web7]}]"),
            "waf.origins.also_from: no server in `hosts.servers` is named 'web7'",
        ),
        (("opt_in", "optin"), "did you mean 'opt_in'"),
        (("opt_in: staging", "blocked: {pattern: '.*'}"), "matches an empty body too"),
        (("opt_in: staging", "blocked: {pattern: '('}"), "is not a regular expression"),
        (("opt_in: staging", "expect: {sql: 5}"), "waf.expect.sql: no such key; did you mean 'sqli'"),
        (("opt_in: staging", "corpora: [{least_percent: 5}]"), "set one of `crs`"),
        (("opt_in: staging", "corpora: [{crs: ./nowhere}]"), "nowhere"),
        (("opt_in: staging", "corpora: [{gotestwaf: .}]"), "add `least_percent`"),
        (("opt_in: staging", "paranoia: 5"), "4"),
        (("opt_in: staging", "origins_from: [web7]"), "no server in `hosts.servers` is named 'web7'"),
    ],
)
def test_a_mistake(tmp_path, change, said):
    assert change[0] in GOOD
    with pytest.raises(Exception, match=r"staging\.yml") as raised:
        load(tmp_path, GOOD.replace(*change))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "change",
    ["crs: 3", "least_percent: 90", "expect: {php: 0}", "without: [path]", "without_traffic: [names]",
     "false_positives_percent: 2", "unresolved_percent: 6", "max_age: 91d"],
)  # fmt: skip
def test_weaker_settings_are_counted(tmp_path, change):
    assert len(weakening.weaker(load(tmp_path, GOOD.replace("opt_in: staging", change)))) == 1


def test_without_a_path_to_write_to(tmp_path):
    text = GOOD.replace("write: /api/echo", "without: [form, json, multipart, upload]")
    assert load(tmp_path, text).waf.write is None


def test_where_origins_are_tried_from(tmp_path):
    hosts = "hosts: {servers: [{name: web1, connection: local://}, {name: web2, connection: local://}]}\n"
    waf = load(
        tmp_path,
        GOOD.replace(
            "origins: [https://203.0.113.7]",
            "origins_from: [web1], origins: ['https://203.0.113.7', {url: 'http://10.0.0.7', also_from: [web2, web1]}]",
        )
        + hosts,
    ).waf
    assert waf.ways == (("https://203.0.113.7", ("web1",)), ("http://10.0.0.7", ("web1", "web2")))
    assert waf.vantages == ("web1", "web2")


def test_that_there_are_no_origins_is_counted(tmp_path):
    inventory = load(tmp_path, GOOD.replace("origins: [https://203.0.113.7]", "no_origins: a Unix socket"))
    assert [each.path for each in weakening.weaker(inventory)] == [("waf", "no_origins")]
