"""What people bring: attestations, their evidence, and the issue log."""
