"""Pending migrations are run on a scratch server that has the live schema, and each statement is observed."""
