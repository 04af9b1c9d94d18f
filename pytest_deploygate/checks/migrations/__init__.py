"""Migrations: at which version the database is, and what pending ones would do."""

__all__ = ["judge", "probe"]
