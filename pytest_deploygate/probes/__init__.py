"""Observation: one subject a file, measurements out, never a limit in."""
