"""Ending a statement that another thread waits for, when everything must end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import psycopg

from pytest_deploygate.clients import stopping

_CANCEL_S = 2.0


def cutting(connection: psycopg.Connection[Any]) -> AbstractContextManager[None]:
    """Cancel what the connection runs, so that nothing of it goes on in the server."""
    return stopping.cutting(lambda: connection.cancel_safe(timeout=_CANCEL_S))
