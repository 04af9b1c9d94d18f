"""Measures; never sees a limit."""
