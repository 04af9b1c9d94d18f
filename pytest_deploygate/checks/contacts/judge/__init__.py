"""Judges the contact list."""

from pytest_deploygate.checks.contacts.judge.listed import judge

__all__ = ["judge"]
