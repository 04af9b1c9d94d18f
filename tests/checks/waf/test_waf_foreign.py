"""Attacks of others: small files of our own in the forms of OWASP CRS's regression tests and of gotestwaf."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checks.waf.probe import foreign
from pytest_deploygate.checks.waf.section import Corpus, Waf
from pytest_deploygate.model import CannotTell

RULES = """
SecRule ARGS "@rx a" \\
    "id:942100,\\
    phase:2,block,\\
    tag:'paranoia-level/1',\\
    severity:'CRITICAL'"
SecRule ARGS "@rx b" "id:942432,phase:2,block,tag:'paranoia-level/4',severity:'CRITICAL'"
SecRule ARGS "@rx c" "id:920350,phase:1,block,tag:'paranoia-level/1',severity:'WARNING'"
"""
FOUR = """---
meta: {author: us}
rule_id: 942100
tests:
  - test_id: 1
    stages:
      - input:
          dest_addr: 127.0.0.1
          headers: {Host: localhost, User-Agent: ours, X-Own: "1"}
          method: POST
          uri: /post
          data: "item=1 OR 1=1"
        output: {log: {expect_ids: [942100]}}
  - test_id: 2
    stages:
      - input: {method: GET, uri: "/get?item=a%20b", headers: {Host: localhost}}
        output: {log: {expect_ids: [942432]}}
  - test_id: 3
    stages:
      - input: {method: GET, uri: "/get/etc/passwd"}
        output: {log: {expect_ids: [942100]}}
  - test_id: 4
    stages:
      - input: {method: GET, uri: /get}
        output: {log: {no_expect_ids: [942100]}}
  - test_id: 5
    stages:
      - input: {method: GET, uri: "/get/../../../etc/passwd"}
        output: {log: {expect_ids: [942100]}}
  - test_id: 6
    stages:
      - input: {method: GET, uri: "/get", headers: {Cookie: "item=x"}}
        output: {log: {expect_ids: [920350]}}
  - test_id: 7
    stages:
      - input: {method: TRACE, uri: "/get"}
        output: {log: {expect_ids: [942100]}}
  - test_id: 8
    stages:
      - input: {method: GET, uri: "/get?a b"}
        output: {log: {expect_ids: [942100]}}
  - test_id: 9
    stages:
      - input: {encoded_request: R0VU}
        output: {log: {expect_ids: [942100]}}
  - test_id: 10
    stages:
      - input: {method: GET, uri: "/"}
        output: {log: {expect_ids: [951100]}}
"""
THREE = """---
meta: {author: us, name: 942100.yaml}
tests:
  - test_title: 942100-1
    stages:
      - stage:
          input: {method: GET, uri: "/?item=a", headers: {Host: localhost}}
          output: {log_contains: 'id "942100"'}
"""
GOTESTWAF = """payload:
  - "<b>1</b> \\'a"
  - union of men
encoder: [URL, Base64Flat, Plain]
placeholder:
  - URLParam
  - HTMLForm
  - UserAgent
  - gRPC
  - RawRequest: {method: POST, path: /x, body: "{{payload}}"}
type: SQL Injection
"""


def section(**more: object) -> Waf:
    given = {
        "url": "http://127.0.0.1:1",
        "read": "/search",
        "write": "/api/echo",
        "no_origins": "a server of the test",
    }
    return Waf.model_validate(given | more)


@pytest.fixture
def crs(tmp_path: Path) -> Path:
    for name, text in (("rules/a.conf", RULES), ("tests/regression/tests/a/942100.yaml", FOUR)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("inside", ["", "tests/regression/tests"])
def test_crs_4(crs, inside):
    found = foreign.read(Corpus(crs=crs / inside), section())
    by_name = {case.name: case for case in found.cases}
    assert set(by_name) == {"942100-1", "942432-2", "942100-3"}
    posted = by_name["942100-1"]
    assert (posted.sent.method, posted.sent.target) == ("POST", "/api/echo")
    assert dict(posted.sent.headers) == {
        "User-Agent": "ours",
        "X-Own": "1",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert posted.sent.body == b"item=1 OR 1=1"
    assert posted.control.body == b"item=notes"
    assert (posted.levels, posted.placement, posted.attack_class) == ({"rule": 1}, "form", "sqli")
    assert by_name["942432-2"].sent.target == "/search?item=a%20b"
    assert by_name["942432-2"].control.target == "/search"
    assert by_name["942432-2"].levels == {"rule": 4}
    assert by_name["942100-3"].sent.target == "/search/get/etc/passwd"
    assert by_name["942100-3"].control.target == "/search/notes"
    assert dict(found.left_out) == {
        "expects no rule": 1,
        "lead away from the safe path": 1,
        "its rule does not block by itself": 1,
        "methods of their own": 1,
        "no HTTP that could be sent": 1,
        "raw requests": 1,
        "about answers": 1,
    }


def test_crs_3(crs):
    (crs / "tests/regression/tests/a/942100.yaml").write_text(THREE)
    assert [case.name for case in foreign.read(Corpus(crs=crs), section()).cases] == ["942100-1"]


def test_crs_without_its_rules(tmp_path):
    (tmp_path / "a.yaml").write_text(FOUR)
    with pytest.raises(CannotTell, match="has no folder `rules`"):
        foreign.read(Corpus(crs=tmp_path), section())


def test_without_a_path_to_write_to_nothing_is_posted(crs):
    found = foreign.read(
        Corpus(crs=crs), section(write=None, without=["form", "json", "multipart", "upload"])
    )
    assert {case.sent.method for case in found.cases} == {"GET"}
    assert found.left_out["no `write`"] == 1


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    for name in ("owasp/sql.yml", "false-pos/texts.yml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(GOTESTWAF)
    (tmp_path / "other.yml").write_text("a: 1\n")
    return tmp_path


def test_gotestwaf(cases):
    found = foreign.read(Corpus(gotestwaf=cases, least_percent=50), section())
    by_name = {case.name: case for case in found.cases}
    assert len(by_name) == 2 * 3 * 3
    assert by_name["sql-1/query/URL"].sent.target == "/search?item=%3Cb%3E1%3C%2Fb%3E%20%27a"
    assert by_name["sql-2/query/Plain"].sent.target == "/search?item=union%20of%20men"
    assert by_name["sql-2/query/Base64Flat"].sent.target == "/search?item=dW5pb24gb2YgbWVu"
    assert by_name["sql-2/form/Plain"].sent.body == b"item=union%20of%20men"
    assert by_name["sql-2/header/Plain"].sent.headers == (("User-Agent", "union of men"),)
    assert {case.attack_class for case in found.cases} == {"sqli"}
    assert found.usual == ()
    assert found.left_out["ordinary requests"] == 2 * 3 * 5
    assert found.left_out["gRPC with URL"] == 2


def test_gotestwafs_ordinary_requests(cases):
    found = foreign.read(Corpus(gotestwaf=cases, least_percent=50, ordinary=True), section())
    assert len(found.usual) == 18
    assert {one.traffic for one in found.usual} == {"gotestwaf"}


def test_more_than_are_sent(cases):
    found = foreign.read(Corpus(gotestwaf=cases, least_percent=50, most=5), section())
    assert len(found.cases) == 5
    assert found.left_out["more than 5"] == 13


@pytest.mark.parametrize("text", ["payload: [a\n", "payload: {a: 1}\n"])
def test_a_folder_without_cases(tmp_path, text):
    (tmp_path / "a.yml").write_text(text)
    with pytest.raises(CannotTell, match=r"cannot be read|has no test cases"):
        foreign.read(Corpus(gotestwaf=tmp_path, least_percent=50), section())
