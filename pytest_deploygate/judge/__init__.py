"""Pure functions from a measurement and a criterion to a judgement, one subject a file."""
