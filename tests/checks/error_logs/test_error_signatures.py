"""What errors have in common, and what tells two kinds apart."""

from __future__ import annotations

import random

import pytest

from pytest_deploygate.checks.error_logs.probe.masking import masked
from pytest_deploygate.checks.error_logs.probe.signatures import normaliser, signature

PYTHON = [
    "Traceback (most recent call last):",
    '  File "/srv/app/orders.py", line 88, in store',
    "    self.insert(order)",
    '  File "/srv/app/database.py", line 31, in insert',
    "    raise Conflict(order)",
    "app.database.Conflict: order 18273 exists",
]
JAVA = [
    "java.lang.IllegalStateException: cannot ship order 77",
    "\tat com.example.Ship.send(Ship.java:41)",
    "\tat com.example.Main.run(Main.java:7)",
    "Caused by: java.io.IOException: broken pipe",
    "\tat java.base/sun.nio.ch.Net.write(Net.java:12)",
    "\t... 12 more",
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "mail to user 431 was not sent: 451 try again later",
            "mail to user * was not sent: 451 try again later",
        ),
        ('"GET /a/12 HTTP/1.1" 502 in 431 ms', "* 502 in * ms"),
        ("upstream returned 503 for order 503", "upstream returned 503 for order *"),
        ("waited: 500 ms, then 12.5s", "waited: * ms, then *"),
        ("ORA-00942 at row 12 of 3kB", "ORA-00942 at row * of *"),
        ("KeyError: 431, Error 1062 (23000)", "KeyError: *, Error 1062 (*)"),
        ("errno 111 (110) for 10.0.0.1:5432", "errno 111 (*) for *"),
        ("SQLSTATE 40001 id 550e8400-e29b-41d4-a716-446655440000", "SQLSTATE 40001 id *"),
        ("0xdeadbeef dfceaccb sha256 x86_64 v2", "* * sha256 x86_64 v2"),
        ("can't open 'abc' for anna@example.com, it's gone", "can't open * for *, it's gone"),
        ("at 2026-11-29 22:00:01,123 took 5", "at * * took *"),
        ("[pid 4711] [a1b2c3d4e5f6] no answer", "[pid *] [*] no answer"),
    ],
)
def test_what_is_left_out(text: str, found: str) -> None:
    assert normaliser([])(text) == found


def test_own_masks() -> None:
    assert normaliser([r"order-[a-z]+", r"tenant \w+"])("order-abc of tenant blue 7") == "* of * *"


def test_a_stack_trace_is_told_by_its_exceptions_and_places() -> None:
    normalise = normaliser([])
    python = signature("ERROR order 18273 failed", PYTHON, normalise)
    assert python == (
        "ERROR order * failed | app.database.Conflict: order * exists | orders.py:store | database.py:insert"
    )
    other_line = [line.replace("line 31", "line 36").replace("18273", "4") for line in PYTHON]
    assert signature("ERROR order 4 failed", other_line, normalise) == python
    other_place = [line.replace("in insert", "in update") for line in PYTHON]
    assert signature("ERROR order 4 failed", other_place, normalise) != python
    java = signature("ERROR [worker-7] failed", JAVA, normalise)
    assert "Caused by: java.io.IOException: broken pipe" in java
    assert "Ship.java:com.example.Ship.send" in java
    assert signature("ERROR [worker-7] failed", [*JAVA[:3], *JAVA[5:]], normalise) != java


def test_fifty_templates_are_fifty() -> None:
    """drain3 made 11 of these: it merges what differs in a module or a code of an error only."""
    draw = random.Random(3)
    normalise = normaliser([])
    found = {
        signature(
            f"ERROR app.module{n % 25}.{'ab'[n // 25]}: request {draw.getrandbits(32):08x} of user {draw.randrange(10**6)} failed "
            f"with code {4000 + n} after {draw.random() * 900:.1f} ms",
            [],
            normalise,
        )
        for n in range(50)
        for _ in range(40)
    }
    assert len(found) == 50
    assert (
        signature(
            "ERROR app.module1.c: request 00000001 of user 1 failed with code 4001 after 3.0 ms",
            [],
            normalise,
        )
        not in found
    )
    assert (
        signature(
            "ERROR app.module1.a: request 00000001 of user 1 failed with code 4999 after 3.0 ms",
            [],
            normalise,
        )
        not in found
    )


@pytest.mark.parametrize(
    "text",
    [
        "login failed: password=hunter2secret for x",
        'config {"api_key": "hunter2secret"}',
        "Authorization: Bearer hunter2secret",
        "DB_PASSWORD='hunter2secret'",
        "Set-Cookie: session=hunter2secret; Path=/",
        "GET https://user:hunter2secret@example.com/",
        "GET https://example.com/?token=hunter2secret",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    assert "hunter2secret" not in masked(text)


def test_known_formats_people_and_cards_are_masked() -> None:
    key = "AKIA" + "Z7QX3MNP5RSTVWY2"
    text = masked(f"upload with {key} for anna@example.com, card 4111 1111 1111 1111, order 18273")
    assert key not in text
    assert text.endswith("for <mail>, card ***, order 18273")
