"""The parts of inventories: value types, references to values kept elsewhere, and sections that several subjects share."""
