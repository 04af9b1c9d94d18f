"""The live page of a change: read from its journal, sent to browsers while a run writes it."""
