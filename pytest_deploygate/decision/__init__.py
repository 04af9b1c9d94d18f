"""Findings, policy and circumstances in; GO, HOLD or ROLLBACK with reasons out."""
