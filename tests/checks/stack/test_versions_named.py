"""Whether a version that was told is the one that was named."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.stack.judge.versions import meets


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ("15.4", "15.4"),
        ("15.4.2", "15.4"),
        ("v2.4.1", "2.4.1"),
        ("2.4.1", "v2.4.1"),
        ("15.4-1.pgdg120+1", "15.4"),
        ("1:9.2p1-2+deb12u3", "9.2p1"),
        ("1:9.2p1-2+deb12u3", "9.2"),
        ("1.24.0-2ubuntu7~22.04", "1.24.0"),
        ("2.4.1-r0", "2.4.1"),
        ("1:9.2p1-2+deb12u3", "=9.2p1-2+deb12u3"),
        ("15.4-1~bpo12+1", "15.4"),
    ],
)
def test_it_is(told, named):
    assert meets(told, named)


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ("15.41", "15.4"),
        ("15.3", "15.4"),
        ("2.4.1-rc1", "2.4.1"),
        ("2.4.1~rc1-1", "2.4.1"),
        ("2.4.1rc1", "2.4.1"),
        ("2.4.1b2", "2.4.1"),
        ("2.4.1-SNAPSHOT", "2.4.1"),
        ("2.4.1+dirty", "2.4.1"),
        ("2.4.1-dev.5", "2.4.1"),
        ("2.4.1.1", "=2.4.1"),
        ("2", "2.4"),
        ("", "2.4"),
    ],
)
def test_it_is_not(told, named):
    assert not meets(told, named)
