"""Judges, pure: a measurement and a criterion in, a judgement out."""
