"""`deploygate watch`: ask targets from outside for a day, and keep every answer in one crash-safe file."""
