"""Pages in a real browser: Chromium, by Playwright. It is started once a run; each visit has a context of its own."""
