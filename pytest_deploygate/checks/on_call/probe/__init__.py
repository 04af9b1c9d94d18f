"""Asks the source for shifts."""

from pytest_deploygate.checks.on_call.probe.rota import read

__all__ = ["read"]
