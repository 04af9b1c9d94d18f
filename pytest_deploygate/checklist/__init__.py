"""Checklists in Markdown, and what teams attach to them."""
