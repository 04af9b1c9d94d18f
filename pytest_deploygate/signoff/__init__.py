"""Sign-off: each role signs the same report, and anybody can verify that offline without trusting this machine."""
