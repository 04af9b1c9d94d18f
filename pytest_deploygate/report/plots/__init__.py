"""Pictures of what has a shape, as SVG written by hand: no script, no style attribute, readable without either.

Each kind has a module with `draw` (the picture) and `words` (the number and the limit, which stand beside it).
"""
