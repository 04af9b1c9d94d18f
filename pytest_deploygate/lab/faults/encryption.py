"""Faults of personal data at rest."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault, by_sql
from pytest_deploygate.lab.services import platform

_USERS = "application.users"

READABLE = Fault(
    "personal-data-readable",
    "the contact of one user was stored without encryption",
    {"comp.gdpr": "fail"},
    by_sql(f"UPDATE {_USERS} SET contact = 'viewer@example.com' WHERE name = 'viewer'"),
    # The same as another user's: nothing reads it, and it is encrypted.
    by_sql(
        f"UPDATE {_USERS} SET contact = (SELECT contact FROM {_USERS} WHERE name = 'admin')"
        " WHERE contact = 'viewer@example.com'"
    ),
    says=f"1 of 7 values of {_USERS}.contact can be read without a key",
    tests=("test_personal_data_is_encrypted",),
    needs=(platform.BALANCER,),
    inventory="lab-application",
)
