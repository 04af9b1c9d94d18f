"""Policy pages and the maintenance page."""
