"""Figures over many changes, computed from their journals alone: one journal after the other, only figures are kept."""
