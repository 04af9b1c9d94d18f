"""Secrets that a server echoes, in every writing that servers have: in no file and on no stream of a run or an export."""

from __future__ import annotations

import base64
import html
import json
import stat
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import forked
import pytest
from project import Project

from pytest_deploygate.report.exports.formats import FORMATS

#: By the variable that holds it: what the lab's inventory has, and what people choose.
SECRETS = {
    "DB_PASSWORD": "xK9p/eQ+7mVd2=Rt",
    "APP_PASSWORD": "correct horse & battery",
    "API_TOKEN": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJnYXRlIn0.c2lnbmF0dXJlLW9m",
    "REDIS_PASSWORD": "p@ss:w/rd?#[1]",
    "CLIENT_KEY": "<b>\"quoted\" & 'single'</b>",
    "DNS_KEY": "6nrVLq4Fj0Zs1YxTg8cHhQ==",
    "WEBHOOK": "back\\slash%20percent+plus",
    "HEADER_KEY": "ключ-от-дома-4711",
    "PIN": "86753091",
    "DSN_PASSWORD": "in-a-dsn~of/mine",
}
#: Secrets that only a URL names.
IN_URLS = ("url-token-8f3a77", "url-sign-55e0c1")


def writings(value: str) -> dict[str, str]:
    """Return a value as servers write it, by the name of the writing."""
    raw = value.encode()
    quoted = urllib.parse.quote(value, safe="")
    return {
        "plain": value,
        "html": html.escape(value),
        "html, decimal": html.escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        "percent": quoted,
        "percent, lower": urllib.parse.quote_plus(value).lower() if value.islower() else quoted,
        "percent twice": urllib.parse.quote(quoted, safe=""),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "base64": base64.b64encode(raw).decode(),
        "base64 1": base64.b64encode(b"u:" + raw).decode(),
        "base64 2": base64.b64encode(b"user:" + raw).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(b"gate:" + raw).decode(),
        "json": json.dumps(value)[1:-1],
        "json, slashes": json.dumps(value, ensure_ascii=False)[1:-1].replace("/", "\\/"),
        "json in json": json.dumps(json.dumps(value))[3:-3],
        "repr": repr(raw)[2:-1],
    }


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent, in all writings, in body, headers and status line."""

    def do_GET(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        sent = [v for _, v in urllib.parse.parse_qsl(address.query)]
        sent += [self.headers.get("X-Api-Key", "").encode("latin-1").decode()]
        scheme, _, login = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            sent += [base64.b64decode(login).decode().partition(":")[2]]
        elif scheme:
            sent += [login]
        told = [text for value in filter(None, sent) for text in writings(value).values()]
        body = "\n".join([self.path, *map(str, self.headers.values()), *told]).encode()
        self.send_response(500)
        for number, text in enumerate(told):
            if text.isascii() and text.isprintable():
                self.send_header(f"X-Echo-{number}", text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def echo() -> Iterator[int]:
    """Yield the port of an echoing server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


INVENTORY = """\
name: prod
database: {{name: platform, user: gate, password: "env:DB_PASSWORD", primary: "127.0.0.1:1"}}
erasure:
  role: {{user: app, password: "env:APP_PASSWORD"}}
  expected: [public.users.email]
  backups: [{{name: all, keep: 30d}}]
  create:
    - http: {{url: "http://127.0.0.1:{port}/base?token={in_url}&page=2", token: "env:API_TOKEN"}}
    - http: {{url: "http://127.0.0.1:{port}/?sign={in_url_too}", auth: {{header: X-Api-Key, value: "env:HEADER_KEY"}}}}
    - http: {{url: "http://127.0.0.1:{port}/", auth: {{user: gate, password: "env:REDIS_PASSWORD"}}}}
    - http: {{url: "http://127.0.0.1:{port}/", auth: {{user: gate, password: "env:CLIENT_KEY"}}}}
    - http: {{url: "http://127.0.0.1:{port}/", auth: {{user: gate, password: "env:DNS_KEY"}}}}
    - http: {{url: "http://127.0.0.1:{port}/", auth: {{user: gate, password: "env:WEBHOOK"}}}}
    - http: {{url: "http://127.0.0.1:{port}/", auth: {{user: gate, password: "env:PIN"}}}}
    - http: {{url: "http://127.0.0.1:{port}/", auth: {{user: gate, password: "env:DSN_PASSWORD"}}}}
  erase:
    - sql: "SELECT 1"
policy: {{mode: "{mode}"}}
"""
SUITE = """
import logging
import warnings
import requests
from pytest_deploygate.clients import prometheus as asking
from pytest_deploygate.fields.prometheus import Prometheus

URL = "http://127.0.0.1:{port}"
NAMES = {names}

def heard(name, value):
    yield requests.get(URL + "/a", params={{"q": value, "token": value}}, timeout=5)
    yield requests.get(URL + "/b", auth=("gate", value.encode()), timeout=5)
    yield requests.get(URL + "/c", headers={{"X-Api-Key": value.encode()}}, timeout=5)

@pytest.mark.parametrize("value", [os.environ[name] for name in NAMES])
@pytest.mark.item("b.migrations")
def test_reasons(gate, value):
    for answer in heard("", value):
        seen = {{"verdict": "fail", "reason": answer.text, "n": 1, answer.text: dict(answer.headers), "raw": answer.content}}
        gate.judge(judge, seen, {{"url": answer.url}}, target=answer.url)

@pytest.mark.parametrize("name", NAMES)
@pytest.mark.item("b.tables")
def test_streams(gate, name, record_property, record_xml_attribute):
    value = os.environ[name]
    for answer in heard(name, value):
        print(answer.text)
        print(dict(answer.headers), answer.url, file=sys.stderr)
        logging.getLogger("seen").warning("%s %s", answer.text, answer.headers)
        record_property("seen", answer.text)
        warnings.warn(answer.text)
    text = answer.text
    assert answer.text == answer.url, answer.text

@pytest.mark.item("b.notes")
def test_client(gate):
    said = {{"url": URL + "/base?token=url-token-8f3a77", "token": "env:API_TOKEN"}}
    asking.ask(Prometheus.model_validate(said), {{"query": "up"}}, "scalar")

@pytest.mark.parametrize("name", NAMES)
def test_of_somebody_else(name):
    for answer in heard(name, os.environ[name]):
        sys.stdout.write(answer.text)
        raise ValueError(answer.text, answer.headers, answer.url)
"""
BROKEN = """
import os
raise RuntimeError("cannot be collected: " + os.environ["DB_PASSWORD"] + os.environ["CLIENT_KEY"])
"""


@pytest.mark.parametrize(
    "args",
    [
        ("-rA", "-vv", "--tb=long", "--showlocals", "-o", "log_cli=1", "--log-cli-level=DEBUG"),
        ("-s", "--debug=trace.txt", "-v", "--durations=0", "-o", "log_cli=1"),
        ("--capture=tee-sys", "-rA", "--html=t.html", "--self-contained-html"),
        ("-n", "2", "-rA"),
        ("-p", "no_files"),
    ],
    ids=("verbose", "uncaptured", "tee", "workers", "evidence in the journal"),
)
def test_what_a_server_echoes_is_nowhere(
    project: Project, echo: int, args: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    in_url, in_url_too = IN_URLS
    (project.path / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")  # with pytest's cache
    text = INVENTORY.format(port=echo, in_url=in_url, in_url_too=in_url_too, mode="0600")
    project.inventory(text)
    project.suite(SUITE.format(port=echo, names=list(SECRETS)))
    project.suite(BROKEN, "test_zz_broken.py")
    (project.path / "no_files.py").write_text(
        "from pytest_deploygate.session import evidence\nevidence.FILES = 0\n"
    )
    ran = project.run_process(
        *("--continue-on-collection-errors", "--junitxml=own.xml"),
        *("--log-file=log.txt", "--log-file-level=DEBUG", "-o", "junit_logging=all", *args),
        **SECRETS | {"PYTHONPATH": str(project.path)},
    )
    assert (project.out / "verdicts.json").exists(), ran.text[-3000:]
    assert project.verdict("b.migrations") == "fail", ran.text[-3000:]
    assert ('"content":' in (project.out / "journal.jsonl").read_text()) == ("no_files" in args)
    exported = tmp_path_factory.mktemp("exported")
    streams = {"the terminal": ran.text}
    for name in FORMATS:
        words = ("report", "--format", name, "--output", str(exported / f"report.{name}"))
        done = forked.run("pytest_deploygate", words, cwd=project.path, env={})
        streams[f"report {name}"] = done.stdout + done.stderr
    files = [f for place in (project.path, exported) for f in place.rglob("*") if f.is_file()]
    # These have the secrets of URLs in plain text; and Python keeps the tests compiled.
    mine = {f for f in files if f.is_relative_to(project.path / "suites") or f.name == "prod.yml"}
    assert len(files) > 30
    for file in set(files) - mine:
        streams[str(file.relative_to(file.parents[1]))] = file.name + file.read_text(errors="replace")
    found = [
        (place, name, how, part)
        for place, said in streams.items()
        for name, value in [*SECRETS.items(), *((url, url) for url in IN_URLS)]
        for how, part in parts(value)
        if part in said
    ]
    assert not found, found[:20]
    modes = {
        file: stat.S_IMODE(file.stat().st_mode)
        for file in (project.out / "journal.jsonl", *project.out.glob("evidence/*"))
    }
    assert set(modes.values()) == {0o600}


def parts(value: str) -> Iterator[tuple[str, str]]:
    """Return the writings of a value, by name; of base64, what depends on no neighbour."""
    for how, text in writings(value).items():
        core = text[8:-4].rstrip("=")
        yield how, core if how.startswith("base64") and len(core) > 5 else text


@pytest.mark.parametrize(("mode", "wanted"), [("0640", 0o640), ("0664", 0o664), ("0600", 0o600)])
def test_the_policy_says_who_may_read(good: Project, mode: str, wanted: int) -> None:
    """Whatever the umask, also of a journal that an earlier run has made."""
    good.run("-m", "phase2")
    good.inventory(f"name: prod\npolicy: {{mode: {mode}}}\n")
    good.run("-m", "phase2")
    new = {path for path in good.out.rglob("*") if path.is_file()}
    assert stat.S_IMODE((good.out / "journal.jsonl").stat().st_mode) == wanted
    good.run("-m", "phase2", "--fresh")
    made = {file: stat.S_IMODE(file.stat().st_mode) for file in (good.out / "evidence").iterdir()}
    assert made
    assert set(made.values()) == {wanted}
    assert new


@pytest.mark.parametrize("mode", ["0777", "0440", "0606", "0o640", "7", "abc"])
def test_a_mode_that_makes_no_sense_is_a_mistake(good: Project, mode: str) -> None:
    good.inventory(f'name: prod\npolicy: {{mode: "{mode}"}}\n')
    ran = good.run("-m", "phase2")
    assert ran.code == 4
    assert "policy.mode" in ran.text


def test_two_addresses_that_look_the_same_stay_two(project: Project) -> None:
    """Addresses that only differ in what is left out have a number: no finding stands for two targets."""
    project.suite(
        """
        @pytest.mark.item("b.migrations")
        def test_pages(gate):
            for page in ("1", "2", "2"):
                says(gate, target=f"https://h/x?page={page}")

        @pytest.mark.item("b.tables")
        @pytest.mark.parametrize("url", ["https://h/x?page=1", "https://h/x?page=2"])
        def test_each(gate, url):
            says(gate)

        @pytest.mark.item("b.notes")
        @pytest.mark.parametrize("n", [1, 2], ids=["https://h/x?page=1", "https://h/x?page=2"])
        def test_named(gate, n):
            says(gate)
        """
    )
    project.run("-m", "phase2")
    lines = map(json.loads, Path(project.out / "journal.jsonl").read_text().splitlines())
    lines = [line for line in lines if line["kind"] == "test"]
    found = [f["target"] for line in lines for f in line["findings"]]
    assert len({line["test"] for line in lines}) == 5
    assert not any("page=1" in line["test"] or "page=2" in line["test"] for line in lines)
    assert found[:3] == ["https://h/x?page=…", "https://h/x?page=… (2)", "https://h/x?page=… (2)"]
    assert len(set(found[3:5])) == 2
