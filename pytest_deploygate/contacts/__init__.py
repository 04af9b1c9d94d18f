"""Codes that are sent to contacts, and the record of who acknowledged one."""
