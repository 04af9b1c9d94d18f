"""The suites: a test file for each subject, bound to the items of `checklist.md`. A run collects them by itself."""
