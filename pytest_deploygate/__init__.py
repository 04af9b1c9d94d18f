"""A deployment checklist that runs: inventory, probe, measurement, judge, finding, journal, decision, report."""

__version__ = "0.1.0"
