"""Plots as hand-written SVG: no script, no style attribute, readable without either.

Each kind has a module with `draw` (the picture) and `words` (the number and the limit beside it).
"""
