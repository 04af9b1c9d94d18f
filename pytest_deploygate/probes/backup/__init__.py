"""Backups: what a tool has, what it says of it, and what a restore of it shows. A tool a module, one Protocol."""
