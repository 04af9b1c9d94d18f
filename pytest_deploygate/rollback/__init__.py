"""Deciding by a deadline and rolling back step by step: the parts that need both the journal and the outside world."""
