"""What HAProxy's configuration says of checks, TLS and slow start."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.load_balancer.facts import Kind
from pytest_deploygate.checks.load_balancer.probe import haproxy_config as configs


def server(text: str, backend: str = "web"):
    section = configs.backend(text, backend)
    assert section is not None
    return section, section.servers[0]


def check(lines: str, options: str = "check", defaults: str = ""):
    text = f"defaults\n{defaults}\nbackend web\n{lines}\n    server web1 192.0.2.1:80 {options}\n"
    return configs.check(*server(text))


CHECKS = {
    "none": ("", "", Kind.NONE, (), False),
    "port alone": ("", "check", Kind.TCP, (), False),
    "handshake alone": ("", "check ssl verify none", Kind.TLS, (), False),
    "http, 2xx and 3xx": ("    option httpchk GET /h", "check", Kind.HTTP, (), False),
    "200 alone": ("    option httpchk\n    http-check expect status 200", "check", Kind.HTTP, (), False),
    "every status": ("    option httpchk\n    http-check expect rstatus .*", "check", Kind.HTTP, (500, 502, 503, 504), True),
    "ranges of all": ("    option httpchk\n    http-check expect status 200-599", "check", Kind.HTTP, (500, 502, 503, 504), True),
    "not 500": ("    option httpchk\n    http-check expect ! status 500", "check", Kind.HTTP, (502, 503, 504), False),
    "two rules": (
        "    option httpchk\n    http-check expect ! status 500\n    http-check expect status 200-299",
        "check", Kind.HTTP, (), False),
    "body": ("    option httpchk\n    http-check expect string OK", "check", Kind.HTTP, (), False),
    "tcp-check that looks": ("    option tcp-check\n    tcp-check send PING\\r\\n\n    tcp-check expect string +PONG", "check", Kind.HTTP, (), False),
    "tcp-check that does not": ("    option tcp-check\n    tcp-check connect", "check", Kind.TCP, (), False),
    "another protocol": ("    option pgsql-check user x", "check", Kind.HTTP, (), False),
    "switched off": ("    option httpchk\n    no option httpchk", "check", Kind.TCP, (), False),
    "agent alone": ("", "agent-check agent-port 9", Kind.HTTP, (), False),
    "check taken back": ("    default-server check", "no-check", Kind.NONE, (), False),
    "comment": ("    # option httpchk", "check # ssl", Kind.TCP, (), False),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "options", "kind", "accepted", "always"), CHECKS.values(), ids=CHECKS)
def test_checks(lines, options, kind, accepted, always):
    found = check(lines, options)
    assert (found.kind, found.accepts_errors, bool(found.always)) == (kind, accepted, always)


@pytest.mark.parametrize(
    ("line", "path"),
    [("option httpchk", "/"), ("option httpchk /h", "/h"), ("option httpchk GET /h HTTP/1.1", "/h"),
     ("option httpchk\n    http-check send meth GET uri /deep ver HTTP/1.1", "/deep")],
)  # fmt: skip
def test_the_page_that_a_check_asks(line, path):
    assert check(f"    {line}").path == path


def test_defaults_are_inherited_and_replaced():
    text = """
defaults web
    option httpchk GET /ping
    http-check expect rstatus .
    default-server inter 1s check ssl verify none slowstart 20s
defaults tcp
    mode tcp
backend web from web
    http-check expect status 200
    server web1 192.0.2.1:443 ssl verify required ca-file /ca.pem slowstart 500
backend other
    server web1 192.0.2.1:443 check
"""
    section, line = server(text)
    found = configs.check(section, line)
    assert (found.kind, found.path, found.always) == (Kind.HTTP, "/ping", "")
    assert configs.tls(line, verified=True) == "verified"
    assert configs.seconds(line.options["slowstart"]) == 0.5
    section, line = server(text, "other")
    assert configs.check(section, line).kind is Kind.TCP
    assert configs.tls(line, verified=True) == "none"
    assert configs.backend(text, "third") is None


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", "ssl ca-file /ca.pem", "verified"),
        ("global\n    ssl-server-verify none\n", "ssl ca-file /ca.pem", "unverified"),
        ("global\n    ssl-server-verify none\n", "ssl verify required ca-file /ca.pem", "verified"),
        ("", "ssl verify none", "unverified"),
        ("", "check check-ssl", "none"),
    ],
)
def test_tls(text, options, expected):
    whole = f"{text}backend web\n    server web1 192.0.2.1:80 {options}\n"
    _, line = server(whole)
    assert configs.tls(line, verified=configs.verifies_by_default(whole)) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("30s", 30.0), ("500", 0.5), ("2m", 120.0), ("250ms", 0.25), ("soon", None)]
)
def test_times(text, expected):
    assert configs.seconds(text) == expected
