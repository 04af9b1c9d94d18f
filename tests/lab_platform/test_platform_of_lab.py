"""The platform keeps its promises while no switch is set, and breaks one when its switch is: else faults would prove nothing."""

from __future__ import annotations

import csv
import io
import json
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import platform_server
import pypdf
import pytest
import requests
from websockets.sync.client import connect

from pytest_deploygate.lab.application import accounts, described, partner
from pytest_deploygate.lab.application import api as routing
from pytest_deploygate.lab.services import platform as service


@pytest.fixture(scope="module")
def running(lab_place: Path) -> Iterator[platform_server.Running]:
    beside = (service.REPLICAS[1], service.PARTNER, *service.SCHEDULERS.values())
    with platform_server.serving(lab_place / "pl", beside) as platform:
        yield platform


@pytest.fixture
def platform(running: platform_server.Running) -> Iterator[platform_server.Running]:
    yield running
    running.as_started()


def api(platform: platform_server.Running, user: str) -> requests.Session:
    session = platform.session()
    session.headers["Authorization"] = f"Bearer {platform.token(user)}"
    return session


def reading(device: str, value: float, name: str | None = None) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "id": name or f"{device}-{now.timestamp()}",
        "device": device,
        "sent_at": now.isoformat(),
        "value": value,
    }


def test_login_with_the_right_password_only(platform):
    session = platform.session()
    for form in ({"user": "viewer", "password": "wrong"}, {"user": "nobody", "password": "wrong"}):
        refused = session.post(f"{platform.url}/login", data=form)
        assert (refused.status_code, "User name or password is wrong" in refused.text) == (401, True)
    page = platform.logged_in("viewer").get(f"{platform.url}/dashboards/plant").text
    assert "Plant overview" in page
    assert "readings today" in page
    assert session.get(f"{platform.url}/dashboards", allow_redirects=False).headers["Location"] == "/login"


def test_the_cookie_of_a_session(platform):
    form = {"user": "viewer", "password": platform.password("viewer")}

    def cookie() -> set[str]:
        answer = platform.session().post(f"{platform.url}/login", data=form, allow_redirects=False)
        return {part.strip().lower() for part in answer.headers["Set-Cookie"].split(";")[1:]}

    assert {"secure", "httponly", "samesite=lax"} <= cookie()
    platform.change(cookie_insecure=True)
    assert "secure" not in cookie()


def test_a_session_ends_at_logout_and_begins_anew_at_login(platform):
    session = platform.logged_in("viewer")
    before = session.cookies[accounts.COOKIE]
    form = {"user": "viewer", "password": platform.password("viewer")}
    session.post(f"{platform.url}/login", data=form, allow_redirects=False)
    assert session.cookies[accounts.COOKIE] != before
    kept = session.cookies[accounts.COOKIE]
    session.post(f"{platform.url}/logout", allow_redirects=False)
    for old in (before, kept):
        again = platform.session().get(
            f"{platform.url}/api/me", headers={"Cookie": f"{accounts.COOKIE}={old}"}
        )
        assert again.status_code == 401


def test_lockout_after_wrong_passwords_in_a_row(platform):
    session = platform.session()

    def status(user: str, password: str) -> int:
        form = {"user": user, "password": password}
        return session.post(f"{platform.url}/login", data=form, allow_redirects=False).status_code

    assert [status("lockout", "wrong") for _ in range(accounts.TRIES)] == [401] * accounts.TRIES
    assert status("lockout", platform.password("lockout")) == 401
    assert status("viewer", platform.password("viewer")) == 303
    platform.rows("UPDATE application.users SET locked_until = NULL")
    assert status("lockout", platform.password("lockout")) == 303


def test_each_operation_of_the_document_answers(platform):
    """With a token as documented, without one 401, and what is not in the document is no operation of the API."""
    session, nobody = api(platform, "admin"), platform.session()
    document = session.get(f"{platform.url}/openapi.json").json()
    assert document["servers"] == [{"url": platform.url}]
    example = {"press-1": "press-1", 1: "1"}
    for path, operations in document["paths"].items():
        operation = operations.get("get")
        if operation is None:
            continue
        place = path
        for parameter in operation.get("parameters", ()):
            place = place.replace(f"{{{parameter['name']}}}", example.get(parameter["example"], ""))
        answer = session.get(platform.url + place)
        assert (path, answer.status_code) == (path, 200)
        assert answer.headers["Content-Type"] == "application/json"
        expected = 200 if operation.get("security") == [] else 401
        refused = nobody.get(platform.url + place)
        assert (path, refused.status_code) == (path, expected)
        if expected == 401:
            assert refused.headers["Content-Type"] == "application/problem+json"
    routes = {(path, method) for path, each in document["paths"].items() for method in each}
    served = {(route.path, method.lower()) for route in routing.ROUTES for method in route.methods - {"HEAD"}}
    # Operators of the platform ask for these, not its users: no document has them.
    served -= {("/api/admin/users/{name}/unlock", "post"), ("/api/admin/keys/rotate", "post")}
    assert routes == served
    assert described.document()["openapi"].startswith("3.1")


@pytest.mark.parametrize("name", ["expired", "wrong-audience", "wrong-issuer", "wrong-key"])
def test_a_token_that_was_truly_signed_and_is_not_good(platform, name):
    token = Path(platform.value(f"platform.token.{name}")).read_text()
    answer = platform.session().get(f"{platform.url}/api/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_an_unsigned_token_is_accepted_only_with_its_switch(platform):
    import jwt

    token = jwt.encode({"sub": "admin"}, "", "none")
    session = platform.session()
    session.headers["Authorization"] = f"Bearer {token}"
    assert session.get(f"{platform.url}/api/me").status_code == 401
    platform.change(auth_none_accepted=True)
    assert session.get(f"{platform.url}/api/me").json()["role"] == "admin"


def test_keys_rotate_and_earlier_tokens_stay_good(platform):
    session = platform.session()
    before = platform.token("viewer")
    platform.change(auth_keys_rotated=True)
    known = [key["kid"] for key in session.get(f"{platform.url}/jwks.json").json()["keys"]]
    assert known == ["key-1", "key-2"]
    for token in (before, platform.token("viewer")):
        answer = session.get(f"{platform.url}/api/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


def test_tokens_of_a_program_are_renewed_and_revoked(platform):
    session = platform.session()
    secret = Path(platform.value("platform.client-secret")).read_text()
    form = {"grant_type": "client_credentials", "client_id": "integration", "client_secret": secret}
    assert session.post(f"{platform.url}/oauth/token", data=form).status_code == 200
    refused = session.post(f"{platform.url}/oauth/token", data={**form, "client_secret": "x"})
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_grant"})
    form = {"grant_type": "password", "username": "viewer", "password": platform.password("viewer")}
    first = session.post(f"{platform.url}/oauth/token", data=form).json()
    renew = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert session.post(f"{platform.url}/oauth/token", data=renew).status_code == 200
    assert session.post(f"{platform.url}/oauth/token", data=renew).status_code == 400, "it is used up"
    session.post(f"{platform.url}/oauth/revoke", data={"token": first["access_token"]})
    answer = session.get(
        f"{platform.url}/api/me", headers={"Authorization": f"Bearer {first['access_token']}"}
    )
    assert answer.status_code == 401


def test_roles_and_tenants(platform):
    viewer, first, second = (api(platform, name) for name in ("viewer", "synthetic-a", "synthetic-b"))
    assert (
        viewer.post(f"{platform.url}/api/orders", json={"item": "Bearing", "quantity": 1}).status_code == 403
    )
    assert viewer.get(f"{platform.url}/api/admin/users").status_code == 403
    made = first.post(f"{platform.url}/api/orders", json={"item": "Bearing", "quantity": 1})
    place = platform.url + made.headers["Location"]
    assert first.get(place).json() == made.json()
    assert second.get(place).status_code == 404
    assert second.delete(place).status_code == 404
    platform.change(order_of_anybody=True)
    assert second.get(place).status_code == 200
    assert first.delete(place).status_code == 204
    shown = platform.logged_in("viewer").get(f"{platform.url}/dashboards/plant").text
    assert "synthetic" not in shown


@pytest.mark.parametrize(
    "body",
    ["{", "[]", json.dumps({"item": "", "quantity": 1}), json.dumps({"item": "Bearing", "quantity": "1"})],
)
def test_a_body_that_is_not_as_described_is_a_problem(platform, body):
    answer = api(platform, "operator").post(f"{platform.url}/api/orders", data=body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"value": float("nan")}, "finite"),
        ({"value": "5"}, "a number"),
        ({"sent_at": "2026-01-31"}, "a time with a zone"),
        ({"id": ""}, "1 to 100"),
    ],
)
def test_a_reading_that_is_none(platform, change, says):
    body = json.dumps({**reading("press-1", 1), **change})
    answer = api(platform, "operator").post(f"{platform.url}/api/readings", data=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_a_reading_is_stored_once_and_may_be_lost_or_doubled(platform):
    session = api(platform, "synthetic-a")

    def stored(name: str, times: int = 1) -> int:
        for _ in range(times):
            answer = session.post(f"{platform.url}/api/readings", json=reading("synthetic-a-1", 5, name))
            assert answer.status_code == 202
        return int(
            platform.rows("SELECT count(*) FROM application.readings WHERE id = %(id)s", id=name)[0][0]
        )

    assert stored("once", 2) == 1
    platform.change(event_lost=1)
    assert stored("lost") == 0
    platform.change(event_lost=None, event_doubled=1)
    assert stored("doubled") == 2
    foreign = session.post(f"{platform.url}/api/readings", json=reading("synthetic-b-1", 5))
    assert foreign.status_code == 404


def test_a_reading_over_the_limit_raises_one_alert_which_clears(platform):
    session = api(platform, "synthetic-a")

    def send(*values: float) -> list[str]:
        for value in values:
            session.post(f"{platform.url}/api/readings", json=reading("synthetic-a-2", value))
        found = session.get(f"{platform.url}/api/alerts").json()["items"]
        return [each["state"] for each in found if each["device"] == "synthetic-a-2"]

    assert send(50) == []
    assert send(120, 130) == ["firing"]
    page = platform.logged_in("synthetic-a").get(f"{platform.url}/alerts").text
    assert page.count('data-device="synthetic-a-2"') == 1
    assert send(50) == ["cleared"]
    platform.change(alert_never=True)
    assert send(120, 50) == ["cleared"]


def heard(
    platform: platform_server.Running, path: str, values: list[float], user: str = "synthetic-a"
) -> list[float]:
    """Listen by WebSocket, send, and return which values came within a moment."""
    trusted = ssl.create_default_context(cafile=platform.ca_file)
    headers = {"Authorization": f"Bearer {platform.token(user)}"}
    found: list[float] = []
    with connect(
        platform.url.replace("https", "wss") + path, ssl=trusted, additional_headers=headers
    ) as socket:
        time.sleep(0.3)
        session = api(platform, "synthetic-a")
        for value in values:
            session.post(f"{platform.url}/api/readings", json=reading("synthetic-a-3", value))
        try:
            while len(found) < len(values):
                found.append(json.loads(socket.recv(timeout=2))["value"])
        except TimeoutError:
            pass
    return found


@pytest.mark.long
def test_events_come_out_in_order_whichever_replica_took_them(platform):
    values = [float(n) for n in range(12)]
    assert heard(platform, "/ws/events", values) == values
    assert heard(platform, "/ws/live", values[:2]) == values[:2]
    assert heard(platform, "/ws/events", values[:1], user="synthetic-b") == []
    platform.change(live_frozen=True)
    assert heard(platform, "/ws/live", values[:1]) == []


def test_nobody_listens_without_a_login(platform):
    trusted = ssl.create_default_context(cafile=platform.ca_file)
    with pytest.raises(Exception, match="403"):
        connect(platform.url.replace("https", "wss") + "/ws/events", ssl=trusted)


def test_server_sent_events(platform):
    session = api(platform, "synthetic-a")
    with session.get(f"{platform.url}/events", stream=True, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines(chunk_size=1)
        assert next(lines) == b": here"
        sent = reading("synthetic-a-4", 7, "sse-1")
        api(platform, "synthetic-a").post(f"{platform.url}/api/readings", json=sent)
        assert next(line for line in lines if line.startswith(b"id: ")) == b"id: sse-1"


def test_reports_say_the_same_in_every_format(platform):
    session = platform.logged_in("viewer")
    day = datetime.now(UTC).date().isoformat()

    def got(ending: str) -> bytes:
        answer = session.get(f"{platform.url}/reports/daily.{ending}", params={"day": day})
        assert answer.status_code == 200
        return answer.content

    rows = list(csv.reader(io.StringIO(got("csv").decode())))
    [[count]] = platform.rows(
        "SELECT count(*) FROM application.readings r JOIN application.devices d ON d.id = r.device"
        " WHERE d.tenant = 'plant' AND sent_at >= %(day)s::date AT TIME ZONE 'UTC'"
        " AND sent_at < (%(day)s::date + 1) AT TIME ZONE 'UTC'",
        day=day,
    )
    assert rows[-1][:2] == ["Total", str(count)]
    sheet = openpyxl.load_workbook(io.BytesIO(got("xlsx"))).active
    assert [[str(cell) if cell is not None else "" for cell in row] for row in sheet.values] == rows
    text = "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(got("pdf"))).pages)
    assert all(cell in text for row in rows for cell in row)
    html = got("html").decode()
    assert all(f"<td>{cell}</td>" in html for row in rows[1:] for cell in row)
    platform.change(report_off_by_one=True, report_csv_cut=True)
    assert f"<td>{count + 1}</td>" in got("html").decode()
    assert b"Total" not in got("csv")
    assert session.get(f"{platform.url}/reports/daily.csv?day=today").status_code == 400


def test_graphql_answers_and_says_what_is_wrong(platform):
    session = api(platform, "viewer")

    def ask(query: str) -> requests.Response:
        return session.post(f"{platform.url}/graphql", json={"query": query})

    names = [each["id"] for each in ask("{devices {id lastValue}}").json()["data"]["devices"]]
    assert names == ["furnace-1", "lathe-1", "press-1"]
    assert ask("{__schema {queryType {name}}}").json()["data"]["__schema"]["queryType"]["name"] == "Query"
    assert ask("{nothing}").status_code == 400
    assert (
        platform.session().post(f"{platform.url}/graphql", json={"query": "{devices {id}}"}).status_code
        == 401
    )


def test_only_the_declared_origin_may_call_from_a_browser(platform):
    def allowed(origin: str) -> str | None:
        return (
            platform.session()
            .get(f"{platform.url}/api/version", headers={"Origin": origin})
            .headers.get("Access-Control-Allow-Origin")
        )

    assert allowed(service.PARTNER_SITE) == service.PARTNER_SITE
    assert allowed("https://elsewhere.example.test") is None


def test_a_partner_answers_to_the_credential(platform):
    url, credential = (
        platform.value("platform.partner"),
        Path(platform.value("platform.partner-credential")).read_text(),
    )
    session = platform.session()
    session.headers[partner.HEADER] = credential
    assert session.get(f"{url}/v1/contract").json()["status"] == "active"
    assert platform.session().get(f"{url}/v1/contract").status_code == 401
    platform.change(partner_revoked=True)
    assert session.get(f"{url}/v1/contract").status_code == 401


def test_one_side_schedules(platform):
    def sides() -> set[object]:
        since = platform.rows("SELECT clock_timestamp()")[0][0]
        time.sleep(2.5)
        return {
            side
            for (side,) in platform.rows(
                "SELECT side FROM application.scheduler_runs WHERE ran_at > %(s)s", s=since
            )
        }

    assert sides() == {"new"}
    platform.change(scheduler_old_runs=True)
    assert sides() == {"new", "old"}
    platform.change(scheduler_old_runs=None, scheduler_stopped=True)
    time.sleep(1.5)
    assert sides() == set()


def test_each_replica_says_its_version_and_whether_it_is_ready(platform):
    session = requests.Session()
    session.trust_env = False

    def told(path: str) -> list[tuple[int, str]]:
        answers = [
            session.get(f"http://127.0.0.1:{platform.lab.ports[name]}{path}") for name in service.REPLICAS
        ]
        return [(answer.status_code, answer.json().get("version", "")) for answer in answers]

    assert told("/api/version") == [(200, service.VERSION)] * 2
    assert [status for status, _ in told("/readyz")] == [200, 200]
    platform.change(version={"platform2": "2.3.9"}, not_ready=["platform2"])
    assert told("/api/version") == [(200, service.VERSION), (200, "2.3.9")]
    assert [status for status, _ in told("/readyz")] == [200, 503]
