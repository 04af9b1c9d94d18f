"""The clients of the migration's source that run only while a fault is in the lab."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_deploygate.lab.services import source


@pytest.mark.parametrize("name", [source.WRITER, source.COPIER])
def test_a_client_that_ended_is_forgotten(monkeypatch, name):
    """A repair of the lab starts all servers that have ended: the fault would come back when it has been healed."""
    servers, asked = {name: {}}, []
    monkeypatch.setattr(
        source,
        "client",
        SimpleNamespace(
            status=lambda _folder: {"servers": servers},
            stop=lambda _lab, one: asked.append(("stop", one)),
            forget=lambda _lab, one: servers.pop(one),
        ),
    )
    monkeypatch.setattr(source, "on_source", lambda _lab, *_: [])
    monkeypatch.setattr(source, "on_target", lambda _lab, *_: [])
    lab = SimpleNamespace(folder=None)
    for _ in range(2):  # healing again does no harm
        source.end(lab, name)
    assert (asked, servers) == ([("stop", name)], {})
