"""The lab's HTTP front: two replicas behind HAProxy behind nginx, each disturbed as a fault says, and ended with the lab."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections import Counter
from urllib.error import HTTPError

import pytest

from pytest_deploygate.lab import client, disturbance, leftovers, sql
from pytest_deploygate.lab.disturbance import Disturbance
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import Lab


@pytest.fixture(autouse=True)
def _needs_the_front(lab: Lab) -> None:
    if front.FRONT not in lab.ports:
        pytest.skip("this lab has no front: HAProxy or nginx is missing")


def get(lab: Lab, path: str) -> tuple[int, bytes, float]:
    began = time.monotonic()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{lab.ports['front']}{path}", timeout=10) as answer:
            return answer.status, answer.read(), time.monotonic() - began
    except HTTPError as error:
        return error.code, b"", time.monotonic() - began


def test_it_answers_from_the_database(lab: Lab) -> None:
    status, body, _ = get(lab, "/api/machines")
    assert status == 200
    assert len(json.loads(body)["machines"]) == sql.value(lab, "SELECT count(*) FROM platform.machines")
    status, body, _ = get(lab, "/api/sensors/7/readings")
    assert status == 200
    assert json.loads(body)["readings"]


def test_people_are_made_and_erased_with_the_token_alone(lab: Lab) -> None:
    """Without the token, or without an address, nothing is done; with both a person is created and erased."""
    token = lab.secret_file("api").read_text().strip()
    person = {"email": "front-test@example.com", "name": "Front Test", "phone": "+1-555-0"}
    assert post(lab, "/api/people", person, "wrong") == 401
    assert post(lab, "/api/people", {"name": "Nobody"}, token) == 400
    assert post(lab, "/api/people", person, token) == 201
    count = "SELECT count(*) FROM platform.users WHERE email = 'front-test@example.com'"
    assert sql.value(lab, count) == 1
    assert post(lab, "/api/erasures", {"email": person["email"]}, token) == 200
    assert sql.value(lab, count) == 0
    sql.execute(lab, "DELETE FROM platform.erasure_requests WHERE email = 'front-test@example.com'")


def post(lab: Lab, path: str, body: object, token: str) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{lab.ports['front']}{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_both_replicas_take_requests(lab: Lab) -> None:
    answered = Counter(json.loads(get(lab, "/version")[1])["replica"] for _ in range(10))
    assert set(answered) == set(front.REPLICAS)


def test_a_replica_that_ends_costs_no_request(lab: Lab) -> None:
    """HAProxy tries the other one, and its health check takes the dead one out."""
    client.stop(lab, "app1", signal.SIGTERM)
    try:
        assert {get(lab, "/healthz")[0] for _ in range(20)} == {200}
        sql.wait_until("HAProxy's notice", lambda: front.replicas_up(lab) == ["app2"])
    finally:
        client.start(lab, "app1")
        front.wait_whole(lab)


def test_errors_are_an_exact_share(lab: Lab) -> None:
    disturbance.write(lab, {"*": {"error_every": 5}})
    try:
        time.sleep(0.3)
        codes = Counter(get(lab, "/api/machines")[0] for _ in range(40))
    finally:
        disturbance.end(lab)
    assert 6 <= codes[500] <= 10
    assert codes[200] == 40 - codes[500]


def test_any_ten_seconds_meet_two_seconds_of_stall() -> None:
    """Whenever a window of 10 s starts, it holds 2 s of stall, and 15 % of requests wait for longer than 0.5 s."""
    stall = Disturbance(stall_every_s=10, stall_s=2)
    for start in range(0, 100, 7):
        waits = [stall.stalled_for(start / 10 + n / 100) for n in range(1000)]
        assert sum(w > 0 for w in waits) == pytest.approx(200, abs=2)
        assert sum(w > 0.5 for w in waits) == pytest.approx(150, abs=2)


def test_the_watch_of_the_first_seconds_is_kept(lab: Lab) -> None:
    front.wait_watched(lab)
    assert front.record(lab).exists()


def test_what_is_left_of_the_front_is_found_by_its_folder(lab: Lab) -> None:
    """`lab down` ends these without the supervisor, too."""
    servers = client.status(lab.folder)["servers"]
    found = {process.pid for process in leftovers.belonging_to(lab.folder)}
    for name in (*front.REPLICAS, front.BALANCER, front.FRONT):
        pid = servers[name]["pid"]
        os.kill(pid, 0)
        assert pid in found, name
