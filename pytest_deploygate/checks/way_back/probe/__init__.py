"""Observes; never sees a limit."""
