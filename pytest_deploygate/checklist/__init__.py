"""Checklists in Markdown, and the records that teams attach to them."""
