"""The section `error_logs`: what is a mistake in it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pytest_deploygate.checks.error_logs.section import Keys
from pytest_deploygate.checks.hosts.section import Keys as HostKeys

SOURCE = {"name": "app", "hosts": ["web1"], "file": "/var/log/app.log"}
HOSTS = {"servers": [{"name": "web1", "connection": "ssh://web1.example.com"}]}


class Both(Keys, HostKeys):
    """The section with the hosts that it names."""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sources": []}, "at least 1 item"),
        ({"sources": [{"name": "app"}]}, "set exactly one of `file`, `loki` and `opensearch`"),
        ({"sources": [{"name": "app", "file": "/a"}]}, "a `file` needs either `hosts` or `connection`"),
        (
            {"sources": [{**SOURCE, "connection": "local://"}]},
            "a `file` needs either `hosts` or `connection`",
        ),
        ({"sources": [SOURCE, SOURCE]}, "2 sources are named 'app'"),
        (
            {"sources": [{**SOURCE, "hosts": ["wep1"]}]},
            "no server in `hosts.servers` is named 'wep1'; did you mean 'web1'?",
        ),
        ({"sources": [{**SOURCE, "masks": ["("]}]}, "'(' is not a regular expression"),
        ({"sources": [{**SOURCE, "expected": ["x*"]}]}, "'x*' matches an empty text too"),
        ({"sources": [{**SOURCE, "zone": "Berlin"}]}, "'Berlin' is not a time zone"),
        (
            {"sources": [SOURCE], "hours": "22-6"},
            "'22-6' is not a part of a day; write for example 22:00-06:00",
        ),
        ({"sources": [SOURCE], "hours": "24:00-06:00"}, "is not a part of a day"),
        ({"sources": [SOURCE], "hours": "06:00-06:00"}, "begins when it ends"),
        ({"sources": [SOURCE], "baseline_age": "36h"}, "`baseline_age` is a number of whole days"),
        ({"sources": [SOURCE], "ratio": 1}, "greater than 1"),
    ],
)
def test_mistakes_in_error_logs(given: object, says: str) -> None:
    with pytest.raises(ValidationError) as error:
        Both.model_validate({"error_logs": given, "hosts": HOSTS})
    assert says in str(error.value)
