"""Sign-off: each role signs one report, and anybody can check that offline without trusting this machine."""
