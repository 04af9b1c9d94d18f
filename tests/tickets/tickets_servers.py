"""The four systems in one server each, by their documentation: every request is checked strictly.

A request that the documentation does not have is answered with 400 and kept in `complaints`, which each test looks at.
"""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

SYS_ID = "9d385017c611228701d22104cc95c371"
TOKEN = "tok-4711-canary-secret"
USER = "gate@example.com"


class BadError(Exception):
    """A request that the documentation does not have."""


@dataclass
class Asked:
    method: str
    path: str
    question: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        if self.headers.get("content-type") != "application/json":
            raise BadError(f"content type {self.headers.get('content-type')}")
        return json.loads(self.body)


@dataclass
class System:
    """What a system holds. `breaks` names what goes wrong with the next request whose path has its key."""

    files: list[tuple[str, bytes]] = field(default_factory=list)
    comments: list[object] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    breaks: list[tuple[str, str, object]] = field(default_factory=list)
    url: str = ""
    most: int = 10_000_000
    watch: Callable[[str], None] | None = None

    def names(self):
        return [name for name, _ in self.files]

    def answer(self, asked: Asked) -> tuple[int, object]:
        raise NotImplementedError

    @property
    def entry(self) -> dict[str, object]:
        raise NotImplementedError

    def __post_init__(self):
        self.lock = threading.RLock()

    def keep(self, name: str, raw: bytes) -> None:
        self.files.append((name, raw))

    def shown(self):
        """What the ticket lists."""
        return self.files


def _only(asked: Asked, *names: str) -> None:
    if {*asked.question} - {*names}:
        raise BadError(f"{asked.method} {asked.path}: parameters {sorted(asked.question)}")


def _form(asked: Asked) -> tuple[str, bytes, str]:
    kind = asked.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data; boundary="):
        raise BadError(f"content type {kind}")
    message = email.message_from_bytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n" + asked.body, policy=email.policy.HTTP
    )
    parts = list(message.iter_parts())
    if len(parts) != 1 or parts[0].get_param("name", header="content-disposition") != "file":
        raise BadError("a form has one part, and its name is file")
    return parts[0].get_filename(), parts[0].get_payload(decode=True), parts[0].get_content_type()


class ServiceNow(System):
    record: Mapping[str, tuple[str, str]] = {
        "sys_id": (SYS_ID, SYS_ID), "number": ("CHG0030001", "CHG0030001"), "state": ("Implement", "-1"),
        "approval": ("Approved", "approved"), "on_hold": ("false", "false"),
        "start_date": ("2026-12-01 21:00:00", "2026-12-01 20:00:00"),
        "end_date": ("2026-12-01 23:00:00", "2026-12-01 22:00:00"),
    }  # fmt: skip
    properties: dict[str, str] | None = None

    @property
    def entry(self):
        return {
            "system": "servicenow", "url": self.url,
            "auth": {"user": USER, "password": "env:TICKET_TOKEN"},
        }  # fmt: skip

    def answer(self, asked):
        pair = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {pair}":
            return 401, {"error": {"message": "User Not Authenticated"}, "status": "failure"}
        if asked.headers.get("accept") != "application/json":
            raise BadError("accept")
        what = (asked.method, asked.path)
        if what == ("GET", "/api/now/table/sys_properties"):
            if self.properties is None:
                return 403, {"error": {"message": "Operation Failed"}}
            return 200, {"result": [{"name": k, "value": v} for k, v in self.properties.items()]}
        if what == ("GET", "/api/now/table/change_request"):
            _only(asked, "sysparm_query", "sysparm_fields", "sysparm_display_value", "sysparm_limit")
            if asked.question["sysparm_query"] != "number=CHG0030001":
                return 200, {"result": []}
            if asked.question["sysparm_display_value"] != "all":
                raise BadError("display values")
            notes = "\n\n".join(f"2026-12-01 20:00:00 - Gate (Work notes)\n{c}" for c in self.comments)
            both = {k: {"display_value": d, "value": v} for k, (d, v) in self.record.items()}
            return 200, {"result": [{**both, "work_notes": {"display_value": notes, "value": ""}}]}
        if what == ("GET", "/api/now/attachment"):
            _only(asked, "sysparm_query", "sysparm_limit", "sysparm_offset")
            if asked.question["sysparm_query"] != f"table_name=change_request^table_sys_id={SYS_ID}":
                raise BadError(asked.question["sysparm_query"])
            start, most = int(asked.question["sysparm_offset"]), int(asked.question["sysparm_limit"])
            rows = [
                {"file_name": n, "size_bytes": str(len(raw)), "hash": hashlib.sha256(raw).hexdigest()}
                for n, raw in self.shown()
            ]
            return 200, {"result": rows[start : start + most]}
        if what == ("POST", "/api/now/attachment/file"):
            _only(asked, "table_name", "table_sys_id", "file_name")
            if (asked.question["table_name"], asked.question["table_sys_id"]) != ("change_request", SYS_ID):
                raise BadError("table")
            if asked.headers["content-type"] not in ("text/html", "application/zip"):
                raise BadError("content type")
            self.keep(asked.question["file_name"], asked.body)
            return 201, {"result": {"sys_id": "1", "file_name": asked.question["file_name"]}}
        if what == ("PATCH", f"/api/now/table/change_request/{SYS_ID}"):
            if {*asked.json} != {"work_notes"}:
                raise BadError("fields")
            self.comments.append(asked.json["work_notes"])
            return 200, {"result": {"sys_id": SYS_ID}}
        raise BadError(f"{asked.method} {asked.path}")


class Jira(System):
    cloud = True
    status = "Approved"
    fields: Mapping[str, object] = {}
    enabled = True

    @property
    def entry(self):
        login = (
            {"auth": {"user": USER, "password": "env:TICKET_TOKEN"}, "deployment": "cloud"}
            if self.cloud
            else {"token": "env:TICKET_TOKEN", "deployment": "data-center"}
        )
        return {"system": "jira", "url": self.url, **login}

    def answer(self, asked):
        pair = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        if asked.headers.get("authorization") != (f"Basic {pair}" if self.cloud else f"Bearer {TOKEN}"):
            return 401, {"message": "Client must be authenticated to access this resource."}
        api = "/rest/api/3" if self.cloud else "/rest/api/2"
        issue = f"{api}/issue/OPS-42"
        what = (asked.method, asked.path)
        if what == ("GET", f"{api}/attachment/meta"):
            return 200, {"enabled": self.enabled, "uploadLimit": self.most}
        if what == ("GET", issue):
            _only(asked, "fields")
            attachments = [
                {"id": str(i), "filename": n, "size": len(raw)} for i, (n, raw) in enumerate(self.shown())
            ]
            known = {"status": {"name": self.status}, "attachment": attachments, **self.fields}
            return 200, {
                "key": "OPS-42",
                "fields": {k: known[k] for k in asked.question["fields"].split(",")},
            }
        if asked.method == "GET" and re.fullmatch(rf"{api}/issue/[A-Z]+-\d+", asked.path):
            return 404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]}
        if what == ("POST", f"{issue}/attachments"):
            if asked.headers.get("x-atlassian-token") != "no-check":
                return 403, "XSRF check failed"
            name, raw, _ = _form(asked)
            if len(raw) > self.most:
                return 413, {"errorMessages": ["too large"]}
            self.keep(name, raw)
            return 200, [{"filename": name, "size": len(raw)}]
        if what == ("GET", f"{issue}/comment"):
            _only(asked, "startAt", "maxResults", "orderBy")
            start = int(asked.question["startAt"])
            bodies = [{"id": str(i), "body": body} for i, body in enumerate(self.comments)][::-1]
            return 200, {"comments": bodies[start : start + 2], "total": len(bodies), "startAt": start}
        if what == ("POST", f"{issue}/comment"):
            body = asked.json["body"]
            if self.cloud and (not isinstance(body, dict) or body["type"] != "doc" or body["version"] != 1):
                raise BadError("not a document")
            if not self.cloud and not isinstance(body, str):
                raise BadError("not a text")
            self.comments.append(body)
            return 201, {"id": "1"}
        raise BadError(f"{asked.method} {asked.path}")


class GitHub(System):
    labels: Sequence[str] = ("change-approved",)
    open = True

    def __post_init__(self):
        super().__post_init__()
        self.releases: list[dict[str, object]] = []
        self.starters: list[int] = []

    @property
    def entry(self):
        return {"system": "github", "url": self.url, "project": "acme/shop", "token": "env:TICKET_TOKEN"}

    def answer(self, asked):
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}
        if asked.headers.get("x-github-api-version") != "2022-11-28":
            raise BadError("version")
        if asked.headers.get("accept") != "application/vnd.github+json":
            raise BadError("accept")
        what = (asked.method, asked.path)
        base = "/repos/acme/shop"
        if what == ("GET", f"{base}/issues/42"):
            state = "open" if self.open else "closed"
            return 200, {"number": 42, "state": state, "labels": [{"name": one} for one in self.labels]}
        if asked.method == "GET" and re.fullmatch(rf"{base}/issues/\d+", asked.path):
            return 404, {"message": "Not Found"}
        if what == ("GET", f"{base}/issues/42/comments"):
            return 200, [{"id": i, "body": body} for i, body in enumerate(self.comments)]
        if what == ("POST", f"{base}/issues/42/comments"):
            if len(asked.json["body"]) > 65_536:
                return 422, {"message": "body is too long"}
            self.comments.append(asked.json["body"])
            return 201, {"id": 1}
        if what == ("GET", f"{base}/releases"):
            return 200, self.releases
        if what == ("POST", f"{base}/releases"):
            if asked.json["draft"] is not True:
                raise BadError("a release that people see")
            self.releases.append({
                "id": 7, "tag_name": asked.json["tag_name"], "draft": True,
                "html_url": "https://github.example.com/acme/shop/releases/tag/untagged-1",
                "upload_url": f"{self.url}/repos/acme/shop/releases/7/assets{{?name,label}}",
            })  # fmt: skip
            return 201, self.releases[-1]
        if what == ("GET", f"{base}/releases/7/assets"):
            rows = [
                {
                    "id": i,
                    "name": n,
                    "state": "uploaded",
                    "size": len(raw),
                    "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}",
                }
                for i, (n, raw) in enumerate(self.shown())
            ]
            rows += [
                {"id": i, "name": "half", "state": "starter", "size": 0, "digest": None}
                for i in self.starters
            ]
            return 200, rows
        if asked.method == "DELETE" and (found := re.fullmatch(rf"{base}/releases/assets/(\d+)", asked.path)):
            self.starters.remove(int(found[1]))
            return 204, None
        if what == ("POST", f"{base}/releases/7/assets"):
            _only(asked, "name")
            if asked.question["name"] in self.names():
                return 422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]}
            self.keep(asked.question["name"], asked.body)
            return 201, {"id": 1, "state": "uploaded"}
        raise BadError(f"{asked.method} {asked.path}")


class GitLab(System):
    labels: Sequence[str] = ("change::approved",)
    settings: dict[str, int] | None = None

    @property
    def entry(self):
        return {"system": "gitlab", "url": self.url, "project": "acme/shop", "token": "env:TICKET_TOKEN"}

    def answer(self, asked):
        if asked.headers.get("private-token") != TOKEN or "authorization" in asked.headers:
            return 401, {"message": "401 Unauthorized"}
        what = (asked.method, asked.path)
        base = "/api/v4/projects/acme%2Fshop"
        if what == ("GET", "/api/v4/application/settings"):
            return (200, self.settings) if self.settings else (403, {"message": "403 Forbidden"})
        if what == ("GET", f"{base}/issues/42"):
            return 200, {"iid": 42, "state": "opened", "labels": list(self.labels)}
        if asked.method == "GET" and re.fullmatch(rf"{base}/issues/\d+", asked.path):
            return 404, {"message": "404 Issue Not Found"}
        if what == ("GET", f"{base}/issues/42/notes"):
            _only(asked, "per_page", "page", "sort", "order_by")
            return 200, [{"id": i, "body": body} for i, body in enumerate(self.comments)]
        if what == ("POST", f"{base}/issues/42/notes"):
            self.comments.append(asked.json["body"])
            return 201, {"id": 1}
        if what == ("POST", f"{base}/uploads"):
            name, raw, _ = _form(asked)
            self.keep(name, raw)
            digest = hashlib.md5(raw).hexdigest()
            return 201, {
                "url": f"/uploads/{digest}/{name}",
                "markdown": f"[{name}](/uploads/{digest}/{name})",
            }
        raise BadError(f"{asked.method} {asked.path}")

    def attached(self):
        """The names that notes link to."""
        return re.findall(r"\[([^\]]+)\]\(/uploads/", "\n".join(map(str, self.comments)))


@contextmanager
def running(system: System) -> Iterator[System]:
    """Serve a system on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args) -> None:
            pass

        def _any(self) -> None:
            split = urlsplit(self.path)
            path = split.path if "%2F" in split.path else unquote(split.path)
            question = {k: v[0] for k, v in parse_qs(split.query, strict_parsing=bool(split.query)).items()}
            headers = {k.lower(): v for k, v in self.headers.items()}
            size = int(headers.get("content-length", 0))
            with system.lock:
                due = next((b for b in system.breaks if f"{self.command} {path}".endswith(b[0])), None)
                if due:
                    system.breaks.remove(due)
            if due and due[1] == "cut":
                self.rfile.read(min(size, 100))
                self._reset()
                return
            body = self.rfile.read(size)
            if len(body) != size or "transfer-encoding" in headers:
                return  # a body that broke off is no request
            asked = Asked(self.command, path, question, headers, body)
            with system.lock:
                system.asked.append(asked)
                if due and due[1] != "lost":
                    self._send(*due[2])
                    return
                if system.watch:
                    system.watch(f"before {asked.method}")
                try:
                    status, document = system.answer(asked)
                except (BadError, KeyError, ValueError) as error:
                    system.complaints.append(f"{asked.method} {asked.path}: {error!r}")
                    status, document = 400, {"message": str(error)}
                if system.watch:
                    system.watch(f"after {asked.method}")
            if due and due[1] == "lost":
                self._reset()
                return
            self._send(status, document, {})

        def _reset(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def _send(self, status, document, headers) -> None:
            raw = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _any  # noqa: N815

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_args) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    system.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield system
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
