"""Drills: the dated record that one leaves."""
