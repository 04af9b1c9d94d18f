"""Availability over a time that was watched."""
