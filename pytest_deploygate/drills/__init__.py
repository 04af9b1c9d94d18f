"""Drills: the dated record that each one writes, and what all of them are judged by."""
