"""Comparing tables of two databases row by row, with checksums that the servers compute.

`engine.compare` is the way in; `spec` says what to compare, `outcome` what was found. See `docs/compare.md`.
"""
