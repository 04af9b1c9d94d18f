"""Drills: the dated record that each one writes, and the criteria common to all of them."""
