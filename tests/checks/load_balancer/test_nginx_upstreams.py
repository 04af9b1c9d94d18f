"""What nginx's configuration says of an upstream."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.load_balancer.facts import Kind, State
from pytest_deploygate.checks.load_balancer.probe import nginx
from pytest_deploygate.model import CannotTell


def read(servers: str, location: str = "proxy_pass http://web;", http: str = "", top: str = ""):
    text = f"""
# configuration file /etc/nginx/nginx.conf:
{top}
http {{
    log_format main '$remote_addr {{"a": 1}}; # no comment';
    {http}
    upstream web {{ {servers} }}
    server {{ location / {{ {location} }} }}
}}
"""
    return nginx.of("nginx", text, "web")


def only(servers: str, **more: str):
    return read(servers, **more).members[0]


STATES = {
    "in": ("server 192.0.2.1:80 weight=5;", State.IN, 5.0),
    "down": ("server 192.0.2.1:80 down;", State.MAINT, 1.0),
    "backup": ("server 192.0.2.1:80 backup;", State.BACKUP, 1.0),
    "drain": ("server 192.0.2.1:80 drain;", State.DRAIN, 1.0),
}


@pytest.mark.parametrize(("servers", "state", "weight"), STATES.values(), ids=STATES)
def test_states(servers, state, weight):
    found = only(servers)
    assert (found.name, found.state, found.weight) == ("192.0.2.1:80", state, weight)


MATCH = "match any { status 200-599; } match good { status 200; header X = y; } match quiet { status ! 500; }"
CHECKS = {
    "none": ("server a:80 max_fails=0;", "proxy_pass http://web;", Kind.NONE, (), False),
    "passive": ("server a:80;", "proxy_pass http://web;", Kind.PASSIVE, (), False),
    "plus": ("server a:80;", "proxy_pass http://web; health_check uri=/h;", Kind.HTTP, (), False),
    "plus, all": ("server a:80;", "proxy_pass http://web; health_check match=any;", Kind.HTTP, (500, 502, 503, 504), True),
    "plus, 200": ("server a:80;", "proxy_pass http://web; health_check match=good;", Kind.HTTP, (), False),
    "plus, not 500": ("server a:80;", "proxy_pass http://web; health_check match=quiet;", Kind.HTTP, (502, 503, 504), False),
    "module, tcp": ("server a:80; check interval=3000;", "proxy_pass http://web;", Kind.TCP, (), False),
    "module, http": (
        'server a:80; check type=http; check_http_send "GET /h HTTP/1.0\\r\\n"; check_http_expect_alive http_2xx;',
        "proxy_pass http://web;", Kind.HTTP, (), False),
    "module, 5xx": (
        "server a:80; check type=http; check_http_expect_alive http_2xx http_5xx;",
        "proxy_pass http://web;", Kind.HTTP, (500, 502, 503, 504), True),
}  # fmt: skip


@pytest.mark.parametrize(("servers", "location", "kind", "accepted", "always"), CHECKS.values(), ids=CHECKS)
def test_checks(servers, location, kind, accepted, always):
    check = only(servers, location=location, http=MATCH).check
    assert (check.kind, check.accepts_errors, bool(check.always)) == (kind, accepted, always)


TLS = {
    "plain": ("proxy_pass http://web;", "", "none"),
    "unverified": ("proxy_pass https://web/path;", "", "unverified"),
    "verified": ("proxy_pass https://web; proxy_ssl_verify on;", "", "verified"),
    "verified for all": ("proxy_pass https://web;", "proxy_ssl_verify on;", "verified"),
    "switched off here": ("proxy_pass https://web; proxy_ssl_verify off;", "proxy_ssl_verify on;", "unverified"),
    "grpc": ("grpc_pass grpcs://web; grpc_ssl_verify on;", "", "verified"),
    "one of two locations": ("proxy_pass https://web; proxy_ssl_verify on; } location /b { proxy_pass http://web;", "", "none"),
}  # fmt: skip


@pytest.mark.parametrize(("location", "http", "expected"), TLS.values(), ids=TLS)
def test_tls(location, http, expected):
    assert only("server a:443;", location=location, http=http).tls == expected


def test_a_stream_speaks_tls_by_another_word():
    text = "stream { upstream db { server a:5432; } server { proxy_pass db; proxy_ssl on; proxy_ssl_verify on; } }"
    assert nginx.of("nginx", text, "db").members[0].tls == "verified"


def test_what_is_not_used_is_said():
    found = read("server a:80;", location="proxy_pass http://$upstream;")
    assert found.lacking == ("nothing in the configuration passes to upstream 'web' by its name",)
    assert found.members[0].tls is None
    assert not found.live


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http { }", "no upstream 'web'"),
        ("http {", "does not end"),
        ("}", "too many"),
        ("{" * 60, "too many blocks"),
    ],
)
def test_what_cannot_be_read(text, says):
    with pytest.raises(CannotTell, match=says):
        nginx.of("nginx", text, "web")
