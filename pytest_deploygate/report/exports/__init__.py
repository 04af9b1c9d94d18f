"""The record in formats that others read. What is not a pass is never written as one; `docs/exports.md` has the tables."""
