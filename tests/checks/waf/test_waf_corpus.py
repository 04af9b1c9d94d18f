"""The shipped corpora: enough of each kind, described, inert, and with a measured level for each attack."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from pytest_deploygate.checks.waf.judge import gaps
from pytest_deploygate.checks.waf.probe import corpus, message
from pytest_deploygate.checks.waf.probe.exchange import Place, wire
from pytest_deploygate.checks.waf.section import USUAL
from pytest_deploygate.clients.budget import AGENT

CASES = list(corpus.attacks("/search", "/api/echo"))
PLACE = Place("127.0.0.1", 8080, "shop.example.com", None, {}, 1.0)


def test_there_are_enough_of_each_kind():
    assert len(CASES) >= 500
    assert len({case.name for case in CASES}) == len(CASES)
    by_class = Counter(case.attack_class for case in CASES)
    assert set(by_class) == set(gaps.CLASSES) - {"other"}
    assert min(by_class.values()) >= 15
    assert set(Counter(case.placement for case in CASES)) == {
        "query", "path", "header", "cookie", "form", "json", "multipart", "upload"
    }  # fmt: skip
    assert len({case.encoding for case in CASES}) >= 6


def test_each_attack_has_a_measured_row_and_a_weakness():
    rows = corpus.levels()
    assert set(rows) == {case.name for case in CASES}
    assert all(re.fullmatch(r"CWE-\d+", case.cwe) for case in CASES)
    assert all(level in (1, 2, 3, 4) for row in rows.values() for level in row.values())


@pytest.mark.parametrize(("rules", "least"), [("crs-3", 0.75), ("crs-4", 0.8)])
def test_most_attacks_may_be_expected_at_level_1(rules, least):
    at_1 = [case for case in CASES if case.levels.get(rules) == 1]
    assert len(at_1) / len(CASES) > least
    assert {case.attack_class for case in at_1} == set(gaps.CLASSES) - {"other"}


#: Addresses for documentation, of the machine itself, of metadata services, and what scanners name in their agents.
HARMLESS = re.compile(
    r"192\.0\.2\.|203\.0\.113\.|127\.|localhost|2130706433|\[::1\]|169\.254\.|.*\.(invalid|internal)|"
    r"(.*\.)?(sqlmap\.org|nmap\.org|wpscan\.com|github\.com|w3\.org)$"
)


def test_payloads_are_inert():
    text = (corpus.FOLDER / "attacks.toml").read_text()
    hosts = set(re.findall(r"(?:https?|ftp|ldap|gopher)://([^/'\"\s?)]+)", text))
    assert hosts
    assert not {host for host in hosts if not HARMLESS.match(host)}
    assert not re.search(r"\brm -|shutdown|DELETE FROM|mkfs", text, re.IGNORECASE)
    assert set(re.findall(r"DROP TABLE (\w+)", text)) == {"deploygate_no_table"}
    assert set(re.findall(r"sleep\((\d+)\)", text, re.IGNORECASE)) == {"0"}


@pytest.mark.parametrize("case", CASES[::7], ids=lambda case: case.name)
def test_every_request_is_one_message_with_our_agent(case):
    data = wire(case.sent, PLACE)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert re.fullmatch(r"(GET|POST) /\S* HTTP/1\.1", lines[0])
    agents = [line for line in lines if line.startswith("User-Agent: ")]
    assert len(agents) == 1
    assert agents[0].startswith(f"User-Agent: {AGENT}")
    assert AGENT.startswith("deploygate/")
    assert body == case.sent.body
    assert (f"Content-Length: {len(body)}" in lines) == bool(body)


def test_attacks_stay_below_the_paths_that_are_safe():
    for case in CASES:
        for sent in (case.sent, case.control):
            path = sent.target.partition("?")[0]
            assert path == "/search" or path.startswith("/search/") or path == "/api/echo"
            assert sent.method == ("POST" if sent.body else "GET")


def test_without_a_path_to_write_to_nothing_has_a_body():
    cases = list(corpus.attacks("/search", None))
    assert cases
    assert not any(case.sent.body for case in cases)
    assert not any(one.sent.body for one in corpus.ordinary("/search", None, list(USUAL)))


def test_the_control_differs_in_the_payload_alone():
    for case in CASES:
        if case.placement != "header":
            assert case.control.headers == case.sent.headers or case.placement == "cookie"
        assert case.control.method == case.sent.method
        assert case.control != case.sent


def test_ordinary_requests_have_what_people_send():
    every = list(corpus.ordinary("/search", "/api/echo", [*USUAL, "graphql", "prose", "code"]))
    assert {one.sent.method for one in every} == {"GET", "POST", "PUT", "PATCH", "DELETE"}
    bodies = b"\n".join(one.sent.body for one in every).decode(errors="replace")
    assert "O'Brien" in bodies
    assert "Nuñez" in bodies
    assert len(list(corpus.ordinary("/search", "/api/echo", list(USUAL)))) >= 50


def test_encodings():
    assert message.query("/s", "a'b", "url").target == "/s?item=%61%27%62"
    assert message.query("/s", "<", "double").target == "/s?item=%253C"
    assert message.query("/s", "<b", "unicode").target == "/s?item=%u003cb"
    assert message.in_json("/s", "<b", "unicode").body == rb'{"item": "\u003c\u0062"}'
    assert message.encoded("a b", "comment") == "a/**/b"
    assert message.encoded("select", "case") == "sElEcT"
    assert message.encoded("<b>", "html") == "&#x3c;b&#x3e;"
    assert message.below("/s/", "/etc/passwd", "plain").target == "/s/etc/passwd"
