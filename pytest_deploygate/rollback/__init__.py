"""Deciding on a clock and going back step by step: what needs the journal and the outside world at once."""
