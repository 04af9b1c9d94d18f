"""Readers of lines from the forms that people declare; what has another form is not read."""

from __future__ import annotations

import json
import time

import pytest

from pytest_deploygate.checks.access_logs.probe import formats
from pytest_deploygate.checks.access_logs.section import Hop

COMBINED = '203.0.113.7 - ann [29/Nov/2026:11:30:01 +0000] "GET /a?b=1 HTTP/1.1" 200 512 "https://example.com/" "curl/8.5"'
TOLD = {
    "time": "29/Nov/2026:11:30:01 +0000",
    "source": "203.0.113.7",
    "method": "GET",
    "path": "/a?b=1",
    "status": "200",
    "user": "ann",
}
NGINX = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
APACHE = r"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\""


def read(line: str, **form: object) -> dict[str, str] | None:
    """Read a line with a hop's declared form."""
    hop = Hop.model_validate({"name": "web", "connection": "local://", "file": "/var/log/a.log", **form})
    told = formats.reader(hop)(line)
    return None if told is None else dict(told)


@pytest.mark.parametrize(
    "form",
    [
        {"format": "combined"},
        {"nginx": NGINX},
        {"nginx": f"log_format main escape=default '{NGINX[:40]}'\n                '{NGINX[40:]}';"},
        {"nginx": NGINX.replace("$status", "${status}")},
    ],
)
def test_the_combined_form(form):
    assert read(COMBINED, **form) == TOLD


def test_the_combined_form_of_apache():
    assert read(COMBINED, apache=APACHE) == TOLD | {"time": "[29/Nov/2026:11:30:01 +0000]"}


def test_the_common_form():
    assert read(COMBINED.partition(' "https')[0], format="common") == TOLD


def test_a_longer_form_of_nginx():
    form = '$time_iso8601|$request_time|$upstream_response_time|$remote_addr|"$request_method $uri"|$status|$jwt_claim_sub'
    line = '2026-11-29T11:30:01+01:00|0.120|0.100, 0.020|2001:db8::1|"POST /orders"|201|ann'
    assert read(line, nginx=form, fields={"user": "$jwt_claim_sub"}) == {
        "time": "2026-11-29T11:30:01+01:00",
        "source": "2001:db8::1",
        "method": "POST",
        "path": "/orders",
        "status": "201",
        "duration": "0.120",
        "user": "ann",
    }


def test_lists_without_quotation_marks():
    """nginx separates servers by a comma, and by a colon after an internal redirect."""
    line = "203.0.113.7, 10.0.0.1 0.1, 0.2 : 0.3 200"
    told = read(line, nginx="$http_x_forwarded_for $upstream_response_time $status")
    assert told == {"source": "203.0.113.7, 10.0.0.1", "duration": "0.1, 0.2 : 0.3", "status": "200"}


def test_a_user_with_blanks_and_quotation_marks_in_values():
    line = COMBINED.replace("ann", "ann of sales").replace("curl/8.5", r"odd \"agent\" \x22")
    assert read(line, nginx=NGINX) == TOLD | {"user": "ann of sales"}


def test_apache_with_more_directives():
    form = r"%{c}a %m %U%q %>s %{ms}T %D %u %{%Y-%m-%dT%H:%M:%S%z}t 100%%"
    line = "203.0.113.7 GET /a?b=1 304 12 12034 - 2026-11-29T11:30:01+0100 100%"
    assert read(line, apache=form, fields={"time": "%{%Y-%m-%dT%H:%M:%S%z}t"}) == {
        "time": "2026-11-29T11:30:01+0100",
        "source": "203.0.113.7",
        "method": "GET",
        "path": "/a",
        "status": "304",
        "duration": "12034",
        "user": "-",
    }


@pytest.mark.parametrize(
    "wrapped",
    [
        "Nov 29 11:30:01 web1 nginx: {}",
        "<190>Nov  9 11:30:01 web1 nginx[412]: {}",
        "2026-11-29T11:30:01.123456+00:00 web1 nginx: {}",
        "2026-11-29T11:30:01.123456789Z stdout F {}",
    ],
)
def test_a_line_of_syslog_or_of_a_container(wrapped):
    assert read(wrapped.replace("{}", COMBINED), nginx=NGINX) == TOLD


def test_a_line_in_dockers_file():
    """Its own time is not that of the request."""
    outer = {"log": '{"time": "inner"}\n', "stream": "stdout", "time": "outer"}
    assert read(json.dumps(outer, separators=(",", ":")), format="json", fields={"time": "time"}) == {
        "time": "inner"
    }
    assert read(json.dumps(outer), format="json", fields={"time": "time"}) == {"time": "inner"}
    own = {"log": "access", "time": "outer"}
    assert read(json.dumps(own), format="json", fields={"time": "time"}) == {"time": "outer"}


def test_haproxy():
    """The example of HAProxy's manual, 8.2.3."""
    line = (
        "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 "
        '10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"'
    )
    assert read(line, format="haproxy") == {
        "time": "06/Feb/2009:12:14:14.655",
        "source": "10.0.1.2",
        "method": "GET",
        "path": "/index.html",
        "status": "200",
        "duration": "109",
    }


def test_json():
    fields = {
        "time": "@timestamp",
        "source": "client.ip",
        "request": "request",
        "status": "status",
        "user": "user",
    }
    line = '{"@timestamp": 1795951801.5, "client": {"ip": "203.0.113.7"}, "request": "GET /a HTTP/1.1", "status": 200, "user": null}'
    assert read(line, format="json", fields=fields) == {
        "time": "1795951801.5",
        "source": "203.0.113.7",
        "method": "GET",
        "path": "/a",
        "status": "200",
        "user": "",
    }


def test_json_without_a_key_lacks_it():
    assert read('{"a": 1}', format="json", fields={"time": "ts"}) == {}


@pytest.mark.parametrize(
    ("line", "form"),
    [
        (COMBINED[:60], {"format": "combined"}),
        (COMBINED, {"format": "common"}),
        (COMBINED, {"nginx": NGINX.replace(" $status", "")}),
        ("\\x16\\x03\\x01 \0\1", {"format": "combined"}),
        ("[1, 2]", {"format": "json", "fields": {"time": "ts"}}),
        ('{"ts": 1', {"format": "json", "fields": {"time": "ts"}}),
        ("10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30", {"format": "haproxy"}),
    ],
)
def test_a_line_of_another_form_is_not_read(line, form):
    assert read(line, **form) is None


def test_a_line_of_another_form_is_refused_soon():
    """The values of a line are told apart without trying all ways."""
    form = " ".join(f"$http_x_{number}" for number in range(30))
    began = time.monotonic()
    assert read("a, " * 4000 + "x", nginx=form + ' "$request"') is None
    assert read(" a" * 4000, nginx=form + ' "$request"') is None
    assert time.monotonic() - began < 2


def test_the_shape_of_a_line_says_nothing_of_it():
    assert formats.shape('ann@example.com GET /x?token=s3cr3t "é"\0') == 'a@a.a a /a?a=a9a9a "a"?'
    assert len(formats.shape("a b" * 1000)) < 120
